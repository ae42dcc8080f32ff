//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var program, server string

// TestMain is also the supervisor: the tests give the test program as the program to supervise with.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "supervise" {
		if err := Supervise(context.Background(), os.Args[2], time.Now); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(withServer(m))
}

func withServer(m *testing.M) int {
	dir, err := os.MkdirTemp("", "server")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server = filepath.Join(dir, "server")
	if out, err := exec.Command("go", "build", "-o", server, "./testdata/server").CombinedOutput(); err != nil {
		panic(string(out))
	}
	if program, err = os.Executable(); err != nil {
		panic(err)
	}
	return m.Run()
}

// unpack makes a root file system with the server in it.
func unpack(_ context.Context, dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "work"), 0o755); err != nil {
		return err
	}
	return os.Link(server, filepath.Join(dir, "app"))
}

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func meta(env map[string]string) Meta {
	return Meta{Digest: digest("a"), Commit: strings.Repeat("c", 40), Entrypoint: []string{"/app"}, WorkDir: "/work",
		ImageEnv: []string{"FROM_IMAGE=1", "BOTH=image"}, Env: env, Health: "/healthz"}
}

// open gives a target that leaves nothing running after the test.
func open(t *testing.T) *Target {
	t.Helper()
	target, err := Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		names, _ := target.names()
		for _, n := range names {
			if err := target.Stop(context.Background(), n, 0); err != nil {
				t.Error(err)
			}
		}
	})
	return target
}

// up stages and starts a release, waits until it is healthy and promotes it.
func up(t *testing.T, target *Target, env map[string]string) (*Release, Running) {
	t.Helper()
	r, err := target.Stage(t.Context(), meta(env), unpack)
	if err != nil {
		t.Fatal(err)
	}
	run, err := target.Start(t.Context(), r, program)
	if err != nil {
		t.Fatal(err)
	}
	if seen, err := target.WaitHealthy(t.Context(), r, nil, nil); err != nil {
		t.Fatalf("%v: %+v %v", err, seen, target.Tail(r, 20))
	}
	if err := target.Promote(r, run); err != nil {
		t.Fatal(err)
	}
	return r, run
}

func body(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
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

// until waits for something that happens in another process; the test's own time limit ends it.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-t.Context().Done():
			t.Fatal("never: " + what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestServiceGetsOnlyItsOwnEnvironment(t *testing.T) {
	t.Setenv("CI_SECRET", "s3cr3t-of-the-runner")
	target := open(t)
	r, run := up(t, target, map[string]string{"BOTH": "service", "PORT": "1", "HOME": "/root"})
	got := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(body(t, run.URL+"/env")), "\n") {
		name, value, _ := strings.Cut(line, "=")
		got[name] = value
	}
	want := map[string]string{"FROM_IMAGE": "1", "BOTH": "service", "PORT": strconv.Itoa(run.Port), "IDP_DIGEST": digest("a"),
		"IDP_REVISION": strings.Repeat("c", 40), "HOME": filepath.Join(r.dir, "home"), "TMPDIR": filepath.Join(r.dir, "tmp"),
		"WD": filepath.Join(r.dir, "rootfs", "work"), "PATH": got["PATH"], "PWD": got["PWD"]}
	if got["PWD"] == "" {
		delete(want, "PWD")
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("environment\n got %v\nwant %v", got, want)
	}
	for _, dir := range strings.Split(got["PATH"], ":") {
		if !strings.HasPrefix(dir, r.dir) {
			t.Errorf("PATH has %s, which is not of the image", dir)
		}
	}
	// The same user may read the supervisor's environment, so it must not be there either.
	if environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", run.Supervisor.PID)); err == nil && len(environ) > 0 {
		t.Errorf("the supervisor has the environment %q", environ)
	}
}

