package rollout_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/rollout"
)

// The service account of every namespace is made by the cluster, soon after the namespace.
func TestAServiceAccountThatTheClusterMakesIsWaitedFor(t *testing.T) {
	s := named(t, "no-such-service-account")
	rs := s.object("ReplicaSet")
	conditions, _, _ := unstructured.NestedSlice(rs.Object, "status", "conditions")
	conditions[0].(map[string]any)["message"] = `pods "app-54d5db95d7-" is forbidden: error looking up service account test/default: serviceaccount "default" not found`
	put(t, rs, conditions, "status", "conditions")
	_, err := s.wait(t.Context(), rollout.Options{})
	var d *rollout.Diagnosis
	if !errors.As(err, &d) || !d.TimedOut || d.Reason != "FailedCreate" || !strings.Contains(d.Message, `serviceaccount "default" not found`) {
		t.Errorf("%+v, %v", d, err)
	}
}

// A container that has crashed once may come up: what it does when its node has started it again is what counts.
func TestACrashIsNoLoop(t *testing.T) {
	for name, c := range map[string]struct {
		state string // after a while
		want  string // reason of the failure; empty: it is ready
	}{
		"it comes up": {"ready", ""}, "it crashes again": {"crash-loop", "CrashLoopBackOff"},
	} {
		t.Run(name, func(t *testing.T) {
			s := named(t, c.state)
			later := s.objects
			s.objects = named(t, c.state).objects
			for i := range s.objects {
				o := &s.objects[i]
				statuses, found, _ := unstructured.NestedSlice(o.Object, "status", "containerStatuses")
				if !found {
					continue
				}
				status := statuses[0].(map[string]any)
				status["restartCount"], status["ready"] = int64(0), false
				status["state"] = map[string]any{"terminated": map[string]any{"exitCode": int64(1), "reason": "Error", "startedAt": "2026-11-27T05:00:00Z", "finishedAt": "2026-11-27T05:00:03Z"}}
				put(t, o, statuses, "status", "containerStatuses")
				put(t, o, []any{map[string]any{"type": "Ready", "status": "False"}}, "status", "conditions")
			}
			begun := s.now
			_, err := s.wait(t.Context(), rollout.Options{Sleep: func(_ context.Context, d time.Duration) error {
				if s.now = s.now.Add(d); s.now.Sub(begun) > 20*time.Second {
					s.objects = later
				}
				return nil
			}})
			var d *rollout.Diagnosis
			errors.As(err, &d)
			if c.want == "" && err != nil || c.want != "" && (d == nil || d.Reason != c.want || d.TimedOut) || s.now.Sub(begun) < 20*time.Second {
				t.Errorf("after %s: %v", s.now.Sub(begun), err)
			}
		})
	}
}
