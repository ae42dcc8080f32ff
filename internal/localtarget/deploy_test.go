//go:build unix

package localtarget

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/local"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/target"
)

var program, server string

// TestMain is also the supervisor, and the deployer that a test kills.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "supervise":
		if err := local.Supervise(context.Background(), os.Args[2], time.Now); err != nil {
			os.Exit(1)
		}
	case len(os.Args) == 4 && os.Args[1] == "stand":
		standing(os.Args[2], os.Args[3])
	case len(os.Args) == 5 && os.Args[1] == "deploy":
		deployer(os.Args[2], os.Args[3], os.Args[4])
	default:
		os.Exit(withServer(m))
	}
}

func withServer(m *testing.M) int {
	dir, err := os.MkdirTemp("", "server")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server = filepath.Join(dir, "server")
	if out, err := exec.Command("go", "build", "-o", server, "../local/testdata/server").CombinedOutput(); err != nil {
		panic(string(out))
	}
	if program, err = os.Executable(); err != nil {
		panic(err)
	}
	// The tests wait for processes most of the time, so more of them fit than there are cores.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	return m.Run()
}

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }
func commit(c string) string { return strings.Repeat(c, 40) }

// inputs of a deploy of the version called c, which is one hexadecimal digit.
func inputs(dir, c string, env map[string]string) Inputs {
	self, _ := os.Executable()
	return Inputs{Wait: time.Minute, Reference: "127.0.0.1:5000/hello@" + digest(c), Digest: digest(c), Commit: commit(c),
		Service:     &service.Service{Name: "hello", Owner: "team-a", Health: "/healthz", Env: env},
		Environment: "local", StateDir: dir, Program: self}
}

func image(binary string) Image {
	return Image{Entrypoint: []string{"/app"}, Unpack: func(_ context.Context, dir string) error {
		return os.Link(binary, filepath.Join(dir, "app"))
	}}
}

func deps() Deps {
	return Deps{
		Guard: func(context.Context, *record.Deployment) error { return nil },
		Pull:  func(context.Context, string) (Image, error) { return image(server), nil },
		Now:   time.Now,
	}
}

