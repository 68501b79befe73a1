package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

const (
	finalizer  = "example.com/harvest"
	ownerIndex = "metadata.controller"
	harvest    = "harvest"
)

// gardener makes a ConfigMap per bed, removes what is too much, and writes down the harvest before a garden goes.
type gardener struct {
	client.Client
	recorder events.EventRecorder
}

func (g *gardener) setUp(m manager.Manager) error {
	err := m.GetFieldIndexer().IndexField(context.Background(), &corev1.ConfigMap{}, ownerIndex, func(object client.Object) []string {
		if owner := metav1.GetControllerOf(object); owner != nil {
			return []string{owner.Name}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(m).For(&Garden{}).Owns(&corev1.ConfigMap{}).Complete(g)
}

func bedName(garden *Garden, i int64) string { return fmt.Sprintf("%s-bed-%d", garden.Name, i) }

// Reconcile brings one garden's beds and status to what its spec says.
func (g *gardener) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	garden := &Garden{}
	if err := g.Get(ctx, request.NamespacedName, garden); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !garden.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, g.finish(ctx, garden)
	}
	if !controllerutil.ContainsFinalizer(garden, finalizer) {
		before := garden.DeepCopy()
		controllerutil.AddFinalizer(garden, finalizer)
		// The locked patch fails with a conflict when the cache is behind, and is tried again.
		if err := g.Patch(ctx, garden, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return ctrl.Result{}, err
		}
		g.recorder.Eventf(garden, nil, corev1.EventTypeNormal, "Planted", "Plant", "garden has %d beds", garden.Spec.Beds)
	}
	if err := g.plant(ctx, garden); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, g.report(ctx, garden)
}

func (g *gardener) plant(ctx context.Context, garden *Garden) error {
	for i := range garden.Spec.Beds {
		bed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: bedName(garden, i), Namespace: garden.Namespace}}
		_, err := controllerutil.CreateOrUpdate(ctx, g.Client, bed, func() error {
			bed.Data = map[string]string{"crop": garden.Spec.Crop}
			return controllerutil.SetControllerReference(garden, bed, g.Scheme())
		})
		if err != nil {
			return err
		}
	}
	beds := &corev1.ConfigMapList{}
	if err := g.List(ctx, beds, client.InNamespace(garden.Namespace), client.MatchingFields{ownerIndex: garden.Name}); err != nil {
		return err
	}
	wanted := map[string]bool{}
	for i := range garden.Spec.Beds {
		wanted[bedName(garden, i)] = true
	}
	for i := range beds.Items {
		if !wanted[beds.Items[i].Name] {
			if err := client.IgnoreNotFound(g.Delete(ctx, &beds.Items[i])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *gardener) report(ctx context.Context, garden *Garden) error {
	before := garden.DeepCopy()
	garden.Status.Beds = garden.Spec.Beds
	garden.Status.ObservedGeneration = garden.Generation
	meta.SetStatusCondition(&garden.Status.Conditions, metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue,
		Reason: "Planted", ObservedGeneration: garden.Generation})
	return g.Status().Patch(ctx, garden, client.MergeFrom(before))
}

func (g *gardener) finish(ctx context.Context, garden *Garden) error {
	if !controllerutil.ContainsFinalizer(garden, finalizer) {
		return nil
	}
	store := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: harvest, Namespace: garden.Namespace}}
	_, err := controllerutil.CreateOrUpdate(ctx, g.Client, store, func() error {
		store.Data = map[string]string{garden.Name: garden.Spec.Crop}
		return nil
	})
	if err != nil {
		return err
	}
	controllerutil.RemoveFinalizer(garden, finalizer)
	return g.Update(ctx, garden)
}
