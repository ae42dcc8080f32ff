package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// stuck finds what keeps a controller from making pods, or from replacing the old ones.
func (w *watch) stuck(ctx context.Context, t *target) error {
	if paused, _, _ := unstructured.NestedBool(t.live.Object, "spec", "paused"); paused {
		t.problems = append(t.problems, problem{target: t, cause: causePaused, reason: "Paused", message: "spec.paused is true, so its pods are not replaced"})
	}
	if t.ref.Kind == "StatefulSet" {
		if err := w.blocked(ctx, t); err != nil {
			return err
		}
	}
	w.unreplaced(t)
	if t.wanted == 0 {
		w.none(t)
	}
	if len(t.pods) >= t.wanted {
		return nil
	}
	return w.refused(ctx, t)
}

// unreplaced are pods of another version that nothing replaces.
func (w *watch) unreplaced(t *target) {
	if len(t.others) == 0 || len(t.pods) >= t.wanted {
		return
	}
	reason, why := "", ""
	switch how := text(t.live, "spec", "updateStrategy", "type"); {
	case how == "OnDelete":
		reason, why = how, "with updateStrategy OnDelete each stays until somebody deletes it"
	case t.ref.Kind == "ReplicaSet":
		reason, why = "ReplicaSet", "a ReplicaSet makes new pods and replaces none"
	case t.ref.Kind == "StatefulSet" && int(partitionOf(t)) >= t.wanted:
		reason, why = "Partition", fmt.Sprintf("with partition %d none is replaced", partitionOf(t))
	default:
		return
	}
	t.problems = append(t.problems, problem{target: t, cause: causeManual, reason: reason, grace: stale,
		message: fmt.Sprintf("%d of %d pods still run another version: %s", t.wanted-len(t.pods), t.wanted, why)})
}

// partitionOf is how many pods of a StatefulSet, the first ones, are not replaced.
func partitionOf(t *target) int64 {
	return number(t.live, 0, "spec", "updateStrategy", "rollingUpdate", "partition")
}

// partition notes that a StatefulSet is ready with pods of another version.
func (w *watch) partition(t *target) {
	if n := partitionOf(t); n > 0 && len(t.others) > 0 {
		w.note("%d of %d pods of %s stay on the version before, as its partition %d says.", len(t.others), t.wanted, t.ref, n)
	}
}

// refused is a controller that may not make its pods.
func (w *watch) refused(ctx context.Context, t *target) error {
	message, err := w.refusal(ctx, t)
	if err != nil || message == "" {
		return err
	}
	found := problem{target: t, cause: causeRefused, grace: graceRefused, reason: "FailedCreate", message: message}
	switch {
	case strings.Contains(message, "exceeded quota"), strings.Contains(message, "failed quota"):
		found.cause, found.grace = causeQuota, graceQuota
		if t.leaving > 0 {
			found.grace = never // what goes makes room
		}
	case strings.Contains(message, "status unknown for quota"):
		found.grace = never // the cluster is about to count what there is
	case strings.Contains(message, `serviceaccount "default" not found`):
		found.cause, found.grace = causeConfig, never // the cluster is about to make that of every namespace
	case strings.Contains(message, "service account"), strings.Contains(message, "serviceaccount"):
		found.cause, found.grace = causeConfig, graceConfig
	case strings.Contains(message, "failed calling webhook"):
		found.grace = graceWebhook
	}
	t.problems = append(t.problems, found)
	return nil
}

// none is a workload that wants no pods. Who writes replicas: 0 means it; a DaemonSet that no node takes runs nothing of what
// was deployed.
func (w *watch) none(t *target) {
	if t.ref.Kind != "DaemonSet" {
		w.note("%s has replicas: 0, so nothing of it runs.", t.ref)
		return
	}
	t.problems = append(t.problems, problem{target: t, cause: causeSchedule, grace: graceSchedule, reason: "NoNode", message: "no node of the cluster takes its pods"})
}