// place is a state folder in which nothing is left running after the test.
func place(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hello")
	t.Cleanup(func() {
		if _, err := Stop(context.Background(), inputs(dir, "a", nil), deps()); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func deploy(t *testing.T, in Inputs) target.Outputs {
	t.Helper()
	out, err := Deploy(t.Context(), in, deps())
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	return out
}

// version is what answers at a URL.
func version(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url + "/version")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// alive lists the releases that run, by what their supervisors' processes say.
func alive(t *testing.T, dir string) []string {
	t.Helper()
	target, err := local.Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(filepath.Join(dir, "releases"))
	var names []string
	for _, e := range entries {
		s := target.Status(e.Name())
		if s.Supervisor.Alive() || s.Service.Alive() {
			names = append(names, e.Name())
		}
	}
	return names
}

func wantAlive(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := alive(t, dir); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("running: %v, want %v", got, want)
	}
	// Whatever the state says: no program of another release may run. Only Linux lists programs by their files.
	programs, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, p := range programs {
		exe, _ := os.Readlink(p)
		name, inside := strings.CutPrefix(exe, filepath.Join(dir, "releases")+"/")
		if name, _, _ := strings.Cut(name, "/"); inside && !slices.Contains(want, name) {
			t.Errorf("%s is %s", p, exe)
		}
	}
}

var timing = regexp.MustCompile(`\d+\.\ds$`)

func wantSummary(t *testing.T, out target.Outputs, want string) {
	t.Helper()
	if got := timing.ReplaceAllString(out.Summary, "0.0s"); got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
}

func wantFault(t *testing.T, err error, kind fault.Kind, headline string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind || err.Error() != headline {
		t.Errorf("got  %v (kind %d)\nwant %s (kind %d)", err, fault.KindOf(err), headline, kind)
	}
}

func TestDeployUpgradeAndConverge(t *testing.T) {
	t.Parallel()
	dir := place(t)
	first := deploy(t, inputs(dir, "a", nil))
	wantSummary(t, first, "first release, aaaa…aa · healthy after 0.0s")
	if e := first.Evidence; !e.Changed || e.Replaced != nil || e.Digest != digest("a") || version(t, e.URL) != commit("a") {
		t.Errorf("evidence %+v", e)
	}

	same := deploy(t, inputs(dir, "a", nil))
	wantSummary(t, same, "already live, nothing changed")
	if e := same.Evidence; e.Changed || e.Release != first.Evidence.Release || e.URL != first.Evidence.URL {
		t.Errorf("evidence %+v", e)
	}

	next := deploy(t, inputs(dir, "b", nil))
	wantSummary(t, next, "bbbb…bb replaces aaaa…aa · healthy after 0.0s")
	want := record.Deployment{Digest: digest("a"), Commit: commit("a")}
	if e := next.Evidence; !e.Changed || e.Replaced == nil || *e.Replaced != want || version(t, e.URL) != commit("b") {
		t.Errorf("evidence %+v", e)
	}
	wantAlive(t, dir, next.Evidence.Release)

	// The settings are part of the release.
	configured := deploy(t, inputs(dir, "b", map[string]string{"MODE": "x"}))
	if !configured.Evidence.Changed || configured.Evidence.Release == next.Evidence.Release {
		t.Errorf("evidence %+v", configured.Evidence)
	}

	stopped, err := Stop(t.Context(), inputs(dir, "b", nil), deps())
	if err != nil || len(stopped) != 1 || stopped[0] != configured.Evidence.Release {
		t.Errorf("stopped %v, %v", stopped, err)
	}
	wantAlive(t, dir)
	if url, err := Live(inputs(dir, "b", nil), deps()); err != nil || url != "" {
		t.Errorf("live %q, %v", url, err)
	}
	again := deploy(t, inputs(dir, "b", map[string]string{"MODE": "x"}))
	wantSummary(t, again, "already the release, started again · healthy after 0.0s")
	if e := again.Evidence; e.Changed || e.Release != configured.Evidence.Release || version(t, e.URL) != commit("b") {
		t.Errorf("evidence %+v", e)
	}
	if url, err := Live(inputs(dir, "b", nil), deps()); err != nil || url != again.Evidence.URL {
		t.Errorf("live %q, %v", url, err)
	}
}

func TestUnhealthyReleaseLeavesThePreviousOne(t *testing.T) {
	t.Parallel()
	const gaveUp = "release of sha256:bbbb…bb did not become healthy; back on aaaa…aa (healthy)"
	const inTime = "release of sha256:bbbb…bb did not become healthy within 30s; back on aaaa…aa (healthy)"
	wrongPort := "waiting for /healthz"
	if runtime.GOOS == "linux" { // only there the kernel tells who listens where
		wrongPort += ": it listens on "
	}
	for name, c := range map[string]struct {
		env       map[string]string
		wait      time.Duration
		headline  string
		lines     []string // that the error must have, in this order
		meanwhile string   // what is said while it is waited for
	}{
		"crash at start": {map[string]string{"CRASH": "bye hunter2-hunter2\npanic: DATABASE_URL is not set", "API_TOKEN": "hunter2-hunter2"}, time.Minute, gaveUp,
			[]string{"exit code 3, 5 restarts", "  | bye ***", "  | panic: DATABASE_URL is not set",
				"It starts and dies at once. The new version asks for DATABASE_URL; env in idp.yaml does not set it."}, "waiting for /healthz"},
		"wrong port": {map[string]string{"WRONG_PORT": "1"}, 30 * time.Second, inTime, []string{"it runs, PORT=", "listen"}, wrongPort},
		"error answer": {map[string]string{"HEALTH_STATUS": "500"}, 30 * time.Second, inTime,
			[]string{"last answer 500", "GET /healthz answered 500: health in idp.yaml must be"}, "waiting for /healthz: it answers 500"},
		"redirect": {map[string]string{"HEALTH_STATUS": "302"}, 30 * time.Second, inTime, []string{"last answer 302"}, "waiting for /healthz: it answers 302"},
		"no answer": {map[string]string{"HANG": "1"}, 30 * time.Second, inTime,
			[]string{"no answer in time", "GET /healthz is accepted but not answered"}, "waiting for /healthz"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := place(t)
			before := deploy(t, inputs(dir, "a", nil))
			in := inputs(dir, "b", c.env)
			in.Wait = c.wait
			d, said := deps(), ""
			d.Progress = func(what string) {
				if strings.HasPrefix(what, "waiting for /healthz") {
					said = what // the last counts
				}
			}
			out, err := Deploy(t.Context(), in, d)
			wantFault(t, err, fault.Failed, c.headline)
			if !strings.HasPrefix(said, c.meanwhile) {
				t.Errorf("meanwhile it says %q, want %q", said, c.meanwhile)
			}
			text := strings.Join(fault.Lines(err), "\n")
			rest := text
			for _, line := range c.lines {
				_, after, ok := strings.Cut(rest, line)
				if !ok {
					t.Fatalf("no %q in\n%s", line, text)
				}
				rest = after
			}
			if strings.Contains(text, "hunter2") || strings.ContainsAny(text, "\x1b\a") {
				t.Errorf("not fit to be shown: %q", text)
			}
			if out.Evidence.Changed || out.Evidence.Release != "" {
				t.Errorf("evidence %+v", out.Evidence)
			}
			wantAlive(t, dir, before.Evidence.Release)
			if version(t, before.Evidence.URL) != commit("a") {
				t.Error("the previous release does not answer")
			}
			wantSummary(t, deploy(t, inputs(dir, "a", nil)), "already live, nothing changed")
		})
	}
}

func TestFirstReleaseThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := place(t)
	_, err := Deploy(t.Context(), inputs(dir, "a", map[string]string{"CRASH": "no"}), deps())
	wantFault(t, err, fault.Failed, "release of sha256:aaaa…aa did not become healthy; nothing is live")
	wantAlive(t, dir)
	if entries, _ := os.ReadDir(filepath.Join(dir, "releases")); len(entries) != 0 {
		t.Errorf("left %v", entries)
	}
}

