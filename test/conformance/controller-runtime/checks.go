package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// suite has the user's client, and the operator's, which reads from its cache.
type suite struct {
	client    client.Client
	cached    client.Client
	namespace string
}

var checks = []check{
	{"reconciles a new object: children, owner references, finalizer, status", creates},
	{"follows a change of the spec", follows},
	{"mends a child that somebody changes or deletes", mends},
	{"records events", recordsEvents},
	{"server-side apply by a user does not fight the operator", applies},
	{"cleans up before a deletion", finishes},
}

func (s *suite) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: s.namespace, Name: name}
}

func (s *suite) bed(ctx context.Context, i int64) (*corev1.ConfigMap, error) {
	bed := &corev1.ConfigMap{}
	return bed, s.client.Get(ctx, s.key(fmt.Sprintf("plot-bed-%d", i)), bed)
}

// settled waits until the operator reports the garden's current generation and number of beds.
func (s *suite) settled(ctx context.Context, beds int64) (*Garden, error) {
	garden := &Garden{}
	return garden, eventually(ctx, "the status follows", func(ctx context.Context) error {
		if err := s.client.Get(ctx, s.key("plot"), garden); err != nil {
			return err
		}
		status := garden.Status
		if status.ObservedGeneration != garden.Generation || status.Beds != beds ||
			!meta.IsStatusConditionTrue(status.Conditions, "Ready") {
			return fmt.Errorf("generation %d, status %+v", garden.Generation, status)
		}
		return nil
	})
}

func creates(ctx context.Context, s *suite) error {
	garden := &Garden{ObjectMeta: metav1.ObjectMeta{Name: "plot", Namespace: s.namespace}, Spec: GardenSpec{Beds: 2}}
	if err := s.client.Create(ctx, garden); err != nil {
		return err
	}
	garden, err := s.settled(ctx, 2)
	if err != nil {
		return err
	}
	if garden.Generation != 1 || len(garden.Finalizers) != 1 || garden.Spec.Crop != "beans" {
		return fmt.Errorf("garden %+v", garden)
	}
	for i := range int64(2) {
		bed, err := s.bed(ctx, i)
		if err != nil {
			return err
		}
		if owner := metav1.GetControllerOf(bed); owner == nil || owner.UID != garden.UID || bed.Data["crop"] != "beans" {
			return fmt.Errorf("bed %+v", bed)
		}
	}
	return nil
}

func follows(ctx context.Context, s *suite) error {
	garden := &Garden{}
	if err := s.client.Get(ctx, s.key("plot"), garden); err != nil {
		return err
	}
	before := garden.DeepCopy()
	garden.Spec = GardenSpec{Beds: 1, Crop: "kale"}
	if err := s.client.Patch(ctx, garden, client.MergeFrom(before)); err != nil {
		return err
	}
	if _, err := s.settled(ctx, 1); err != nil {
		return err
	}
	return eventually(ctx, "one bed of kale", func(ctx context.Context) error {
		bed, err := s.bed(ctx, 0)
		if err != nil {
			return err
		}
		if _, err = s.bed(ctx, 1); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the second bed: %v", err)
		}
		if bed.Data["crop"] != "kale" {
			return fmt.Errorf("bed %v", bed.Data)
		}
		return nil
	})
}

func mends(ctx context.Context, s *suite) error {
	bed, err := s.bed(ctx, 0)
	if err != nil {
		return err
	}
	first := bed.UID
	bed.Data = map[string]string{"crop": "weeds"}
	if err = s.client.Update(ctx, bed); err != nil {
		return err
	}
	err = eventually(ctx, "the crop is back", func(ctx context.Context) error {
		if bed, err = s.bed(ctx, 0); err == nil && bed.Data["crop"] != "kale" {
			err = fmt.Errorf("bed %v", bed.Data)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err = s.client.Delete(ctx, bed); err != nil {
		return err
	}
	return eventually(ctx, "the bed is back", func(ctx context.Context) error {
		if bed, err = s.bed(ctx, 0); err == nil && bed.UID == first {
			err = fmt.Errorf("not deleted")
		}
		return err
	})
}

func recordsEvents(ctx context.Context, s *suite) error {
	return eventually(ctx, "an event about the garden", func(ctx context.Context) error {
		list := &eventsv1.EventList{}
		if err := s.client.List(ctx, list, client.InNamespace(s.namespace)); err != nil {
			return err
		}
		for _, event := range list.Items {
			if event.Reason == "Planted" && event.Regarding.Name == "plot" && event.Note == "garden has 2 beds" {
				return nil
			}
		}
		return fmt.Errorf("%d others", len(list.Items))
	})
}

func applies(ctx context.Context, s *suite) error {
	garden := &Garden{}
	if err := s.client.Get(ctx, s.key("plot"), garden); err != nil {
		return err
	}
	kind, err := s.client.GroupVersionKindFor(garden)
	if err != nil {
		return err
	}
	body := fmt.Sprintf(`{"apiVersion":%q,"kind":"Garden","metadata":{"name":"plot"},"spec":{"beds":3}}`, kind.GroupVersion())
	patch := client.RawPatch(client.Apply.Type(), []byte(body))
	err = s.client.Patch(ctx, garden, patch, client.FieldOwner("user"))
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("no conflict with who changed it: %v", err)
	}
	if err = s.client.Patch(ctx, garden, patch, client.FieldOwner("user"), client.ForceOwnership); err != nil {
		return err
	}
	garden, err = s.settled(ctx, 3)
	if err == nil && (len(garden.Finalizers) != 1 || garden.Spec.Crop != "kale") {
		err = fmt.Errorf("apply removed what others own: %+v", garden)
	}
	return err
}

func finishes(ctx context.Context, s *suite) error {
	garden := &Garden{ObjectMeta: metav1.ObjectMeta{Name: "plot", Namespace: s.namespace}}
	if err := s.client.Delete(ctx, garden); err != nil {
		return err
	}
	err := eventually(ctx, "the garden is gone", func(ctx context.Context) error {
		if err := s.client.Get(ctx, s.key("plot"), garden); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %v", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	store := &corev1.ConfigMap{}
	if err = s.client.Get(ctx, s.key(harvest), store); err != nil {
		return err
	}
	if store.Data["plot"] != "kale" {
		return fmt.Errorf("harvest %v", store.Data)
	}
	return eventually(ctx, "the operator's cache lost the garden", func(ctx context.Context) error {
		if err := s.cached.Get(ctx, s.key("plot"), &Garden{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("cached: %v", err)
		}
		return nil
	})
}
