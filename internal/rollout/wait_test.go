package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/rollout"
)

// object is the state's object of a kind, to be changed.
func (s *state) object(kind string) *kubernetes.Object {
	s.t.Helper()
	for i := range s.objects {
		if s.objects[i].GetKind() == kind {
			return &s.objects[i]
		}
	}
	s.t.Fatalf("there is no %s", kind)
	return nil
}

func (s *state) remove(kind string) {
	s.object(kind)
	var kept []kubernetes.Object
	for _, o := range s.objects {
		if o.GetKind() != kind {
			kept = append(kept, o)
		}
	}
	s.objects = kept
}

func put(t *testing.T, o *kubernetes.Object, value any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(o.Object, value, path...); err != nil {
		t.Fatal(err)
	}
}

// What is ready is not, once one thing about it is different.
func TestReadyIsNotAssumed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*state)
		want   string // of the error
		kind   fault.Kind
	}{
		"the controller has not seen the generation": {func(s *state) { put(s.t, s.object("Deployment"), int64(0), "status", "observedGeneration") },
			"Deployment app is not ready after 1m0.6s", fault.Failed},
		"one pod is not ready": {func(s *state) {
			put(s.t, s.object("Pod"), []any{map[string]any{"type": "Ready", "status": "False"}}, "status", "conditions")
		}, "Deployment app is not ready", fault.Failed},
		"one pod is being deleted": {func(s *state) { put(s.t, s.object("Pod"), "2026-11-27T00:00:00Z", "metadata", "deletionTimestamp") },
			"(1 of 2 pods ready)", fault.Failed},
		"one pod runs another image": {func(s *state) { s.runs(s.object("Pod"), "registry.example/other@sha256:"+strings.Repeat("1", 64), "") },
			"Deployment app failed", fault.Failed},
		"one pod runs a tag, and nobody knows what that is": {func(s *state) { s.runs(s.object("Pod"), "registry.example/rollout-test:latest", "") },
			"Deployment app failed", fault.Failed},
		"there are no pods of this version": {func(s *state) { s.remove("Pod") }, "(0 of 2 pods ready)", fault.Failed},
		"the pods are another ReplicaSet's": {func(s *state) { s.object("ReplicaSet").SetUID("another") }, "(0 of 2 pods ready)", fault.Failed},
		"the ReplicaSet has another template": {func(s *state) {
			put(s.t, s.object("ReplicaSet"), int64(7), "spec", "template", "spec", "terminationGracePeriodSeconds")
		}, "(0 of 2 pods ready)", fault.Failed},
		"no endpoint": {func(s *state) { s.remove("EndpointSlice") }, "Service app is not ready", fault.Failed},
		"only endpoints of other pods": {func(s *state) {
			put(s.t, s.object("EndpointSlice"), []any{map[string]any{"addresses": []any{"192.0.2.1"}, "targetRef": map[string]any{"kind": "Pod", "uid": "old"}}}, "endpoints")
		}, "Service app is not ready", fault.Failed},
		"it was deleted":                {func(s *state) { s.remove("Deployment") }, "Deployment app was deleted by somebody else", fault.Undetermined},
		"it is another one of its name": {func(s *state) { s.object("Deployment").SetUID("another") }, "made anew by somebody else", fault.Undetermined},
		"somebody else's template": {func(s *state) {
			o := s.object("Deployment")
			o.SetGeneration(o.GetGeneration() + 1)
			put(s.t, o, int64(7), "spec", "template", "spec", "terminationGracePeriodSeconds")
		}, "Deployment app was changed by", fault.Undetermined},
		"the cluster cannot be asked": {func(s *state) { s.fail["Deployment"] = errors.New("no route") }, "no route", fault.Undetermined},
		"pods may not be listed":      {func(s *state) { s.fail["Pod"] = errors.New("forbidden") }, "forbidden", fault.Undetermined},
		"endpoints may not be listed": {func(s *state) { s.fail["EndpointSlice"] = errors.New("forbidden") }, "forbidden", fault.Undetermined},
	} {
		t.Run(name, func(t *testing.T) {
			s := named(t, "ready")
			c.change(s)
			ready, err := s.wait(t.Context(), rollout.Options{})
			if err == nil {
				t.Fatalf("it is ready: %+v", ready)
			}
			if !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != c.kind {
				t.Errorf("kind %v: %v; want %v: %s", fault.KindOf(err), err, c.kind, c.want)
			}
		})
	}
}

