package main

import (
	"context"
	"reflect"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
)

var typedChecks = []check{
	{"typed: ConfigMap keeps text and bytes", configMap},
	{"typed: Secret takes stringData and guards its type and immutability", secret},
	{"typed: Service is defaulted and gets an address", service},
	{"typed: Deployment is defaulted, counts generations and scales", deployment},
	{"typed: Lease keeps microseconds", lease},
	{"typed: errors of create, get, update and delete", errorsOfVerbs},
	{"typed: generateName, dry run and server-filled metadata", serverFilled},
	{"typed: finalizers hold an object back", finalizers},
	{"typed: parallel updates lose nothing", parallelUpdates},
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

func newConfigMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: named(name), Data: data}
}

func configMap(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	mark := s.traffic.mark()
	object := newConfigMap("plain", map[string]string{"key": "välue\n", "empty": ""})
	object.BinaryData = map[string][]byte{"bytes": {0, 255, 128}}
	created, err := client.Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	got, err := client.Get(ctx, "plain", metav1.GetOptions{})
	if err != nil {
		return err
	}
	created.Data["key"] = "other"
	updated, err := client.Update(ctx, created, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	for _, e := range s.traffic.since(mark, "") {
		if !strings.HasPrefix(e.responseType, "application/vnd.kubernetes.protobuf") {
			return expect(false, "%s %s was answered in %q", e.method, e.path, e.responseType)
		}
	}
	return first(
		expect(got.Data["key"] == "välue\n" && reflect.DeepEqual(got.BinaryData, object.BinaryData), "data changed: %v", got),
		expect(updated.Data["key"] == "other" && updated.ResourceVersion != got.ResourceVersion, "update: %v", updated),
		expect(updated.UID == got.UID && updated.CreationTimestamp.Equal(&got.CreationTimestamp), "identity changed"),
		expect(len(updated.ManagedFields) == 1 && updated.ManagedFields[0].Manager == "conformance",
			"managers: %v", updated.ManagedFields),
		client.Delete(ctx, "plain", metav1.DeleteOptions{}),
	)
}

func secret(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().Secrets(s.namespace)
	created, err := client.Create(ctx, &corev1.Secret{
		ObjectMeta: named("secret"), Data: map[string][]byte{"a": {1, 2}, "b": []byte("old")},
		StringData: map[string]string{"b": "new"},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	retyped := created.DeepCopy()
	retyped.Type = corev1.SecretTypeTLS
	_, retypeError := client.Update(ctx, retyped, metav1.UpdateOptions{})
	created.Immutable = ptr.To(true)
	sealed, err := client.Update(ctx, created, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	sealed.Data["a"] = []byte("changed")
	_, sealError := client.Update(ctx, sealed, metav1.UpdateOptions{})
	return first(
		expect(created.Type == corev1.SecretTypeOpaque, "type %q", created.Type),
		expect(string(created.Data["b"]) == "new" && created.StringData == nil, "data %v", created.Data),
		expect(apierrors.IsInvalid(retypeError), "type changed: %v", retypeError),
		expect(apierrors.IsInvalid(sealError), "immutable data changed: %v", sealError),
	)
}

func service(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().Services(s.namespace)
	created, err := client.Create(ctx, &corev1.Service{ObjectMeta: named("svc"), Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "x"}, Ports: []corev1.ServicePort{{Port: 80}},
	}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, invalid := client.Create(ctx, &corev1.Service{ObjectMeta: named("portless"),
		Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "x"}}}, metav1.CreateOptions{})
	spec := created.Spec
	return first(
		expect(spec.Type == corev1.ServiceTypeClusterIP && spec.SessionAffinity == corev1.ServiceAffinityNone, "%v", spec),
		expect(spec.Ports[0].Protocol == corev1.ProtocolTCP && spec.Ports[0].TargetPort == intstr.FromInt32(80), "%v", spec.Ports),
		expect(spec.ClusterIP != "" && len(spec.ClusterIPs) == 1 && spec.ClusterIPs[0] == spec.ClusterIP, "address: %v", spec),
		expect(apierrors.IsInvalid(invalid), "a service without ports: %v", invalid),
		client.Delete(ctx, "svc", metav1.DeleteOptions{}),
	)
}

// newDeployment is paused, so that no controller starts Pods of it.
func newDeployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{ObjectMeta: named(name), Spec: appsv1.DeploymentSpec{
		Paused: true, Replicas: ptr.To[int32](2), Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "main", Image: "example.com/image:1"}},
		}},
	}}
}

