//go:build e2e

// Package e2e runs idp among real parts, where the other tests use fakes that behave.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// runLimit is far above the few seconds that a run takes; it ends one that hangs.
const runLimit = 15 * time.Minute

// call is one run of a workflow by act, the local runner, in host mode: steps are processes of this machine.
type call struct {
	event    string         // push where empty
	payload  map[string]any // of the event, besides what is the same in all
	vars     map[string]string
	secrets  map[string]string
	env      map[string]string // of the run, as the runner would set it
	path     string            // in front of PATH
	actions  map[string]string // folders in place of actions, by OWNER/NAME@REF, besides org/idp@v1
	onLog    func(l line, dir string, act *os.Process)
	workflow string // file in .github/workflows of the repository
}

// line is one line of the log of act.
type line struct {
	Job       string // WORKFLOW/JOB, for a called one CALLER/JOB/…
	JobID     string
	Step      string
	Stage     string // Pre, Main or Post
	StepID    []string
	Msg       string
	Raw       bool `json:"raw_output"`
	Command   string
	Name, Arg string // of set-output
	Content   string // of summary
	KvPairs   map[string]string
	StepResult,
	JobResult string
}

// ran is what a run came to.
type ran struct {
	t     *testing.T
	ok    bool // act found that every job succeeded
	lines []line
	dir   string // below which everything of the run was
}

// needEnv gives a folder or file that a target of the Makefile has made.
func needEnv(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run these tests with `make e2e-runner` and `make e2e-cluster`", name)
	}
	return value
}

// run runs a workflow of the repository and gives what it came to. Nothing of it may still run afterwards.
func (r *repository) run(c call) *ran {
	t := r.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, needEnv(t, "IDP_E2E_ACT"), c.args(t, dir)...)
	cmd.Dir, cmd.Env = r.dir, c.environ(t, dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	result := &ran{t: t, dir: dir}
	result.read(stdout, func(l line) {
		if c.onLog != nil {
			c.onLog(l, dir, cmd.Process)
		}
	})
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("act: %v\n%s", err, stderr.String())
	}
	result.ok = err == nil
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the runner's log:\n%s%s", result.text(nil), stderr.String())
		}
	})
	result.nothingLeft()
	return result
}

func (c call) args(t *testing.T, dir string) []string {
	event := c.event
	if event == "" {
		event = "push"
	}
	tree := needEnv(t, "IDP_E2E_TREE")
	args := []string{event, "--json", "--workflows", filepath.Join(".github", "workflows", c.workflow), "--platform", "ubuntu-latest=-self-hosted",
		"--action-offline-mode", "--pull=false", "--no-cache-server", "--actor", "ada", "--action-cache-path", filepath.Join(dir, "act"),
		"--local-repository", "org/idp@v1=" + tree}
	for action, folder := range c.actions {
		args = append(args, "--local-repository", action+"="+folder)
	}
	for name, value := range c.vars {
		args = append(args, "--var", name+"="+value)
	}
	for name, value := range c.env {
		args = append(args, "--env", name+"="+value)
	}
	for name := range c.secrets {
		args = append(args, "--secret", name) // its value is in the environment, because it may have several lines
	}
	payload := map[string]any{"repository": map[string]any{"full_name": "acme/hello", "default_branch": "main"}}
	if event == "push" {
		payload["ref"] = "refs/heads/main"
	}
	maps.Copy(payload, c.payload)
	data, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "event.json")
	write(t, file, string(data))
	args = append(args, "--eventpath", file)
	return args
}