func TestStoppedPreviousReleaseIsBroughtBack(t *testing.T) {
	t.Parallel()
	dir := place(t)
	before := deploy(t, inputs(dir, "a", nil))
	if _, err := Stop(t.Context(), inputs(dir, "a", nil), deps()); err != nil {
		t.Fatal(err)
	}
	_, err := Deploy(t.Context(), inputs(dir, "b", map[string]string{"CRASH": "no"}), deps())
	wantFault(t, err, fault.Failed, "release of sha256:bbbb…bb did not become healthy; back on aaaa…aa (healthy)")
	wantAlive(t, dir, before.Evidence.Release)
}

func TestRefusedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	dir := place(t)
	refusal := fault.Failedf("frozen until Monday")
	pulled := false
	d := deps()
	d.Pull = func(context.Context, string) (Image, error) { pulled = true; return Image{}, nil }
	d.Guard = func(_ context.Context, live *record.Deployment) error {
		if live != nil {
			t.Errorf("%+v is live before the first deploy", live)
		}
		return refusal
	}
	_, err := Deploy(t.Context(), inputs(dir, "a", nil), d)
	if !errors.Is(err, refusal) || fault.KindOf(err) != fault.Failed || pulled {
		t.Errorf("got %v, pulled %v", err, pulled)
	}
	wantAlive(t, dir)
	first := deploy(t, inputs(dir, "a", nil))
	d.Guard = func(_ context.Context, live *record.Deployment) error {
		if live == nil || live.Digest != digest("a") || live.Commit != commit("a") {
			t.Errorf("live is %+v", live)
		}
		return refusal
	}
	if _, err := Deploy(t.Context(), inputs(dir, "b", nil), d); !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
	wantAlive(t, dir, first.Evidence.Release)
	for name, change := range map[string]func(*Inputs, *Deps){
		"no guard":      func(_ *Inputs, d *Deps) { d.Guard = nil },
		"no registry":   func(_ *Inputs, d *Deps) { d.Pull = nil },
		"no digest":     func(in *Inputs, _ *Deps) { in.Digest = "" },
		"no supervisor": func(in *Inputs, _ *Deps) { in.Program = "" },
		"no patience":   func(in *Inputs, _ *Deps) { in.Wait = 0 },
	} {
		in, d := inputs(dir, "a", nil), deps()
		change(&in, &d)
		if _, err := Deploy(t.Context(), in, d); err == nil {
			t.Errorf("%s: deployed", name)
		}
	}
}

