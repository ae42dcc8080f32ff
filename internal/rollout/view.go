package rollout

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

func group(o *kubernetes.Object) string { return o.GroupVersionKind().Group }

func isService(o *kubernetes.Object) bool { return group(o) == "" && o.GetKind() == "Service" }

// isWorkload tells of kinds whose pods are looked at.
func isWorkload(o *kubernetes.Object) bool {
	switch group(o) {
	case "apps":
		return slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"}, o.GetKind())
	case "batch":
		return o.GetKind() == "Job"
	}
	return false
}

// static tells of objects that are ready as soon as they are applied: the API server keeps them and no more.
func static(o *kubernetes.Object) bool {
	switch group(o) {
	case "":
		return !slices.Contains([]string{"Service", "Pod", "Namespace", "PersistentVolumeClaim", "ReplicationController"}, o.GetKind())
	case "rbac.authorization.k8s.io", "policy", "networking.k8s.io", "autoscaling", "admissionregistration.k8s.io", "scheduling.k8s.io",
		"storage.k8s.io", "node.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io":
		return true
	case "batch":
		return o.GetKind() == "CronJob"
	case "apps":
		return o.GetKind() == "ControllerRevision"
	}
	return false
}

// labelSelector is the selector of a workload in the form of a query; "" where it has none.
func labelSelector(o *kubernetes.Object) string {
	m, found, _ := unstructured.NestedMap(o.Object, "spec", "selector")
	if !found {
		return ""
	}
	var s metav1.LabelSelector
	if runtime.DefaultUnstructuredConverter.FromUnstructured(m, &s) != nil {
		return ""
	}
	selector, err := metav1.LabelSelectorAsSelector(&s)
	if err != nil {
		return ""
	}
	return selector.String()
}

func number(o *kubernetes.Object, otherwise int64, path ...string) int64 {
	n, found, err := unstructured.NestedInt64(o.Object, path...)
	if !found || err != nil {
		return otherwise
	}
	return n
}

func text(o *kubernetes.Object, path ...string) string {
	s, _, _ := unstructured.NestedString(o.Object, path...)
	return s
}

// condition gives a condition of an object's status.
func condition(o *kubernetes.Object, kind string) (status, reason, message string) {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, item := range list {
		c, _ := item.(map[string]any)
		if c["type"] == kind {
			status, _ = c["status"].(string)
			reason, _ = c["reason"].(string)
			message, _ = c["message"].(string)
			return status, reason, message
		}
	}
	return "", "", ""
}

// clean makes a text of the cluster one line.
func clean(s string) string { return strings.Join(strings.Fields(s), " ") }
