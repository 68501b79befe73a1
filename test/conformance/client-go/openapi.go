package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
)

var openAPIChecks = []check{
	{"openapi: v2 in protobuf has built-in and custom kinds, and what they refer to", openAPIDefinitions},
	{"openapi: an untyped object's applied configuration is extracted by its schema", openAPIExtract},
}

// widgetDefinition is the name of the custom kind in OpenAPI: its group backwards.
func (s *suite) widgetDefinition() string {
	parts := strings.Split(s.group, ".")
	slices.Reverse(parts)
	return strings.Join(parts, ".") + ".v1.Widget"
}

func openAPIDefinitions(ctx context.Context, s *suite) error {
	wanted := map[string]string{
		"io.k8s.api.apps.v1.Deployment":                      "kind: Deployment",
		"io.k8s.api.core.v1.Pod":                             "kind: Pod",
		"io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions": "kind: DeleteOptions",
		"io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector": "",
		"io.k8s.apimachinery.pkg.util.intstr.IntOrString":    "",
		s.widgetDefinition():                                 "kind: Widget",
		s.widgetDefinition() + "List":                        "kind: WidgetList",
	}
	return eventually(ctx, "OpenAPI v2 shows the kind", func(context.Context) (bool, error) {
		document, err := s.kube.Discovery().OpenAPISchema()
		if err != nil {
			return false, err
		}
		kinds, references := map[string]string{}, map[string]string{}
		for _, definition := range document.GetDefinitions().GetAdditionalProperties() {
			name := definition.GetName()
			kinds[name] = ""
			for _, extension := range definition.GetValue().GetVendorExtension() {
				if extension.GetName() == "x-kubernetes-group-version-kind" {
					kinds[name] = extension.GetValue().GetYaml()
				}
			}
			for _, property := range definition.GetValue().GetProperties().GetAdditionalProperties() {
				references[name+"."+property.GetName()] = property.GetValue().GetXRef()
			}
		}
		for name, kind := range wanted {
			if text, ok := kinds[name]; !ok || !strings.Contains(text, kind) {
				return false, fmt.Errorf("%s is %q", name, text)
			}
		}
		operations := map[string]string{}
		for _, path := range document.GetPaths().GetPath() {
			operations[path.GetName()] = path.GetValue().GetGet().GetOperationId()
		}
		metadata := "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
		widgets := "/apis/" + s.group + "/v1/namespaces/{namespace}/widgets/{name}"
		return true, first(
			expect(document.GetSwagger() == "2.0" && document.GetInfo().GetTitle() != "", "swagger %q", document.GetSwagger()),
			expect(references["io.k8s.api.apps.v1.Deployment.metadata"] == metadata, "references %v", references["io.k8s.api.apps.v1.Deployment.metadata"]),
			expect(references[s.widgetDefinition()+".metadata"] == metadata, "references %v", references[s.widgetDefinition()+".metadata"]),
			expect(operations["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"] == "readAppsV1NamespacedDeployment", "operations of deployments"),
			expect(operations[widgets] != "", "no operation reads %s", widgets),
		)
	})
}

func openAPIExtract(ctx context.Context, s *suite) error {
	extractor, err := metav1ac.NewUnstructuredExtractor(s.kube.Discovery())
	if err != nil {
		return err
	}
	deployments := s.dynamic.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace(s.namespace)
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "untyped"},
		"spec": map[string]any{
			"paused":   true,
			"selector": map[string]any{"matchLabels": map[string]any{"app": "untyped"}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"app": "untyped"}},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "main", "image": "example.com/image:1"}}},
			},
		},
	}}
	deployed, err := deployments.Apply(ctx, "untyped", object, by("extracting"))
	if err != nil {
		return err
	}
	owned, err := extractor.Extract(deployed, "extracting")
	if err != nil {
		return err
	}
	applied, err := s.widgets().Apply(ctx, "untyped", s.widget("untyped", map[string]any{"size": int64(1)}), by("extracting"))
	if err != nil {
		return err
	}
	widget, err := extractor.Extract(applied, "extracting")
	if err != nil {
		return err
	}
	containers, _, _ := unstructured.NestedSlice(owned.Object, "spec", "template", "spec", "containers")
	_, replicas, _ := unstructured.NestedInt64(owned.Object, "spec", "replicas")
	spec, _, _ := unstructured.NestedMap(widget.Object, "spec")
	return first(
		expect(len(containers) == 1 && len(containers[0].(map[string]any)) == 2, "containers %v", containers),
		expect(!replicas, "a default was extracted: %v", owned.Object),
		expect(len(spec) == 1 && spec["size"] == int64(1), "widget %v", spec),
		deployments.Delete(ctx, "untyped", metav1.DeleteOptions{}),
	)
}
