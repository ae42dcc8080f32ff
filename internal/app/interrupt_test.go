//go:build linux

package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/org/idp/internal/record"
)

// promptly is how long idp may take to end after a signal, before the test gives up: far more than it takes, and less than the
// minute after which a stage that hangs ends without one.
const promptly = 45 * time.Second

// processes are what runs of this machine, but the test itself: its folder is in their arguments, environment or place.
func (m *machine) processes() []string {
	m.t.Helper()
	entries, err := os.ReadDir("/proc")
	check(m.t, err)
	var list []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		at := filepath.Join("/proc", e.Name())
		args, _ := os.ReadFile(filepath.Join(at, "cmdline")) // of a process that is gone all three are empty
		environ, _ := os.ReadFile(filepath.Join(at, "environ"))
		cwd, _ := os.Readlink(filepath.Join(at, "cwd"))
		if strings.Contains(string(args)+string(environ)+cwd, m.dir) {
			list = append(list, strings.ReplaceAll(strings.TrimRight(string(args), "\x00"), "\x00", " "))
		}
	}
	return list
}

// wantProcesses wants exactly as many supervisors, each with its service, and nothing else. What was killed may take a
// moment to be gone.
func (m *machine) wantProcesses(releases int) {
	m.t.Helper()
	var list []string
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		over := time.Now().After(deadline) // looked at before, so that a test that stood still looks once more
		list = m.processes()
		supervisors := 0
		for _, p := range list {
			if strings.Contains(p, " supervise ") {
				supervisors++
			}
		}
		if supervisors == releases && len(list) == 2*releases {
			return
		}
		if over {
			break
		}
	}
	m.t.Errorf("%d releases should run, and nothing else; there are:\n%s", releases, strings.Join(list, "\n"))
}

// halves match files and folders that are on their way to be something else. git's quarantine for objects of a push that was
// broken off is not among them: git never reads it, and gc removes it.
var halves = regexp.MustCompile(`^\..+-\d+$|^\.staging-|\.lock$`)

// wantWhole wants nothing half-written, and nothing at all in the folder for temporary files.
func (m *machine) wantWhole() {
	m.t.Helper()
	err := filepath.WalkDir(m.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if halves.MatchString(e.Name()) || filepath.Dir(path) == m.path("tmp") {
			m.t.Errorf("%s was left behind", path)
		}
		return nil
	})
	check(m.t, err)
}

// scene is a path that hangs in one stage.
type scene struct {
	name, stage string
	// set makes the stage hang; it gives further arguments of the path, and what waits until a run is inside of the stage.
	set func(m *machine) (args []string, inside func(*run))
	// live is that a good release runs before, which must run after.
	live bool
	// brief leaves the second signal out: another scene of the same stage has it.
	brief bool
	// detailed is that the stage has more to say than that it was interrupted: what the service wrote.
	detailed bool
}

var scenes = []scene{
	{name: "inputs", stage: "inputs", set: hangingTool("git", "status")},
	{name: "sast listing", stage: "sast", set: hangingTool("go", "list -e -json=")},
	{name: "secrets listing", brief: true, stage: "secrets", set: hangingTool("git", "rev-list")},
	{name: "secrets reading", stage: "secrets", set: hangingTool("git", "cat-file --batch")},
	{name: "build reading", brief: true, stage: "build", set: hangingTool("go", "env -json GOMOD")},
	{name: "build compiling", stage: "build", set: hangingTool("go", "build -mod")},
	{name: "sign pushing", brief: true, stage: "sign", set: hangingRegistry(false, func(_ *registryServer, r *http.Request) bool { return r.Method == http.MethodPatch })},
	{name: "sign attaching", brief: true, stage: "sign", set: hangingRegistry(false, func(_ *registryServer, r *http.Request) bool { return strings.Contains(r.URL.Path, "/referrers/") })},
	{name: "sign tagging", stage: "sign", set: hangingRegistry(false, func(_ *registryServer, r *http.Request) bool { return tagging(r) })},
	{name: "verify", stage: "verify", set: hangingRegistry(true, func(_ *registryServer, r *http.Request) bool { return strings.Contains(r.URL.Path, "/referrers/") })},
	{name: "deploy pulling", brief: true, stage: "deploy", set: hangingRegistry(true, isProgram)},
	{name: "deploy waiting", brief: true, stage: "deploy", detailed: true, set: hangingHealth},
	{name: "deploy waiting beside a live release", stage: "deploy", live: true, detailed: true, set: hangingHealth},
	{name: "smoke", brief: true, stage: "smoke", detailed: true, set: hangingSmoke},
	{name: "smoke after a live release", stage: "smoke", live: true, detailed: true, set: hangingSmoke},
	{name: "attest", stage: "attest", set: hangingAttest},
	{name: "catalog reading", brief: true, stage: "catalog", set: hangingTool("git", "fetch")},
	{name: "catalog pushing", stage: "catalog", set: hangingCatalog},
	{name: "events", stage: "events", set: hangingReceiver},
}

