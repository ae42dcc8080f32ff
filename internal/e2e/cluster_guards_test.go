//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

// always is a freeze that is on whenever a test runs.
const always = `  freeze: [{cron: "0 0 * * *", for: 25h, zone: Europe/Berlin}]` + "\n"

func TestClusterFreezes(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.rules(always)
	a.deploy().want(1, "staging", "freeze", "--override-freeze")
	if left := a.get("deployments,services", "-o", "name"); left != "" {
		t.Errorf("in a freeze it made %s", left)
	}
	a.wantFree()

	over := a.deploy("--override-freeze", "incident 4711").want(0, "incident 4711")
	answers := over.record.deploy(t).Guards
	if len(answers) != 4 || answers[0].Guard != "freeze" || answers[0].Answer != "overridden" || answers[0].Reason != "incident 4711" {
		t.Errorf("the guards said %+v", answers)
	}
	a.serves(first, 2)
}

func TestClusterKeepsTheOrderOfEnvironments(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	a := newApp(t, c)
	production := c.Namespace(t)
	more := settings{more: fmt.Sprintf("  production: {namespace: %s}\n", production)}
	a.is(first, more)
	rule := func(healthy string) {
		a.rules("environments:\n  production:\n    after: {environment: staging" + healthy + "}\n")
	}
	rule("")
	a.deploy("--environment", "production").want(1, "was never deployed to staging", "Deploy it there first")
	a.deploy().want(0)
	rule(", healthy-for: 10m")
	a.deploy("--environment", "production").want(1, "production wants 10m")
	rule("")
	done := a.deploy("--environment", "production").want(0, "first release")
	if answers := done.record.deploy(t).Guards; len(answers) != 4 || answers[1].Guard != "order" || answers[1].Answer != "clear" || !strings.Contains(answers[1].Text, "healthy in staging") {
		t.Errorf("the guards said %+v", answers)
	}
	a.is(second, more)
	a.deploy("--environment", "production").want(1, "was never deployed to staging")
	got := c.Kubectl(t, "get", "deployment", "plain", "-n", production, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	if got != a.images[first].reference {
		t.Errorf("production runs %s", got)
	}

	// What was replaced or taken back does not count, and what was put back counts from then on.
	a.deploy().want(0, "replaces")
	a.is(first, more)
	a.deploy("--environment", "production").want(1, "is no longer what runs in staging")
	a.run("rollback").wait(t).want(0, "back on")
	a.is(second, more)
	a.deploy("--environment", "production").want(1, "was taken back in staging")
	a.is(first, more)
	rule(", healthy-for: 10m")
	a.deploy("--environment", "production").want(1, "was found healthy in staging", "production wants 10m")
}

// Two teams gave their services the same name, so both live in the namespace of that name: the second one takes nothing from the first.
func TestClusterLeavesAnotherRepositorysServiceAlone(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.deploy().want(0)
	a.c.Kubectl(t, "annotate", "secrets", "-n", a.ns, "-l", "idp/release-of=plain", "--overwrite", "idp/repository=other/plain")
	a.is(second, settings{})
	move := "kubectl annotate secrets -n " + a.ns + " -l idp/release-of=plain --overwrite idp/repository=acme/plain"
	a.deploy().want(2, "has plain of another repository, other/plain", move)
	a.run("rollback").wait(t).want(2, "has plain of another repository, other/plain", move)
	plan := exec.Command(needEnv(t, "IDP_E2E_IDP"), "plan", "--service", a.repo.dir, "--environment", "staging", "--policy", a.policy, "--kubeconfig", a.kubeconfig, "--out", t.TempDir())
	if text, _ := plan.CombinedOutput(); plan.ProcessState.ExitCode() != 2 || !strings.Contains(string(text), move) {
		t.Errorf("plan ended with %v: %s", plan.ProcessState, text)
	}
	a.wantHistory(map[string]string{"v1": "live"})
	a.serves(first, 2)
	a.wantFree()

	a.c.Kubectl(t, strings.Fields(move)[1:]...)
	a.deploy().want(0, "replaces")
	a.serves(second, 2)
}

func TestClusterWarnsOfAnUndo(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.is(second, settings{})
	a.deploy().want(0)
	a.is(first, settings{})
	a.rules("  deploy: {undo: refuse}\n")
	a.deploy().want(1, "1 commit")
	a.serves(second, 2)
	a.rules("")
	back := a.deploy().want(0, "1 commit")
	if answers := back.record.deploy(t).Guards; len(answers) != 4 || answers[3].Guard != "undo" || answers[3].Answer != "warned" {
		t.Errorf("the guards said %+v", answers)
	}
	a.serves(first, 2)
}

// TestClusterLetsOneDeployIn has ten deploys of the service at once, of two versions in turn.
func TestClusterLetsOneDeployIn(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.is(first, settings{replicas: 1})
	seen := a.watchReleases()
	var runs []*running
	for i := range 10 {
		b := *a
		b.repo = &repository{t, t.TempDir()}
		b.deploys = 100 * (i + 1)
		copyDir(t, b.repo.dir, a.repo.dir)
		b.is([]string{first, second}[i%2], settings{replicas: 1})
		runs = append(runs, b.start("--wait", "20m"))
	}
	live, newest := "", 0
	for _, r := range runs {
		name := r.wait(t).want(0).record.deploy(t).Release
		if n, err := strconv.Atoi(strings.TrimPrefix(name, "v")); err != nil || n > newest {
			live, newest = name, n
		}
	}
	for name, state := range a.history() {
		if want := map[bool]string{true: "live", false: "superseded"}[name == live]; state != want {
			t.Errorf("%s is %s, want %s", name, state, want)
		}
	}
	a.wantFree()

	pending, most := map[string]bool{}, 0
	for _, change := range seen() {
		name, state, _ := strings.Cut(change, " ")
		delete(pending, name)
		if state == "pending" {
			pending[name] = true
		}
		most = max(most, len(pending))
	}
	if most != 1 {
		t.Errorf("%d were inside at once", most)
	}
}

// watchReleases gives every change of state of a release from now on, in order, such as idp.plain.v1 pending.
func (a *app) watchReleases() (seen func() []string) {
	a.t.Helper()
	ctx, cancel := context.WithCancel(a.t.Context())
	cmd := exec.CommandContext(ctx, "kubectl", "--kubeconfig", a.c.Kubeconfig, "get", "secrets", "-n", a.ns, "--watch",
		"-l", "idp/release-of=plain", "-o", `jsonpath={.metadata.name} {.metadata.labels.idp/state}{"\n"}`)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	return func() []string {
		cancel()
		_ = cmd.Wait() // killed
		return strings.Split(strings.TrimSpace(out.String()), "\n")
	}
}
