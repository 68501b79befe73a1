package main

import (
	"context"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"
)

var accessChecks = []check{
	{"access: an impersonated user has the rights of a role, no more", impersonation},
	{"access: a requested token is its ServiceAccount's, for its audience", tokens},
}

func impersonation(ctx context.Context, s *suite) error {
	config := rest.CopyConfig(s.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "jane", Groups: []string{"readers-" + s.namespace},
		Extra: map[string][]string{"scopes": {"a", "b"}}}
	jane, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	_, forbidden := jane.CoreV1().ConfigMaps(s.namespace).List(ctx, metav1.ListOptions{})
	review, err := jane.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = s.kube.RbacV1().Roles(s.namespace).Create(ctx, &rbacv1.Role{ObjectMeta: named("reader"), Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}}}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = s.kube.RbacV1().RoleBindings(s.namespace).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: named("reader"),
		Subjects: []rbacv1.Subject{{Kind: "Group", APIGroup: rbacv1.GroupName, Name: "readers-" + s.namespace}},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	err = eventually(ctx, "jane may list", func(ctx context.Context) (bool, error) {
		_, err := jane.CoreV1().ConfigMaps(s.namespace).List(ctx, metav1.ListOptions{})
		return err == nil, err
	})
	if err != nil {
		return err
	}
	_, write := jane.CoreV1().ConfigMaps(s.namespace).Create(ctx, newConfigMap("janes", nil), metav1.CreateOptions{})
	access, err := jane.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: s.namespace, Verb: "list", Resource: "configmaps"}}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	user := review.Status.UserInfo
	return first(
		expect(apierrors.IsForbidden(forbidden) && strings.Contains(forbidden.Error(), `User "jane" cannot list`), "before: %v", forbidden),
		expect(user.Username == "jane" && len(user.Extra["scopes"]) == 2, "user %v", user),
		expect(apierrors.IsForbidden(write), "write: %v", write),
		expect(access.Status.Allowed, "review: %v", access.Status),
	)
}

func tokens(ctx context.Context, s *suite) error {
	_, err := s.kube.CoreV1().ServiceAccounts(s.namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: named("robot")}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	token, err := s.kube.CoreV1().ServiceAccounts(s.namespace).CreateToken(ctx, "robot", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"somewhere"}, ExpirationSeconds: ptr.To[int64](600)}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	review := func(audience string) (*authenticationv1.TokenReview, error) {
		return s.kube.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: token.Status.Token, Audiences: []string{audience}}}, metav1.CreateOptions{})
	}
	right, err := review("somewhere")
	if err != nil {
		return err
	}
	wrong, err := review("elsewhere")
	if err != nil {
		return err
	}
	return first(
		expect(right.Status.Authenticated && right.Status.User.Username == "system:serviceaccount:"+s.namespace+":robot", "%v", right.Status),
		expect(!wrong.Status.Authenticated, "for another audience: %v", wrong.Status),
	)
}

var electionChecks = []check{{"election: one leader at a time, and a released lease passes on", election}}

func election(ctx context.Context, s *suite) error {
	var mu sync.Mutex
	leaders := map[string]bool{}
	both := false
	run := func(ctx context.Context, name string) <-chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
				Lock: &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Name: "election", Namespace: s.namespace},
					Client: s.kube.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: name}},
				LeaseDuration: time.Minute, RenewDeadline: 40 * time.Second, RetryPeriod: 200 * time.Millisecond,
				ReleaseOnCancel: true,
				Callbacks: leaderelection.LeaderCallbacks{
					OnStartedLeading: func(ctx context.Context) {
						mu.Lock()
						both = both || len(leaders) > 0
						leaders[name] = true
						mu.Unlock()
						<-ctx.Done()
						mu.Lock()
						delete(leaders, name)
						mu.Unlock()
					},
					OnStoppedLeading: func() {},
				},
			})
		}()
		return done
	}
	leads := func(name string) error {
		return eventually(ctx, name+" leads", func(context.Context) (bool, error) {
			mu.Lock()
			defer mu.Unlock()
			return leaders[name], nil
		})
	}
	firstCtx, stopFirst := context.WithCancel(ctx)
	secondCtx, stopSecond := context.WithCancel(ctx)
	defer stopSecond()
	firstDone := run(firstCtx, "first")
	if err := leads("first"); err != nil {
		stopFirst()
		return err
	}
	secondDone := run(secondCtx, "second")
	stopFirst()
	<-firstDone
	err := leads("second")
	stopSecond()
	<-secondDone
	lease, leaseError := s.kube.CoordinationV1().Leases(s.namespace).Get(ctx, "election", metav1.GetOptions{})
	if err = first(err, leaseError); err != nil {
		return err
	}
	return first(
		expect(!both, "two leaders"),
		expect(ptr.Deref(lease.Spec.LeaseTransitions, 0) >= 1 && ptr.Deref(lease.Spec.HolderIdentity, "") == "", "lease %v", lease.Spec),
	)
}
