package rollout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/kubernetes"
)

// labelServiceName on an EndpointSlice names its Service.
const labelServiceName = "kubernetes.io/service-name"

// service is ready when it leads to a ready pod: of this version, where a workload of the set has the pods that it
// selects. Everything else of the set is ready when this is asked.
func (w *watch) service(ctx context.Context, t *target) error {
	if given, _, _ := unstructured.NestedSlice(t.live.Object, "status", "loadBalancer", "ingress"); text(t.live, "spec", "type") == "LoadBalancer" && len(given) == 0 {
		w.note("%s has no external address yet, so it is not known to be reached from outside.", t.ref)
	}
	want, _, _ := unstructured.NestedStringMap(t.live.Object, "spec", "selector")
	if len(want) == 0 || text(t.live, "spec", "type") == "ExternalName" {
		t.done = true
		return nil
	}
	behind, empty := w.behind(t, want)
	if empty {
		t.done = true
		return nil
	}
	slices, err := w.view.list(ctx, kubernetes.Query{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice", Namespace: t.ref.Namespace,
		Labels: labelServiceName + "=" + t.ref.Name})
	if err != nil {
		return err
	}
	endpoints, err := typed[discoveryv1.EndpointSlice](slices)
	if err != nil {
		return err
	}
	ready, ports := leads(endpoints, behind)
	switch {
	case ready && (ports || len(portsOf(t.live)) == 0):
		t.done = true
	case ready:
		t.problems = append(t.problems, problem{target: t, cause: causeService, grace: graceConfig, reason: "NoPort",
			message: w.unserved(t)})
	case len(behind) == 0:
		t.state = "(leads to no pod)"
		t.problems = append(t.problems, problem{target: t, cause: causeService, grace: graceQuota, reason: "NoEndpoints", message: w.mismatch(t, want)})
	default:
		t.state = "(does not lead to the new pods yet)"
		t.problems = append(t.problems, problem{target: t, cause: causeService, grace: never, reason: "NoEndpoints",
			message: "it selects pods of this version, but none is among its ready endpoints"})
	}
	return nil
}

// behind are the pods of the set that a Service selects. empty tells that it can have none: what it selects is scaled to
// zero or has run to its end, or the set has no pods at all.
func (w *watch) behind(t *target, want map[string]string) (pods []types.UID, empty bool) {
	workloads, idle := 0, 0
	for _, other := range w.targets {
		if other.live == nil || !isWorkload(other.live) || other.ref.Namespace != t.ref.Namespace {
			continue
		}
		workloads++
		labels, _, _ := unstructured.NestedStringMap(other.live.Object, "spec", "template", "metadata", "labels")
		if !subset(want, labels) {
			continue
		}
		if other.ref.Kind == "Job" || other.wanted == 0 {
			idle++
		}
		for i := range other.pods {
			pods = append(pods, other.pods[i].UID)
		}
	}
	return pods, workloads == 0 || len(pods) == 0 && idle > 0
}

func subset(want, labels map[string]string) bool {
	for key, value := range want {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// leads tells whether one of the pods, or any where none is given, is a ready endpoint, and whether a port leads there.
func leads(all []discoveryv1.EndpointSlice, pods []types.UID) (ready, ports bool) {
	for _, s := range all {
		for _, e := range s.Endpoints {
			up := e.Conditions.Ready == nil || *e.Conditions.Ready
			if up && (len(pods) == 0 || e.TargetRef != nil && slices.Contains(pods, e.TargetRef.UID)) {
				ready = true
				ports = ports || len(s.Ports) > 0
			}
		}
	}
	return ready, ports
}

func portsOf(service *kubernetes.Object) []any {
	ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	return ports
}

// unserved says which ports the Service wants and which the pods name.
func (w *watch) unserved(t *target) string {
	var want, has []string
	for _, item := range portsOf(t.live) {
		port, _ := item.(map[string]any)
		want = append(want, fmt.Sprint(port["targetPort"]))
	}
	for _, other := range w.targets {
		for i := range other.pods {
			for _, c := range other.pods[i].Spec.Containers {
				for _, port := range c.Ports {
					if port.Name != "" && !slices.Contains(has, port.Name) {
						has = append(has, port.Name)
					}
				}
			}
		}
	}
	text := "its targetPort " + strings.Join(want, ", ") + " is a port of none of the pods that it selects"
	if len(has) == 0 {
		return text + "; they name no port"
	}
	return text + "; they name " + strings.Join(has, ", ")
}

// mismatch says what the Service looks for and what there is.
func (w *watch) mismatch(t *target, want map[string]string) string {
	text := "no pod has the labels that it selects: " + pairs(want)
	for _, other := range w.targets {
		if other.live == nil || !isWorkload(other.live) || other.ref.Namespace != t.ref.Namespace {
			continue
		}
		labels, _, _ := unstructured.NestedStringMap(other.live.Object, "spec", "template", "metadata", "labels")
		var has []string
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if value, ok := labels[key]; ok {
				has = append(has, key+"="+value)
			} else {
				has = append(has, "no "+key)
			}
		}
		return fmt.Sprintf("%s; the pods of %s have %s", text, other.ref, strings.Join(has, ", "))
	}
	return text
}

func pairs(m map[string]string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, key+"="+m[key])
	}
	return strings.Join(list, ", ")
}

// claim never keeps a set from being ready by itself: many are bound only when a pod uses them, and then the pod tells.
func (w *watch) claim(t *target) {
	t.done = true
	switch text(t.live, "status", "phase") {
	case "Lost":
		t.done = false
		t.problems = append(t.problems, problem{target: t, cause: causeClaim, reason: "Lost", message: "the volume that it was bound to is gone"})
	case "Bound":
	default:
		w.note("%s is not bound to a volume yet; no pod of this set waits for it.", t.ref)
	}
}

// bare is a pod without a controller.
func (w *watch) bare(ctx context.Context, t *target) error {
	pods, err := typed[corev1.Pod]([]kubernetes.Object{*t.live})
	if err != nil {
		return err
	}
	t.pods, t.wanted = pods, 1
	switch p := &pods[0]; {
	case p.Status.Phase == corev1.PodSucceeded, p.Status.Phase == corev1.PodRunning && isReady(p):
		t.done = true
		return nil
	case p.Status.Phase == corev1.PodFailed:
		t.problems = append(t.problems, problem{target: t, pod: p, cause: causeOwn, reason: string(p.Status.Phase), message: p.Status.Message})
	}
	return w.symptoms(ctx, t)
}
