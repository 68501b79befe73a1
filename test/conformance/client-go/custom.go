package main

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"k8s.io/utils/ptr"
)

var customChecks = []check{
	{"custom: created, defaulted, pruned and validated", customWrites},
	{"custom: status and main resource do not write each other", customStatus},
	{"custom: scale", customScale},
	{"custom: merge and apply patches; strategic ones are 415", customPatches},
	{"custom: metadata client", customMetadata},
	{"custom: a marked deletion counts as a generation; a patch may test for what is absent", customDeletion},
	{"custom: deletecollection by label", customDeleteCollection},
	{"custom: found by discovery, the REST mapper and OpenAPI", customDiscovery},
}

func (s *suite) crdName() string { return "widgets." + s.group }

func (s *suite) gvr() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: s.group, Version: "v1", Resource: "widgets"}
}

func (s *suite) widgets() dynamic.ResourceInterface {
	return s.dynamic.Resource(s.gvr()).Namespace(s.namespace)
}

func (s *suite) widget(name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": s.group + "/v1", "kind": "Widget",
		"metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

func createCRD(ctx context.Context, s *suite) error {
	property := func(kind string) apiextensionsv1.JSONSchemaProps { return apiextensionsv1.JSONSchemaProps{Type: kind} }
	size := property("integer")
	size.Default = &apiextensionsv1.JSON{Raw: []byte("3")}
	size.Maximum = ptr.To(10.0)
	spec := property("object")
	spec.Properties = map[string]apiextensionsv1.JSONSchemaProps{"size": size, "color": property("string"), "replicas": property("integer")}
	spec.XValidations = apiextensionsv1.ValidationRules{{Rule: "self.color != 'black'", Message: "no black"}}
	spec.Properties["color"] = apiextensionsv1.JSONSchemaProps{Type: "string", Default: &apiextensionsv1.JSON{Raw: []byte(`"red"`)}}
	status := property("object")
	status.Properties = map[string]apiextensionsv1.JSONSchemaProps{
		"phase": property("string"), "replicas": property("integer"), "selector": property("string")}
	root := property("object")
	root.Properties = map[string]apiextensionsv1.JSONSchemaProps{"spec": spec, "status": status}
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: s.crdName()},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: s.group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &root},
				Subresources: &apiextensionsv1.CustomResourceSubresources{
					Status: &apiextensionsv1.CustomResourceSubresourceStatus{},
					Scale: &apiextensionsv1.CustomResourceSubresourceScale{SpecReplicasPath: ".spec.replicas",
						StatusReplicasPath: ".status.replicas", LabelSelectorPath: ptr.To(".status.selector")},
				},
			}},
		},
	}
	definitions := s.extensions.ApiextensionsV1().CustomResourceDefinitions()
	if _, err := definitions.Create(ctx, crd, metav1.CreateOptions{}); err != nil {
		return err
	}
	return eventually(ctx, "the definition is served", func(ctx context.Context) (bool, error) {
		_, err := s.widgets().List(ctx, metav1.ListOptions{})
		return err == nil, err
	})
}