func TestToolsThatFail(t *testing.T) {
	t.Parallel()
	broken := errors.New("registry died half-way")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Inputs, *Deps)
		kind   fault.Kind
		text   string
	}{
		"pull": {func(_ *Inputs, d *Deps) {
			d.Pull = func(context.Context, string) (Image, error) { return Image{}, broken }
		}, fault.Undetermined, "registry died half-way"},
		"unpack": {func(_ *Inputs, d *Deps) {
			d.Pull = func(context.Context, string) (Image, error) {
				return Image{Entrypoint: []string{"/app"}, Unpack: func(context.Context, string) error { return broken }}, nil
			}
		}, fault.Undetermined, "registry died half-way"},
		"no supervisor":     {func(in *Inputs, _ *Deps) { in.Program = "/nonexistent/idp" }, fault.Undetermined, "starting the supervisor"},
		"silent supervisor": {func(in *Inputs, _ *Deps) { in.Program = "/bin/false" }, fault.Undetermined, "ended before it began"},
		"state folder":      {func(in *Inputs, _ *Deps) { in.StateDir = filepath.Join(file, "x") }, fault.BadInput, "cannot write the state"},
		"entrypoint": {func(_ *Inputs, d *Deps) {
			d.Pull = func(context.Context, string) (Image, error) {
				img := image(server)
				img.Entrypoint = []string{"/../../bin/sh"}
				return img, nil
			}
		}, fault.Failed, "it leads out of the image"},
		"platform": {func(_ *Inputs, d *Deps) {
			d.Pull = func(context.Context, string) (Image, error) {
				img := image(server)
				img.OS, img.Arch = "plan9", "mips"
				return img, nil
			}
		}, fault.BadInput, "the image is for plan9/mips"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := place(t)
			before := deploy(t, inputs(dir, "a", nil))
			in, d := inputs(dir, "b", nil), deps()
			c.change(&in, &d)
			out, err := Deploy(t.Context(), in, d)
			if err == nil || fault.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v (kind %d), want %s", err, fault.KindOf(err), c.text)
			}
			if out.Evidence.Release != "" {
				t.Errorf("evidence %+v", out.Evidence)
			}
			wantAlive(t, dir, before.Evidence.Release)
		})
	}
}

func TestCancelledDeployLeavesThePreviousOne(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"unpacking bbbb…bb", "starting bbbb…bb", "waiting for /healthz"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			dir := place(t)
			before := deploy(t, inputs(dir, "a", nil))
			ctx, cancel := context.WithCancel(t.Context())
			d := deps()
			d.Progress = func(what string) {
				if what == moment {
					cancel()
				}
			}
			_, err := Deploy(ctx, inputs(dir, "b", map[string]string{"HANG": "1"}), d)
			if !errors.Is(err, context.Canceled) || fault.KindOf(err) != fault.Undetermined {
				t.Errorf("got %v", err)
			}
			wantAlive(t, dir, before.Evidence.Release)
			if entries, _ := os.ReadDir(filepath.Join(dir, "releases")); len(entries) != 1 {
				t.Errorf("left %v", entries)
			}
		})
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	dir := place(t)
	good := deploy(t, inputs(dir, "a", nil))
	if err := MarkGood(t.Context(), inputs(dir, "a", nil), deps(), good.Evidence.Release); err != nil {
		t.Fatal(err)
	}
	unsure := deploy(t, inputs(dir, "b", nil)) // promoted, but its smoke test never said a word
	bad := deploy(t, inputs(dir, "c", nil))
	if _, err := Rollback(t.Context(), inputs(dir, "b", nil), deps(), unsure.Evidence); err == nil {
		t.Error("a release that is not live was rolled back")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	back, err := Rollback(cancelled, inputs(dir, "c", nil), deps(), bad.Evidence)
	if err != nil || back.Summary != "back on aaaa…aa (healthy)" || back.Digest != digest("a") || version(t, back.URL) != commit("a") {
		t.Errorf("%+v, %v", back, err)
	}
	if text := strings.Join(back.Detail, "\n"); !strings.Contains(text, "  | starting  "+commit("c")) {
		t.Errorf("detail\n%s", text)
	}
	wantAlive(t, dir, good.Evidence.Release)
	wantSummary(t, deploy(t, inputs(dir, "a", nil)), "already live, nothing changed")

	// Nothing changed in this delivery, so there is nothing to take back.
	kept, err := Rollback(t.Context(), inputs(dir, "a", nil), deps(), deploy(t, inputs(dir, "a", nil)).Evidence)
	if err != nil || kept.Summary != "aaaa…aa was live before this delivery and stays" || kept.URL != back.URL {
		t.Errorf("%+v, %v", kept, err)
	}
}

func TestRollbackOfTheFirstRelease(t *testing.T) {
	t.Parallel()
	dir := place(t)
	bad := deploy(t, inputs(dir, "a", nil))
	back, err := Rollback(t.Context(), inputs(dir, "a", nil), deps(), bad.Evidence)
	if err != nil || back.Summary != "nothing is live" || back.Release != "" {
		t.Errorf("%+v, %v", back, err)
	}
	wantAlive(t, dir)
	wantSummary(t, deploy(t, inputs(dir, "a", nil)), "first release, aaaa…aa · healthy after 0.0s")
}