func deployment(ctx context.Context, s *suite) error {
	client := s.kube.AppsV1().Deployments(s.namespace)
	created, err := client.Create(ctx, newDeployment("scaled"), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	scale, err := client.GetScale(ctx, "scaled", metav1.GetOptions{})
	if err != nil {
		return err
	}
	shown := *scale
	scale, err = client.UpdateScale(ctx, "scaled", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "scaled", Namespace: s.namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: 3},
	}, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	after, err := client.Get(ctx, "scaled", metav1.GetOptions{})
	if err != nil {
		return err
	}
	reselected := after.DeepCopy()
	reselected.ResourceVersion = ""
	reselected.Spec.Selector.MatchLabels = map[string]string{"app": "other"}
	reselected.Spec.Template.Labels = map[string]string{"app": "other"}
	_, immutable := client.Update(ctx, reselected, metav1.UpdateOptions{})
	template := created.Spec.Template.Spec
	return first(
		expect(created.Generation == 1 && after.Generation == 2, "generations %d, %d", created.Generation, after.Generation),
		expect(created.Spec.Strategy.RollingUpdate.MaxSurge.String() == "25%", "strategy %v", created.Spec.Strategy),
		expect(*created.Spec.RevisionHistoryLimit == 10 && *created.Spec.ProgressDeadlineSeconds == 600, "%v", created.Spec),
		expect(template.RestartPolicy == corev1.RestartPolicyAlways && template.SchedulerName == "default-scheduler", "%v", template),
		expect(template.Containers[0].ImagePullPolicy == corev1.PullIfNotPresent, "%v", template.Containers[0]),
		expect(shown.Spec.Replicas == 2 && shown.Status.Selector == "app=scaled", "scale %v", shown),
		expect(scale.Spec.Replicas == 3 && *after.Spec.Replicas == 3, "scaled %v", scale),
		expect(apierrors.IsInvalid(immutable), "selector changed: %v", immutable),
	)
}

