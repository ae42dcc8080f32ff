package rollout

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/org/idp/internal/kubernetes"
)

// many is how many objects of one kind and namespace are read as a list rather than one by one.
const many = 5

// view is what is read in one look. Nothing is asked twice, and a set of many objects is asked for by kind and not by
// object.
type view struct {
	c     Cluster
	count map[kubernetes.Ref]int // of targets that are not done, by kind and namespace
	lists map[kubernetes.Query][]kubernetes.Object
}

func newView(c Cluster, targets []*target) *view {
	v := &view{c: c, count: map[kubernetes.Ref]int{}, lists: map[kubernetes.Query][]kubernetes.Object{}}
	for _, t := range targets {
		if !t.done {
			v.count[kindOf(t.ref)]++
		}
	}
	return v
}

func kindOf(ref kubernetes.Ref) kubernetes.Ref {
	ref.Name = ""
	return ref
}

// get reads one object; nil where there is none.
func (v *view) get(ctx context.Context, ref kubernetes.Ref) (*kubernetes.Object, error) {
	if v.count[kindOf(ref)] < many {
		return v.c.Get(ctx, ref)
	}
	all, err := v.list(ctx, kubernetes.Query{APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: ref.Namespace})
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].GetName() == ref.Name {
			return &all[i], nil
		}
	}
	return nil, nil
}

func (v *view) list(ctx context.Context, q kubernetes.Query) ([]kubernetes.Object, error) {
	if all, ok := v.lists[q]; ok {
		return all, nil
	}
	all, err := v.c.List(ctx, q)
	if err != nil {
		return nil, err
	}
	v.lists[q] = all
	return all, nil
}

// selected lists what the labels of a workload select. Where a namespace has many workloads in the set, all of it is read
// at once: callers look at owners anyway.
func (v *view) selected(ctx context.Context, apiVersion, kind string, t *target) ([]kubernetes.Object, error) {
	q := kubernetes.Query{APIVersion: apiVersion, Kind: kind, Namespace: t.ref.Namespace}
	if v.count[kindOf(t.ref)] < many {
		q.Labels = labelSelector(t.live)
	}
	return v.list(ctx, q)
}

// typed turns objects into a type of k8s.io/api.
func typed[T any](objects []kubernetes.Object) ([]T, error) {
	list := make([]T, len(objects))
	for i := range objects {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(objects[i].Object, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}
