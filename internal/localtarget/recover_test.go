//go:build unix

package localtarget

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/org/idp/internal/local"
	"github.com/org/idp/internal/target"
)

// recovering is all that Recover may need.
func recovering(dir string) Inputs {
	self, _ := os.Executable()
	return Inputs{StateDir: dir, Program: self, Wait: time.Minute}
}

func current(t *testing.T, dir string) string {
	t.Helper()
	name, err := Current(recovering(dir), deps())
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func recoverFrom(t *testing.T, dir, before string) target.Restored {
	t.Helper()
	back, err := Recover(t.Context(), recovering(dir), Deps{Now: time.Now}, before)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestRecoverPutsBackWhatWasLive(t *testing.T) {
	t.Parallel()
	dir := place(t)
	if got := recoverFrom(t, dir, ""); got.Summary != "" || current(t, dir) != "" {
		t.Errorf("without any deploy: %+v", got)
	}

	old := deploy(t, inputs(dir, "a", nil)).Evidence.Release
	if got := recoverFrom(t, dir, old); got.Summary != "" || current(t, dir) != old {
		t.Errorf("what ran before did not stay: %+v", got)
	}
	deploy(t, inputs(dir, "b", nil))
	if got := recoverFrom(t, dir, old); got.Summary != "back on aaaa…aa (healthy)" || got.Release != old || current(t, dir) != old {
		t.Errorf("the old release was not put back: %+v", got)
	}
	wantAlive(t, dir, old)

	good := deploy(t, inputs(dir, "c", nil)).Evidence.Release
	if err := MarkGood(t.Context(), inputs(dir, "c", nil), deps(), good); err != nil {
		t.Fatal(err)
	}
	if got := recoverFrom(t, dir, old); got.Summary != "" || current(t, dir) != good {
		t.Errorf("a good release did not stay: %+v", got)
	}
}

func TestRecoverLeavesNothingOfAFirstDelivery(t *testing.T) {
	t.Parallel()
	dir := place(t)
	deploy(t, inputs(dir, "a", nil))
	if got := recoverFrom(t, dir, ""); got.Summary != "nothing is live" || current(t, dir) != "" {
		t.Errorf("%+v", got)
	}
	wantAlive(t, dir)
}

// A deploy that is killed while it waits leaves a release that runs without being live.
func TestRecoverStopsWhatIsNotLive(t *testing.T) {
	t.Parallel()
	dir := place(t)
	old := deploy(t, inputs(dir, "a", nil)).Evidence.Release
	target, err := local.Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	meta := local.Meta{Digest: digest("b"), Commit: commit("b"), Entrypoint: []string{"/app"}, Health: "/healthz"}
	r, err := target.Stage(t.Context(), meta, image(server).Unpack)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Start(t.Context(), r, recovering(dir).Program); err != nil {
		t.Fatal(err)
	}
	wantAlive(t, dir, old, r.Name)
	if err := os.Mkdir(filepath.Join(dir, "releases", ".staging-x-9"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := recoverFrom(t, dir, old); got.Summary != "" {
		t.Errorf("%+v", got)
	}
	wantAlive(t, dir, old)
	if _, err := os.Stat(filepath.Join(dir, "releases", ".staging-x-9")); err == nil {
		t.Error("what was half unpacked is still there")
	}
}
