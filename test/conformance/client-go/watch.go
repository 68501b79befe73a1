package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/pager"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/ptr"
)

var listChecks = []check{
	{"list: pages of one revision, in order", listPages},
	{"list: selectors, resourceVersions and what cannot be asked", listOptions},
}

const listed = 25

func fillList(ctx context.Context, s *suite) error {
	for i := range listed {
		object := newConfigMap(fmt.Sprintf("listed-%02d", i), nil)
		object.Labels = map[string]string{"listed": "yes"}
		if _, err := s.kube.CoreV1().ConfigMaps(s.namespace).Create(ctx, object, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func listPages(ctx context.Context, s *suite) error {
	if err := fillList(ctx, s); err != nil {
		return err
	}
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	head, err := client.List(ctx, metav1.ListOptions{Limit: 10})
	if err != nil {
		return err
	}
	late := newConfigMap("listed-99", nil)
	if _, err = client.Create(ctx, late, metav1.CreateOptions{}); err != nil {
		return err
	}
	next, err := client.List(ctx, metav1.ListOptions{Limit: 10, Continue: head.Continue})
	if err != nil {
		return err
	}
	seen := ""
	pages := 0
	all := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		pages++
		return client.List(ctx, options)
	})
	all.PageSize = 10
	count := 0
	err = all.EachListItem(ctx, metav1.ListOptions{LabelSelector: "listed=yes"}, func(object runtime.Object) error {
		item, err := meta.Accessor(object)
		if err != nil {
			return err
		}
		count++
		if item.GetName() <= seen {
			return fmt.Errorf("%s after %s", item.GetName(), seen)
		}
		seen = item.GetName()
		return nil
	})
	return first(err,
		expect(len(head.Items) == 10 && head.Continue != "" && ptr.Deref(head.RemainingItemCount, 0) > 0, "head %v", head.ListMeta),
		expect(next.ResourceVersion == head.ResourceVersion, "second page is of %s, not %s", next.ResourceVersion, head.ResourceVersion),
		expect(count == listed && pages >= 3, "%d objects in %d pages", count, pages),
		client.Delete(ctx, "listed-99", metav1.DeleteOptions{}),
	)
}

func listOptions(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	count := func(options metav1.ListOptions) int {
		list, err := client.List(ctx, options)
		if err != nil {
			return -1
		}
		return len(list.Items)
	}
	now, err := client.List(ctx, metav1.ListOptions{LabelSelector: "listed=yes"})
	if err != nil {
		return err
	}
	if err = client.Delete(ctx, "listed-00", metav1.DeleteOptions{}); err != nil {
		return err
	}
	exact := count(metav1.ListOptions{LabelSelector: "listed=yes", ResourceVersion: now.ResourceVersion,
		ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	_, label := client.List(ctx, metav1.ListOptions{LabelSelector: "a=="})
	_, field := client.List(ctx, metav1.ListOptions{FieldSelector: "data.a=b"})
	_, token := client.List(ctx, metav1.ListOptions{Continue: "nonsense"})
	_, version := client.List(ctx, metav1.ListOptions{ResourceVersion: "nonsense"})
	return first(
		expect(len(now.Items) == listed && exact == listed, "%d, at that revision %d", len(now.Items), exact),
		expect(count(metav1.ListOptions{LabelSelector: "listed in (yes, no),listed!=no"}) == listed-1, "after the deletion"),
		expect(count(metav1.ListOptions{FieldSelector: "metadata.name=listed-01"}) == 1, "by name"),
		expect(count(metav1.ListOptions{LabelSelector: "listed,listed notin (yes)"}) == 0, "notin"),
		expect(label == nil || apierrors.IsBadRequest(label), "label selector: %v", label),
		expect(apierrors.IsBadRequest(field), "field selector: %v", field),
		expect(apierrors.IsBadRequest(token), "continue: %v", token),
		expect(apierrors.IsInvalid(version) || apierrors.IsBadRequest(version), "resourceVersion: %v", version),
	)
}

var watchChecks = []check{
	{"watch: resumes after the last event, neither gap nor repeat", watchResume},
	{"watch: initial events end in an annotated bookmark", watchInitialEvents},
	{"watch: selectors turn updates into additions and deletions", watchSelector},
	{"watch: ends after its timeout, and RetryWatcher goes on", watchTimeout},
	{"watch: custom resources and metadata only", watchCustom},
}

// next takes one event, or says that there was none.
func next(w watch.Interface) (watch.Event, error) {
	select {
	case event, open := <-w.ResultChan():
		if !open {
			return event, fmt.Errorf("the watch ended")
		}
		return event, nil
	case <-time.After(stepTimeout):
		return watch.Event{}, fmt.Errorf("no event within %s", stepTimeout)
	}
}

// sees checks the type and name of the next events, and returns the last one's resourceVersion.
func sees(w watch.Interface, want ...string) (version string, err error) {
	for _, text := range want {
		event, err := next(w)
		if err != nil {
			return "", fmt.Errorf("%w instead of %s", err, text)
		}
		item, err := meta.Accessor(event.Object)
		if err != nil {
			return "", fmt.Errorf("%v instead of %s", event.Object, text)
		}
		if got := string(event.Type) + " " + item.GetName(); got != text {
			return "", fmt.Errorf("%s instead of %s", got, text)
		}
		version = item.GetResourceVersion()
	}
	return version, nil
}

func watchResume(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	start, err := client.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	options := metav1.ListOptions{LabelSelector: "watched=yes", ResourceVersion: start.ResourceVersion}
	w, err := client.Watch(ctx, options)
	if err != nil {
		return err
	}
	create := func(name string) *corev1.ConfigMap {
		object := newConfigMap(name, nil)
		object.Labels = map[string]string{"watched": "yes"}
		created, e := client.Create(ctx, object, metav1.CreateOptions{})
		err = first(err, e)
		return created
	}
	one := create("watched-1")
	create("watched-2")
	if err != nil {
		return err
	}
	version, err := sees(w, "ADDED watched-1", "ADDED watched-2")
	w.Stop()
	if err != nil {
		return err
	}
	create("watched-3")
	one.Data = map[string]string{"a": "b"}
	_, updated := client.Update(ctx, one, metav1.UpdateOptions{})
	deleted := client.Delete(ctx, "watched-2", metav1.DeleteOptions{})
	if err = first(err, updated, deleted); err != nil {
		return err
	}
	options.ResourceVersion = version
	if w, err = client.Watch(ctx, options); err != nil {
		return err
	}
	defer w.Stop()
	last, err := sees(w, "ADDED watched-3", "MODIFIED watched-1", "DELETED watched-2")
	return first(err, expect(last != version, "a deletion has the version of the deletion"))
}

func watchInitialEvents(ctx context.Context, s *suite) error {
	w, err := s.kube.CoreV1().ConfigMaps(s.namespace).Watch(ctx, metav1.ListOptions{
		LabelSelector: "watched=yes", SendInitialEvents: ptr.To(true), AllowWatchBookmarks: true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		return err
	}
	defer w.Stop()
	if _, err = sees(w, "ADDED watched-1", "ADDED watched-3"); err != nil {
		return err
	}
	event, err := next(w)
	if err != nil {
		return err
	}
	bookmark, ok := event.Object.(*corev1.ConfigMap)
	return expect(ok && event.Type == watch.Bookmark && bookmark.ResourceVersion != "" &&
		bookmark.Annotations[metav1.InitialEventsAnnotationKey] == "true", "%v", event)
}

func watchSelector(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	object, err := client.Create(ctx, newConfigMap("comes-and-goes", nil), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	w, err := client.Watch(ctx, metav1.ListOptions{LabelSelector: "here=yes", ResourceVersion: object.ResourceVersion})
	if err != nil {
		return err
	}
	defer w.Stop()
	for _, labels := range []map[string]string{{"here": "yes"}, {"here": "yes", "more": "x"}, {"here": "no"}} {
		object.Labels = labels
		if object, err = client.Update(ctx, object, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	_, err = sees(w, "ADDED comes-and-goes", "MODIFIED comes-and-goes", "DELETED comes-and-goes")
	return err
}

func watchTimeout(ctx context.Context, s *suite) error {
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	start, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	w, err := client.Watch(ctx, metav1.ListOptions{ResourceVersion: start.ResourceVersion, TimeoutSeconds: ptr.To[int64](1)})
	if err != nil {
		return err
	}
	if event, err := next(w); err == nil {
		return fmt.Errorf("%s instead of the end", event.Type)
	}
	retrying, err := watchtools.NewRetryWatcherWithContext(ctx, start.ResourceVersion, shortWatches{s})
	if err != nil {
		return err
	}
	defer retrying.Stop()
	for _, name := range []string{"retry-1", "retry-2"} {
		if _, err = client.Create(ctx, newConfigMap(name, nil), metav1.CreateOptions{}); err != nil {
			return err
		}
		if _, err = sees(retrying, "ADDED "+name); err != nil {
			return err
		}
		time.Sleep(1200 * time.Millisecond) // the watch ends meanwhile
	}
	return nil
}

// shortWatches watches for a second at a time.
type shortWatches struct{ *suite }

func (s shortWatches) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.TimeoutSeconds = ptr.To[int64](1)
	return s.kube.CoreV1().ConfigMaps(s.namespace).Watch(ctx, options)
}

func watchCustom(ctx context.Context, s *suite) error {
	client := s.metadata.Resource(s.gvr()).Namespace(s.namespace)
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	options := metav1.ListOptions{ResourceVersion: list.ResourceVersion}
	partial, err := client.Watch(ctx, options)
	if err != nil {
		return err
	}
	defer partial.Stop()
	whole, err := s.widgets().Watch(ctx, options)
	if err != nil {
		return err
	}
	defer whole.Stop()
	if _, err = s.widgets().Create(ctx, s.widget("seen", map[string]any{}), metav1.CreateOptions{}); err != nil {
		return err
	}
	if err = s.widgets().Delete(ctx, "seen", metav1.DeleteOptions{}); err != nil {
		return err
	}
	event, err := next(partial)
	if err != nil {
		return err
	}
	_, isPartial := event.Object.(*metav1.PartialObjectMetadata)
	_, err = sees(whole, "ADDED seen", "DELETED seen")
	return first(err, expect(isPartial, "%T", event.Object))
}