// environ is that of a machine without internet, on which nobody has configured anything.
func (c call) environ(t *testing.T, dir string) []string {
	nowhere := "http://127.0.0.1:9" // the port of the discard service, which nothing listens on
	env := []string{"PATH=" + c.path + string(filepath.ListSeparator) + os.Getenv("PATH"), "HOME=" + filepath.Join(dir, "home"),
		"TMPDIR=" + filepath.Join(dir, "tmp"), "GOPROXY=off", "GOFLAGS=-mod=readonly", "GOTOOLCHAIN=local", "GIT_CONFIG_SYSTEM=" + os.DevNull,
		"HTTP_PROXY=" + nowhere, "HTTPS_PROXY=" + nowhere, "NO_PROXY=127.0.0.1,localhost"}
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	for _, sub := range []string{"home", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range c.secrets {
		env = append(env, name+"="+value)
	}
	return env
}

func (r *ran) read(stdout io.Reader, each func(line)) {
	lines := bufio.NewReader(stdout)
	for {
		text, err := lines.ReadBytes('\n')
		var l line
		if json.Unmarshal(text, &l) == nil {
			r.lines = append(r.lines, l)
			each(l)
		}
		if err != nil {
			return
		}
	}
}

// text is the log of the lines that a filter takes; of all where it is nil.
func (r *ran) text(filter func(line) bool) string {
	var b strings.Builder
	for _, l := range r.lines {
		if filter == nil || filter(l) {
			b.WriteString(strings.TrimRight(l.Job+" | "+l.Msg, "\n") + "\n")
		}
	}
	return b.String()
}

// results are the results of a job: one, or one for each of its matrix.
func (r *ran) results(job string) []string {
	var list []string
	for _, l := range r.lines {
		if l.JobID == job && l.JobResult != "" {
			list = append(list, l.JobResult)
		}
	}
	slices.Sort(list)
	return list
}

// jobs fails the test unless the jobs came to exactly these results; a job that was skipped has none.
func (r *ran) jobs(ok bool, want map[string][]string) {
	r.t.Helper()
	if r.ok != ok {
		r.t.Errorf("the run succeeded: %t, want %t", r.ok, ok)
	}
	for _, l := range r.lines {
		if _, known := want[l.JobID]; !known && l.JobResult != "" {
			r.t.Errorf("there is a job %s", l.JobID)
		}
	}
	for job, results := range want {
		if got := r.results(job); !slices.Equal(got, results) {
			r.t.Errorf("job %s: %q, want %q", job, got, results)
		}
	}
}

// output is an output of a step, which is named by its id or by what it uses.
func (r *ran) output(step, name string) string {
	value := ""
	for _, l := range r.lines {
		if l.Command == "set-output" && l.Name == name && l.of(step) {
			value = l.Arg
		}
	}
	return value
}

// all are the values of an output of every step that has it, in order of the alphabet.
func (r *ran) all(name string) []string {
	var values []string
	for _, l := range r.lines {
		if l.Command == "set-output" && l.Name == name {
			values = append(values, l.Arg)
		}
	}
	slices.Sort(values)
	return values
}

func (l line) of(step string) bool { return l.Step == step || slices.Contains(l.StepID, step) }

// summaries are the job summaries, in their order.
func (r *ran) summaries() []string {
	var list []string
	for _, l := range r.lines {
		if l.Command == "summary" {
			list = append(list, l.Content)
		}
	}
	return list
}

// annotations are the error annotations.
func (r *ran) annotations() string {
	return r.text(func(l line) bool { return l.Command == "error" })
}

// notes are the annotations of a level, one a line, with where they are.
func (r *ran) notes(level string) string {
	var b strings.Builder
	for _, l := range r.lines {
		if l.Command == level {
			fmt.Fprintf(&b, "title=%s file=%s line=%s %s\n", l.KvPairs["title"], l.KvPairs["file"], l.KvPairs["line"], strings.TrimSpace(l.Arg+l.Msg))
		}
	}
	return b.String()
}

// outputs fails the test unless each output of a step contains its text; an empty text wants an empty output.
func (r *ran) outputs(step string, want map[string]string) {
	r.t.Helper()
	for name, part := range want {
		if got := r.output(step, name); !strings.Contains(got, part) || part == "" && got != "" {
			r.t.Errorf("output %s of %s is %q, want %q", name, step, got, part)
		}
	}
}

// onlySummary is the job summary of a run that has one.
func (r *ran) onlySummary() string {
	r.t.Helper()
	list := r.summaries()
	if len(list) != 1 {
		r.t.Fatalf("%d job summaries, want 1", len(list))
	}
	return list[0]
}

// post fails the test unless the post: of a step ran and succeeded.
func (r *ran) post(step string) {
	r.t.Helper()
	for _, l := range r.lines {
		if l.Stage == "Post" && l.Step == step && l.StepResult == "success" {
			return
		}
	}
	r.t.Errorf("post: of %s did not succeed", step)
}

// ranStep tells whether the main part of a step began.
func (r *ran) ranStep(step string) bool {
	for _, l := range r.lines {
		if l.Stage == "Main" && l.Step == step && strings.Contains(l.Msg, "Run Main") {
			return true
		}
	}
	return false
}

// contains fails the test unless the text has all of the parts.
func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: no %q in:\n%s", what, part, text)
		}
	}
}

// nothingLeft fails the test if a process of the run stays, and ends it.
func (r *ran) nothingLeft() {
	r.t.Helper()
	if eventually(func() bool { return len(processesBelow(r.t, r.dir)) == 0 }) {
		return
	}
	for pid, command := range processesBelow(r.t, r.dir) {
		r.t.Errorf("process %d is left: %s", pid, command)
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
}

// eventually waits for something that is about to be so; a minute is far more than it takes. It counts looks and not time, of
// which a machine with slow moments may lose some.
func eventually(so func() bool) bool {
	for range 1200 {
		if so() {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return so()
}
