//go:build linux

package app_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/org/idp/internal/record"
)

// together runs the cases side by side, limit of them at a time. They wait far more than they work, so that the number of
// processors, which limits t.Parallel, is no measure for them.
func together[C any](t *testing.T, limit int, cases []C, name func(C) string, f func(*testing.T, C)) {
	var wg sync.WaitGroup
	free := make(chan struct{}, limit)
	for _, c := range cases {
		free <- struct{}{}
		wg.Go(func() {
			t.Run(name(c), func(t *testing.T) { f(t, c) })
			<-free
		})
	}
	wg.Wait()
}

// in is the machine for a test below the one that made it.
func (m *machine) in(t *testing.T) *machine {
	below := *m
	below.t = t
	return &below
}

// deaths are the ways in which a registry ceases to be one.
var deaths = map[string]func(w http.ResponseWriter){
	"cut": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	"500": func(w http.ResponseWriter) { http.Error(w, "out of order", http.StatusInternalServerError) },
	// what a proxy or the page of a guest network answers to everything
	"page": func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, "<html>Please sign in</html>")
	},
}

// dying is a registry that dies at the nth request, and may come back.
type dying struct {
	n    int
	how  string
	back bool
}

func (d dying) String() string { return fmt.Sprintf("request %d %s", d.n, d.how) }

func (d dying) answer(n int, w http.ResponseWriter, _ *http.Request) bool {
	if n < d.n {
		return false
	}
	deaths[d.how](w)
	return true
}

// eachRequest has one way to die for each of n requests, in turn. The requests of a push repeat with a period that three
// ways do not divide, so each kind of request meets each way. Every fourth registry comes back.
func eachRequest(n int) []dying {
	var list []dying
	for i := 1; i <= n; i++ {
		list = append(list, dying{i, []string{"cut", "500", "page"}[i%3], i%4 == 0})
	}
	return list
}

// built is a machine on which all was done that comes before sign, in the folder base.
func built(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	_, password := cosignKey(m)
	m.setenv("COSIGN_PASSWORD", password)
	for _, stage := range []string{"sast", "secrets", "build"} {
		m.start(stage, "--service", "svc", "--environment", "local", "--out", "base").end(patience, 0)
	}
	return m
}

// copyOf copies an output folder; files that are only ever replaced are linked.
func (m *machine) copyOf(from, to string) {
	m.t.Helper()
	check(m.t, filepath.WalkDir(m.path(from), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(m.path(from), path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(m.path(to, rel), 0o700)
		}
		return os.Link(path, m.path(to, rel))
	}))
}

// wantError wants the stage to be undetermined for a reason that names the words.
func (m *machine) wantError(out, stage, words string) {
	m.t.Helper()
	rec := m.recordAt(m.path(out, "record.json"))
	s, _ := rec.Stage(stage)
	if rec.Outcome != record.Error || s.Outcome != record.Error || !strings.Contains(s.Reason, words) {
		m.t.Errorf("the record is %s, %s is %s: %q, want an error that names %s", rec.Outcome, stage, s.Outcome, s.Reason, words)
	}
}

// TestRegistryDiesInSign: whatever the request is at which the registry dies, sign does not pass and no tag is moved; when
// the registry is back, the same call completes what is missing.
func TestRegistryDiesInSign(t *testing.T) {
	t.Parallel()
	m := built(t)
	commit := m.git("rev-parse", "HEAD")
	sign := func(m *machine, s *registryServer, out string) *run {
		m.copyOf("base", out)
		return m.start("sign", "--service", "svc", "--environment", "local", "--out", out, "--registry", s.repo, "--key", "cosign.key")
	}
	whole := newRegistryServer(t)
	sign(m, whole, "whole").end(patience, 0)
	all := eachRequest(whole.count())
	// In the middle the second to fourth piece of evidence are attached, with the same requests as the first and the last.
	all = slices.Delete(all, len(all)/3, len(all)*2/3)
	together(t, 40, all, dying.String, func(t *testing.T, d dying) {
		m, s := m.in(t), newRegistryServer(t)
		var tagged atomic.Bool
		s.answer(func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n < d.n && tagging(r) {
				tagged.Store(true)
			}
			return d.answer(n, w, r)
		})
		out := fmt.Sprint("sign-", d.n)
		r := sign(m, s, out)
		r.end(patience, 3)
		m.wantError(out, "sign", s.host)
		if tags := s.tags(t); len(tags) > 0 != tagged.Load() {
			t.Errorf("tags %v after\n%s", tags, r.output())
		}
		if !d.back {
			return
		}
		s.answer(nil)
		m.start(r.cmd.Args[1:]...).end(patience, 0)
		if tags := s.tags(t); !slices.Equal(tags, []string{commit}) {
			t.Errorf("tags %v when the registry is back", tags)
		}
	})
}