// runs changes what a pod runs, as an admission webhook does, and what its node has pulled.
func (s *state) runs(pod *kubernetes.Object, image, pulled string) {
	containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", "containers")
	statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", "containerStatuses")
	containers[0].(map[string]any)["image"], statuses[0].(map[string]any)["imageID"] = image, pulled
	put(s.t, pod, containers, "spec", "containers")
	put(s.t, pod, statuses, "status", "containerStatuses")
}

// The same digest from elsewhere is the same image.
func TestAMirrorHasTheSameImage(t *testing.T) {
	for name, tag := range map[string]bool{"by digest": false, "by tag": true} {
		s := named(t, "ready")
		containers, _, _ := unstructured.NestedSlice(s.object("Pod").Object, "spec", "containers")
		_, digest, _ := strings.Cut(containers[0].(map[string]any)["image"].(string), "@")
		image := "mirror.example/rollout-test@" + digest
		if tag {
			image = "mirror.example/rollout-test:v1"
		}
		s.runs(s.object("Pod"), image, "mirror.example/rollout-test@"+digest)
		if ready, err := s.wait(t.Context(), rollout.Options{}); err != nil || ready.Pods != 2 {
			t.Errorf("%s: %+v, %v", name, ready, err)
		}
	}
}

func TestNothingIsNeverReady(t *testing.T) {
	s := named(t, "ready")
	s.Set = nil
	if ready, err := s.wait(t.Context(), rollout.Options{}); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("%+v, %v", ready, err)
	}
}

// An autoscaler's hand on the replicas is no other version.
func TestScalingIsNoOtherVersion(t *testing.T) {
	s := named(t, "ready")
	o := s.object("Deployment")
	o.SetGeneration(o.GetGeneration() + 1)
	put(t, o, o.GetGeneration(), "status", "observedGeneration")
	if _, err := s.wait(t.Context(), rollout.Options{}); err != nil {
		t.Error(err)
	}
}

// A container without a readiness probe counts as ready in the moment in which it starts, so it is watched for a while.
func TestWithoutProbeItHasToRunForAWhile(t *testing.T) {
	unprobed := func(s *state) *state {
		for _, o := range append(s.objects, s.set()...) {
			containers, found, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			if found {
				delete(containers[0].(map[string]any), "readinessProbe")
				put(t, &o, containers, "spec", "template", "spec", "containers")
			}
		}
		s.Set = nil
		for _, o := range s.objects {
			if o.GetKind() == "Deployment" {
				s.Set = append(s.Set, o.Object)
			}
		}
		return s
	}
	ready, err := unprobed(named(t, "ready")).wait(t.Context(), rollout.Options{})
	if err != nil || ready.After < 5*time.Second || ready.After > 7*time.Second {
		t.Errorf("ready after %s, %v", ready.After, err)
	}
	ahead := unprobed(named(t, "ready"))
	ahead.now = ahead.now.Add(10 * time.Minute) // as this machine's clock may be
	if ready, err := ahead.wait(t.Context(), rollout.Options{}); err != nil || ready.After < 5*time.Second {
		t.Errorf("with a clock that is ahead: ready after %s, %v", ready.After, err)
	}
	long := unprobed(named(t, "ready"))
	long.now = long.now.Add(time.Hour)
	if ready, err := long.wait(t.Context(), rollout.Options{}); err != nil || ready.After > time.Second {
		t.Errorf("one that has run for long: after %s, %v", ready.After, err)
	}
	restarts := unprobed(named(t, "ready"))
	n := int64(0)
	ready, err = restarts.wait(t.Context(), rollout.Options{Sleep: func(_ context.Context, d time.Duration) error {
		restarts.now = restarts.now.Add(d)
		if n < 40 {
			n++
			pod := restarts.object("Pod")
			statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", "containerStatuses")
			statuses[0].(map[string]any)["restartCount"] = n
			put(t, pod, statuses, "status", "containerStatuses")
		}
		return nil
	}})
	if err != nil || ready.After < 15*time.Second {
		t.Errorf("one that restarts for 10 s: ready after %s, %v", ready.After, err)
	}
}

