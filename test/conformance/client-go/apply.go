package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
)

var applyChecks = []check{
	{"apply: conflicts name field and owner, force takes over", applyConflicts},
	{"apply: giving up a field removes it, a no-op writes nothing", applyRemoval},
	{"apply: containers, ports and variables merge by their keys", applyLists},
	{"apply: extract what a manager owns and apply it again", applyExtract},
	{"apply: the status has owners of its own", applyStatus},
}

func by(manager string) metav1.ApplyOptions { return metav1.ApplyOptions{FieldManager: manager} }

func forced(manager string) metav1.ApplyOptions {
	return metav1.ApplyOptions{FieldManager: manager, Force: true}
}

func applyConflicts(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	want := func(value string) *corev1ac.ConfigMapApplyConfiguration {
		return corev1ac.ConfigMap("applied", s.namespace).WithData(map[string]string{"a": value})
	}
	if _, err := client.Apply(ctx, want("1"), by("one")); err != nil {
		return err
	}
	shared, err := client.Apply(ctx, want("1"), by("two"))
	if err != nil {
		return err
	}
	_, conflict := client.Apply(ctx, want("2"), by("three"))
	taken, err := client.Apply(ctx, want("2"), forced("three"))
	if err != nil {
		return err
	}
	causes := []metav1.StatusCause{}
	if status, ok := conflict.(apierrors.APIStatus); ok && status.Status().Details != nil {
		causes = status.Status().Details.Causes
	}
	return first(
		expect(len(shared.ManagedFields) == 2, "shared by %v", shared.ManagedFields),
		expect(apierrors.IsConflict(conflict), "third manager: %v", conflict),
		expect(len(causes) == 2 && causes[0].Field == ".data.a" &&
			causes[0].Type == metav1.CauseTypeFieldManagerConflict, "causes %v", causes),
		expect(taken.Data["a"] == "2" && len(taken.ManagedFields) == 1 &&
			taken.ManagedFields[0].Manager == "three", "taken: %v", taken.ManagedFields),
	)
}

func applyRemoval(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	full := corev1ac.ConfigMap("removal", s.namespace).WithData(map[string]string{"keep": "1", "drop": "2"})
	created, err := client.Apply(ctx, full, by("one"))
	if err != nil {
		return err
	}
	same, err := client.Apply(ctx, full, by("one"))
	if err != nil {
		return err
	}
	less, err := client.Apply(ctx,
		corev1ac.ConfigMap("removal", s.namespace).WithData(map[string]string{"keep": "1"}), by("one"))
	if err != nil {
		return err
	}
	_, dropped := less.Data["drop"]
	return first(
		expect(same.ResourceVersion == created.ResourceVersion, "a no-op wrote %s", same.ResourceVersion),
		expect(!dropped && less.Data["keep"] == "1", "left %v", less.Data),
	)
}

func applyLists(ctx context.Context, s *suite) error {
	client := s.kube.AppsV1().Deployments(s.namespace)
	labels := map[string]string{"app": "lists"}
	base := appsac.Deployment("lists", s.namespace).WithSpec(appsac.DeploymentSpec().WithPaused(true).
		WithSelector(metav1ac.LabelSelector().WithMatchLabels(labels)).
		WithTemplate(corev1ac.PodTemplateSpec().WithLabels(labels).WithSpec(corev1ac.PodSpec().WithContainers(
			corev1ac.Container().WithName("main").WithImage("example.com/image:1").
				WithPorts(corev1ac.ContainerPort().WithContainerPort(80))))))
	if _, err := client.Apply(ctx, base, by("owner")); err != nil {
		return err
	}
	addition := appsac.Deployment("lists", s.namespace).WithSpec(appsac.DeploymentSpec().
		WithTemplate(corev1ac.PodTemplateSpec().WithSpec(corev1ac.PodSpec().WithContainers(
			corev1ac.Container().WithName("main").WithEnv(corev1ac.EnvVar().WithName("A").WithValue("1")).
				WithPorts(corev1ac.ContainerPort().WithContainerPort(443)),
			corev1ac.Container().WithName("side").WithImage("example.com/side:1")))))
	if _, err := client.Apply(ctx, addition, by("injector")); err != nil {
		return err
	}
	merged, err := client.Apply(ctx, base, by("owner"))
	if err != nil {
		return err
	}
	containers := merged.Spec.Template.Spec.Containers
	if len(containers) != 2 {
		return expect(false, "containers %v", containers)
	}
	main := containers[0]
	return expect(main.Name == "main" && main.Image == "example.com/image:1" && len(main.Ports) == 2 &&
		main.Ports[0].Protocol == corev1.ProtocolTCP && main.Env[0].Value == "1", "main %v", main)
}

func applyExtract(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	mine := corev1ac.ConfigMap("extracted", s.namespace).WithData(map[string]string{"mine": "1"})
	if _, err := client.Apply(ctx, mine, by("me")); err != nil {
		return err
	}
	theirs := corev1ac.ConfigMap("extracted", s.namespace).WithData(map[string]string{"theirs": "1"})
	live, err := client.Apply(ctx, theirs, by("them"))
	if err != nil {
		return err
	}
	extracted, err := corev1ac.ExtractConfigMap(live, "me")
	if err != nil {
		return err
	}
	onlyMine := len(extracted.Data) == 1 && extracted.Data["mine"] == "1"
	again, err := client.Apply(ctx, extracted.WithLabels(map[string]string{"a": "b"}), by("me"))
	if err != nil {
		return err
	}
	return first(
		expect(onlyMine, "extracted %v", extracted.Data),
		expect(len(again.Data) == 2 && again.Labels["a"] == "b", "applied %v", again),
	)
}

func applyStatus(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().Services(s.namespace)
	base := corev1ac.Service("status", s.namespace).WithSpec(
		corev1ac.ServiceSpec().WithClusterIP("None").WithPorts(corev1ac.ServicePort().WithPort(80)))
	if _, err := client.Apply(ctx, base, by("me")); err != nil {
		return err
	}
	condition := metav1ac.Condition().WithType("Ready").WithStatus(metav1.ConditionTrue).
		WithReason("Because").WithMessage("").WithLastTransitionTime(metav1.Unix(1700000000, 0))
	status := corev1ac.Service("status", s.namespace).WithStatus(corev1ac.ServiceStatus().WithConditions(condition))
	live, err := client.ApplyStatus(ctx, status, by("controller"))
	if err != nil {
		return err
	}
	owned := false
	for _, entry := range live.ManagedFields {
		owned = owned || entry.Manager == "controller" && entry.Subresource == "status"
	}
	return first(
		expect(len(live.Status.Conditions) == 1 && live.Spec.Ports[0].Port == 80, "live %v", live),
		expect(owned, "managers %v", live.ManagedFields),
	)
}
