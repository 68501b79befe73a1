package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

var informerChecks = []check{
	{"informers: typed ones start with a streamed list and follow", typedInformer},
	{"informers: dynamic and metadata ones follow a custom resource", customInformers},
}

// log keeps what the handlers of an informer are told.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(what string, object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	item, err := meta.Accessor(object)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, what+" "+item.GetName())
}

func (l *log) handlers() cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { l.add("add", object) },
		UpdateFunc: func(_, object any) { l.add("update", object) },
		DeleteFunc: func(object any) { l.add("delete", object) },
	}
}

func (l *log) saw(ctx context.Context, want ...string) error {
	return eventually(ctx, "the informer sees "+strings.Join(want, ", "), func(context.Context) (bool, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		got := strings.Join(l.lines, ", ")
		return got == strings.Join(want, ", "), expect(got == strings.Join(want, ", "), "saw %s", got)
	})
}

func typedInformer(ctx context.Context, s *suite) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := s.kube.CoreV1().ConfigMaps(s.namespace)
	before := newConfigMap("informed-0", nil)
	before.Labels = map[string]string{"informed": "yes"}
	if _, err := client.Create(ctx, before, metav1.CreateOptions{}); err != nil {
		return err
	}
	mark := s.traffic.mark()
	factory := informers.NewSharedInformerFactoryWithOptions(s.kube, 0, informers.WithNamespace(s.namespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = "informed=yes" }))
	events := &log{}
	informer := factory.Core().V1().ConfigMaps()
	if _, err := informer.Informer().AddEventHandler(events.handlers()); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	synced, stop := context.WithTimeout(ctx, stepTimeout)
	defer stop()
	if !cache.WaitForCacheSync(synced.Done(), informer.Informer().HasSynced) {
		return fmt.Errorf("not synced")
	}
	requests := s.traffic.since(mark, "/configmaps")
	streamed := len(requests) == 1 && strings.Contains(requests[0].query, "sendInitialEvents=true") && requests[0].status == 200
	object := newConfigMap("informed-1", nil)
	object.Labels = before.Labels
	created, err := client.Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	created.Data = map[string]string{"a": "b"}
	_, err = client.Update(ctx, created, metav1.UpdateOptions{})
	err = first(err, client.Delete(ctx, "informed-1", metav1.DeleteOptions{}),
		events.saw(ctx, "add informed-0", "add informed-1", "update informed-1", "delete informed-1"))
	if err != nil {
		return err
	}
	left, err := informer.Lister().ConfigMaps(s.namespace).List(labels.Everything())
	return first(err,
		expect(streamed, "requests until synced: %v", requests),
		expect(len(left) == 1 && left[0].Name == "informed-0", "cached %v", left))
}

func customInformers(ctx context.Context, s *suite) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tweak := func(options *metav1.ListOptions) { options.LabelSelector = "informed=yes" }
	whole := dynamicinformer.NewFilteredDynamicSharedInformerFactory(s.dynamic, 0, s.namespace, tweak)
	partial := metadatainformer.NewFilteredSharedInformerFactory(s.metadata, 0, s.namespace, tweak)
	logs := []*log{{}, {}}
	for i, informer := range []cache.SharedIndexInformer{whole.ForResource(s.gvr()).Informer(), partial.ForResource(s.gvr()).Informer()} {
		if _, err := informer.AddEventHandler(logs[i].handlers()); err != nil {
			return err
		}
		go informer.Run(ctx.Done())
		synced, stop := context.WithTimeout(ctx, stepTimeout)
		defer stop()
		if !cache.WaitForCacheSync(synced.Done(), informer.HasSynced) {
			return fmt.Errorf("not synced")
		}
	}
	object := s.widget("informed", map[string]any{})
	object.SetLabels(map[string]string{"informed": "yes"})
	if _, err := s.widgets().Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := s.widgets().Delete(ctx, "informed", metav1.DeleteOptions{}); err != nil {
		return err
	}
	return first(logs[0].saw(ctx, "add informed", "delete informed"), logs[1].saw(ctx, "add informed", "delete informed"))
}