// A node may be on its way.
func TestUnschedulableWaitsForANodeThatComes(t *testing.T) {
	s := named(t, "too-much-CPU")
	pod := s.object("Pod")
	event := s.object("Event").DeepCopy()
	event.SetName("scale-up")
	put(t, event, "TriggeredScaleUp", "reason")
	put(t, event, string(pod.GetUID()), "involvedObject", "uid")
	s.objects = append(s.objects, *event)
	_, err := s.wait(t.Context(), rollout.Options{})
	var d *rollout.Diagnosis
	if !errors.As(err, &d) || !d.TimedOut || d.Reason != "Unschedulable" {
		t.Errorf("%+v", d)
	}
}

// What goes makes room for what comes.
func TestQuotaWaitsForPodsThatGo(t *testing.T) {
	s := named(t, "quota-of-a-StatefulSet")
	going := s.object("Pod").DeepCopy()
	going.SetName("app-2")
	put(t, going, "2026-11-27T00:00:00Z", "metadata", "deletionTimestamp")
	s.objects = append(s.objects, *going)
	_, err := s.wait(t.Context(), rollout.Options{})
	var d *rollout.Diagnosis
	if !errors.As(err, &d) || !d.TimedOut || d.Reason != "FailedCreate" {
		t.Errorf("%+v", d)
	}
}

// What cannot be read for the explanation must not hide the failure.
func TestFailureIsCalledWithoutEventsAndLogs(t *testing.T) {
	s := named(t, "crash-loop")
	s.fail["Event"], s.fail["Secret"] = errors.New("forbidden"), errors.New("forbidden")
	s.Said = nil
	_, err := s.wait(t.Context(), rollout.Options{})
	var d *rollout.Diagnosis
	if !errors.As(err, &d) || d.Reason != "CrashLoopBackOff" || d.ExitCode == nil || *d.ExitCode != 3 || d.Advice == "" || len(d.Log) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestStatefulSetIsUnblockedOnlyWhenAsked(t *testing.T) {
	s := named(t, "blocked")
	var deleted []string
	_, err := s.wait(t.Context(), rollout.Options{Unblock: func(_ context.Context, pod kubernetes.Ref, uid types.UID) error {
		if uid == "" {
			t.Error("it does not say which pod of that name")
		}
		deleted = append(deleted, pod.String())
		return errors.New("enough")
	}})
	if err == nil || err.Error() != "enough" || fmt.Sprint(deleted) != "[Pod app-1]" {
		t.Errorf("deleted %v, %v", deleted, err)
	}
}

func TestCancelledWaitIsUndetermined(t *testing.T) {
	s := named(t, "readiness")
	ctx, cancel := context.WithCancel(t.Context())
	var told []string
	_, err := s.wait(ctx, rollout.Options{Progress: func(text string) { told = append(told, text) }, Sleep: func(ctx context.Context, d time.Duration) error {
		s.now = s.now.Add(d)
		cancel()
		return ctx.Err()
	}})
	if fault.KindOf(err) != fault.Undetermined || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "waiting for Deployment app (0 of 1 ready)") {
		t.Error(err)
	}
	if fmt.Sprint(told) != "[waiting for Deployment app (0 of 1 ready)]" {
		t.Errorf("progress: %q", told)
	}
}

