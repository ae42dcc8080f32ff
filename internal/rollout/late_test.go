package rollout_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/rollout"
)

// later has something happen to the cluster so long after the wait began.
func (s *state) later(d time.Duration, happens func()) func(context.Context, time.Duration) error {
	at := s.now.Add(d)
	return func(ctx context.Context, d time.Duration) error {
		if s.now = s.now.Add(d); happens != nil && s.now.After(at) {
			happens()
			happens = nil
		}
		return ctx.Err()
	}
}

// event adds one to those of the object that the events of a reason are about.
func (s *state) event(like, reason string, at time.Time) {
	s.t.Helper()
	for i := range s.objects {
		if o := &s.objects[i]; o.GetKind() == "Event" && o.Object["reason"] == like {
			next := o.DeepCopy()
			next.SetName(next.GetName() + "-later")
			next.Object["reason"], next.Object["message"], next.Object["lastTimestamp"] = reason, "", at.UTC().Format(time.RFC3339)
			s.objects = append(s.objects, *next)
			return
		}
	}
	s.t.Fatalf("there is no event %s", like)
}

// says has the container of the pod wait for another reason of its configuration.
func (s *state) says(message string) {
	s.t.Helper()
	statuses, _, err := unstructured.NestedSlice(s.object("Pod").Object, "status", "containerStatuses")
	if err != nil || len(statuses) != 1 {
		s.t.Fatal(statuses, err)
	}
	statuses[0].(map[string]any)["state"] = map[string]any{"waiting": map[string]any{"reason": "CreateContainerConfigError", "message": message}}
	put(s.t, s.object("Pod"), statuses, "status", "containerStatuses")
}

// What a pod lacked may have come, as an operator makes a Secret. Its node tries again only after up to 15 s, and then it starts.
func TestWhatHasComeIsNoFailureBeforeTheNodeHasTriedAgain(t *testing.T) {
	object := func(kind, name, key string) kubernetes.Object {
		o := kubernetes.Object{Object: map[string]any{"apiVersion": "v1", "kind": kind, "data": map[string]any{key: "x"}}}
		o.SetNamespace("test")
		o.SetName(name)
		return o
	}
	const noKey = "couldn't find key api in Secret test/keys" // as a kubelet words it
	for name, c := range map[string]struct {
		state    string
		says     string // why its container waits, where that is something else
		comes    kubernetes.Object
		forbids  bool
		timedOut bool
	}{
		"it comes":                  {state: "no-ConfigMap", comes: object("ConfigMap", "settings", "a"), timedOut: true},
		"another one comes":         {state: "no-ConfigMap", comes: object("ConfigMap", "setting", "a")},
		"another kind comes":        {state: "no-ConfigMap", comes: object("Secret", "settings", "a")},
		"it may not be read":        {state: "no-ConfigMap", comes: object("ConfigMap", "settings", "a"), forbids: true},
		"a mounted one comes":       {state: "no-Secret-to-mount", comes: object("Secret", "certificate", "a"), timedOut: true},
		"a service account comes":   {state: "no-such-service-account", comes: object("ServiceAccount", "nobody", ""), timedOut: true},
		"its key comes":             {state: "no-ConfigMap", says: noKey, comes: object("Secret", "keys", "api"), timedOut: true},
		"it comes without that key": {state: "no-ConfigMap", says: noKey, comes: object("Secret", "keys", "other")},
	} {
		t.Run(name, func(t *testing.T) {
			s := named(t, c.state)
			if c.says != "" {
				s.says(c.says)
			}
			_, err := s.wait(t.Context(), rollout.Options{Sleep: s.later(8*time.Second, func() {
				s.objects = append(s.objects, c.comes)
				if c.forbids {
					s.fail["ConfigMap"] = errors.New("forbidden")
				}
			})})
			var d *rollout.Diagnosis
			if !errors.As(err, &d) || d.TimedOut != c.timedOut {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}

// An event tells of its moment. What the API server or the node has got over since is no trouble of what is slow for another reason.
func TestAnEventOfWhatIsOverIsNoFailure(t *testing.T) {
	for name, c := range map[string]struct{ like, reason, over string }{
		"no-Secret-to-mount":     {"FailedMount", "FailedMount", "Pulling"},
		"quota-of-a-StatefulSet": {"FailedCreate", "FailedCreate", "SuccessfulCreate"},
	} {
		for _, over := range []bool{true, false} {
			t.Run(name+map[bool]string{true: " is over", false: " is not over"}[over], func(t *testing.T) {
				s := named(t, name)
				reason := c.reason
				if over {
					reason = c.over
				}
				s.event(c.like, reason, s.now)
				if !over {
					s.objects[len(s.objects)-1].Object["message"] = `secret "certificate" not found; exceeded quota: small`
				}
				_, err := s.wait(t.Context(), rollout.Options{})
				var d *rollout.Diagnosis
				if !errors.As(err, &d) || d.TimedOut != over || over == (d.Reason == c.reason) {
					t.Errorf("%+v, %v", d, err)
				}
			})
		}
	}
}
