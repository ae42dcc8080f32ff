package app_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/testkit/expect"
)

// patience is how long a test waits for something that has to happen; far more than it takes.
const patience = 5 * time.Minute

// machine is a computer for one test: a repository with the smallest service, committed on main, in svc, and a HOME, a
// TMPDIR and a first folder of the PATH of its own, all below dir. So whatever is left behind can be found.
type machine struct {
	t   *testing.T
	dir string
	env []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	check(t, err)
	m := &machine{t: t, dir: dir}
	for _, name := range []string{"bin", "home", "tmp"} {
		check(t, os.Mkdir(m.path(name), 0o700))
	}
	m.env = slices.Concat(goEnv(t), []string{"PATH=" + m.path("bin") + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"HOME=" + m.path("home"), "TMPDIR=" + m.path("tmp"), "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com"})
	check(t, os.CopyFS(m.path("svc"), os.DirFS(filepath.Join("..", "..", "testdata", "services", "plain"))))
	m.git("init", "-q", "-b", "main")
	m.commit(nil)
	return m
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// goEnv is where this machine's modules and compiled packages are, which HOME would otherwise decide.
func goEnv(t *testing.T) []string {
	t.Helper()
	env, err := readGoEnv()
	check(t, err)
	return env
}

var readGoEnv = sync.OnceValues(func() ([]string, error) {
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS", "GOTOOLCHAIN").Output()
	if err != nil {
		return nil, err
	}
	var values map[string]string
	err = json.Unmarshal(out, &values)
	var env []string
	for name, value := range values {
		env = append(env, name+"="+value)
	}
	return env, err
})

func (m *machine) path(parts ...string) string {
	return filepath.Join(append([]string{m.dir}, parts...)...)
}

// setenv sets a variable for all that is started from now on.
func (m *machine) setenv(name, value string) { m.env = append(m.env, name+"="+value) }

func (m *machine) git(args ...string) string {
	m.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", m.path("svc")}, args...)...)
	cmd.Env = m.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes the files into the repository and commits all of it.
func (m *machine) commit(files map[string]string) {
	m.t.Helper()
	m.write("svc", files)
	m.git("add", "-A")
	m.git("commit", "-q", "--allow-empty", "-m", "change")
}

func (m *machine) write(folder string, files map[string]string) {
	m.t.Helper()
	for name, text := range files {
		path := m.path(folder, name)
		check(m.t, os.MkdirAll(filepath.Dir(path), 0o700))
		check(m.t, os.WriteFile(path, []byte(text), 0o600))
	}
}

// behave makes the service misbehave in a new commit; see testdata/services/plain.
func (m *machine) behave(how, smoke string) {
	m.t.Helper()
	m.commit(map[string]string{"idp.yaml": fmt.Sprintf("name: plain\nowner: team-plain\nenv: {BEHAVE: %q}\nsmoke:\n  - get: %s\n", how, smoke)})
}

// hang puts a tool before the real one that writes the file it gives and hangs when its arguments contain the text, with a
// child of its own.
func (m *machine) hang(tool, text string) (reached string) {
	m.t.Helper()
	actual, err := exec.LookPath(tool)
	check(m.t, err)
	reached = m.path(tool + "-reached")
	script := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *'%s'*) : >'%s'; sleep 600; exit 1;; esac\nexec '%s' \"$@\"\n", text, reached, actual)
	expect.Program(m.t, m.path("bin", tool), script)
	return reached
}

// run is one call of idp.
type run struct {
	m     *machine
	cmd   *exec.Cmd
	ended chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes the output of idp, of both its streams.
func (r *run) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *run) output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// start calls idp in the machine's folder.
func (m *machine) start(args ...string) *run {
	m.t.Helper()
	return m.startAs(program, args...)
}

func (m *machine) startAs(name string, args ...string) *run {
	m.t.Helper()
	return m.launch(m.dir, name, args...)
}

// startIn calls idp in a folder of the machine.
func (m *machine) startIn(folder string, args ...string) *run {
	m.t.Helper()
	return m.launch(m.path(folder), program, args...)
}

func (m *machine) launch(dir, name string, args ...string) *run {
	m.t.Helper()
	r := &run{m: m, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	r.cmd.Dir, r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = dir, m.env, r, r
	check(m.t, r.cmd.Start())
	go func() { defer close(r.ended); _ = r.cmd.Wait() }() // how it ended is in its ProcessState
	m.t.Cleanup(func() { _ = r.cmd.Process.Kill(); <-r.ended })
	return r
}

// path calls the whole path to the local target.
func (m *machine) deliver(args ...string) *run {
	m.t.Helper()
	return m.start(append([]string{"path", "--service", "svc", "--target", "local", "--out", "out"}, args...)...)
}

// end waits for idp and wants its exit code.
func (r *run) end(limit time.Duration, code int) string {
	r.m.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(limit):
		r.m.t.Fatalf("idp did not end within %s:\n%s", limit, r.output())
	}
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		r.m.t.Fatalf("idp %s: %s, want exit code %d:\n%s", strings.Join(r.cmd.Args[1:], " "), r.cmd.ProcessState, code, r.output())
	}
	return r.output()
}