// Requests must grow with the objects and no faster, whatever the number of looks: a set of 500 objects would otherwise
// wait for the client's own throttle.
func TestRequestsGrowLinearly(t *testing.T) {
	requests := func(n int) int {
		s := named(t, "ready")
		var objects []kubernetes.Object
		for i := range n {
			for _, o := range s.objects {
				o := *o.DeepCopy()
				suffix := fmt.Sprintf("-%d", i)
				o.SetUID(o.GetUID() + types.UID(suffix))
				o.SetName(o.GetName() + suffix)
				owners := o.GetOwnerReferences()
				for j := range owners {
					owners[j].UID += types.UID(suffix)
				}
				o.SetOwnerReferences(owners)
				if o.GetKind() == "EndpointSlice" {
					labels := o.GetLabels()
					labels["kubernetes.io/service-name"] += suffix
					o.SetLabels(labels)
					endpoints, _, _ := unstructured.NestedSlice(o.Object, "endpoints")
					for _, e := range endpoints {
						ref := e.(map[string]any)["targetRef"].(map[string]any)
						ref["uid"] = fmt.Sprint(ref["uid"], suffix)
					}
					put(t, &o, endpoints, "endpoints")
				}
				objects = append(objects, o)
			}
		}
		s.objects, s.Set = objects, nil
		for i := range objects {
			if kind := objects[i].GetKind(); kind == "Deployment" || kind == "Service" {
				s.Set = append(s.Set, objects[i].Object)
			}
		}
		ready, err := s.wait(t.Context(), rollout.Options{})
		if err != nil || ready.Pods != 2*n {
			t.Fatalf("%d of %d: %+v, %v", n, n, ready, err)
		}
		return s.requests["get"] + s.requests["list"]
	}
	few, lots := requests(10), requests(100)
	if lots > 10*few {
		t.Errorf("10 services take %d requests, 100 take %d", few, lots)
	}
	t.Logf("10 services: %d requests, 100: %d", few, lots)
}

// A Service that has no pods to lead to is no news beside what keeps the pods from being ready; another workload is.
func TestOthersAreNamedOnlyForTroubleOfTheirOwn(t *testing.T) {
	s := named(t, "ready")
	put(t, s.object("Pod"), []any{map[string]any{"type": "Ready", "status": "False"}}, "status", "conditions")
	job := s.object("Deployment").DeepCopy()
	job.SetName("worker")
	job.SetUID("worker")
	s.Set, s.objects = append(s.Set, job.Object), append(s.objects, *job)
	_, err := s.wait(t.Context(), rollout.Options{})
	text := strings.Join(fault.Lines(err), "\n")
	if !strings.Contains(text, "also not ready: Deployment worker (0 of 2 ready)") || strings.Contains(text, "Service") {
		t.Error(text)
	}
}

// An image that will not be there the next time either is called at once; what may pass is tried again by the node first. The
// messages are those of a kubelet with containerd.
func TestBadImageIsCalledAtOnce(t *testing.T) {
	const head = `failed to pull and unpack image "registry.invalid/app@sha256:0": failed to resolve reference "registry.invalid/app@sha256:0": failed to do request: Head "https://registry.invalid/v2/app/manifests/sha256:0": `
	for message, want := range map[string]time.Duration{
		head + "dial tcp: lookup registry.invalid on 127.0.0.1:53: no such host":                                         0,
		head + "tls: failed to verify certificate: x509: certificate signed by unknown authority":                        0,
		head + "http: server gave HTTP response to HTTPS client":                                                         0,
		head + "dial tcp: lookup registry.invalid on 10.0.0.53:53: read udp 10.202.0.2:55228->10.0.0.53:53: i/o timeout": 14 * time.Second,
		head + "dial tcp 127.0.0.1:1: connect: connection refused":                                                       14 * time.Second,
	} {
		s := named(t, "digest-that-is-not-there")
		statuses, _, err := unstructured.NestedSlice(s.object("Pod").Object, "status", "containerStatuses")
		if err != nil || len(statuses) != 1 {
			t.Fatal(statuses, err)
		}
		put(t, &kubernetes.Object{Object: statuses[0].(map[string]any)}, map[string]any{"waiting": map[string]any{"reason": "ErrImagePull", "message": message}}, "state")
		put(t, s.object("Pod"), statuses, "status", "containerStatuses")
		_, err = s.wait(t.Context(), rollout.Options{})
		var d *rollout.Diagnosis
		if !errors.As(err, &d) || d.Reason != "ImagePullBackOff" || d.TimedOut {
			t.Fatalf("%+v, %v", d, err)
		}
		if got := (time.Duration(d.AfterMS) * time.Millisecond).Truncate(time.Second); got != want {
			t.Errorf("%s: called after %s, want %s", message[len(head):], got, want)
		}
	}
}