func lease(ctx context.Context, s *suite) error {
	now := metav1.NewMicroTime(time.Date(2024, 2, 3, 4, 5, 6, 123456000, time.UTC))
	client := s.kube.CoordinationV1().Leases(s.namespace)
	created, err := client.Create(ctx, &coordinationv1.Lease{ObjectMeta: named("lease"), Spec: coordinationv1.LeaseSpec{
		HolderIdentity: ptr.To("me"), LeaseDurationSeconds: ptr.To[int32](15), RenewTime: &now,
	}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return expect(created.Spec.RenewTime.Equal(&now), "renewed at %v, not %v", created.Spec.RenewTime, now)
}

func errorsOfVerbs(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	created, err := client.Create(ctx, newConfigMap("errors", nil), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, exists := client.Create(ctx, newConfigMap("errors", nil), metav1.CreateOptions{})
	_, missing := client.Get(ctx, "absent", metav1.GetOptions{})
	_, bad := client.Create(ctx, newConfigMap("Not_A_Name", nil), metav1.CreateOptions{})
	fresh := created.DeepCopy()
	fresh.Data = map[string]string{"a": "b"}
	_, err = client.Update(ctx, fresh, metav1.UpdateOptions{})
	_, stale := client.Update(ctx, created, metav1.UpdateOptions{})
	wrong := types.UID("00000000-0000-0000-0000-000000000000")
	uid := client.Delete(ctx, "errors", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}})
	gone := client.Delete(ctx, "errors", metav1.DeleteOptions{})
	twice := client.Delete(ctx, "errors", metav1.DeleteOptions{})
	_, elsewhere := s.kube.CoreV1().ConfigMaps(s.namespace+"-absent").Create(ctx, newConfigMap("x", nil), metav1.CreateOptions{})
	return first(err, gone,
		expect(apierrors.IsAlreadyExists(exists), "second create: %v", exists),
		expect(apierrors.IsNotFound(missing), "get: %v", missing),
		expect(apierrors.IsInvalid(bad), "bad name: %v", bad),
		expect(apierrors.HasStatusCause(bad, metav1.CauseTypeFieldValueInvalid), "no cause in %v", bad),
		expect(apierrors.IsConflict(stale), "stale update: %v", stale),
		expect(apierrors.IsConflict(uid), "delete of another uid: %v", uid),
		expect(apierrors.IsNotFound(twice), "second delete: %v", twice),
		expect(apierrors.IsNotFound(elsewhere), "absent namespace: %v", elsewhere),
	)
}

func serverFilled(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "made-"}}
	made, err := client.Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	dry, err := client.Create(ctx, newConfigMap("dry", nil), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return err
	}
	_, absent := client.Get(ctx, "dry", metav1.GetOptions{})
	return first(
		expect(strings.HasPrefix(made.Name, "made-") && len(made.Name) == len("made-")+5, "name %q", made.Name),
		expect(made.UID != "" && made.ResourceVersion != "" && !made.CreationTimestamp.IsZero(), "metadata %v", made),
		expect(dry.UID != "" && dry.ResourceVersion == "", "dry run: %v", dry),
		expect(apierrors.IsNotFound(absent), "dry run was stored: %v", absent),
	)
}

func finalizers(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	object := newConfigMap("held", nil)
	object.Finalizers = []string{"example.com/hold"}
	if _, err := client.Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := client.Delete(ctx, "held", metav1.DeleteOptions{}); err != nil {
		return err
	}
	held, err := client.Get(ctx, "held", metav1.GetOptions{})
	if err != nil {
		return err
	}
	late := held.DeepCopy()
	late.Finalizers = append(late.Finalizers, "example.com/late")
	_, added := client.Update(ctx, late, metav1.UpdateOptions{})
	held.Finalizers = nil
	_, err = client.Update(ctx, held, metav1.UpdateOptions{})
	_, absent := client.Get(ctx, "held", metav1.GetOptions{})
	return first(err,
		expect(held.DeletionTimestamp != nil && *held.DeletionGracePeriodSeconds == 0, "not marked: %v", held),
		expect(apierrors.IsInvalid(added), "finalizer added while deleting: %v", added),
		expect(apierrors.IsNotFound(absent), "still there: %v", absent),
	)
}

func parallelUpdates(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	if _, err := client.Create(ctx, newConfigMap("counter", nil), metav1.CreateOptions{}); err != nil {
		return err
	}
	const writers = 8
	results := make(chan error, writers)
	for i := range writers {
		go func() {
			backoff := retry.DefaultBackoff
			backoff.Steps = 50
			results <- retry.RetryOnConflict(backoff, func() error {
				object, err := client.Get(ctx, "counter", metav1.GetOptions{})
				if err != nil {
					return err
				}
				if object.Data == nil {
					object.Data = map[string]string{}
				}
				object.Data[string(rune('a'+i))] = "x"
				_, err = client.Update(ctx, object, metav1.UpdateOptions{})
				return err
			})
		}()
	}
	for range writers {
		if err := <-results; err != nil {
			return err
		}
	}
	object, err := client.Get(ctx, "counter", metav1.GetOptions{})
	if err != nil {
		return err
	}
	return expect(len(object.Data) == writers, "%d writes of %d survived", len(object.Data), writers)
}