func TestSupervisorStartsACrashedServiceAgain(t *testing.T) {
	t.Parallel()
	target := open(t)
	r, run := up(t, target, map[string]string{"CRASH_TIMES": "2"})
	if s := target.Status(r.Name); s.Restarts != 2 || s.LastExit.Code != 1 {
		t.Fatalf("status %+v", s)
	}
	first := target.Status(r.Name).Service
	_, _ = http.Get(run.URL + "/crash")
	until(t, "another process", func() bool { return target.Status(r.Name).Service != first && first.PID != 0 })
	if _, err := target.WaitHealthy(t.Context(), r, nil, nil); err != nil {
		t.Fatal(err)
	}
	if s := target.Status(r.Name); s.Restarts != 3 || s.LastExit.Code != 7 || s.Supervisor != run.Supervisor {
		t.Errorf("status %+v", s)
	}
}

func TestSupervisorGivesUp(t *testing.T) {
	t.Parallel()
	target := open(t)
	r, err := target.Stage(t.Context(), meta(map[string]string{"CRASH": "no \x1b[1mluck\x1b[0m"}), unpack)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Start(t.Context(), r, program); err != nil {
		t.Fatal(err)
	}
	seen, err := target.WaitHealthy(t.Context(), r, nil, nil)
	if !errors.Is(err, ErrGaveUp) || seen.Status.GaveUp != "5 restarts within 1m0s, last exit code 3" || seen.Status.Restarts != 5 {
		t.Errorf("%v, %+v", err, seen.Status)
	}
	if lines := target.Tail(r, 1); !slices.Equal(lines, []string{"no luck"}) {
		t.Errorf("tail %q", lines)
	}
	if target.Alive(r.Name) {
		t.Error("the supervisor stays")
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env   map[string]string
		grace time.Duration
	}{
		"asked":                   {map[string]string{"CHILD": "1"}, StopGrace},
		"killed at once":          {map[string]string{"CHILD": "1"}, 0},
		"killed when it stays on": {map[string]string{"CHILD": "1", "IGNORE_TERM": "1"}, 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := open(t)
			r, run := up(t, target, c.env)
			child, _ := strconv.Atoi(body(t, run.URL+"/child"))
			mine := []Process{run.Supervisor, target.Status(r.Name).Service, {PID: child, Start: startOf(child)}}
			for _, p := range mine {
				if !p.Alive() {
					t.Fatalf("%+v does not run", p)
				}
			}
			if err := target.Stop(t.Context(), r.Name, c.grace); err != nil {
				t.Fatal(err)
			}
			for _, p := range mine {
				until(t, fmt.Sprintf("end of %+v", p), func() bool { return !p.Alive() })
			}
			if err := target.Stop(t.Context(), r.Name, c.grace); err != nil {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}

func TestKilledSupervisorLeavesNoService(t *testing.T) {
	t.Parallel()
	target := open(t)
	r, run := up(t, target, map[string]string{"CHILD": "1"})
	service := target.Status(r.Name).Service
	child, _ := strconv.Atoi(body(t, run.URL+"/child"))
	grandchild := Process{PID: child, Start: startOf(child)}
	if err := syscall.Kill(run.Supervisor.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "end of the supervisor", func() bool { return !run.Supervisor.Alive() })
	if err := target.Stop(t.Context(), r.Name, 0); err != nil { // what macOS needs; Linux has done it for the service already
		t.Fatal(err)
	}
	until(t, "end of the service", func() bool { return !service.Alive() })
	until(t, "end of its child", func() bool { return !grandchild.Alive() })
	// The same release starts again, on the same port.
	again, err := target.Start(t.Context(), r, program)
	if err != nil || again.URL != run.URL {
		t.Errorf("%v, %s, before %s", err, again.URL, run.URL)
	}
}

func TestProcessIsNotConfusedWithALaterOne(t *testing.T) {
	t.Parallel()
	self := Process{PID: os.Getpid(), Start: startOf(os.Getpid())}
	if !self.Alive() {
		t.Fatal("this process does not run")
	}
	for _, p := range []Process{{}, {PID: self.PID}, {PID: self.PID, Start: "another boot/1"}, {PID: 1 << 30, Start: self.Start}} {
		if p.Alive() {
			t.Errorf("%+v is taken for a running process", p)
		}
	}
	zombie := exec.Command("true")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "end of true", func() bool { return startOf(zombie.Process.Pid) == "" })
	_ = zombie.Wait()
}

func TestEntrypoint(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entrypoint []string
		workDir    string
		prepare    func(dir string) error
		want       string // empty: it is found
	}{
		"absolute":         {entrypoint: []string{"/app"}},
		"relative":         {entrypoint: []string{"../app"}, workDir: "/work"},
		"on PATH":          {entrypoint: []string{"tool"}, prepare: func(d string) error { return link("../../app", d, "usr/bin/tool") }},
		"link inside":      {entrypoint: []string{"/in"}, prepare: func(d string) error { return link("app", d, "in") }},
		"none":             {want: "it has none"},
		"missing":          {entrypoint: []string{"/nope"}, want: "no such file in the image"},
		"not on PATH":      {entrypoint: []string{"sh"}, want: "no such program on the image's PATH"},
		"folder":           {entrypoint: []string{"/work"}, want: "not an executable file"},
		"not executable":   {entrypoint: []string{"/text"}, prepare: func(d string) error { return os.WriteFile(d+"/text", nil, 0o644) }, want: "not an executable file"},
		"climbs out":       {entrypoint: []string{"/../../../../../../../bin/sh"}, want: "leads out of the image"},
		"climbs and comes": {entrypoint: []string{"../../rootfs/app"}, workDir: "/work", want: "leads out of the image"},
		"link out":         {entrypoint: []string{"/sh"}, prepare: func(d string) error { return link("/bin/sh", d, "sh") }, want: "leads out of the image"},
		"link out on PATH": {entrypoint: []string{"sh"}, prepare: func(d string) error { return link("/bin/sh", d, "bin/sh") }, want: "leads out of the image"},
		"folder out":       {entrypoint: []string{"/x/sh"}, prepare: func(d string) error { return link("/bin", d, "x") }, want: "leads out of the image"},
		"work dir out":     {entrypoint: []string{"/app"}, workDir: "/../..", want: "leads out of the image"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := open(t)
			m := meta(nil)
			m.Entrypoint, m.WorkDir = c.entrypoint, c.workDir
			_, err := target.Stage(t.Context(), m, func(ctx context.Context, dir string) error {
				if err := unpack(ctx, dir); err != nil || c.prepare == nil {
					return err
				}
				return c.prepare(dir)
			})
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrEntrypoint) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if names, _ := target.names(); len(names) != 0 {
				t.Errorf("left %v", names)
			}
		})
	}
}