func hangingTool(tool, text string) func(*machine) ([]string, func(*run)) {
	return func(m *machine) ([]string, func(*run)) {
		m.t.Helper()
		reached := m.hang(tool, text)
		return nil, func(r *run) { r.m.t.Helper(); r.untilFile(reached) }
	}
}

// tagging tells a request that moves a tag.
func tagging(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && !strings.Contains(r.URL.Path, "sha256:")
}

// isProgram tells a request for the layer with the program, which only a deploy makes; evidence is much smaller.
func isProgram(s *registryServer, r *http.Request) bool {
	if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
		return false
	}
	w := httptest.NewRecorder()
	s.inner.ServeHTTP(w, httptest.NewRequest(http.MethodHead, r.URL.Path, nil))
	size, _ := strconv.Atoi(w.Header().Get("Content-Length"))
	return size > 1<<20
}

// hangingRegistry leaves a request without an answer, before the tag was moved or after it.
func hangingRegistry(after bool, at func(*registryServer, *http.Request) bool) func(*machine) ([]string, func(*run)) {
	return func(m *machine) ([]string, func(*run)) {
		m.t.Helper()
		s := newRegistryServer(m.t)
		reached, over := make(chan struct{}), make(chan struct{})
		var once sync.Once
		m.t.Cleanup(func() {
			close(over)
			if tags := s.tags(m.t); len(tags) > 0 != after {
				m.t.Errorf("tags in the registry: %v", tags)
			}
		})
		tagged := false
		s.answer(func(_ int, _ http.ResponseWriter, r *http.Request) bool {
			s.mu.Lock()
			now := tagged == after
			tagged = tagged || tagging(r)
			s.mu.Unlock()
			if !now || !at(s, r) {
				return false
			}
			once.Do(func() { close(reached) })
			<-over
			return true
		})
		key, password := cosignKey(m)
		m.setenv("COSIGN_PASSWORD", password)
		return []string{"--registry", s.repo, "--key", key}, func(r *run) {
			r.m.t.Helper()
			r.until("the request that hangs", func() bool { return isClosed(reached) })
		}
	}
}

// afterPull tells a request for the evidence that is made after the deploy has pulled the image.
func afterPull() func(*registryServer, *http.Request) bool {
	var pulled atomic.Bool
	return func(s *registryServer, r *http.Request) bool {
		if isProgram(s, r) {
			pulled.Store(true)
		}
		return pulled.Load() && strings.Contains(r.URL.Path, "/referrers/")
	}
}