// TestRegistryDiesInDeploy: verify alone, and deploy, which verifies and pulls. Nothing is started unless all was read.
func TestRegistryDiesInDeploy(t *testing.T) {
	t.Parallel()
	m := built(t)
	whole := newRegistryServer(t)
	m.start("sign", "--service", "svc", "--environment", "local", "--out", "base", "--registry", whole.repo, "--key", "cosign.key").end(patience, 0)
	digest := m.recordAt(m.path("base", "record.json")).Artifact.Digest
	call := func(m *machine, stage, out, repo string) *run {
		args := []string{stage, "--service", "svc", "--environment", "local", "--out", out, "--image", repo + "@" + digest, "--key", "cosign.pub"}
		if stage == "deploy" {
			args = append(args, "--target", "local")
		}
		return m.start(args...)
	}
	for _, stage := range []string{"verify", "deploy"} {
		whole.answer(nil)
		call(m, stage, "whole", whole.repo).end(patience, 0)
		m.start("stop", "--out", "whole").end(patience, 0)
		together(t, 40, eachRequest(whole.count()), func(d dying) string { return stage + " " + d.String() }, func(t *testing.T, d dying) {
			m, s := m.in(t), serveRegistry(t, whole.inner)
			s.answer(d.answer)
			out := fmt.Sprint(stage, "-", d.n)
			r := call(m, stage, out, s.repo)
			r.end(patience, 3)
			m.wantError(out, stage, s.host)
			if releases, _ := os.ReadDir(m.path(out, "local", "local", "plain", "releases")); len(releases) > 0 {
				t.Errorf("releases %v", releases)
			}
			if !d.back {
				return
			}
			s.answer(nil)
			m.start(r.cmd.Args[1:]...).end(patience, 0)
			m.start("stop", "--out", out).end(patience, 0)
		})
	}
	m.wantProcesses(0)
	m.wantWhole()
}

// TestRegistryDiesInPath: the whole path says so, deploys nothing, leaves what is live, and passes when the registry is back.
func TestRegistryDiesInPath(t *testing.T) {
	t.Parallel()
	tests := []struct {
		stage, how string
		after      bool // the tag was moved
		at         func(*registryServer, *http.Request) bool
	}{
		{"sign", "500", false, func(_ *registryServer, r *http.Request) bool { return r.Method == http.MethodPatch }},
		{"verify", "cut", true, func(_ *registryServer, r *http.Request) bool { return strings.Contains(r.URL.Path, "/referrers/") }},
		{"deploy", "page", true, isProgram},
	}
	for _, tc := range tests {
		t.Run(tc.stage, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.deliver("--keep").end(patience, 0)
			live := m.git("rev-parse", "HEAD")
			m.commit(nil)
			s := newRegistryServer(t)
			tagged, dead := false, false
			s.answer(func(_ int, w http.ResponseWriter, r *http.Request) bool {
				s.mu.Lock()
				dead = dead || tagged == tc.after && tc.at(s, r)
				tagged = tagged || tagging(r)
				now := dead
				s.mu.Unlock()
				if now {
					deaths[tc.how](w)
				}
				return now
			})
			r := m.deliver("--registry", s.repo)
			r.end(patience, 3)
			m.wantError("out", tc.stage, s.host)
			for _, o := range outcomes(m.record()) {
				// What a deploy that failed has touched is still told of.
				if name, outcome, _ := strings.Cut(o, " "); slices.Index(order[:9], name) > slices.Index(order, tc.stage) && outcome == "passed" {
					t.Errorf("%s after %s was not determined", o, tc.stage)
				}
			}
			m.wantLive(live)
			m.wantProcesses(1)
			m.wantWhole()
			s.answer(nil)
			m.start(r.cmd.Args[1:]...).end(patience, 0)
			m.wantLive(m.git("rev-parse", "HEAD"))
			m.start("stop", "--out", "out").end(patience, 0)
			m.wantProcesses(0)
		})
	}
}