func link(to, dir, name string) error {
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.Symlink(to, path)
}

func TestHeal(t *testing.T) {
	t.Parallel()
	target := open(t)
	live, run := up(t, target, nil)
	if err := target.MarkGood(live.Name); err != nil {
		t.Fatal(err)
	}
	// A deploy that was killed while it unpacked, one after it had started, one that left a folder without a release.
	half := filepath.Join(target.releases(), staging+"bbbbbbbbbbbb-9", "rootfs", "locked")
	if err := errors.Join(os.MkdirAll(half, 0o755), os.Chmod(half, 0o500), os.MkdirAll(target.dir("dddddddddddd-3"), 0o700)); err != nil {
		t.Fatal(err)
	}
	other, err := target.Stage(t.Context(), meta(nil), unpack)
	if err != nil {
		t.Fatal(err)
	}
	stray, err := target.Start(t.Context(), other, program)
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(target.releases())
	if err != nil || len(entries) != 1 || entries[0].Name() != live.Name {
		t.Errorf("left %v, %v", entries, err)
	}
	if stray.Supervisor.Alive() || !run.Supervisor.Alive() {
		t.Error("the wrong one was stopped")
	}
	// The live release's files are lost: nothing is live.
	if err := errors.Join(target.Stop(t.Context(), live.Name, 0), os.RemoveAll(live.dir), target.Heal(t.Context())); err != nil {
		t.Fatal(err)
	}
	if s, err := target.State(); err != nil || s.Current != "" || s.LastGood != "" || len(s.History) != 0 {
		t.Errorf("state %+v, %v", s, err)
	}
}