func customWrites(ctx context.Context, s *suite) error {
	created, err := s.widgets().Create(ctx, s.widget("w", map[string]any{"unknown": "x"}), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, large := s.widgets().Create(ctx, s.widget("large", map[string]any{"size": int64(11)}), metav1.CreateOptions{})
	_, black := s.widgets().Create(ctx, s.widget("black", map[string]any{"color": "black"}), metav1.CreateOptions{})
	blind := created.DeepCopy()
	blind.SetResourceVersion("")
	_, unversioned := s.widgets().Update(ctx, blind, metav1.UpdateOptions{})
	_, strict := s.widgets().Create(ctx, s.widget("strict", map[string]any{"unknown": "x"}),
		metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	spec := created.Object["spec"].(map[string]any)
	return first(
		expect(spec["size"] == int64(3) && spec["color"] == "red" && len(spec) == 2, "spec %v", spec),
		expect(apierrors.IsInvalid(large), "over the maximum: %v", large),
		expect(apierrors.IsInvalid(black), "against a rule: %v", black),
		expect(apierrors.IsInvalid(unversioned), "update without resourceVersion: %v", unversioned),
		expect(apierrors.IsBadRequest(strict), "unknown field, strictly: %v", strict),
	)
}

func customStatus(ctx context.Context, s *suite) error {
	created, err := s.widgets().Create(ctx, s.widget("st", map[string]any{"size": int64(1)}), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_ = unstructured.SetNestedField(created.Object, "Ready", "status", "phase")
	_ = unstructured.SetNestedField(created.Object, int64(9), "spec", "size")
	updated, err := s.widgets().UpdateStatus(ctx, created, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	size, _, _ := unstructured.NestedInt64(updated.Object, "spec", "size")
	afterStatus := updated.GetGeneration()
	_ = unstructured.SetNestedField(updated.Object, int64(2), "spec", "size")
	unstructured.RemoveNestedField(updated.Object, "status")
	main, err := s.widgets().Update(ctx, updated, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	phase, _, _ := unstructured.NestedString(main.Object, "status", "phase")
	return first(
		expect(size == 1 && afterStatus == 1, "status wrote spec.size %d, generation %d", size, afterStatus),
		expect(phase == "Ready" && main.GetGeneration() == 2, "phase %q, generation %d", phase, main.GetGeneration()),
	)
}

func customScale(ctx context.Context, s *suite) error {
	if _, err := s.widgets().Create(ctx, s.widget("sc", map[string]any{"replicas": int64(1)}), metav1.CreateOptions{}); err != nil {
		return err
	}
	scale, err := s.widgets().Get(ctx, "sc", metav1.GetOptions{}, "scale")
	if err != nil {
		return err
	}
	_ = unstructured.SetNestedField(scale.Object, int64(4), "spec", "replicas")
	if _, err = s.widgets().Update(ctx, scale, metav1.UpdateOptions{}, "scale"); err != nil {
		return err
	}
	after, err := s.widgets().Get(ctx, "sc", metav1.GetOptions{})
	if err != nil {
		return err
	}
	replicas, _, _ := unstructured.NestedInt64(after.Object, "spec", "replicas")
	return expect(scale.GetKind() == "Scale" && replicas == 4, "%s, replicas %d", scale.GetKind(), replicas)
}

func customPatches(ctx context.Context, s *suite) error {
	applied, err := s.widgets().Apply(ctx, "ap", s.widget("ap", map[string]any{"size": int64(1)}), by("one"))
	if err != nil {
		return err
	}
	_, conflict := s.widgets().Apply(ctx, "ap", s.widget("ap", map[string]any{"size": int64(2)}), by("two"))
	merged, err := s.widgets().Patch(ctx, "ap", types.MergePatchType, []byte(`{"spec":{"color":"blue"}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	_, strategic := s.widgets().Patch(ctx, "ap", types.StrategicMergePatchType, []byte(`{"spec":{"color":"blue"}}`), metav1.PatchOptions{})
	color, _, _ := unstructured.NestedString(merged.Object, "spec", "color")
	return first(
		expect(len(applied.GetManagedFields()) == 1, "managers %v", applied.GetManagedFields()),
		expect(apierrors.IsConflict(conflict), "conflict: %v", conflict),
		expect(color == "blue", "color %q", color),
		expect(apierrors.IsUnsupportedMediaType(strategic), "strategic: %v", strategic),
	)
}

func customMetadata(ctx context.Context, s *suite) error {
	if _, err := s.widgets().Create(ctx, s.widget("md", map[string]any{}), metav1.CreateOptions{}); err != nil {
		return err
	}
	client := s.metadata.Resource(s.gvr()).Namespace(s.namespace)
	patched, err := client.Patch(ctx, "md", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	list, err := client.List(ctx, metav1.ListOptions{LabelSelector: "a=b"})
	if err != nil {
		return err
	}
	return first(
		expect(patched.UID != "" && patched.Labels["a"] == "b", "patched %v", patched),
		expect(len(list.Items) == 1 && list.Items[0].Name == "md" && list.ResourceVersion != "", "listed %v", list),
		client.Delete(ctx, "md", metav1.DeleteOptions{}),
	)
}

func customDeletion(ctx context.Context, s *suite) error {
	if _, err := s.widgets().Create(ctx, s.widget("held", map[string]any{}), metav1.CreateOptions{}); err != nil {
		return err
	}
	// kube-rs adds its finalizers like this: a test for null holds where nothing is.
	held, err := s.widgets().Patch(ctx, "held", types.JSONPatchType, []byte(`[{"op":"test","path":"/metadata/finalizers","value":null},
		{"op":"add","path":"/metadata/finalizers","value":["example.com/hold"]}]`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	foreground := metav1.DeletePropagationForeground
	if err = s.widgets().Delete(ctx, "held", metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		return err
	}
	marked, err := s.widgets().Get(ctx, "held", metav1.GetOptions{})
	if err != nil {
		return err
	}
	_, err = s.widgets().Patch(ctx, "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	return first(err,
		expect(held.GetGeneration() == 1 && marked.GetGeneration() == 2, "generations %d, %d", held.GetGeneration(), marked.GetGeneration()),
		// The garbage collector may have taken its own finalizer away by now.
		expect(marked.GetDeletionTimestamp() != nil && marked.GetFinalizers()[0] == "example.com/hold", "finalizers %v", marked.GetFinalizers()),
	)
}

func customDeleteCollection(ctx context.Context, s *suite) error {
	for i := range 4 {
		object := s.widget(fmt.Sprintf("dc-%d", i), map[string]any{})
		object.SetLabels(map[string]string{"half": fmt.Sprint(i % 2)})
		if _, err := s.widgets().Create(ctx, object, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	err := s.widgets().DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "half=0"})
	if err != nil {
		return err
	}
	left, err := s.widgets().List(ctx, metav1.ListOptions{LabelSelector: "half"})
	if err != nil {
		return err
	}
	return expect(len(left.Items) == 2 && left.Items[0].GetName() == "dc-1" && left.GetKind() == "WidgetList", "left %v", left.Items)
}

func customDiscovery(ctx context.Context, s *suite) error {
	discovery := s.extensions.Discovery()
	return eventually(ctx, "discovery shows the kind", func(context.Context) (bool, error) {
		mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discovery))
		mapping, err := mapper.RESTMapping(schema.GroupKind{Group: s.group, Kind: "Widget"})
		if err != nil {
			return false, err
		}
		resources, err := discovery.ServerResourcesForGroupVersion(s.group + "/v1")
		if err != nil {
			return false, err
		}
		paths, err := discovery.OpenAPIV3().Paths()
		if err != nil {
			return false, err
		}
		entry, ok := paths["apis/"+s.group+"/v1"]
		if !ok {
			return false, fmt.Errorf("OpenAPI has no %s", s.group)
		}
		document, err := entry.Schema(runtime.ContentTypeJSON)
		if err != nil {
			return false, err
		}
		return true, expect(mapping.Resource == s.gvr() && len(resources.APIResources) == 3 && len(document) > 0,
			"mapping %v, resources %v", mapping, resources)
	})
}