func hangingAttest(m *machine) ([]string, func(*run)) { return hangingRegistry(true, afterPull())(m) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func hangingHealth(m *machine) ([]string, func(*run)) {
	m.behave("sick", "/")
	return nil, func(r *run) { r.m.t.Helper(); r.untilLogged("broken on purpose") }
}

func hangingSmoke(m *machine) ([]string, func(*run)) {
	m.behave("stuck", "/stuck")
	return nil, func(r *run) { r.m.t.Helper(); r.untilLogged("asked /stuck") }
}

// hangingCatalog is a repository that takes the objects of a push and then never decides.
func hangingCatalog(m *machine) ([]string, func(*run)) {
	m.t.Helper()
	bare, reached := m.path("catalogue.git"), m.path("hook-reached")
	m.git("init", "-q", "--bare", "-b", "main", bare)
	m.write("catalogue.git/hooks", map[string]string{"pre-receive": fmt.Sprintf("#!/bin/sh\n: >'%s'\nsleep 600\n", reached)})
	check(m.t, os.Chmod(filepath.Join(bare, "hooks", "pre-receive"), 0o700))
	m.t.Cleanup(func() {
		if refs := m.git("--git-dir", bare, "for-each-ref"); refs != "" {
			m.t.Errorf("refs in the catalogue: %s", refs)
		}
	})
	return []string{"--catalog", bare}, func(r *run) { r.m.t.Helper(); r.untilFile(reached) }
}

func hangingReceiver(m *machine) ([]string, func(*run)) {
	m.t.Helper()
	reached, over := make(chan struct{}), make(chan struct{})
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(reached) })
		<-over
	}))
	m.t.Cleanup(func() { close(over); server.Close() })
	return []string{"--events", server.URL}, func(r *run) {
		r.m.t.Helper()
		r.until("the request that hangs", func() bool { return isClosed(reached) })
	}
}

// order is that of the stages; those of the first line run side by side.
var order = []string{"sast", "secrets", "build", "cost",
	"sign", "verify", "deploy", "smoke", "attest", "catalog", "events"}

// TestInterrupted sends each signal in each stage. cost is left out: it works in memory for less than a millisecond.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, s := range scenes {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			if s.brief && sig == syscall.SIGTERM {
				continue
			}
			t.Run(s.name+"/"+sig.String(), func(t *testing.T) {
				t.Parallel()
				s.play(t, sig)
			})
		}
	}
}

func (s scene) play(t *testing.T, sig syscall.Signal) {
	m := newMachine(t)
	if s.live {
		m.deliver("--keep").end(patience, 0)
	}
	before := m.git("rev-parse", "HEAD")
	m.commit(nil)
	args, inside := s.set(m)
	r := m.deliver(args...)
	inside(r)
	check(t, r.cmd.Process.Signal(sig))
	text := r.end(promptly, 3)

	words := map[syscall.Signal]string{syscall.SIGINT: "interrupted (SIGINT)", syscall.SIGTERM: "interrupted (SIGTERM)"}[sig]
	if line := regexp.MustCompile(`(?m)^  \? ` + s.stage + ` .*` + regexp.QuoteMeta(words)); !line.MatchString(text) {
		t.Errorf("no line says that %s was %s:\n%s", s.stage, words, text)
	}
	s.wantRecord(m, words)
	summary, err := os.ReadFile(m.path("out", "summary.md"))
	check(t, err)
	if !strings.Contains(string(summary), "interrupted") {
		t.Errorf("the summary does not say that it was interrupted:\n%s", summary)
	}
	running := 0
	if s.live {
		running = 1
		m.wantLive(before)
	}
	m.wantProcesses(running)
	m.wantWhole()
	m.start("stop", "--out", "out").end(patience, 0)
	m.wantProcesses(0)
	if t.Failed() {
		t.Logf("the path said:\n%s", text)
	}
}

// wantRecord wants the stages before to have passed, the one that hung to be undetermined because of the signal and of
// nothing else, and none after it to have begun.
func (s scene) wantRecord(m *machine, words string) {
	m.t.Helper()
	rec := m.record()
	if rec.Outcome != record.Error {
		m.t.Errorf("outcome %s", rec.Outcome)
	}
	at, group := slices.Index(order, s.stage), slices.Index(order, "cost")
	for _, got := range rec.Stages {
		i := slices.Index(order, got.Name)
		interrupted := got.Outcome == record.Error && strings.Contains(got.Reason, words)
		var ok bool
		switch {
		case i == at:
			ok = interrupted && (s.detailed || len(got.Detail) == 0)
		case i <= group && at <= group:
			ok = interrupted || got.Outcome == record.Passed
		case i < at:
			ok = got.Outcome == record.Passed
		default:
			ok = got.Outcome == record.Skipped && got.Reason != ""
		}
		if !ok {
			m.t.Errorf("%s is %s: %q %q", got.Name, got.Outcome, got.Reason, got.Detail)
		}
	}
	if s.stage != "inputs" && len(rec.Stages) != len(order) {
		m.t.Errorf("stages %v", outcomes(rec))
	}
}