func TestUnwantedSupervisorDoesNotStart(t *testing.T) {
	t.Parallel()
	target := open(t)
	r, err := target.Stage(t.Context(), meta(nil), unpack)
	if err != nil {
		t.Fatal(err)
	}
	// Its deployer was killed just after starting it, and the next one has taken the order away by now.
	if err := Supervise(t.Context(), r.dir, time.Now); err != nil {
		t.Fatal(err)
	}
	if s := target.Status(r.Name); s.Service.PID != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestStageLeavesNothingAfterAnError(t *testing.T) {
	t.Parallel()
	target := open(t)
	broken := errors.New("registry died")
	_, err := target.Stage(t.Context(), meta(nil), func(ctx context.Context, dir string) error {
		return errors.Join(unpack(ctx, dir), broken)
	})
	entries, _ := os.ReadDir(target.releases())
	if !errors.Is(err, broken) || len(entries) != 0 {
		t.Errorf("%v, left %v", err, entries)
	}
	if _, err := target.Stage(t.Context(), Meta{Digest: "sha256:../../x"}, unpack); err == nil {
		t.Error("a digest that is a path is taken")
	}
}

func TestPruneKeepsWhatMatters(t *testing.T) {
	t.Parallel()
	target := open(t)
	var names []string
	for range 6 {
		r, err := target.Stage(t.Context(), meta(nil), unpack)
		if err != nil {
			t.Fatal(err)
		}
		if err := target.Promote(r, Running{}); err != nil {
			t.Fatal(err)
		}
		if len(names) == 0 {
			if err := target.MarkGood(r.Name); err != nil {
				t.Fatal(err)
			}
		}
		names = append(names, r.Name)
	}
	if err := target.MarkGood(names[2]); err == nil {
		t.Error("a release that is not live was marked good")
	}
	if err := target.Prune(3); err != nil {
		t.Fatal(err)
	}
	got, err := target.names()
	if want := append(names[:1:1], names[3:]...); err != nil || !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v; %v", got, want, err)
	}
	if s, _ := target.State(); s.Fallback(names[5]) != names[0] || s.Fallback(names[0]) != names[5] {
		t.Errorf("fallbacks of %+v", s)
	}
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log", "x.log")
	log, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
	for range 25 {
		_, _ = log.Write(line)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, path + ".1"} {
		if info, err := os.Stat(p); err != nil || info.Size() > 10<<20 {
			t.Errorf("%s: %v, %v", p, info, err)
		}
	}
}

func TestTailShowsNoSecret(t *testing.T) {
	t.Parallel()
	target := open(t)
	r := &Release{Name: "a-1", Meta: Meta{Env: map[string]string{"API_TOKEN": "hunter2-hunter2", "MODE": "debug", "PASSWORD": "on"}, ImageEnv: []string{"DB_SECRET=from-image"}}}
	lines := []string{
		"using hunter2-hunter2 in debug, turned on", "image says from-image",
		"dial postgres://app:pa55@db/x", `{"password":"abc","user":"u"}`, "STRIPE_API_KEY=sk_1 ok", "Authorization: Bearer abc.def",
		"got ghp_" + strings.Repeat("a", 36), "unexpected token: end of file", "\x1b[2J\x1b]0;title\x07red\r\x00", strings.Repeat("é", 400),
	}
	want := []string{
		"using *** in debug, turned on", "image says ***",
		"dial postgres://app:***@db/x", `{"password":"***","user":"u"}`, "STRIPE_API_KEY=*** ok", "Authorization: Bearer ***",
		"got ***", "unexpected token: end of file", "red", strings.Repeat("é", 300) + "…",
	}
	path := target.LogPath(r.Name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("dropped\n"+strings.Join(lines, "\n")+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got := target.Tail(r, len(lines)); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLockIsReleasedByTheKernel(t *testing.T) {
	t.Parallel()
	target := open(t)
	unlock, err := target.Lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = target.Lock(ctx, func(holder string) {
		if holder != "process "+strconv.Itoa(os.Getpid()) {
			t.Errorf("holder %q", holder)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	unlock()
	if unlock, err = target.Lock(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	unlock()
}
