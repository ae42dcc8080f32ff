//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

var (
	success = []string{"success"}
	failure = []string{"failure"}
	skipped []string // act gives a job that was skipped no result
)

// TestRunner runs every workflow in docs/workflows with a real runner, against the release tree as org/idp@v1, offline.
func TestRunner(t *testing.T) {
	t.Parallel()
	cases := []struct {
		workflow, name string
		test           func(*testing.T)
	}{
		{"one-step", "walks the path", oneStepPasses},
		{"one-step", "another branch changes nothing", otherBranch},
		{"one-step", "a gate that says no fails the job", oneStepFails},
		{"one-step", "bad input fails the job and names it", oneStepBadInput},
		{"one-step", "what cannot be determined fails the job", oneStepUndetermined},
		{"one-step", "a run that is cancelled leaves nothing", oneStepCancelled},
		{"one-step", "is shown on GitHub", oneStepIsShown},
		{"one-step", "a failure is shown on GitHub", oneStepFailureIsShown},
		{"pull-request", "is shown on GitHub, once", pullRequestIsShown},
		{"pull-request", "a token that may nothing costs what is shown, and nothing else", pullRequestMayNothing},
		{"pull-request", "changes nothing", pullRequestPlans},
		{"pull-request", "from a fork is judged, and says why little is shown", forkIsHonest},
		{"pull-request", "from a fork with a secret fails the job", forkFails},
		{"pull-request", "a secret in the change fails the job", pullRequestFails},
		{"pull-request", "a merge queue gets the same", mergeGroup},
		{"approve", "deploys the same image when somebody approves who may", approvalResumes},
		{"composed", "delivers across jobs", composedPasses},
		{"composed", "an image that someone else signed is refused", composedForeign},
		{"composed", "a release that was skipped is not a pass", composedSkipped},
		{"monorepo", "delivers every service", monorepoPasses},
		{"monorepo", "is shown on GitHub by service", monorepoIsShown},
		{"monorepo", "one service that fails is not a pass", monorepoFails},
		{"monorepo", "no service is not a pass", monorepoEmpty},
		{"reusable", "delivers", reusablePasses},
		{"reusable", "a path that fails is not a pass", reusableFails},
		{"gate", "lets in what the policy accepts, and nothing else", gateDecides},
		{"catalog-check", "passes a catalogue that is whole", catalogueIsWhole},
		{"catalog-check", "says what is wrong beside its line", catalogueIsNot},
		{"portal", "shows a catalogue on Pages", portalIsShown},
		{"portal", "a catalogue that cannot be read leaves the site alone", portalUnreadable},
		{"portal", "a catalogue without a service leaves the site alone", portalEmpty},
	}
	tested := map[string]bool{}
	t.Run("our own/plans", func(t *testing.T) { t.Parallel(); ownPlans(t) })
	for _, c := range cases {
		tested[c.workflow+".yml"] = true
		t.Run(c.workflow+"/"+c.name, func(t *testing.T) { t.Parallel(); c.test(t) })
	}
	files, err := os.ReadDir(inRepo("docs", "workflows"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d workflows: %v", len(files), err)
	}
	for _, f := range files {
		if !tested[f.Name()] {
			t.Errorf("docs/workflows/%s is not run by any case", f.Name())
		}
	}
}

func oneStepPasses(t *testing.T) {
	r := newRepository(t, ".")
	lines := strings.Split(strings.TrimSpace(r.read(".github/workflows/one-step.yml")), "\n")
	if n := len(lines) - strings.Count("\n"+strings.Join(lines, "\n"), "\n#"); n > 8 {
		t.Errorf("the workflow of eight lines has %d", n)
	}
	got := r.run(call{workflow: "one-step.yml"})
	got.jobs(true, map[string][]string{"path": success})
	got.outputs("org/idp@v1", map[string]string{"outcome": "passed", "digest": "sha256:", "image": "127.0.0.1:", "record": "record.json", "cost": " USD"})
	summary := got.onlySummary()
	contains(t, "summary", summary, "# hello passed", "✓ passed | sast", "✓ passed | sign", "✓ passed | smoke", "✓ passed | events")
	if notes := got.annotations(); notes != "" {
		t.Errorf("annotations of a path that passed:\n%s", notes)
	}
	got.post("org/idp@v1")
}

func oneStepFails(t *testing.T) {
	r := newRepository(t, ".")
	r.change("idp.yaml", "contains: ok", "contains: not what it says")
	r.change(".github/workflows/one-step.yml", "target: local", "target: local, timeout: 30s")
	got := r.run(call{workflow: "one-step.yml"})
	got.jobs(false, map[string][]string{"path": failure})
	got.outputs("org/idp@v1", map[string]string{"outcome": "failed", "digest": "sha256:"})
	contains(t, "summary", got.onlySummary(), "# hello failed", "✗ failed | smoke", "✓ passed | deploy")
	contains(t, "annotations", got.annotations(), "idp smoke")
	contains(t, "log", got.text(nil), "(exit 1)")
	got.post("org/idp@v1")
}

func oneStepBadInput(t *testing.T) {
	r := newRepository(t, ".")
	r.change(".github/workflows/one-step.yml", "target: local", "target: moon")
	got := r.run(call{workflow: "one-step.yml"})
	got.jobs(false, map[string][]string{"path": failure})
	contains(t, "annotations", got.annotations(), "input target", `"moon" is not one of local, kubernetes`)
}

func oneStepUndetermined(t *testing.T) {
	r := newRepository(t, ".")
	r.change("main.go", "func main() {", "func main() {\n\tundefined()")
	got := r.run(call{workflow: "one-step.yml"})
	got.jobs(false, map[string][]string{"path": failure})
	got.outputs("org/idp@v1", map[string]string{"outcome": "error"})
	contains(t, "summary", got.onlySummary(), "? error | sast", "skipped | deploy")
	contains(t, "annotations", got.annotations(), "idp sast")
}

// oneStepCancelled interrupts the path while it waits for a service that never becomes healthy. act kills the step at once,
// where GitHub's runner signals first; what is left then is for post: to put in order.
func oneStepCancelled(t *testing.T) {
	r := newRepository(t, ".")
	r.change("idp.yaml", "tier: 3", "tier: 3\nhealth: /never")
	var interrupt sync.Once
	c := call{workflow: "one-step.yml", onLog: func(l line, dir string, act *os.Process) {
		if !strings.Contains(l.Msg, "✓") || !strings.Contains(l.Msg, "verify") {
			return
		}
		interrupt.Do(func() {
			if !eventually(func() bool { return runs(processesBelow(t, dir), "supervise") }) {
				t.Error("the service was never started")
			}
			if err := act.Signal(syscall.SIGINT); err != nil {
				t.Errorf("interrupting: %v", err)
			}
		})
	}}
	repo := r.onGitHub(&c, permissionsOf(t, r, "one-step.yml"))
	got := r.run(c)
	got.jobs(false, map[string][]string{"path": failure})
	contains(t, "log", got.text(nil), "this step has been cancelled")
	got.post("org/idp@v1")
	if list := repo.Deployments(); len(list) != 1 || list[0].State() != "error" {
		t.Errorf("deployments %+v", list)
	}
	if list := repo.CheckRuns(); len(list) != 1 || list[0].Conclusion != "failure" {
		t.Errorf("checks %+v", list)
	}
}

// runs tells whether a command of one of the processes contains a word.
func runs(processes map[int]string, word string) bool {
	for _, command := range processes {
		if strings.Contains(command, word) {
			return true
		}
	}
	return false
}

func pullRequestPlans(t *testing.T) {
	r := newRepository(t, ".")
	got := r.run(call{workflow: "pull-request.yml", event: "pull_request", payload: r.pullRequest()})
	got.plan()
}

func otherBranch(t *testing.T) {
	r := newRepository(t, ".")
	r.git("checkout", "--quiet", "-b", "feature")
	got := r.run(call{workflow: "one-step.yml", payload: map[string]any{"ref": "refs/heads/feature"}})
	got.plan()
}

func mergeGroup(t *testing.T) {
	r := newRepository(t, ".")
	got := r.run(call{workflow: "pull-request.yml", event: "merge_group", payload: map[string]any{"action": "checks_requested",
		"merge_group": map[string]any{"head_sha": r.git("rev-parse", "HEAD"), "head_ref": "refs/heads/gh-readonly-queue/main/pr-7", "base_ref": "refs/heads/main"}}})
	got.plan()
}

// plan holds a run that may change nothing.
func (r *ran) plan() {
	r.t.Helper()
	r.jobs(true, map[string][]string{"path": success})
	r.outputs("org/idp@v1", map[string]string{"outcome": "passed", "digest": "sha256:", "image": "", "url": ""})
	contains(r.t, "summary", r.onlySummary(), "✓ passed | build", "skipped | sign", "skipped | deploy", "a plan changes nothing")
}

func pullRequestFails(t *testing.T) {
	r := newRepository(t, ".")
	r.git("checkout", "--quiet", "-b", "feature")
	r.add("pay.go", "package main\n\nconst payKey = \""+"ghp_"+"w8Fh3kPq2LrT6vXzB1nMc9YdJ4gSa5Ue7RtK"+"\"\n")
	got := r.run(call{workflow: "pull-request.yml", event: "pull_request", payload: r.pullRequest()})
	got.jobs(false, map[string][]string{"path": failure})
	contains(t, "annotations", got.annotations(), "idp secrets")
	contains(t, "summary", got.onlySummary(), "✗ failed | secrets")
	if strings.Contains(got.text(nil), "w8Fh3kPq2LrT6vXz") {
		t.Error("the secret is in the log")
	}
}

// pullRequest is the part of the event's payload that a runner derives variables from.
func (r *repository) pullRequest() map[string]any {
	head := r.git("rev-parse", "HEAD")
	return map[string]any{"action": "opened", "number": 7, "pull_request": map[string]any{"number": 7, "title": "Take the money",
		"head": map[string]any{"ref": "feature", "sha": head, "repo": map[string]any{"full_name": "acme/hello"}}, "base": map[string]any{"ref": "main", "sha": r.git("rev-parse", "main")}}}
}

func composedPasses(t *testing.T) {
	r := newRepository(t, ".")
	p := newPlatform(t, r)
	got := r.run(p.call)
	got.jobs(true, map[string][]string{"image": success, "release": success, "verdict": success})
	image := got.output("sign", "image")
	contains(t, "output image", image, p.call.vars["IDP_REGISTRY"]+"@sha256:")
	got.outputs("deploy", map[string]string{"url": "http://127.0.0.1:", "outcome": "passed"})
	// what the other job made is named by all that was done with it here
	_, digest, _ := strings.Cut(image, "@")
	summaries := got.summaries()
	contains(t, "last summary", summaries[len(summaries)-1], "✓ passed | verify", "✓ passed | smoke", "✓ passed | events", digest)
	contains(t, "catalogue", r.git("--git-dir", p.catalog, "grep", "-h", "sha256", "main"), digest)
	for _, secret := range []string{p.call.secrets["GITHUB_TOKEN"], "correct horse", p.call.secrets["IDP_KEY"][40:80]} {
		if strings.Contains(got.text(nil), secret) {
			t.Errorf("a secret is in the log: %.12s…", secret)
		}
	}
	got.post("org/idp/deploy@v1")
}

func composedForeign(t *testing.T) {
	r := newRepository(t, ".")
	p := newPlatform(t, r)
	_, other := keyPair(t)
	r.add("cosign.pub", other)
	got := r.run(p.call)
	got.jobs(false, map[string][]string{"image": success, "release": failure, "verdict": failure})
	contains(t, "annotations", got.annotations(), "idp verify")
	if got.ranStep("org/idp/deploy@v1") || got.ranStep("org/idp/catalog@v1") {
		t.Error("what was refused was deployed or registered")
	}
}

func composedSkipped(t *testing.T) {
	r := newRepository(t, ".")
	p := newPlatform(t, r)
	r.change("main.go", "func main() {", "func main() {\n\tundefined()")
	got := r.run(p.call)
	got.jobs(false, map[string][]string{"image": failure, "release": skipped, "verdict": failure})
	// The results say it all. What the verdict prints is not looked at: act loses the output of a step that ends within a few
	// milliseconds, and internal/workflows runs the script itself with every result.
	if got.ranStep("org/idp/build@v1") || got.ranStep("org/idp/sign@v1") {
		t.Error("a step ran after one that failed")
	}
}

func monorepoPasses(t *testing.T) {
	r := newRepository(t, "services/a", "services/b")
	r.change("services/b/idp.yaml", "name: hello", "name: other")
	got := r.run(call{workflow: "monorepo.yml"})
	got.jobs(true, map[string][]string{"services": success, "path": {"success", "success"}, "verdict": success})
	if n := len(got.summaries()); n != 2 {
		t.Errorf("%d summaries of two services", n)
	}
}

func monorepoFails(t *testing.T) {
	r := newRepository(t, "services/a", "services/b")
	r.change("services/b/idp.yaml", "name: hello", "name: Hello World")
	got := r.run(call{workflow: "monorepo.yml"})
	// act says of each job of a matrix what it says of the worst, so the other one is known by its outcome
	got.jobs(false, map[string][]string{"services": success, "path": got.results("path"), "verdict": failure})
	if outcomes := got.all("outcome"); !slices.Equal(outcomes, []string{"error", "passed"}) {
		t.Errorf("outcomes %q", outcomes)
	}
	contains(t, "annotations", got.annotations(), "services/b/idp.yaml")
}

func monorepoEmpty(t *testing.T) {
	r := newRepository(t)
	got := r.run(call{workflow: "monorepo.yml"})
	got.jobs(false, map[string][]string{"services": failure, "path": skipped, "verdict": failure})
	contains(t, "annotations", got.annotations(), "there is no idp.yaml")
}

func reusablePasses(t *testing.T) {
	r := newRepository(t, ".")
	got := r.run(call{workflow: "reusable.yml"})
	got.jobs(true, map[string][]string{"path": success, "verdict": success})
	got.outputs("path", map[string]string{"outcome": "passed", "digest": "sha256:"})
}

func reusableFails(t *testing.T) {
	r := newRepository(t, ".")
	r.change("main.go", "func main() {", "func main() {\n\tundefined()")
	got := r.run(call{workflow: "reusable.yml"})
	got.jobs(false, map[string][]string{"path": failure, "verdict": failure})
}

// ownPlans runs our own path on ourselves: the release tree is built by the workflow itself, from what is committed.
func ownPlans(t *testing.T) {
	r := &repository{t, filepath.Join(t.TempDir(), "idp")}
	root, err := filepath.Abs(inRepo())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("git", "clone", "--quiet", root, r.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r.git("remote", "set-url", "origin", "https://github.com/org/idp")
	setupGo, err := filepath.Abs(inRepo("testdata", "e2e", "setup-go"))
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`actions/setup-go@[0-9a-f]{40}`).FindString(r.read(".github/workflows/idp.yml"))
	got := r.run(call{workflow: "idp.yml", actions: map[string]string{pinned: setupGo}})
	got.jobs(true, map[string][]string{"path": success})
	contains(t, "summary", strings.Join(got.summaries(), "\n"), "# hello passed", "✓ passed | secrets", "a plan changes nothing")
}
