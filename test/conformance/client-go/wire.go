package main

import (
	"context"
	"encoding/json"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var negotiationChecks = []check{
	{"wire: Tables of built-in and custom resources", tables},
	{"wire: a type nobody can answer with is 406, one nobody can read 415", unknownTypes},
	{"wire: a protobuf client falls back to JSON for custom resources", jsonFallback},
	{"wire: unknown and duplicate fields are refused when asked for", strictFields},
}

const tableType = "application/json;as=Table;v=v1;g=meta.k8s.io"

func tables(ctx context.Context, s *suite) error {
	if _, err := s.kube.CoreV1().ConfigMaps(s.namespace).Create(
		ctx, newConfigMap("row", map[string]string{"a": "b"}), metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, path := range []string{
		"/api/v1/namespaces/" + s.namespace + "/configmaps",
		"/apis/" + s.group + "/v1/namespaces/" + s.namespace + "/widgets",
	} {
		body, err := s.kube.RESTClient().Get().AbsPath(path).SetHeader("Accept", tableType).DoRaw(ctx)
		if err != nil {
			return err
		}
		table := metav1.Table{}
		if err := json.Unmarshal(body, &table); err != nil {
			return err
		}
		if err := first(
			expect(table.Kind == "Table" && table.APIVersion == "meta.k8s.io/v1", "%s is a %s", path, table.Kind),
			expect(table.ColumnDefinitions[0].Name == "Name" && table.ResourceVersion != "", "%s: %v", path, table),
		); err != nil {
			return err
		}
		for _, row := range table.Rows {
			if !strings.Contains(string(row.Object.Raw), `"kind":"PartialObjectMetadata"`) {
				return expect(false, "row without metadata: %s", row.Object.Raw)
			}
		}
	}
	return nil
}

func unknownTypes(ctx context.Context, s *suite) error {
	path := "/api/v1/namespaces/" + s.namespace + "/configmaps"
	_, unanswerable := s.kube.RESTClient().Get().AbsPath(path).SetHeader("Accept", "text/csv").DoRaw(ctx)
	_, unreadable := s.kube.RESTClient().Post().AbsPath(path).
		SetHeader("Content-Type", "text/csv").Body([]byte("a,b")).DoRaw(ctx)
	return first(
		expect(apierrors.IsNotAcceptable(unanswerable), "Accept text/csv: %v", unanswerable),
		expect(apierrors.IsUnsupportedMediaType(unreadable), "Content-Type text/csv: %v", unreadable),
	)
}

func jsonFallback(ctx context.Context, s *suite) error {
	path := "/apis/" + s.group + "/v1/namespaces/" + s.namespace + "/widgets"
	mark := s.traffic.mark()
	_, err := s.kube.RESTClient().Get().AbsPath(path).
		SetHeader("Accept", "application/vnd.kubernetes.protobuf,application/json").DoRaw(ctx)
	if err != nil {
		return err
	}
	answer := s.traffic.since(mark, "/widgets")[0]
	return expect(answer.responseType == "application/json", "answered in %q", answer.responseType)
}

func strictFields(ctx context.Context, s *suite) error {
	body := []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"strict"},"data":{"a":"1","a":"2"},"spec":{}}`)
	err := s.kube.CoreV1().RESTClient().Post().Namespace(s.namespace).Resource("configmaps").
		Param("fieldValidation", "Strict").SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Error()
	return first(
		expect(apierrors.IsBadRequest(err), "strict: %v", err),
		expect(err != nil && strings.Contains(err.Error(), `duplicate field "data.a"`), "duplicate: %v", err),
		expect(err != nil && strings.Contains(err.Error(), `unknown field "spec"`), "unknown: %v", err),
	)
}

var patchChecks = []check{
	{"patch: JSON patch, its test operation and its failures", jsonPatch},
	{"patch: merge patch, deletion by null and a stale resourceVersion", mergePatch},
	{"patch: strategic merge by container name", strategicPatch},
	{"patch: a no-op keeps the resourceVersion", noOpPatch},
}

func jsonPatch(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	if _, err := client.Create(ctx, newConfigMap("jp", map[string]string{"a": "1"}), metav1.CreateOptions{}); err != nil {
		return err
	}
	patched, err := client.Patch(ctx, "jp", types.JSONPatchType,
		[]byte(`[{"op":"test","path":"/data/a","value":"1"},{"op":"move","from":"/data/a","path":"/data/b"}]`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	_, test := client.Patch(ctx, "jp", types.JSONPatchType,
		[]byte(`[{"op":"test","path":"/data/b","value":"2"}]`), metav1.PatchOptions{})
	_, key := client.Patch(ctx, "jp", types.JSONPatchType,
		[]byte(`[{"op":"add","path":"/data/c~1d","value":"a slash is no part of a key"}]`), metav1.PatchOptions{})
	_, malformed := client.Patch(ctx, "jp", types.JSONPatchType, []byte(`{"a":1}`), metav1.PatchOptions{})
	_, absent := client.Patch(ctx, "absent", types.JSONPatchType, []byte(`[]`), metav1.PatchOptions{})
	return first(
		expect(len(patched.Data) == 1 && patched.Data["b"] == "1", "patched to %v", patched.Data),
		expect(apierrors.IsInvalid(test), "failing test: %v", test),
		expect(apierrors.IsInvalid(key), "key with a slash: %v", key),
		expect(apierrors.IsBadRequest(malformed), "malformed: %v", malformed),
		expect(apierrors.IsNotFound(absent), "absent: %v", absent),
	)
}

func mergePatch(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	created, err := client.Create(ctx, newConfigMap("mp", map[string]string{"a": "1", "b": "2"}), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	patched, err := client.Patch(ctx, "mp", types.MergePatchType, []byte(`{"data":{"a":null,"c":"3"}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	_, stale := client.Patch(ctx, "mp", types.MergePatchType,
		[]byte(`{"metadata":{"resourceVersion":"`+created.ResourceVersion+`"},"data":{"d":"4"}}`), metav1.PatchOptions{})
	_, wrongType := client.Patch(ctx, "mp", types.MergePatchType, []byte(`{"data":{"a":1}}`), metav1.PatchOptions{})
	_, hasA := patched.Data["a"]
	return first(
		expect(!hasA && patched.Data["b"] == "2" && patched.Data["c"] == "3", "patched to %v", patched.Data),
		expect(apierrors.IsConflict(stale), "stale: %v", stale),
		expect(apierrors.IsInvalid(wrongType), "number in data: %v", wrongType),
	)
}

func strategicPatch(ctx context.Context, s *suite) error {
	client := s.kube.AppsV1().Deployments(s.namespace)
	if _, err := client.Create(ctx, newDeployment("smp"), metav1.CreateOptions{}); err != nil {
		return err
	}
	patched, err := client.Patch(ctx, "smp", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[
		{"name":"side","image":"example.com/side:1"},{"name":"main","env":[{"name":"A","value":"1"}]}]}}}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	added := patched.Spec.Template.Spec.Containers
	patched, err = client.Patch(ctx, "smp", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[
		{"name":"side","$patch":"delete"}]}}}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	left := patched.Spec.Template.Spec.Containers
	return first(
		expect(len(added) == 2, "containers %v", added),
		expect(len(left) == 1 && left[0].Name == "main" && left[0].Image == "example.com/image:1" && left[0].Env[0].Value == "1", "%v", left),
	)
}

func noOpPatch(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	created, err := client.Create(ctx, newConfigMap("noop", map[string]string{"a": "1"}), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	for _, kind := range []types.PatchType{types.MergePatchType, types.StrategicMergePatchType} {
		same, err := client.Patch(ctx, "noop", kind, []byte(`{"data":{"a":"1"}}`), metav1.PatchOptions{})
		if err != nil {
			return err
		}
		if same.ResourceVersion != created.ResourceVersion {
			return expect(false, "%s wrote %s over %s", kind, same.ResourceVersion, created.ResourceVersion)
		}
	}
	return nil
}
