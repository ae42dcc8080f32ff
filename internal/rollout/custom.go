package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// silence is how long a kind that keeps a status may have none. Many kinds declare one that nothing ever writes.
const silence = 10 * time.Second

// other is a kind of which only its own status tells.
func (w *watch) other(ctx context.Context, t *target) error {
	switch {
	case group(t.live) == "argoproj.io" && t.live.GetKind() == "Rollout":
		return w.argo(ctx, t)
	case group(t.live) == "" && t.live.GetKind() == "Pod":
		return w.bare(ctx, t)
	case group(t.live) == "" && t.live.GetKind() == "PersistentVolumeClaim":
		w.claim(t)
		return nil
	}
	r, err := status.Compute(t.live)
	if err != nil {
		return fault.Undeterminedf("the status of %s cannot be understood: %w", t.ref, err)
	}
	if outdated(t.live) {
		r.Status, r.Message, r.Conditions = status.InProgressStatus, notTakenUp, nil
	}
	switch r.Status {
	case status.CurrentStatus:
		return w.current(ctx, t)
	case status.FailedStatus:
		t.problems = append(t.problems, problem{target: t, cause: causeOwn, reason: reasonOf(r), message: r.Message})
	case status.TerminatingStatus:
		t.state = "(being deleted)"
	default:
		t.state = "(" + clean(r.Message) + ")"
		if state, reason, message := condition(t.live, "Ready"); state == "False" && r.Message != notTakenUp {
			t.problems = append(t.problems, problem{target: t, cause: causeOwn, grace: never, reason: reason, message: message})
		}
	}
	return nil
}

const notTakenUp = "not taken up yet"

// outdated tells whether what a controller says of an object is about an earlier generation of it. Some have the number in
// their status, some in each condition.
func outdated(o *kubernetes.Object) bool {
	if number(o, o.GetGeneration(), "status", "observedGeneration") < o.GetGeneration() {
		return true
	}
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(item any) bool {
		c, _ := item.(map[string]any)
		observed, known := c["observedGeneration"].(int64)
		return known && observed < o.GetGeneration() && slices.Contains([]any{"Ready", "Reconciling", "Stalled"}, c["type"])
	})
}

// current is an object whose status names no trouble. One without any status may just not have been looked at by its
// controller.
func (w *watch) current(ctx context.Context, t *target) error {
	content, _, _ := unstructured.NestedMap(t.live.Object, "status")
	if len(content) > 0 || status.GetLegacyConditionsFn(t.live) != nil {
		t.done = true
		return nil
	}
	keeps, err := w.c.KeepsStatus(ctx, t.live.GroupVersionKind())
	if err != nil {
		return err
	}
	if keeps && !w.lasts(t, "silent", silence) {
		t.state = "(no status yet)"
		return nil
	}
	t.done = true
	if keeps {
		w.note("%s has no status, so whether anything acts on it is not known.", t.ref)
	}
	return nil
}

func reasonOf(r *status.Result) string {
	for _, c := range r.Conditions {
		if c.Reason != "" {
			return c.Reason
		}
	}
	return string(r.Status)
}

// argo is a Rollout of Argo Rollouts. Its controller sums up in phase and message, for the generation that it names: as a
// string, unlike any other kind (argo-rollouts, utils/rollout/rolloututil.go).
func (w *watch) argo(ctx context.Context, t *target) error {
	phase, message := text(t.live, "status", "phase"), text(t.live, "status", "message")
	if text(t.live, "status", "observedGeneration") != fmt.Sprint(t.live.GetGeneration()) || w.behindWorkload(t) || phase == "" {
		t.state = "(" + notTakenUp + ")"
		return nil
	}
	t.state = "(" + strings.TrimSpace(phase+" "+clean(message)) + ")"
	pods, err := w.argoPods(ctx, t)
	if err != nil {
		return err
	}
	t.pods = pods
	if err := w.symptoms(ctx, t); err != nil {
		return err
	}
	switch phase {
	case "Healthy":
		t.done = true
	case "Degraded":
		t.problems = append(t.problems, problem{target: t, cause: causeOwn, reason: phase, message: message})
	case "Paused":
		t.problems = append(t.problems, problem{target: t, cause: causePaused, grace: never, reason: phase, message: message})
	}
	return nil
}

// behindWorkload tells whether a Rollout that takes its pods from a workload of the set has not seen that as it is now.
func (w *watch) behindWorkload(t *target) bool {
	name, kind := text(t.live, "spec", "workloadRef", "name"), text(t.live, "spec", "workloadRef", "kind")
	for _, other := range w.targets {
		if name != "" && other.ref.Name == name && other.ref.Kind == kind && other.ref.Namespace == t.ref.Namespace {
			return other.live == nil || text(t.live, "status", "workloadObservedGeneration") != fmt.Sprint(other.live.GetGeneration())
		}
	}
	return false
}

func (w *watch) argoPods(ctx context.Context, t *target) ([]corev1.Pod, error) {
	hash := text(t.live, "status", "currentPodHash")
	if hash == "" {
		return nil, nil
	}
	objects, err := w.view.list(ctx, kubernetes.Query{APIVersion: "v1", Kind: "Pod", Namespace: t.ref.Namespace, Labels: "rollouts-pod-template-hash=" + hash})
	if err != nil {
		return nil, err
	}
	pods, err := typed[corev1.Pod](objects)
	return slices.DeleteFunc(pods, func(p corev1.Pod) bool { return over(&p) }), err
}
