// A sample operator on controller-runtime, judged while it reconciles: caches, owner references, finalizers, status.
// Takes any KUBECONFIG of an administrator, works in a random namespace and API group and removes both.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	suiteTimeout = 3 * time.Minute
	stepTimeout  = 30 * time.Second
	pollEvery    = 50 * time.Millisecond
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), suiteTimeout)
	failed, err := judge(ctx)
	cancel()
	if err != nil {
		fmt.Println("FAIL set up:", err)
	}
	if err != nil || failed > 0 {
		os.Exit(1)
	}
}

// judge starts the operator and runs every check against it.
func judge(ctx context.Context) (failed int, err error) {
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	restConfig, err := config.GetConfig()
	if err != nil {
		return 0, err
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random)
	namespace := "conformance-" + hex.EncodeToString(random)
	version := schema.GroupVersion{Group: namespace + ".example.com", Version: "v1"}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme} {
		if err = add(scheme); err != nil {
			return 0, err
		}
	}
	scheme.AddKnownTypes(version, &Garden{}, &GardenList{})
	metav1.AddToGroupVersion(scheme, version)

	// envtest waits until discovery shows the kind, as it does in every operator's own tests.
	crds := []*apiextensionsv1.CustomResourceDefinition{definition(version.Group)}
	if _, err = envtest.InstallCRDs(restConfig, envtest.CRDInstallOptions{CRDs: crds}); err != nil {
		return 0, err
	}
	defer func() { _ = envtest.UninstallCRDs(restConfig, envtest.CRDInstallOptions{CRDs: crds}) }()
	direct, err := client.New(restConfig, client.Options{Scheme: scheme})
	if err != nil {
		return 0, err
	}
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err = direct.Create(ctx, home); err != nil {
		return 0, err
	}
	defer func() { _ = direct.Delete(context.Background(), home) }()

	operator, err := manager.New(restConfig, manager.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		LeaderElection: true, LeaderElectionID: "gardener", LeaderElectionNamespace: namespace,
		LeaderElectionReleaseOnCancel: true,
		Cache:                         cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
	})
	if err != nil {
		return 0, err
	}
	gardener := &gardener{Client: operator.GetClient(), recorder: operator.GetEventRecorder("gardener")}
	if err = gardener.setUp(operator); err != nil {
		return 0, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- operator.Start(running) }()
	failed = runChecks(ctx, &suite{client: direct, cached: operator.GetClient(), namespace: namespace})
	stop()
	return failed, <-ended
}

type check struct {
	name string
	run  func(context.Context, *suite) error
}

func runChecks(ctx context.Context, s *suite) (failed int) {
	for _, check := range checks {
		started := time.Now()
		if err := check.run(ctx, s); err != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", check.name, err)
			continue
		}
		fmt.Printf("ok   %s (%d ms)\n", check.name, time.Since(started).Milliseconds())
	}
	fmt.Printf("controller-runtime: %d checks, %d failed\n", len(checks), failed)
	return failed
}

// eventually repeats a question until it is answered with yes: an operator acts after the event.
func eventually(ctx context.Context, what string, done func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollEvery, stepTimeout, true, func(ctx context.Context) (bool, error) {
		last = done(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s: not within %s: %v", what, stepTimeout, last)
	}
	return nil
}
