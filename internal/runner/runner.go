// Package runner speaks the GitHub runner's protocol: what started the run, the step's log, outputs, state, job summary,
// annotations, masks and identity tokens. go-githubactions serves what it does safely; command files are written here,
// because the library's constant delimiter lets a crafted value set a variable for the next step (the flaw of
// CVE-2022-35954). The tests hold every write against a parser as strict as the runner's own.
package runner

import (
	"fmt"
	"io"
	"strconv"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/idp/internal/record"
)

// Runner is the runner that this process is a step of, or none.
type Runner struct {
	getenv func(string) string
	log    *console
	gha    *githubactions.Action // writes commands
}

// New looks at the environment; w is the step's log.
func New(getenv func(string) string, w io.Writer) *Runner {
	log := newConsole(w)
	return &Runner{getenv: getenv, log: log, gha: githubactions.New(githubactions.WithGetenv(getenv), githubactions.WithWriter(commands{log}))}
}

// Active tells whether this process is a step of a run.
func (r *Runner) Active() bool { return r.getenv("GITHUB_ACTIONS") == "true" }

// of gives a variable of the run; empty outside a run.
func (r *Runner) of(name string) string {
	if !r.Active() {
		return ""
	}
	return r.getenv(name)
}

// Repository is OWNER/NAME of the repository that the run belongs to; empty outside a run.
func (r *Runner) Repository() string { return r.of("GITHUB_REPOSITORY") }

// Project is the repository that a run belongs to.
type Project struct {
	Server       string // such as https://github.com
	Repository   string // OWNER/NAME
	RepositoryID string // which another repository never gets
}

// Project is empty outside a run.
func (r *Runner) Project() Project {
	return Project{Server: r.of("GITHUB_SERVER_URL"), Repository: r.Repository(), RepositoryID: r.of("GITHUB_REPOSITORY_ID")}
}

// TempDir is the runner's temporary folder, which the steps of a job share; empty outside a run.
func (r *Runner) TempDir() string { return r.of("RUNNER_TEMP") }

// Run describes the run for the record. Outside a run only the actor is known.
func (r *Runner) Run() (record.Run, error) {
	if !r.Active() {
		return record.Run{Actor: firstOf(r.getenv("USER"), r.getenv("USERNAME"))}, nil
	}
	run := record.Run{ID: r.getenv("GITHUB_RUN_ID"), Attempt: 1, Actor: r.getenv("GITHUB_ACTOR"), Event: r.getenv("GITHUB_EVENT_NAME"),
		RepositoryID: r.getenv("GITHUB_REPOSITORY_ID"), OwnerID: r.getenv("GITHUB_REPOSITORY_OWNER_ID"), Runner: r.getenv("RUNNER_ENVIRONMENT"),
		Workflow: r.getenv("GITHUB_WORKFLOW_REF"), WorkflowSHA: r.getenv("GITHUB_WORKFLOW_SHA")}
	if _, err := strconv.ParseUint(run.ID, 10, 64); err != nil {
		return record.Run{}, fmt.Errorf("the runner gives this run no number: GITHUB_RUN_ID is %q", run.ID)
	}
	if text := r.getenv("GITHUB_RUN_ATTEMPT"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return record.Run{}, fmt.Errorf("the runner does not count this attempt: GITHUB_RUN_ATTEMPT is %q", text)
		}
		run.Attempt = n
	}
	run.URL = fmt.Sprintf("%s/%s/actions/runs/%s/attempts/%d", firstOf(r.getenv("GITHUB_SERVER_URL"), "https://github.com"),
		r.Repository(), run.ID, run.Attempt)
	return run, nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
