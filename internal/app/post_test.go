//go:build linux

package app_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/record"
)

// inRun makes what is started from now on a step of a workflow's run.
func (m *machine) inRun() {
	m.t.Helper()
	m.write(".", map[string]string{"event.json": `{"repository": {"full_name": "acme/plain", "default_branch": "main"}}`})
	for name, value := range map[string]string{"GITHUB_EVENT_PATH": m.path("event.json"), "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/plain", "GITHUB_RUN_ID": "77",
		"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main", "GITHUB_OUTPUT": m.path("output"), "GITHUB_STATE": m.path("state"),
		"GITHUB_STEP_SUMMARY": m.path("step-summary")} {
		m.setenv(name, value)
	}
}

// after runs what follows the job of the step before, as a runner does: the state of the step is in its environment.
func (m *machine) after(action string, code int) string {
	m.t.Helper()
	environment := slices.Clone(m.env)
	defer func() { m.env = environment }()
	data, err := os.ReadFile(m.path("state"))
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	for i := 0; i+2 < len(lines); i += 3 { // every value is one line
		name, delimiter, ok := strings.Cut(lines[i], "<<")
		if !ok || lines[i+2] != delimiter {
			m.t.Fatalf("the state is not in its form: %q", lines[i:i+3])
		}
		m.setenv("STATE_"+name, lines[i+1])
	}
	check(m.t, os.RemoveAll(m.path("step-summary")))
	return m.start("post", action).end(patience, code)
}

// wantCutOff wants people and the record to be told that the step was cut off during a stage.
func (m *machine) wantCutOff(said, during string) {
	m.t.Helper()
	summary, err := os.ReadFile(m.path("step-summary"))
	check(m.t, err)
	sentence := "was cut off" + during
	if !strings.Contains(said, "::error title=idp path::") || !strings.Contains(said, sentence) || !strings.Contains(string(summary), sentence) {
		m.t.Errorf("not said: %s\n%s\nsummary: %s", sentence, said, summary)
	}
}

func TestPostHasNothingToDoWhereNothingBegan(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if said := m.after("path", 0); said != "" {
		t.Errorf("outside of a run: %s", said)
	}
	m.inRun()
	if said := m.after("deploy", 0); said != "" {
		t.Errorf("in a run: %s", said)
	}
	m.start("post", "sast").end(patience, 2)
	m.start("post").end(patience, 2)
}

func TestPostLeavesWhatIsToBeKept(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.inRun()
	m.deliver("--keep").end(patience, 0)
	if said := m.after("path", 0); said != "" {
		t.Errorf("a delivery that ended well: %s", said)
	}
	m.wantProcesses(1)
	check(t, os.Remove(m.path("state")))
	m.deliver("--environment", "moon").end(patience, 2)
	if said := m.after("path", 0); said != "" {
		t.Errorf("a delivery that was refused: %s", said)
	}
	m.start("stop", "--out", "out").end(patience, 0)
}

// The action deploy leaves the service running for the steps after it, and its post ends it with the job.
func TestPostStopsWhatADeployStarted(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	s := newRegistryServer(t)
	key, password := cosignKey(m)
	m.setenv("COSIGN_PASSWORD", password)
	m.inRun()
	m.deliver("--registry", s.repo, "--key", key).end(patience, 0)
	m.wantProcesses(0)
	check(t, os.Remove(m.path("state"))) // that of the step before
	m.start("deploy", "--service", "svc", "--target", "local", "--out", "out", "--key", key).end(patience, 0)
	m.wantProcesses(1)
	if said := m.after("deploy", 0); !strings.Contains(said, "stopped ") || strings.Contains(said, "cut off") {
		t.Errorf("said %s", said)
	}
	m.wantProcesses(0)
}

func TestPostAfterAKill(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		set    func(*machine) ([]string, func(*run))
		live   bool // a good release runs before
		during string
		stages []string // the last of the record
	}{
		"before the record": {hangingTool("git", "status"), false, " before it had changed anything", nil},
		"in the scans":      {hangingTool("git", "rev-list"), false, " during ", nil},
		"waiting":           {hangingHealth, false, " during deploy", []string{"verify passed", "deploy error"}},
		"waiting, live":     {hangingHealth, true, " during deploy", []string{"verify passed", "deploy error"}},
		"smoke":             {hangingSmoke, false, " during smoke; nothing is live", []string{"deploy passed", "smoke error"}},
		"smoke, live":       {hangingSmoke, true, " during smoke; back on ", []string{"deploy passed", "smoke error"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			running := 0
			if tc.live {
				m.deliver("--keep").end(patience, 0)
				running = 1
			}
			good := m.git("rev-parse", "HEAD")
			args, inside := tc.set(m)
			m.inRun()
			r := m.deliver(args...)
			inside(r)
			check(t, r.cmd.Process.Kill())
			r.end(promptly, -1)

			said := m.after("path", 0)
			m.wantCutOff(said, tc.during)
			m.wantProcessesOf(running)
			if tc.live {
				m.wantLive(good)
			}
			if tc.during != " before it had changed anything" {
				rec := m.record()
				if got := outcomes(rec); rec.Outcome != record.Error || !slices.Equal(got[len(got)-len(tc.stages):], tc.stages) {
					t.Errorf("stages %v, outcome %s", got, rec.Outcome)
				}
			}
			m.start("stop", "--out", "out").end(patience, 0)
		})
	}
}

// wantProcessesOf wants as many releases to run. Tools of the killed process may hang on: they are the runner's to end.
func (m *machine) wantProcessesOf(releases int) {
	m.t.Helper()
	supervisors := 0
	for _, p := range m.processes() {
		if strings.Contains(p, " supervise ") {
			supervisors++
		}
	}
	if supervisors != releases {
		m.t.Errorf("%d releases run, want %d", supervisors, releases)
	}
}

// A runner may kill the node part of an action and leave the program: it must not go on delivering alone.
func TestProgramEndsWithItsNodePart(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	shim, err := os.ReadFile(filepath.Join("..", "shim", "idp.js"))
	check(t, err)
	m.write("dist", map[string]string{"idp.js": string(shim), "path.js": "require('./idp.js').main('path');\n"})
	check(t, os.Symlink(program, m.path("dist", "idp-linux-"+runtime.GOARCH)))
	_, inside := hangingSmoke(m)
	m.inRun()
	for name, value := range map[string]string{"SERVICE": "svc", "TARGET": "local", "OUT": "out"} {
		m.setenv("INPUT_"+name, value)
	}
	r := &run{m: m, cmd: exec.Command("node", m.path("dist", "path.js")), ended: make(chan struct{})}
	r.cmd.Dir, r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = m.dir, m.env, r, r
	check(t, r.cmd.Start())
	go func() { defer close(r.ended); _ = r.cmd.Wait() }() // ends only when the program has closed its output, too
	inside(r)
	check(t, r.cmd.Process.Kill())
	text := r.end(promptly, -1)
	if !strings.Contains(text, "interrupted (the runner ended the step)") {
		t.Errorf("said\n%s", text)
	}
	m.wantProcesses(0)
	if rec := m.record(); rec.Outcome != record.Error {
		t.Errorf("outcome %s of %v", rec.Outcome, outcomes(rec))
	}
}
