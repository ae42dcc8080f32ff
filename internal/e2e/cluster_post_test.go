//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/testkit/cluster"
)

// inRun makes what is started from now on a step of a workflow's run.
func (a *app) inRun() {
	a.t.Helper()
	dir := a.t.TempDir()
	write(a.t, filepath.Join(dir, "event.json"), `{"repository": {"full_name": "acme/plain", "default_branch": "main"}}`)
	a.environ = []string{"GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=acme/plain", "GITHUB_SERVER_URL=https://git.example.com", "GITHUB_RUN_ID=77", "GITHUB_EVENT_NAME=push",
		"GITHUB_REF=refs/heads/main"}
	for name, file := range map[string]string{"GITHUB_EVENT_PATH": "event.json", "GITHUB_OUTPUT": "output", "GITHUB_STATE": "state", "GITHUB_STEP_SUMMARY": "summary"} {
		a.environ = append(a.environ, name+"="+filepath.Join(dir, file))
	}
}

// file is one that the runner has given to the step.
func (a *app) file(variable string) string {
	for _, e := range a.environ {
		if path, ok := strings.CutPrefix(e, variable+"="); ok {
			return path
		}
	}
	return ""
}

// after runs what follows the job, as a runner does: the state of the step is in its environment.
func (a *app) after(action string, code int) string {
	a.t.Helper()
	cmd := exec.Command(needEnv(a.t, "IDP_E2E_IDP"), "post", action)
	cmd.Env = append(os.Environ(), a.environ...)
	state, err := os.ReadFile(a.file("GITHUB_STATE"))
	if err != nil {
		a.t.Fatal(err)
	}
	lines := strings.Split(string(state), "\n")
	for i := 0; i+2 < len(lines); i += 3 { // every value is one line
		name, _, _ := strings.Cut(lines[i], "<<")
		cmd.Env = append(cmd.Env, "STATE_"+name+"="+lines[i+1])
	}
	out, err := cmd.CombinedOutput()
	a.t.Logf("post: %v\n%s", err, out)
	if got := cmd.ProcessState.ExitCode(); got != code {
		a.t.Fatalf("exit code %d, want %d", got, code)
	}
	return string(out)
}

// killed ends a run as soon as something is so.
func (a *app) killed(r *running, when string, is func() bool) outcome {
	a.t.Helper()
	a.until(r, when, is)
	if err := r.cmd.Process.Kill(); err != nil {
		a.t.Fatal(err)
	}
	return r.wait(a.t)
}

// until waits until something is so while a run goes on.
func (a *app) until(r *running, when string, is func() bool) {
	a.t.Helper()
	for end := time.Now().Add(10 * time.Minute); !is(); time.Sleep(100 * time.Millisecond) {
		select {
		case <-r.ended:
			a.t.Fatalf("it ended before %s", when)
		default:
		}
		if time.Now().After(end) {
			a.t.Fatalf("it never came to %s", when)
		}
	}
}

// wantCutOff wants people and the record to be told that the step was cut off, and what is live.
func (a *app) wantCutOff(said string, o outcome, r *running, stage string, restored *string) {
	a.t.Helper()
	summary, err := os.ReadFile(a.file("GITHUB_STEP_SUMMARY"))
	if err != nil {
		a.t.Fatal(err)
	}
	if what := "was cut off during " + stage; !strings.Contains(said, what) || !strings.Contains(string(summary), what) {
		a.t.Errorf("not said: %s\n%s\nsummary: %s", what, said, summary)
	}
	rec, err := readRecord(r.record)
	if err != nil {
		a.t.Fatal(err)
	}
	if s := rec.stage(a.t, stage); s.Outcome != "error" || rec.Outcome != "error" {
		a.t.Errorf("the record is %s, its stage %+v", rec.Outcome, s)
	}
	if restored == nil {
		return
	}
	if d := rec.deploy(a.t); d.Restored == nil || d.Restored.Digest != *restored {
		a.t.Errorf("the record does not say that %s was put back: %+v", *restored, d)
	}
}

// A job that is cancelled does not leave the half of a deploy: after it, what was live is live again, and the lock is free.
func TestClusterPostAfterAKill(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	sharedBench(t, c)
	t.Run("in the rollout", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, c)
		a.deploy().want(0)
		a.is(second, settings{env: "BEHAVE: sick"})
		a.inRun()
		r := a.start()
		o := a.killed(r, "the rollout", func() bool {
			return a.history()["v2"] == "pending" && strings.Contains(a.get("pods", "-o", "name"), "\n")
		})
		said := a.after("deploy", 0)
		if !strings.Contains(said, "back on") {
			t.Errorf("said %s", said)
		}
		a.wantCutOff(said, o, r, "deploy", nil)
		a.serves(first, 2)
		a.wantHistory(map[string]string{"v1": "superseded", "v2": "failed", "v3": "live"})
		a.wantFree()
		if said := a.after("deploy", 0); strings.Contains(said, "back on") && a.history()["v4"] != "" {
			t.Errorf("once more: %s, %v", said, a.history())
		}
	})
	t.Run("in the first rollout", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, c)
		a.is(first, settings{env: "BEHAVE: sick"})
		a.inRun()
		r := a.start()
		o := a.killed(r, "the rollout", func() bool { return a.get("deployment", "plain", "-o", "name") != "" })
		said := a.after("deploy", 0)
		if !strings.Contains(said, "nothing is live") {
			t.Errorf("said %s", said)
		}
		a.wantCutOff(said, o, r, "deploy", nil)
		if left := a.get("deployments,services,configmaps", "-o", "name"); strings.Contains(left, "plain") {
			t.Errorf("it left %s", left)
		}
		a.wantFree()
	})
	t.Run("in the smoke test", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, c)
		a.release(first, settings{}).want(0)
		before := a.images[first].digest
		a.inRun()
		a.version = second
		a.repo.git("checkout", "--quiet", a.images[second].commit, "--", "main.go")
		write(t, filepath.Join(a.repo.dir, "idp.yaml"), a.yaml(settings{env: "BEHAVE: broken"}))
		r := a.walk("--timeout", "20m")
		o := a.killed(r, "the smoke test", func() bool { return r.began("smoke") })
		said := a.after("path", 0)
		if !strings.Contains(said, "back on") {
			t.Errorf("said %s", said)
		}
		a.wantCutOff(said, o, r, "smoke", &before)
		a.serves(first, 2)
		a.wantHistory(map[string]string{"v1": "superseded", "v2": "failed", "v3": "good"})
		a.wantFree()
	})
	t.Run("while it waits for another deploy", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, c)
		a.deploy().want(0)
		a.is(second, settings{env: "BEHAVE: sick"})
		other := a.start("--wait", "20m") // holds the lock until it is told to end
		a.until(other, "the rollout", func() bool { return a.history()["v2"] == "pending" })
		a.inRun()
		a.is(second, settings{})
		r := a.start()
		a.killed(r, "the lock", func() bool {
			log, err := os.ReadFile(r.log)
			return err == nil && strings.Contains(string(log), "waiting for another deploy")
		})
		if said := a.after("deploy", 0); strings.Contains(said, "back on") {
			t.Errorf("said %s", said)
		}
		if got := a.history()["v2"]; got != "pending" {
			t.Errorf("the deploy that was waited for is %s", got)
		}
		if err := other.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		other.wait(t).want(3, "back on")
		a.serves(first, 2)
		a.wantHistory(map[string]string{"v1": "superseded", "v2": "failed", "v3": "live"})
	})
}