// until waits for something that idp brings about, and fails when idp ends before.
func (r *run) until(what string, done func() bool) {
	r.m.t.Helper()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-r.ended:
			if !done() {
				r.m.t.Fatalf("idp ended before %s:\n%s", what, r.output())
			}
		case <-deadline:
			r.m.t.Fatalf("no %s:\n%s", what, r.output())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// untilFile waits for a file.
func (r *run) untilFile(path string) {
	r.m.t.Helper()
	r.until("the file "+path, func() bool { _, err := os.Stat(path); return err == nil })
}

// untilLogged waits for words of the service itself.
func (r *run) untilLogged(words string) {
	r.m.t.Helper()
	r.until("the service says "+words, func() bool {
		logs, _ := filepath.Glob(r.m.path("out", "local", "local", "plain", "log", "*.log"))
		for _, name := range logs {
			if text, err := os.ReadFile(name); err == nil && strings.Contains(string(text), words) {
				return true
			}
		}
		return false
	})
}

// record reads the record in the output folder and holds it against the published schema.
func (m *machine) record() *record.Record {
	m.t.Helper()
	return m.recordAt(m.path("out", "record.json"))
}

func (m *machine) recordAt(path string) *record.Record {
	m.t.Helper()
	schema, err := recordSchema()
	check(m.t, err)
	data, err := os.ReadFile(path)
	check(m.t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	check(m.t, err)
	if err := schema.Validate(doc); err != nil {
		m.t.Errorf("the record does not follow its schema: %v", err)
	}
	r, err := record.Read(path)
	check(m.t, err)
	return r
}

// recordSchema is what the program publishes.
var recordSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	text, err := exec.Command(program, "schema", "record").Output()
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///record.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("mem:///record.json")
})

// outcomes are the stages of a record, such as "sast passed".
func outcomes(r *record.Record) []string {
	var list []string
	for _, s := range r.Stages {
		list = append(list, s.Name+" "+string(s.Outcome))
	}
	return list
}

// registryServer is a registry on loopback whose answers a test may change.
type registryServer struct {
	host, repo string
	inner      http.Handler

	mu     sync.Mutex
	asked  int // requests so far
	change func(n int, w http.ResponseWriter, r *http.Request) (done bool)
}

func newRegistryServer(t *testing.T) *registryServer {
	t.Helper()
	return serveRegistry(t, registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
}

func serveRegistry(t *testing.T, inner http.Handler) *registryServer {
	t.Helper()
	s := &registryServer{inner: inner}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	s.repo = s.host + "/plain"
	return s
}

func (s *registryServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	n, change := s.asked, s.change
	s.mu.Unlock()
	if change == nil || !change(n, w, r) {
		s.inner.ServeHTTP(w, r)
	}
}

// answer sets how requests are answered from now on, counted from 1 again; nil is as a registry does.
func (s *registryServer) answer(change func(n int, w http.ResponseWriter, r *http.Request) (done bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.change = 0, change
}

func (s *registryServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// tags lists what is in the registry under a name.
func (s *registryServer) tags(t *testing.T) []string {
	t.Helper()
	w := httptest.NewRecorder()
	s.inner.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/plain/tags/list", nil))
	if w.Code == http.StatusNotFound {
		return nil
	}
	var list struct{ Tags []string }
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != http.StatusOK {
		t.Fatalf("tags: %d %s", w.Code, w.Body)
	}
	return list.Tags
}

const keyPassword = "correct horse battery staple"

// cosignKey writes the pair that stands in for a team's own, cosign.key and cosign.pub, and gives the private half.
func cosignKey(m *machine) (file, password string) {
	m.t.Helper()
	pair, err := makeKeyPair()
	check(m.t, err)
	m.write(".", map[string]string{"cosign.key": pair[0], "cosign.pub": pair[1]})
	return m.path("cosign.key"), keyPassword
}

// makeKeyPair makes a key in the form of cosign's, but with the weakest derivation that is accepted: cosign's own takes
// longer than all else that sign does.
var makeKeyPair = sync.OnceValues(func() (pair [2]string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return pair, err
	}
	sealed, err := encrypted.EncryptWithCustomKDFParameters(private, []byte(keyPassword), encrypted.Legacy)
	pair[0] = string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: sealed}))
	pair[1] = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	return pair, err
})