// refusal is why the API server does not let the controller make pods of this version; empty where it does.
func (w *watch) refusal(ctx context.Context, t *target) (string, error) {
	if t.ref.Kind == "Deployment" || t.ref.Kind == "ReplicaSet" {
		if t.set == nil {
			return "", nil
		}
		if status, _, message := condition(t.set, "ReplicaFailure"); status == "True" {
			return message, nil
		}
		return "", nil
	}
	if !w.lasts(t, "few", graceEvents) {
		return "", nil
	}
	events, err := w.eventsOf(ctx, t.ref.Namespace, t.live.GetUID())
	if err != nil {
		return "", err
	}
	applied := changedAt(t.want)
	for _, e := range slices.Backward(events) {
		switch {
		case when(e).Before(applied), e.Reason == "SuccessfulCreate": // what was refused before it was let in since
			return "", nil
		case e.Reason == "FailedCreate":
			return e.Message, nil
		}
	}
	return "", nil
}

// changedAt is when somebody last wrote to the object, by the cluster's clock in whole seconds.
func changedAt(o *kubernetes.Object) time.Time {
	var at time.Time
	for _, m := range o.GetManagedFields() {
		if m.Subresource == "" && m.Time != nil && m.Time.After(at) {
			at = m.Time.Time
		}
	}
	return at
}

// blocked is a StatefulSet that waits for a broken pod of another version before it replaces any: whatever is applied, it
// does so for ever (kubernetes.io/docs, StatefulSet, forced rollback).
func (w *watch) blocked(ctx context.Context, t *target) error {
	if text(t.live, "spec", "podManagementPolicy") == "Parallel" {
		return nil
	}
	for i := range t.others {
		p := &t.others[i]
		if isReady(p) {
			continue
		}
		found := problem{target: t, pod: p, cause: causeBlocked, grace: never, reason: "NotReady",
			message: "this pod of another version is not ready, and the StatefulSet replaces none before it is"}
		for _, s := range p.Status.ContainerStatuses {
			if wait := s.State.Waiting; wait != nil && wait.Reason != "ContainerCreating" && wait.Reason != "PodInitializing" {
				found.grace, found.reason, found.container = graceSchedule, wait.Reason, s.Name
			}
		}
		if w.o.Unblock == nil {
			t.problems = append(t.problems, found)
			continue
		}
		if !w.lasts(t, "blocked/"+string(p.UID), graceBlocked) {
			continue
		}
		if err := w.o.Unblock(ctx, kubernetes.Ref{APIVersion: "v1", Kind: "Pod", Namespace: p.Namespace, Name: p.Name}, p.UID); err != nil {
			return err
		}
	}
	return nil
}

// job is ready when it has succeeded.
func (w *watch) job(ctx context.Context, t *target) error {
	if status, _, _ := condition(t.live, "Complete"); status == "True" {
		t.done, t.problems = true, nil
		return nil
	}
	if status, reason, message := condition(t.live, "Failed"); status == "True" {
		t.problems = append(t.problems, problem{target: t, cause: causeJob, reason: reason, message: message})
	}
	if suspended, _, _ := unstructured.NestedBool(t.live.Object, "spec", "suspend"); suspended {
		t.problems = append(t.problems, problem{target: t, cause: causePaused, reason: "Suspended", message: "spec.suspend is true, so it does not run"})
	}
	if len(t.pods) > 0 || len(t.problems) > 0 {
		return nil
	}
	return w.refused(ctx, t)
}

// jobGone is a Job that is no longer there. With a time to live the cluster removes it after its end, and only its events
// tell whether it succeeded.
func (w *watch) jobGone(ctx context.Context, t *target) error {
	events, err := w.eventsOf(ctx, t.ref.Namespace, t.want.GetUID())
	if err != nil {
		return err
	}
	for _, e := range events {
		switch e.Reason {
		case "Completed":
			t.done = true
			return nil
		case "BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy":
			t.live = t.want
			t.problems = append(t.problems, problem{target: t, cause: causeJob, reason: e.Reason, message: e.Message})
			return nil
		}
	}
	if !w.lasts(t, "gone", graceGone) { // an event is written after what it tells of
		t.state = "(gone)"
		return nil
	}
	return fault.Undeterminedf("%s is gone, and no event tells whether it succeeded", t.ref).
		WithNext("Give it a longer spec.ttlSecondsAfterFinished, such as 600.")
}