func TestRollbackThatFails(t *testing.T) {
	t.Parallel()
	dir := place(t)
	good := deploy(t, inputs(dir, "a", nil))
	bad := deploy(t, inputs(dir, "b", nil))
	if err := os.Remove(filepath.Join(dir, "releases", good.Evidence.Release, "rootfs", "app")); err != nil {
		t.Fatal(err)
	}
	back, err := Rollback(t.Context(), inputs(dir, "b", nil), deps(), bad.Evidence)
	if fault.KindOf(err) != fault.Failed || back.Summary != "bbbb…bb stays live though its smoke test failed" || back.URL != bad.Evidence.URL {
		t.Errorf("%+v, %v", back, err)
	}
	wantAlive(t, dir, bad.Evidence.Release)
}

func TestDamagedReleaseIsReplaced(t *testing.T) {
	t.Parallel()
	dir := place(t)
	first := deploy(t, inputs(dir, "a", nil))
	if _, err := Stop(t.Context(), inputs(dir, "a", nil), deps()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "releases", first.Evidence.Release, "rootfs")); err != nil {
		t.Fatal(err)
	}
	if e := deploy(t, inputs(dir, "a", nil)).Evidence; !e.Changed || version(t, e.URL) != commit("a") {
		t.Errorf("evidence %+v", e)
	}
}

func TestTwoDeploysDoNotInterleave(t *testing.T) {
	t.Parallel()
	dir := place(t)
	outs := map[string]target.Outputs{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, c := range []string{"a", "b"} {
		wg.Go(func() {
			out, err := Deploy(t.Context(), inputs(dir, c, nil), deps())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			outs[c] = out
		})
	}
	wg.Wait()
	winner, loser := "a", "b"
	if outs["a"].Evidence.Replaced == nil {
		winner, loser = "b", "a"
	}
	if r := outs[winner].Evidence.Replaced; r == nil || r.Digest != digest(loser) || outs[loser].Evidence.Replaced != nil {
		t.Errorf("%+v and %+v", outs["a"].Evidence, outs["b"].Evidence)
	}
	wantAlive(t, dir, outs[winner].Evidence.Release)
}

func TestDeployDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	dir := place(t)
	target, err := local.Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := target.Lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	in := inputs(dir, "a", nil)
	in.Wait = 200 * time.Millisecond
	_, err = Deploy(t.Context(), in, deps())
	wantFault(t, err, fault.Undetermined, fmt.Sprintf("another deploy, process %d, did not end within 200ms; nothing was changed", os.Getpid()))
}

// deployer deploys version b in a process of its own and stops for good at the moment that it is to be killed at.
func deployer(dir, binary, moment string) {
	d := deps()
	reached := func(what string) {
		if what == moment {
			fmt.Println("reached")
			select {}
		}
	}
	d.Pull = func(context.Context, string) (Image, error) {
		img := image(binary)
		img.Unpack = func(_ context.Context, dir string) error {
			err := os.Link(binary, filepath.Join(dir, "app"))
			reached("half unpacked")
			return err
		}
		return img, nil
	}
	d.Progress = reached
	in := inputs(dir, "b", nil)
	if moment == "waiting for /healthz" {
		in.Service.Env = map[string]string{"CHILD": "1"}
	}
	out, err := Deploy(context.Background(), in, d)
	_ = json.NewEncoder(os.Stdout).Encode(fmt.Sprint(out.Summary, err))
}

func TestKilledDeployIsHealedByTheNext(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"half unpacked", "starting bbbb…bb", "waiting for /healthz", "retiring aaaa…aa"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			dir := place(t)
			deploy(t, inputs(dir, "a", nil))
			cmd := exec.Command(program, "deploy", dir, server, moment)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said := make([]byte, len("reached"))
			if _, err := io.ReadFull(out, said); err != nil || string(said) != "reached" {
				t.Errorf("the deployer said %q, %v", said, err)
			}
			if err := cmd.Process.Kill(); err != nil { // SIGKILL
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if moment == "retiring aaaa…aa" {
				// The new one was live already; the old one is still to be ended.
				wantSummary(t, deploy(t, inputs(dir, "b", nil)), "already live, nothing changed")
			} else {
				wantSummary(t, deploy(t, inputs(dir, "c", nil)), "cccc…cc replaces aaaa…aa · healthy after 0.0s")
			}
			target, err := local.Open(dir, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			current, err := target.Current()
			if err != nil {
				t.Fatal(err)
			}
			wantAlive(t, dir, current.Name)
			left, _ := filepath.Glob(filepath.Join(dir, "releases", ".*"))
			if len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}
