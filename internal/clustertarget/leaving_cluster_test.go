//go:build e2e

package clustertarget_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/idp/internal/clustertarget"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/testkit/cluster"
)

// A finalizer that nobody takes off holds what a deploy removes: no run waits for it for ever, none says that it is gone, none
// takes a healthy version back for it, and each names it.
func TestClusterNamesWhatHoldsARemovedObject(t *testing.T) {
	t.Parallel()
	s := newSite(t, cluster.Open(t).Address(t))
	const held = "ConfigMap fresh is still being deleted after 3m0s; held by the finalizer example.com/stay"
	without := func(who string) clustertarget.Target {
		next := s.hurried(who, "better")
		next.Set = slices.DeleteFunc(next.Set, func(o kubernetes.Object) bool { return o.GetName() == "fresh" })
		return next
	}
	good := s.hurried("one", "good")
	s.confirmed(good)
	s.finalize("fresh", "example.com/stay")

	for _, who := range []string{"two", "three"} { // the second time there is nothing else to do
		next := without(who)
		s.wantHeld(next.Confirm(t.Context(), s.deployed(next).Evidence.Release), "bbbb…bb is live and passed its smoke test, but "+held, "kubectl patch configmap fresh")
	}
	untested := without("four")
	untested.Tested = false
	out, err := untested.Deploy(t.Context(), allow)
	s.wantHeld(err, "bbbb…bb is live and healthy, but "+held)
	s.wantReleases("v2 good, v1 superseded")
	if out.Evidence.Release != "v2" {
		t.Errorf("the evidence names %q", out.Evidence.Release)
	}

	again := s.hurried("five", "good")
	_, err = again.Deploy(t.Context(), allow)
	s.wantHeld(err, "ConfigMap fresh is being deleted; held by the finalizer example.com/stay")
	s.wantReleases("v2 good, v1 superseded")

	bad := without("six")
	bad.Set = append(bad.Set, s.objects("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, finalizers: [example.com/other]}\n", "shop")...)
	back, err := bad.Rollback(t.Context(), s.deployed(bad).Evidence)
	if err != nil || !strings.HasPrefix(back.Summary, "back on bbbb…bb (healthy), but 2 objects are still being deleted after 1m0s") ||
		!slices.Contains(back.Detail, "ConfigMap extra: held by the finalizer example.com/other") {
		t.Errorf("%q %q, %v", back.Summary, back.Detail, err)
	}
	back, _, err = s.hurried("seven", "good").Return(t.Context(), "v1")
	s.wantHeld(err, "ConfigMap fresh is being deleted; held by the finalizer example.com/stay", "back on bbbb…bb (healthy)")
	if back.Digest != bad.Digest {
		t.Errorf("live is %+v", back)
	}

	s.finalize("fresh")
	s.finalize("extra")
	s.confirmed(without("eight"))
	if s.is()["ConfigMap fresh"] != "" {
		t.Error("it is still there")
	}
}

// hurried is a target whose time passes at once while it waits for what was removed.
func (s *site) hurried(who, image string) clustertarget.Target {
	s.t.Helper()
	next := s.target(s.address, who, image, false)
	var hurry atomic.Bool
	var ahead atomic.Int64
	now, sleep := next.Clock.Now, next.Clock.Sleep
	next.Progress = func(what string) {
		s.t.Log(who + ": " + what)
		hurry.Store(hurry.Load() || strings.HasSuffix(what, " to be gone"))
	}
	next.Clock.Now = func() time.Time { return now().Add(time.Duration(ahead.Load())) }
	next.Clock.Sleep = func(ctx context.Context, d time.Duration) error {
		if hurry.Load() && d == 500*time.Millisecond {
			ahead.Add(int64(time.Minute))
		}
		return sleep(ctx, d)
	}
	return next
}

// confirmed is a release that is live and passed its smoke test.
func (s *site) confirmed(next clustertarget.Target) {
	s.t.Helper()
	if err := next.Confirm(s.t.Context(), s.deployed(next).Evidence.Release); err != nil {
		s.t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
}

// finalize gives a ConfigMap these finalizers and no others, as an administrator.
func (s *site) finalize(name string, finalizers ...string) {
	s.t.Helper()
	path := "/api/v1/namespaces/" + s.ns + "/configmaps/" + name
	var o kubernetes.Object
	if err := json.Unmarshal(s.call(http.MethodGet, path, nil), &o.Object); err != nil {
		s.t.Fatal(err)
	}
	o.SetFinalizers(finalizers)
	s.call(http.MethodPut, path, o.Object)
}

func (s *site) wantHeld(err error, texts ...string) {
	s.t.Helper()
	if err == nil || fault.KindOf(err) != fault.Undetermined {
		s.t.Fatalf("it is %v", err)
	}
	all := strings.Join(fault.Lines(err), "\n")
	for _, text := range texts {
		if !strings.Contains(all, text) {
			s.t.Errorf("it does not say %q:\n%s", text, all)
		}
	}
}

// wantReleases holds what the history has: name and state, the newest first.
func (s *site) wantReleases(want string) {
	s.t.Helper()
	list, err := s.target(s.address, "reader", "good", false).Releases(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for _, r := range list {
		got = append(got, r.Name+" "+r.State)
	}
	if text := strings.Join(got, ", "); text != want {
		s.t.Errorf("releases %s, want %s", text, want)
	}
}
