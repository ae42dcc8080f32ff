//go:build e2e

package clustertarget_test

import (
	"encoding/base64"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/clustertarget"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/testkit/cluster"
)

// A release that no Secret can hold is refused, by a plan and by a deploy, while nothing is changed. The largest one that is let in
// can fail, become good, and be put back.
func TestClusterBeginsNoReleaseThatItCannotKeep(t *testing.T) {
	t.Parallel()
	s := newSite(t, cluster.Open(t).Address(t))
	s.confirmed(s.target(s.address, "one", "good", false))
	before := s.is()

	large := s.large("two", 520<<10)
	_, planned := large.Plan(t.Context())
	_, err := large.Deploy(t.Context(), allow)
	for _, err := range []error{planned, err} {
		text := ""
		if err != nil {
			text = strings.Join(fault.Lines(err), "\n")
		}
		if fault.KindOf(err) != fault.BadInput || !strings.Contains(text, "too large to be kept for a rollback") || !strings.Contains(text, "ConfigMap large-0: 5") {
			t.Errorf("it is %q", text)
		}
	}
	s.wantReleases("v1 good")
	if after := s.is(); !maps.Equal(after, before) || s.has("large-0") {
		t.Errorf("it is %v, and was %v", after, before)
	}

	size := 499 << 10
	fits := func() bool { return release.History{Now: time.Now}.Fits(s.large("any", size).Set, nil) == nil }
	for !fits() {
		size -= 1 << 10
	}
	size -= 1 << 10 // for what a release knows beside its set
	bad := s.large("three", size)
	if back, err := bad.Rollback(t.Context(), s.deployed(bad).Evidence); err != nil || back.Digest != "sha256:"+strings.Repeat("g", 64) {
		t.Errorf("%+v, %v", back, err)
	}
	s.wantReleases("v3 good, v2 failed, v1 superseded")
	if s.has("large-0") {
		t.Error("what it made is still there")
	}
	s.confirmed(s.large("four", size))
	small := s.target(s.address, "five", "bad", false)
	if back, err := small.Rollback(t.Context(), s.deployed(small).Evidence); err != nil || back.Digest != bad.Digest {
		t.Errorf("%+v, %v", back, err)
	}
	s.wantReleases("v6 good, v5 failed, v4 superseded, v3 superseded, v2 failed, v1 superseded")
	if !s.has("large-0") || !s.has("large-1") {
		t.Error("it is not back")
	}
}

// large is a version with two ConfigMaps of so many bytes each, which nothing makes smaller.
func (s *site) large(who string, size int) clustertarget.Target {
	s.t.Helper()
	next := s.target(s.address, who, "large", false)
	source := rand.NewChaCha8([32]byte{})
	for _, name := range []string{"large-0", "large-1"} {
		data := make([]byte, size)
		_, _ = source.Read(data)
		o := s.objects("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+name+"}\n", "shop")[0]
		o.Object["binaryData"] = map[string]any{"x": base64.StdEncoding.EncodeToString(data)}
		next.Set = append(next.Set, o)
	}
	return next
}

// has tells whether a ConfigMap is there.
func (s *site) has(name string) bool {
	s.t.Helper()
	ref := kubernetes.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: s.ns, Name: name}
	live, err := s.target(s.address, "reader", "good", false).Cluster.Get(s.t.Context(), ref)
	if err != nil {
		s.t.Fatal(err)
	}
	return live != nil
}