// wantLive wants the service to answer that it is of the commit.
func (m *machine) wantLive(commit string) {
	m.t.Helper()
	data, err := os.ReadFile(m.path("out", "local", "local", "plain", "state.json"))
	check(m.t, err)
	var state struct{ URL string }
	check(m.t, json.Unmarshal(data, &state))
	if got := m.get(state.URL + "/version"); got != commit {
		m.t.Errorf("%q is live, want %q", got, commit)
	}
}

func (m *machine) get(url string) string {
	m.t.Helper()
	res, err := http.Get(url)
	check(m.t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	check(m.t, err)
	return strings.TrimSpace(string(body))
}

// TestSecondSignal ends at once what takes its time after the first one: here the old release cannot be put back, because
// another deploy holds the lock. The next path finds a state that it understands.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.deliver("--keep").end(patience, 0)
	args, inside := hangingSmoke(m)
	r := m.deliver(args...)
	inside(r)
	lock, err := os.Open(m.path("out", "local", "local", "plain", "lock"))
	check(t, err)
	check(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	check(t, r.cmd.Process.Signal(syscall.SIGINT))
	r.untilLogged("left /stuck") // so the first signal has arrived
	check(t, r.cmd.Process.Signal(syscall.SIGINT))
	r.end(promptly, -1)
	if how := r.cmd.ProcessState.Sys().(syscall.WaitStatus); !how.Signaled() || how.Signal() != syscall.SIGINT {
		t.Errorf("idp ended by %s", r.cmd.ProcessState)
	}
	if rec := m.record(); !slices.Equal(outcomes(rec)[6:], []string{"deploy passed", "smoke error"}) {
		t.Errorf("stages %v", outcomes(rec))
	}
	check(t, lock.Close())
	m.healed(1)
}

// healed delivers a good commit over what a killed path left, and wants nothing of that to be left.
func (m *machine) healed(running int) {
	m.t.Helper()
	m.behave("", "/")
	m.deliver().end(patience, 0)
	if running > 0 {
		m.wantLive(m.git("rev-parse", "HEAD"))
	}
	m.wantProcesses(running)
	m.wantWhole()
	m.start("stop", "--out", "out").end(patience, 0)
	m.wantProcesses(0)
}

// TestKilled kills a path in a stage that has begun to change what is live.
func TestKilled(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		set     func(*machine) ([]string, func(*run))
		left    int // releases that the killed path leaves running
		running int // after the next path: it leaves the environment as live as it found it
	}{
		"deploy pulling": {hangingRegistry(true, isProgram), 0, 0},
		"deploy waiting": {hangingHealth, 1, 0},
		"smoke":          {hangingSmoke, 1, 1},
		"attest":         {hangingAttest, 1, 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			args, inside := tc.set(m)
			r := m.deliver(args...)
			inside(r)
			check(t, r.cmd.Process.Kill())
			r.end(promptly, -1)
			m.wantProcesses(tc.left)
			if rec := m.record(); rec.Outcome != record.Error || slices.Contains(outcomes(rec), name+" passed") {
				t.Errorf("the record is %s, its stages %v", rec.Outcome, outcomes(rec))
			}
			m.healed(tc.running)
		})
	}
}

// TestUnprovenRelease: what a killed path left running has passed no smoke test, so the next one that sees it fail goes
// back to the release that has, though it changed nothing itself.
func TestUnprovenRelease(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.deliver("--keep").end(patience, 0)
	good := m.git("rev-parse", "HEAD")
	args, inside := hangingSmoke(m)
	r := m.deliver(args...)
	inside(r)
	check(t, r.cmd.Process.Kill())
	r.end(promptly, -1)
	text := m.deliver("--timeout", "30s").end(patience, 1)
	for _, want := range []string{"already live, nothing changed", "back on"} {
		if !strings.Contains(text, want) {
			t.Errorf("not said: %s\n%s", want, text)
		}
	}
	m.wantLive(good)
	m.wantProcesses(1)
	m.start("stop", "--out", "out").end(patience, 0)
}
