// Judges an API server with client-go: every check is something Kubernetes' own controllers rely on.
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
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

const (
	suiteTimeout = 5 * time.Minute
	stepTimeout  = 2 * time.Minute // only against a wait in vain: other suites may have the machine meanwhile
	pollEvery    = 50 * time.Millisecond
)

// suite is what every check gets: clients, and a namespace and an API group of its own.
type suite struct {
	config     *rest.Config
	traffic    *traffic
	kube       *kubernetes.Clientset // speaks protobuf
	extensions *apiextensions.Clientset
	dynamic    *dynamic.DynamicClient
	metadata   metadata.Interface
	namespace  string
	group      string
}

type check struct {
	name string
	run  func(context.Context, *suite) error
}

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

func judge(ctx context.Context) (failed int, err error) {
	s, err := connect()
	if err != nil {
		return 0, err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	if _, err = s.kube.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return 0, err
	}
	defer func() {
		// Whether it is gone at once is up to the cluster: without controllers a namespace stays Terminating.
		_ = s.extensions.ApiextensionsV1().CustomResourceDefinitions().Delete(ctx, s.crdName(), metav1.DeleteOptions{})
		_ = s.kube.CoreV1().Namespaces().Delete(ctx, s.namespace, metav1.DeleteOptions{})
	}()
	if err = createCRD(ctx, s); err != nil {
		return 0, err
	}
	var checks []check
	for _, group := range [][]check{
		typedChecks, negotiationChecks, patchChecks, applyChecks, customChecks, openAPIChecks, listChecks, watchChecks,
		informerChecks, accessChecks, electionChecks,
	} {
		checks = append(checks, group...)
	}
	for _, check := range checks {
		started := time.Now()
		if err := check.run(ctx, s); err != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", check.name, err)
			continue
		}
		fmt.Printf("ok   %s (%d ms)\n", check.name, time.Since(started).Milliseconds())
	}
	fmt.Printf("client-go: %d checks, %d failed\n", len(checks), failed)
	return failed, nil
}

func connect() (*suite, error) {
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 500, 1000
	config.UserAgent = "conformance"
	config.WarningHandler = rest.NoWarnings{}
	klog.SetLogger(logr.Discard())
	random := make([]byte, 4)
	_, _ = rand.Read(random)
	name := "conformance-" + hex.EncodeToString(random)
	s := &suite{config: config, traffic: &traffic{}, namespace: name, group: name + ".example.com"}
	config.Wrap(s.traffic.wrap)
	protobuf := rest.CopyConfig(config)
	protobuf.ContentType = "application/vnd.kubernetes.protobuf"
	protobuf.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	if s.kube, err = kubernetes.NewForConfig(protobuf); err != nil {
		return nil, err
	}
	if s.extensions, err = apiextensions.NewForConfig(config); err != nil {
		return nil, err
	}
	if s.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	s.metadata, err = metadata.NewForConfig(config)
	return s, err
}

// eventually repeats a question until it is answered with yes; what RBAC, discovery and watches show comes a little later.
func eventually(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollEvery, stepTimeout, true, func(ctx context.Context) (bool, error) {
		ok, err := done(ctx)
		last = err
		return ok && err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s: not within %s (%v)", what, stepTimeout, last)
	}
	return nil
}

// expect turns a broken expectation into an error.
func expect(holds bool, format string, args ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// first returns the first error there is.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
