package runner

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/testkit/runneroracle"
)

// step is a step of a run as the runner starts one.
type step struct {
	*Runner
	t   testing.TB
	dir string
	env map[string]string
	out *bytes.Buffer
}

func newStep(t testing.TB) *step {
	dir := t.TempDir()
	s := &step{t: t, dir: dir, out: &bytes.Buffer{}, env: map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/checkout", "GITHUB_RUN_ID": "77", "GITHUB_RUN_ATTEMPT": "2",
		"GITHUB_ACTOR": "ada", "GITHUB_EVENT_NAME": "push", "GITHUB_SERVER_URL": "https://ghe.acme.test", "RUNNER_TEMP": dir,
		"GITHUB_REPOSITORY_ID": "42", "GITHUB_REPOSITORY_OWNER_ID": "9", "RUNNER_ENVIRONMENT": "github-hosted",
		"GITHUB_WORKFLOW_REF": "acme/checkout/.github/workflows/deliver.yml@refs/heads/main", "GITHUB_WORKFLOW_SHA": "4f1c2ab4",
	}}
	for _, file := range []string{"OUTPUT", "STATE", "STEP_SUMMARY"} {
		s.env["GITHUB_"+file] = filepath.Join(dir, file)
	}
	s.Runner = New(func(k string) string { return s.env[k] }, s.out)
	return s
}

// pairs is what the runner reads from a command file.
func (s *step) pairs(file string) []runneroracle.Pair {
	s.t.Helper()
	data, err := os.ReadFile(s.env[file])
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := runneroracle.Pairs(data)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// log is what the runner reads from the step's output.
func (s *step) log() *runneroracle.Log {
	s.t.Helper()
	log := (&runneroracle.Log{}).Read(s.out.String())
	if len(log.Errors) > 0 {
		s.t.Errorf("the runner complains: %q", log.Errors)
	}
	return log
}

func TestRunDescribesTheRun(t *testing.T) {
	s := newStep(t)
	run, err := s.Run()
	if err != nil {
		t.Fatal(err)
	}
	want := record.Run{ID: "77", Attempt: 2, URL: "https://ghe.acme.test/acme/checkout/actions/runs/77/attempts/2", Actor: "ada", Event: "push",
		RepositoryID: "42", OwnerID: "9", Workflow: "acme/checkout/.github/workflows/deliver.yml@refs/heads/main", WorkflowSHA: "4f1c2ab4", Runner: "github-hosted"}
	if run != want {
		t.Errorf("got %+v, want %+v", run, want)
	}
	for name, value := range map[string]string{"GITHUB_RUN_ID": "77/../../x", "GITHUB_RUN_ATTEMPT": "0"} {
		s := newStep(t)
		s.env[name] = value
		if run, err := s.Run(); err == nil {
			t.Errorf("%s=%s is %+v", name, value, run)
		}
	}
}

func TestOutsideARunNothingIsWritten(t *testing.T) {
	s := newStep(t)
	s.env["GITHUB_ACTIONS"], s.env["USER"], s.env["STATE_a"] = "", "ada", "b"
	s.Mask("secret")
	s.Annotate([]Annotation{{Message: "x"}})
	s.Group("x", []string{"y"})
	run, err := s.Run()
	event, eventErr := s.Event()
	if err != nil || eventErr != nil || s.Output("a", "b") != nil || s.SaveState("a", "b") != nil || s.Summary("x", "y") != nil {
		t.Error("an error outside a run")
	}
	s.Close()
	if entries, err := os.ReadDir(s.dir); err != nil || len(entries) > 0 || s.out.Len() > 0 {
		t.Errorf("wrote %q and %v, %v", s.out, entries, err)
	}
	if run.Actor != "ada" || run.ID != "" || s.Repository() != "" || s.TempDir() != "" || event.Name != "" || s.State("a") != "" {
		t.Errorf("run %+v, event %+v", run, event)
	}
	if _, _ = fmt.Fprint(s.Log(), "::group::as it is\n"); s.out.String() != "::group::as it is\n" {
		t.Errorf("log is %q", s.out)
	}
}