// TestRegistryDiesInAttest: what is live stays, and is told of; that its evidence is not whole makes the delivery undetermined,
// and the same call completes it without a build or a tag of its own when the registry is back.
func TestRegistryDiesInAttest(t *testing.T) {
	t.Parallel()
	for how, die := range deaths {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			m, s := newMachine(t), newRegistryServer(t)
			at, dead := afterPull(), false
			s.answer(func(_ int, w http.ResponseWriter, r *http.Request) bool {
				s.mu.Lock()
				dead = dead || at(s, r)
				now := dead
				s.mu.Unlock()
				if now {
					die(w)
				}
				return now
			})
			r := m.deliver("--registry", s.repo, "--keep")
			text := r.end(patience, 3)
			m.wantError("out", "attest", s.host)
			if got := strings.Join(outcomes(m.record()), ", "); !strings.Contains(got, "smoke passed, attest error, catalog passed, events passed") {
				t.Errorf("%s\n%s", got, text)
			}
			m.wantLive(m.git("rev-parse", "HEAD"))
			first := m.record().Artifact.Digest
			s.answer(nil)
			m.start(r.cmd.Args[1:]...).end(patience, 0)
			m.wantLive(m.git("rev-parse", "HEAD"))
			if second := m.record().Artifact.Digest; second != first {
				t.Errorf("the second run is of %s, the first of %s", second, first)
			}
			list := httptest.NewRecorder()
			_, path, _ := strings.Cut(s.repo, "/")
			s.inner.ServeHTTP(list, httptest.NewRequest(http.MethodGet, "/v2/"+path+"/referrers/"+first, nil))
			for _, want := range []string{"https://slsa.dev/verification_summary/v1", "https://in-toto.io/attestation/scai/v0.3"} {
				if n := strings.Count(list.Body.String(), want); n != 1 {
					t.Errorf("%d referrers are %s", n, want)
				}
			}
			m.start("stop", "--out", "out").end(patience, 0)
			m.wantProcesses(0)
		})
	}
}

// missing is one thing that the path needs and does not have.
type missing struct {
	name, stage, words, next string
	set                      func(m *machine) (args []string)
	// live is that the new version is live after: only telling of it failed.
	live bool
}

var faults = []missing{
	{name: "registry wants a login", stage: "sign", words: "401 Unauthorized", next: "docker login", set: func(m *machine) []string {
		s := newRegistryServer(m.t)
		s.answer(func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return true
		})
		return []string{"--registry", s.repo}
	}},
	{name: "no catalogue", stage: "catalog", words: "none.git", next: "input catalog", live: true, set: func(m *machine) []string {
		return []string{"--catalog", m.path("none.git")}
	}},
	{name: "catalogue refuses", stage: "catalog", words: "does not take the delivery", next: "may push", live: true, set: func(m *machine) []string {
		m.git("init", "-q", "--bare", "-b", "main", m.path("catalogue.git"))
		m.write("catalogue.git/hooks", map[string]string{"pre-receive": "#!/bin/sh\necho 'frozen until Monday' >&2\nexit 1\n"})
		check(m.t, os.Chmod(m.path("catalogue.git", "hooks", "pre-receive"), 0o700))
		return []string{"--catalog", m.path("catalogue.git")}
	}},
	{name: "nobody takes events", stage: "events", words: "127.0.0.1:1", next: "events.json", live: true, set: func(*machine) []string {
		return []string{"--events", "http://127.0.0.1:1/hook/s3cr3t"}
	}},
	{name: "events are refused", stage: "events", words: "410 Gone", next: "events.json", live: true, set: func(m *machine) []string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
		m.t.Cleanup(server.Close)
		return []string{"--events", server.URL}
	}},
	{name: "a portal is down", stage: "notify", words: "Cortex did not take the service", next: "Nothing that was deployed is undone", live: true, set: func(m *machine) []string {
		m.setenv("INPUT_CORTEX-TOKEN", "s3cr3t")
		return []string{"--cortex-url", "http://127.0.0.1:1"}
	}},
	{name: "a portal refuses the token", stage: "notify", words: "401 Unauthorized", next: "datadog-api-key", live: true, set: func(m *machine) []string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
		m.t.Cleanup(server.Close)
		m.setenv("INPUT_DATADOG-API-KEY", "s3cr3t")
		m.setenv("INPUT_DATADOG-APP-KEY", "s3cr3t-app")
		return []string{"--datadog-url", server.URL}
	}},
	{name: "no go", stage: "build", words: "go", next: "Install", set: func(m *machine) []string { m.only("git"); return nil }},
	{name: "no git", stage: "inputs", words: "git", next: "Install git", set: func(m *machine) []string { m.only("go"); return nil }},
}

