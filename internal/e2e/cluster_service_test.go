//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/org/idp/internal/testkit/cluster"
)

// bench has what the cases share: a repository with two commits of the smallest service, and a signed image of each.
type bench struct {
	dir    string // with origin (the repository), key.pem, key.pub and policy.yaml
	images map[string]image
	err    error
}

type image struct{ commit, reference, digest string }

// The two versions of the service.
const (
	first  = "first"
	second = "second"
)

// remote is what both the repository of the bench and its clones say that they come from, since it is in the provenance.
const remote = "https://git.example.com/acme/plain.git"

var shared struct {
	sync.Once
	bench
}

func TestMain(m *testing.M) {
	if cluster.ServePlugin() {
		return
	}
	code := m.Run()
	for _, dir := range []string{shared.dir, scans.dir} {
		if dir != "" {
			_ = os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// rules is the policy of the cases: what the default asks, by a key of our own, and pods so small that many fit on a node.
const rules = `name: cases
defaults:
  signer: {key: key.pub}
  require: [provenance, sbom, sast, secrets]
  sast: {fail-on: high}
  secrets: {fail-on: low}
  evidence-max-age: 1d
  smoke: {rounds: 2}
  sizes:
    small: {cpu: 1m, memory: 32Mi}
    huge: {cpu: "500", memory: 32Mi}
`

func sharedBench(t *testing.T, c *cluster.Cluster) *bench {
	t.Helper()
	shared.Do(func() { shared.err = shared.set(t, c) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return &shared.bench
}

func (b *bench) set(t *testing.T, c *cluster.Cluster) (err error) {
	if b.dir, err = os.MkdirTemp("", "idp-cases-"); err != nil {
		return err
	}
	private, public := keyPair(t)
	origin := filepath.Join(b.dir, "origin")
	source, err := os.ReadFile(inRepo("testdata", "services", "plain", "main.go"))
	if err != nil {
		return err
	}
	module, err := os.ReadFile(inRepo("testdata", "services", "plain", "go.mod"))
	if err != nil {
		return err
	}
	if err := os.Mkdir(origin, 0o700); err != nil {
		return err
	}
	for name, text := range map[string]string{"key.pem": private, "key.pub": public, "policy.yaml": rules, "origin/go.mod": string(module),
		"origin/idp.yaml": "name: plain\nowner: team-plain\nenvironments: {staging: {}}\n"} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	r := &repository{t, origin}
	r.git("init", "--quiet", "--initial-branch", "main")
	r.git("remote", "add", "origin", remote)
	for name, text := range manifests(c.Registry) {
		write(t, filepath.Join(origin, "k8s", name), text)
	}
	b.images = map[string]image{}
	for _, version := range []string{first, second} {
		text := strings.Replace(string(source), `http.HandleFunc("/version"`, `http.HandleFunc("/name", answer("`+version+`", false))`+"\n\t"+`http.HandleFunc("/version"`, 1)
		r.add("main.go", text)
		made := image{commit: r.git("rev-parse", "HEAD")}
		out := filepath.Join(b.dir, version)
		for _, args := range [][]string{{"sast"}, {"secrets"}, {"build"}, {"sign", "--registry", c.Registry + "/plain", "--key", filepath.Join(b.dir, "key.pem")}} {
			args = append(args, "--service", origin, "--environment", "staging", "--policy", filepath.Join(b.dir, "policy.yaml"),
				"--out", out, "--record", filepath.Join(out, "record.json"))
			cmd := exec.Command(needEnv(t, "IDP_E2E_IDP"), args...)
			cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=correct horse")
			if text, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("idp %s: %w\n%s", args[0], err, text)
			}
		}
		rec, err := readRecord(filepath.Join(out, "record.json"))
		if err != nil {
			return err
		}
		made.digest, made.reference = rec.Artifact.Digest, rec.Artifact.Image+"@"+rec.Artifact.Digest
		b.images[version] = made
	}
	return nil
}

// aRecord is what the cases read of a delivery record, as its JSON Schema names it.
type aRecord struct {
	Outcome  string
	Artifact struct{ Image, Digest string }
	Stages   []aStage
}

type aStage struct {
	Name, Outcome, Reason string
	Detail                []string
	Evidence              json.RawMessage
}

// aDeploy is the evidence of the stage deploy.
type aDeploy struct {
	Release, Digest, Strategy string
	Changed                   bool
	Replaced, Restored        *struct{ Digest, Commit string }
	Healed                    []string
	Guards                    []struct{ Guard, Answer, Text, Reason string }
}

func readRecord(path string) (rec aRecord, err error) {
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &rec)
	}
	return rec, err
}

func (r aRecord) stage(t *testing.T, name string) aStage {
	t.Helper()
	i := slices.IndexFunc(r.Stages, func(s aStage) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("the record has no stage %s: %+v", name, r.Stages)
	}
	return r.Stages[i]
}

func (r aRecord) deploy(t *testing.T) (d aDeploy) {
	t.Helper()
	if err := json.Unmarshal(r.stage(t, "deploy").Evidence, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// app is the service of one case: a clone of the repository, and a namespace of the cluster.
type app struct {
	*bench
	t          *testing.T
	c          *cluster.Cluster
	images     map[string]image // of the bench, or those that the case made itself
	repo       *repository
	ns         string
	kubeconfig string
	policy     string // file
	version    string // first or second
	environ    []string
	deploys    int
}

// settings are what a case changes in idp.yaml.
type settings struct {
	env      string // a flow mapping without braces, such as "BEHAVE: crash"
	replicas int    // 0: 2
	max      int    // above replicas: an autoscaler may have as many
	size     string // empty: small
	deploy   string // a flow mapping, such as "{strategy: canary}"
	more     string // further lines
}

func newApp(t *testing.T, c *cluster.Cluster) *app {
	t.Helper()
	b := sharedBench(t, c)
	a := &app{bench: b, t: t, c: c, images: maps.Clone(b.images), ns: c.Namespace(t), kubeconfig: c.Kubeconfig, policy: filepath.Join(b.dir, "policy.yaml"),
		repo: &repository{t, filepath.Join(t.TempDir(), "plain")}}
	cmd := exec.Command("git", "clone", "--quiet", filepath.Join(b.dir, "origin"), a.repo.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	a.repo.git("remote", "set-url", "origin", remote)
	a.is(first, settings{})
	return a
}

// is makes the working tree the version, with the settings in its idp.yaml.
func (a *app) is(version string, s settings) {
	a.t.Helper()
	a.version = version
	a.repo.git("checkout", "--quiet", "--force", a.images[version].commit)
	write(a.t, filepath.Join(a.repo.dir, "idp.yaml"), a.yaml(s))
}

func (a *app) yaml(s settings) string {
	if s.replicas == 0 {
		s.replicas = 2
	}
	if s.size == "" {
		s.size = "small"
	}
	if s.deploy == "" {
		s.deploy = "{}"
	}
	return fmt.Sprintf("name: plain\nowner: team-plain\nsize: %s\nscale: {min: %d, max: %d}\nenv: {HOST: 0.0.0.0, %s}\ndeploy: %s\n"+
		"smoke:\n  - {get: /, expect: {body: {contains: ok}}}\nenvironments:\n  staging: {namespace: %s}\n%s",
		s.size, s.replicas, max(s.max, s.replicas), s.env, s.deploy, a.ns, s.more)
}

// rules gives the case a policy of its own, with a further line under defaults.
func (a *app) rules(more string) {
	a.t.Helper()
	a.policy = filepath.Join(a.t.TempDir(), "policy.yaml")
	write(a.t, a.policy, strings.Replace(rules, "key.pub", filepath.Join(a.dir, "key.pub"), 1)+more)
}

// ran is what a run of idp came to.
type outcome struct {
	t      *testing.T
	code   int
	text   string // all that it wrote
	record aRecord
	took   time.Duration
	memory int64 // bytes, at most
}

// deploy runs idp deploy with the image of the version, in the environment staging.
func (a *app) deploy(args ...string) outcome {
	a.t.Helper()
	return a.start(args...).wait(a.t)
}

// running is idp while it works.
type running struct {
	cmd    *exec.Cmd
	log    string // file of all that it writes
	record string
	begun  time.Time
	ended  chan struct{}
	took   time.Duration
	err    error
}

// start runs idp deploy without waiting for its end.
func (a *app) start(args ...string) *running {
	a.t.Helper()
	return a.run(append([]string{"deploy", "--image", a.images[a.version].reference, "--key", filepath.Join(a.dir, "key.pub")}, args...)...)
}

// waits is how long a deploy waits unless it is told otherwise: far longer than anything takes that comes to its end.
const waits = "5m"

// run starts idp in the service's folder.
func (a *app) run(args ...string) *running {
	a.t.Helper()
	a.deploys++
	out := filepath.Join(a.t.TempDir(), fmt.Sprintf("out-%d", a.deploys))
	if err := os.MkdirAll(out, 0o700); err != nil {
		a.t.Fatal(err)
	}
	if !slices.Contains(args, "--wait") {
		args = append(args, "--wait", waits)
	}
	if !slices.Contains(args, "--environment") {
		args = append(args, "--environment", "staging")
	}
	args = append(args, "--target", "kubernetes", "--service", a.repo.dir, "--policy", a.policy, "--kubeconfig", a.kubeconfig,
		"--out", out, "--record", filepath.Join(out, "record.json"))
	log, err := os.Create(filepath.Join(out, "log"))
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	r := &running{cmd: exec.Command(needEnv(a.t, "IDP_E2E_IDP"), args...), log: log.Name(), record: filepath.Join(out, "record.json"), begun: time.Now(), ended: make(chan struct{})}
	r.cmd.Env = append(append(os.Environ(), a.environ...), "COSIGN_PASSWORD=correct horse", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	if err := r.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	go func() {
		defer close(r.ended)
		r.err = r.cmd.Wait()
		r.took = time.Since(r.begun)
	}()
	return r
}

// began is whether its record says that a stage has begun.
func (r *running) began(stage string) bool {
	rec, err := readRecord(r.record)
	return err == nil && slices.ContainsFunc(rec.Stages, func(s aStage) bool { return s.Name == stage })
}

func (r *running) wait(t *testing.T) outcome {
	t.Helper()
	<-r.ended
	var exit *exec.ExitError
	if r.err != nil && !errors.As(r.err, &exit) {
		t.Fatal(r.err)
	}
	text, err := os.ReadFile(r.log)
	if err != nil {
		t.Fatal(err)
	}
	o := outcome{t: t, code: r.cmd.ProcessState.ExitCode(), text: string(text), took: r.took,
		memory: r.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10}
	if o.record, err = readRecord(r.record); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	t.Logf("exit %d after %.1fs\n%s", o.code, o.took.Seconds(), text)
	return o
}

// want holds the exit code, and that every text is on the terminal.
func (o outcome) want(code int, texts ...string) outcome {
	o.t.Helper()
	if o.code != code {
		o.t.Fatalf("exit code %d, want %d", o.code, code)
	}
	wanted := map[int]string{0: "passed", 1: "failed", 2: "error", 3: "error"}[code]
	if o.record.Outcome != wanted {
		o.t.Errorf("the record is %s, want %s", o.record.Outcome, wanted)
	}
	flat := strings.Join(strings.Fields(o.text), " ")
	for _, text := range texts {
		if !strings.Contains(flat, text) {
			o.t.Errorf("it does not say %q", text)
		}
	}
	return o
}

// get reads of the cluster with kubectl, in the namespace of the case. Nothing is there: empty.
func (a *app) get(what string, args ...string) string {
	a.t.Helper()
	return a.c.Kubectl(a.t, append([]string{"get", what, "-n", a.ns, "--ignore-not-found"}, args...)...)
}

// serves holds that pods of exactly this version answer behind the Service, as many as wanted, and no others.
func (a *app) serves(version string, pods int) {
	a.t.Helper()
	digest := a.images[version].digest
	var got []string
	ok := eventually(func() bool { // those of the old version go on for a moment
		got = strings.Fields(a.get("pods", "-o", `jsonpath={range .items[*]}{.status.containerStatuses[0].imageID}={.status.containerStatuses[0].ready} {end}`))
		return len(got) == pods && !slices.ContainsFunc(got, func(s string) bool { return !strings.HasSuffix(s, "@"+digest+"=true") })
	})
	if !ok {
		a.t.Errorf("pods %q, want %d of %s", got, pods, digest)
	}
	if name := strings.TrimSpace(get(a.t, a.c.ServiceURL(a.t, a.ns, "plain")+"/name")); name != version {
		a.t.Errorf("the Service answers %q, want %q", name, version)
	}
}

// history gives what the cluster keeps of the releases: state by name, such as v3: failed.
func (a *app) history() map[string]string {
	a.t.Helper()
	states := map[string]string{}
	for line := range strings.Lines(a.get("secrets", "-o", `jsonpath={range .items[?(@.type=="idp/release.v1")]}{.metadata.name} {.metadata.labels.idp/state}{"\n"}{end}`)) {
		name, state, _ := strings.Cut(strings.TrimSpace(line), " ")
		states[strings.TrimPrefix(name, "idp.plain.")] = state
	}
	return states
}

func (a *app) wantHistory(want map[string]string) {
	a.t.Helper()
	if got := a.history(); !maps.Equal(got, want) {
		a.t.Errorf("releases %v, want %v", got, want)
	}
}

// wantFree holds that nobody has the lock.
func (a *app) wantFree() {
	a.t.Helper()
	if holder := a.get("lease", "idp.plain", "-o", "jsonpath={.spec.holderIdentity}"); holder != "" {
		a.t.Errorf("the lock is held by %s", holder)
	}
}
