package rollout_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/rollout"
)

// A cluster writes the event of a Job's end after the end itself, so a Job with a time to live may be gone before there is one.
func TestAnEventOfAJobThatIsGoneIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		reason string // of the event that comes; empty: none comes
		kind   fault.Kind
		want   string // of the error; empty: it is ready
	}{
		"it succeeded": {"Completed", 0, ""}, "it failed": {"BackoffLimitExceeded", fault.Failed, "Job app failed"},
		"nobody knows": {"", fault.Undetermined, "no event tells whether it succeeded"},
	} {
		t.Run(name, func(t *testing.T) {
			s := named(t, "job")
			event := s.object("Event").DeepCopy()
			event.Object["reason"] = c.reason
			put(t, event, string(s.object("Job").GetUID()), "involvedObject", "uid")
			s.remove("Event")
			s.remove("Job")
			late := s.now.Add(12 * time.Second)
			_, err := s.wait(t.Context(), rollout.Options{Sleep: func(_ context.Context, d time.Duration) error {
				if s.now = s.now.Add(d); c.reason != "" && s.now.After(late) && !slices.ContainsFunc(s.objects, func(o kubernetes.Object) bool { return o.GetKind() == "Event" }) {
					s.objects = append(s.objects, *event)
				}
				return nil
			}})
			if c.want == "" && err != nil || c.want != "" && (err == nil || fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("kind %v: %v", fault.KindOf(err), err)
			}
		})
	}
}

// A quota that the cluster has not counted yet refuses for a moment, which is no failure.
func TestAQuotaThatIsNotCountedYetIsWaitedFor(t *testing.T) {
	s := named(t, "quota-of-a-StatefulSet")
	for i := range s.objects {
		if o := &s.objects[i]; o.GetKind() == "Event" && o.Object["reason"] == "FailedCreate" {
			o.Object["message"] = `create Pod app-1 in StatefulSet app failed error: pods "app-1" is forbidden: status unknown for quota: small, resources: pods`
		}
	}
	_, err := s.wait(t.Context(), rollout.Options{})
	var d *rollout.Diagnosis
	if !errors.As(err, &d) || !d.TimedOut || d.Reason != "FailedCreate" || !strings.Contains(d.Message, "status unknown for quota") {
		t.Errorf("%+v, %v", d, err)
	}
}

// A node that is too busy to give a log is asked again.
func TestALogThatCannotBeReadIsAskedForAgain(t *testing.T) {
	s := named(t, "job")
	said := s.Said
	s.Said = nil
	busy := 3
	_, err := s.wait(t.Context(), rollout.Options{Sleep: func(_ context.Context, d time.Duration) error {
		if s.now, busy = s.now.Add(d), busy-1; busy == 0 {
			s.Said = said
		}
		return nil
	}})
	var d *rollout.Diagnosis
	if !errors.As(err, &d) || !strings.Contains(strings.Join(d.Log, "\n"), "DATABASE_URL is not set") {
		t.Errorf("%+v, %v", d, err)
	}
}

// stands is a sleep of which the first takes far longer than it was to: the machine stood still, and the cluster on it.
func (s *state) stands() func(context.Context, time.Duration) error {
	still := 12 * time.Second
	return func(ctx context.Context, d time.Duration) error {
		s.now, still = s.now.Add(d+still), 0
		return ctx.Err()
	}
}

// What goes by itself has had no time to go while nothing ran.
func TestAMachineThatStoodStillHasNotSeenThatSomethingLasts(t *testing.T) {
	s := named(t, "no-ConfigMap")
	_, err := s.wait(t.Context(), rollout.Options{Sleep: s.stands()})
	var d *rollout.Diagnosis
	if !errors.As(err, &d) || d.Reason != "CreateContainerConfigError" || d.AfterMS < 20_000 || d.AfterMS > 24_000 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestAMachineThatStoodStillHasNotSeenThatAProcessRuns(t *testing.T) {
	s := named(t, "ready")
	for _, o := range s.Set {
		without(o, "readinessProbe")
	}
	for _, o := range s.objects {
		without(o.Object, "readinessProbe")
	}
	ready, err := s.wait(t.Context(), rollout.Options{Sleep: s.stands()})
	if err != nil || ready.After < 15*time.Second || ready.After > 18*time.Second {
		t.Errorf("%+v, %v", ready, err)
	}
}

// without removes a field wherever it is, and where it is noted whose it is.
func without(value any, field string) {
	switch v := value.(type) {
	case map[string]any:
		delete(v, field)
		delete(v, "f:"+field)
		for _, item := range v {
			without(item, field)
		}
	case []any:
		for _, item := range v {
			without(item, field)
		}
	}
}