// only leaves the machine with the named tool.
func (m *machine) only(tool string) {
	m.t.Helper()
	actual, err := exec.LookPath(tool)
	check(m.t, err)
	check(m.t, os.Mkdir(m.path("only"), 0o700))
	check(m.t, os.Symlink(actual, m.path("only", tool)))
	m.setenv("PATH", m.path("only"))
}

// TestFaults: what the path cannot do without makes it undetermined, with the stage and the way out named, and the record
// says what is live.
func TestFaults(t *testing.T) {
	t.Parallel()
	together(t, 4, faults, func(f missing) string { return f.name }, func(t *testing.T, f missing) {
		m := newMachine(t)
		r := m.deliver(append(f.set(m), "--keep")...)
		text := r.end(patience, 3)
		m.wantError("out", f.stage, f.words)
		if !strings.Contains(text, f.next) {
			t.Errorf("%q is not said:\n%s", f.next, text)
		}
		if strings.Contains(text, "s3cr3t") {
			t.Errorf("the secret is shown:\n%s", text)
		}
		rec, running := m.record(), 0
		if deployed, err := record.EvidenceOf[record.Deploy](rec, record.StageDeploy); f.live {
			running = 1
			m.setenv("PATH", os.Getenv("PATH"))
			if err != nil || deployed.URL == "" || m.get(deployed.URL+"/version") != rec.Source.Commit {
				t.Errorf("the record says of the deploy %+v, %v", deployed, err)
			}
		}
		m.wantProcesses(running)
		m.wantWhole()
		m.start("stop", "--out", "out").end(patience, 0)
		m.wantProcesses(0)
	})
}

// TestDiskFull: an output folder in which there is no room for everything. Nothing passes, and nothing is left running.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	// In a file, of 512 bytes each: one record, the reports, half of the image.
	for _, blocks := range []int{1, 32, 4096} {
		t.Run(fmt.Sprint(blocks, " blocks in a file"), func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.wantFull(m.startAs("sh", "-c", fmt.Sprintf(`ulimit -f %d; exec "$0" "$@"`, blocks), program,
				"path", "--service", "svc", "--target", "local", "--out", "out"), "build")
		})
	}
	if os.Getuid() != 0 {
		return // the rest mounts
	}
	for _, disk := range []struct{ size, at, stage string }{{"4k", "out", "cost"}, {"64k", "out", "build"}, {"7m", "out", "build"}, {"1m", "out/local", "deploy"}} {
		t.Run(disk.size+" in "+disk.at, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			at := m.path(disk.at)
			check(t, os.MkdirAll(at, 0o700))
			if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size="+disk.size); errors.Is(err, syscall.EPERM) {
				return // root of a container that may not; the limit above remains
			} else if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { check(t, syscall.Unmount(at, syscall.MNT_DETACH)) })
			m.wantFull(m.deliver(), disk.stage)
		})
	}
}

// wantFull wants the run not to pass, to say why and to leave nothing.
func (m *machine) wantFull(r *run, stage string) {
	m.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		m.t.Fatalf("idp did not end:\n%s", r.output())
	}
	text, code := r.output(), r.cmd.ProcessState.ExitCode()
	if code != 2 && code != 3 {
		m.t.Errorf("%s, want exit code 2 or 3:\n%s", r.cmd.ProcessState, text)
	}
	if !regexp.MustCompile(`(?m)^  \? ` + stage + ` .*(no space left on device|file too large)`).MatchString(text) {
		m.t.Errorf("it is not said that there is no room for %s:\n%s", stage, text)
	}
	if rec, err := record.Read(m.path("out", "record.json")); err == nil && rec.Outcome == record.Passed {
		m.t.Errorf("the record passed: %v", outcomes(rec))
	}
	m.wantProcesses(0)
	m.wantWhole()
}
