// Writes the field table of the built-in kinds: packages/apimachinery/src/codec/fields.data.json.
// Run by hand when the Kubernetes release below changes: `go run . ../../packages/apimachinery/src/codec/fields.data.json`.
// It reads names, numbers, types and markers by reflection and from the sources of the modules in go.mod; no prose.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

var groups = []func(*runtime.Scheme) error{
	admissionv1.AddToScheme, admissionregistrationv1.AddToScheme, apidiscoveryv2.AddToScheme,
	appsv1.AddToScheme, authenticationv1.AddToScheme, authorizationv1.AddToScheme,
	autoscalingv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme,
	certificatesv1.AddToScheme, coordinationv1.AddToScheme, corev1.AddToScheme,
	discoveryv1.AddToScheme, eventsv1.AddToScheme, flowcontrolv1.AddToScheme,
	networkingv1.AddToScheme, nodev1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme,
	resourcev1.AddToScheme, schedulingv1.AddToScheme, storagev1.AddToScheme,
	storagemigrationv1.AddToScheme, apiextensionsv1.AddToScheme, apiregistrationv1.AddToScheme, metav1.AddMetaToScheme,
}

// metaPackage holds the option kinds that every group registers again under its own version.
var metaPackage = reflect.TypeOf(metav1.ObjectMeta{}).PkgPath()

// table is the file's shape; codec/field-table.ts describes each part.
type table struct {
	Packages [][2]string               `json:"packages"`
	Enums    [][]string                `json:"enums"`
	Shapes   []any                     `json:"shapes"`
	Structs  []any                     `json:"structs"`
	Kinds    map[string]map[string]int `json:"kinds"`
	// Options are the kinds of meta/v1 that exist in every group version.
	Options map[string]int `json:"options"`
}

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: generate-fields OUTPUT"))
	}
	scheme := runtime.NewScheme()
	for _, add := range groups {
		fail(add(scheme))
	}
	b := newBuilder()
	known := scheme.AllKnownTypes()
	names := make([]string, 0, len(known))
	types := map[string]reflect.Type{}
	for gvk, t := range known {
		if gvk.Version == runtime.APIVersionInternal {
			continue
		}
		key := gvk.GroupVersion().String() + " " + gvk.Kind
		names = append(names, key)
		types[key] = t
	}
	sort.Strings(names)
	for _, key := range names {
		var groupVersion, kind string
		_, err := fmt.Sscanf(key, "%s %s", &groupVersion, &kind)
		fail(err)
		b.addKind(groupVersion, kind, types[key])
	}
	b.finish()
	out, err := json.Marshal(b.table)
	fail(err)
	fail(os.WriteFile(os.Args[1], append(out, '\n'), 0o644))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
