//go:build unix

package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/runneroracle"
)

// Each of these makes the runner do something where a line begins with it or, in the second form, contains it.
var commandsOfAttackers = []string{
	"::error title=pwned::pwned", "\u00a0 \u3000::set-env name=PWNED::pwned", "##[error title=pwned]pwned", "::add-mask::pwned", "::STOP-COMMANDS::pwned",
	"::set-output name=pwned::pwned", "##[set-env name=PWNED]pwned", "::add-path::/pwned", "::echo::pwned", "::group::pwned", "::add-matcher::pwned",
	"::save-state name=pwned::pwned", "pwned<<EOF", "pwned=pwned",
}

// attack is all of them, each on a line of its own for some reader of lines.
var attack = "x\n" + strings.Join(commandsOfAttackers, "\n") + "\r" + strings.Join(commandsOfAttackers, "\r")

// attackLine is as much of it as a text of one line can be; it begins with a command.
var attackLine = strings.Join(commandsOfAttackers, " ")

// job is a machine that is a GitHub runner, which has begun a step.
type job struct {
	*machine
	files map[string]string // by variable
}

func newJob(t *testing.T, event string, payload map[string]any) *job {
	t.Helper()
	j := &job{machine: newMachine(t), files: map[string]string{}}
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"} {
		j.files[name] = j.path("commands-" + name)
		j.setenv(name, j.files[name])
		check(t, os.WriteFile(j.files[name], nil, 0o600)) // as the runner makes them
	}
	if payload == nil {
		payload = map[string]any{}
	}
	payload["repository"] = map[string]any{"full_name": "acme/plain", "default_branch": "main", "description": attack}
	data, err := json.Marshal(payload)
	check(t, err)
	j.write(".", map[string]string{"event.json": string(data)})
	for name, value := range map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": event, "GITHUB_EVENT_PATH": j.path("event.json"),
		"GITHUB_REPOSITORY": "acme/plain", "GITHUB_RUN_ID": "77", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_ACTOR": "ada", "GITHUB_REF": "refs/heads/main",
		"GITHUB_SHA": j.git("rev-parse", "HEAD"), "GITHUB_SERVER_URL": "https://github.example.test", "RUNNER_TEMP": j.path("tmp")} {
		j.setenv(name, value)
	}
	return j
}

// started is what the runner reads of a step.
type ended struct {
	code    int
	log     *runneroracle.Log
	outputs map[string]string
	text    string // all of standard output
	summary string
}

// step runs idp as a step, and holds all it wrote against the runner's parsers: nothing but what idp means to say is there.
func (j *job) step(args ...string) ended {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = j.dir, j.env, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		j.t.Fatal(err)
	}
	e := ended{code: cmd.ProcessState.ExitCode(), text: stdout.String(), outputs: map[string]string{}, log: (&runneroracle.Log{}).Read(stdout.String())}
	if stderr.Len() > 0 {
		j.t.Errorf("standard error, which nothing keeps in order with the commands, has %q", stderr.String())
	}
	if len(e.log.Errors) > 0 || e.log.Stopped() {
		j.t.Errorf("the runner complains %q, or is left without commands: %v", e.log.Errors, e.log.Stopped())
	}
	for _, c := range e.log.Commands {
		if !ours(c) {
			j.t.Errorf("command of an attacker: %s", c)
		}
	}
	for _, token := range e.log.Stops {
		if token != e.log.Stops[0] || !regexp.MustCompile(`^idp-[A-Z2-7]{26}$`).MatchString(token) {
			j.t.Errorf("commands were stopped with %q", token)
		}
	}
	j.checkFiles(&e)
	return e
}

var (
	titleOfOurs = regexp.MustCompile(`^(idp( [a-z]+)?|[A-Za-z][A-Za-z0-9-]*)$`) // idp, a stage or a rule
	groupOfOurs = regexp.MustCompile(`^[0-9]+ findings?$`)
)

// ours tells whether idp means to give such a command. Its texts may quote anything.
func ours(c runneroracle.Command) bool {
	switch c.Name {
	case "error", "warning", "notice":
		for name := range c.Properties {
			if !slices.Contains([]string{"title", "file", "line"}, name) {
				return false
			}
		}
		title := c.Properties["title"]
		return titleOfOurs.MatchString(title) && title != "pwned"
	case "group":
		return groupOfOurs.MatchString(c.Data)
	case "endgroup":
		return c.Data == ""
	}
	return false
}

func (j *job) checkFiles(e *ended) {
	j.t.Helper()
	read := func(name string) []byte {
		data, err := os.ReadFile(j.files[name])
		check(j.t, err)
		return data
	}
	if env, path := read("GITHUB_ENV"), read("GITHUB_PATH"); len(env)+len(path) > 0 {
		j.t.Errorf("environment %q, path %q", env, path)
	}
	outputs, err := runneroracle.Pairs(read("GITHUB_OUTPUT"))
	check(j.t, err)
	for _, p := range outputs {
		if !slices.Contains([]string{"outcome", "record", "digest", "image", "url", "cost"}, p.Name) {
			j.t.Errorf("output %q", p)
		}
		e.outputs[p.Name] = p.Value
	}
	state, err := runneroracle.Pairs(read("GITHUB_STATE"))
	check(j.t, err)
	for _, p := range state {
		if !regexp.MustCompile(`^[a-z]+$`).MatchString(p.Name) || p.Name == "pwned" {
			j.t.Errorf("state %q", p)
		}
	}
	e.summary = string(read("GITHUB_STEP_SUMMARY"))
	if len(e.summary) > 1<<20 {
		j.t.Errorf("the summary has %d bytes", len(e.summary))
	}
}

// annotated tells whether an error of idp's says something.
func (e ended) annotated(words string) bool {
	return slices.ContainsFunc(e.log.Commands, func(c runneroracle.Command) bool {
		return c.Name == "error" && strings.HasPrefix(c.Properties["title"], "idp") && strings.Contains(c.Data, words)
	})
}

func (j *job) want(e ended, code int, words ...string) {
	j.t.Helper()
	if e.code != code {
		j.t.Errorf("exit code %d, want %d:\n%s", e.code, code, e.text)
	}
	for _, w := range words {
		if !strings.Contains(e.text, w) {
			j.t.Errorf("%q is not in\n%s", w, e.text)
		}
	}
}

// pathOf calls the path to the local target.
func pathOf(args ...string) []string {
	return append([]string{"path", "--service", "svc", "--target", "local", "--out", "out"}, args...)
}

func pullRequest() map[string]any {
	return map[string]any{"action": "opened", "number": 7, "pull_request": map[string]any{
		"title": attack, "body": attack, "user": map[string]any{"login": attack},
		"head": map[string]any{"ref": attack, "sha": attack, "label": attack, "repo": map[string]any{"full_name": attack}},
		"base": map[string]any{"ref": "main", "sha": attack}}}
}

// TestHostileRepository has commands wherever git takes them: in names of files, branches, tags and people, and in messages.
// The scans find something in such files.
func TestHostileRepository(t *testing.T) {
	t.Parallel()
	j := newJob(t, "pull_request", pullRequest())
	j.git("update-ref", "refs/remotes/origin/main", "HEAD")
	branch := `pwned<<EOF=a%0A;$(x)"` + "\u00a0"
	j.git("checkout", "-q", "-b", branch)
	secret := "token = \"ghp_" + strings.Repeat("aB3dE6gH9", 4) + "\"\n"
	weak := "package main\n\nimport \"crypto/md5\"\n\nfunc weak%s(b []byte) [16]byte { return md5.Sum(b) }\n"
	files := map[string]string{ // go build takes no name that begins with a colon
		"\u00a0::error title=pwned::a.go": fmt.Sprintf(weak, "A"), "a ##[error title=pwned]b.go": fmt.Sprintf(weak, "B")}
	for i, c := range commandsOfAttackers {
		name := strings.ReplaceAll(c, "/", "_")
		files[name], files["x\n"+name], files["x\r"+name] = secret, secret, secret
		j.git("tag", "-a", "-m", attack, "pwned"+strings.Repeat("<<", i))
	}
	j.write("svc", files)
	j.git("add", "-A")
	j.setenv("GIT_AUTHOR_NAME", attackLine)
	j.setenv("GIT_AUTHOR_EMAIL", "::error title=pwned::pwned")
	j.git("commit", "-q", "-m", attack)
	j.setenv("GITHUB_REF", "refs/heads/"+branch)
	j.setenv("GITHUB_HEAD_REF", branch)
	j.setenv("GITHUB_SHA", j.git("rev-parse", "HEAD"))
	j.setenv("GITHUB_ACTOR", attack)

	e := j.step(pathOf()...)
	j.want(e, 1, "github-pat", "code from a fork gets no rights", "32 more")
	if e.outputs["outcome"] != "failed" || !e.annotated("new secret") {
		t.Errorf("outputs %q, commands %v", e.outputs, e.log.Commands)
	}
	for _, rule := range []string{"github-pat", "G401"} {
		if !slices.ContainsFunc(e.log.Commands, func(c runneroracle.Command) bool {
			return c.Properties["title"] == rule && strings.Contains(c.Properties["file"], "title=pwned")
		}) {
			t.Errorf("no finding of %s was in a file with a hostile name: %v", rule, e.log.Commands)
		}
	}
	if !slices.ContainsFunc(e.log.Commands, func(c runneroracle.Command) bool { return c.Name == "group" }) {
		t.Error("what was not annotated is not listed")
	}
	if r := j.recordAt(j.path("tmp", "idp", "record.json")); r.Source.Ref != "refs/heads/"+branch || r.Run.Actor != attack {
		t.Errorf("source %+v, run %+v", r.Source, r.Run)
	}
	if text := strings.Join(e.log.Text, "\n"); strings.Contains(text, "##[") {
		t.Errorf("the log has a mark of the runner's:\n%s", text)
	}
}

// TestHostileCompilerOutput has a file whose name makes the compiler print a command at the beginning of a line.
func TestHostileCompilerOutput(t *testing.T) {
	t.Parallel()
	j := newJob(t, "push", nil)
	j.commit(map[string]string{"x\n::error title=pwned::a.go": "package main\n\nvar a int = \"::set-env name=PWNED::x\"\n"})
	j.setenv("GITHUB_SHA", j.git("rev-parse", "HEAD"))
	e := j.step(pathOf()...)
	if e.code == 0 || e.outputs["outcome"] == "passed" || !strings.Contains(e.text, "title=pwned") {
		t.Errorf("exit code %d\n%s", e.code, e.text)
	}
}

// TestHostileService prints commands and dies.
func TestHostileService(t *testing.T) {
	t.Parallel()
	j := newJob(t, "push", nil)
	text, err := json.Marshal(attack)
	check(t, err)
	j.commit(map[string]string{"main.go": "package main\n\nimport \"os\"\n\nfunc main() {\n\t_, _ = os.Stdout.WriteString(" + string(text) + ")\n\t_, _ = os.Stderr.WriteString(" +
		string(text) + ")\n\tfor _, v := range os.Environ() {\n\t\tprintln(v)\n\t}\n\tos.Exit(3)\n}\n"})
	j.setenv("GITHUB_SHA", j.git("rev-parse", "HEAD"))
	e := j.step(pathOf()...)
	j.want(e, 1, "title=pwned")
	if strings.Contains(e.text, "commands-GITHUB_ENV") {
		t.Error("the service knows the runner's files")
	}
	if e.outputs["outcome"] != "failed" {
		t.Errorf("outputs %q", e.outputs)
	}
}

// TestHostileFilesOfTheService has commands in idp.yaml, as keys, as values of the wrong kind, and as ones that are right.
func TestHostileFilesOfTheService(t *testing.T) {
	t.Parallel()
	quoted := func(s string) string {
		data, err := json.Marshal(s)
		check(t, err)
		return string(data)
	}
	for name, test := range map[string]struct {
		yaml string
		code int
	}{
		"keys":       {"name: plain\nowner: team-plain\n" + quoted(attack) + ": 1\n" + quoted(attackLine) + ": 2\n", 2},
		"values":     {"name: " + quoted(attack) + "\nowner: " + quoted(attack) + "\nsize: " + quoted(attack) + "\nhealth: " + quoted(attack) + "\nsmoke: [{get: " + quoted(attack) + "}]\n", 2},
		"not YAML":   {attack, 2},
		"right ones": {"name: plain\nowner: team-plain\ndescription: " + quoted(attackLine) + "\nenv: {PWNED: " + quoted(attackLine) + "}\nsmoke:\n  - get: /\n    expect: {body: {contains: " + quoted(attackLine) + "}}\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, "push", nil)
			j.commit(map[string]string{"idp.yaml": test.yaml})
			j.setenv("GITHUB_SHA", j.git("rev-parse", "HEAD"))
			e := j.step(pathOf()...)
			j.want(e, test.code)
			if e.outputs["outcome"] == "passed" || e.outputs["outcome"] == "" {
				t.Errorf("outputs %q", e.outputs)
			}
		})
	}
}

// TestHostileRun has commands in what the runner hands over, and passes.
func TestHostileRun(t *testing.T) {
	t.Parallel()
	j := newJob(t, "workflow_dispatch", map[string]any{"inputs": map[string]any{attack: attack}, "ref": attack})
	j.git("remote", "add", "origin", "https://::error:x@example.test/::error title=pwned::/pwned.git")
	for _, name := range []string{"GITHUB_ACTOR", "GITHUB_WORKFLOW", "GITHUB_JOB", "GITHUB_HEAD_REF", "USER", "INPUT_UNKNOWN"} {
		j.setenv(name, attack)
	}
	e := j.step(pathOf()...)
	j.want(e, 0, "passed in")
	for name, want := range map[string]string{"outcome": `^passed$`, "digest": `^sha256:[0-9a-f]{64}$`, "url": `^http://127\.0\.0\.1:\d+/?$`,
		"image": `^127\.0\.0\.1:\d+/plain@sha256:[0-9a-f]{64}$`, "cost": `^[0-9.]+ USD$`, "record": "^" + regexp.QuoteMeta(j.path("tmp", "idp", "record.json")) + "$"} {
		if !regexp.MustCompile(want).MatchString(e.outputs[name]) {
			t.Errorf("output %s is %q", name, e.outputs[name])
		}
	}
	if len(e.log.Commands) > 0 {
		t.Errorf("a delivery that passed has commands: %v", e.log.Commands)
	}
}

// TestBadInputsOfAStep has inputs as the runner hands them over. The annotation names the input.
func TestBadInputsOfAStep(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args  []string
		input map[string]string
		code  int
		words []string
	}{
		"not one of several": {[]string{"path"}, map[string]string{"TARGET": "moon"}, 2, []string{"input target", `"moon"`}},
		"not a switch":       {[]string{"path"}, map[string]string{"PLAN": "yes"}, 2, []string{"input plan", `"yes"`}},
		"not a number":       {[]string{"smoke"}, map[string]string{"ROUNDS": "many"}, 2, []string{"input rounds", `"many"`}},
		"two at once":        {[]string{"path"}, map[string]string{"TARGET": "moon", "PLAN": "1"}, 2, []string{"2 inputs are wrong", "input target", "input plan"}},
		"missing":            {[]string{"path"}, map[string]string{"TARGET": "kubernetes", "SERVICE": "svc", "ENVIRONMENT": "staging", "POLICY": "policy.yaml"}, 2, []string{"input registry", "input key", "input catalog"}},
		"no such service":    {[]string{"sast"}, map[string]string{"SERVICE": attack}, 2, []string{"there is no service folder"}},
		"no such policy":     {[]string{"path"}, map[string]string{"SERVICE": "svc", "TARGET": "local", "POLICY": attackLine}, 2, []string{"pwned"}},
		"no such place":      {[]string{"path"}, map[string]string{"SERVICE": "svc", "TARGET": "local", "ENVIRONMENT": attack}, 2, []string{"pwned"}},
		"hostile choice":     {[]string{"secrets"}, map[string]string{"FAIL-ON": attack}, 2, []string{"input fail-on"}},
		"hostile flag":       {[]string{"path", "--" + attackLine}, nil, 2, []string{"unknown flag"}},
		"hostile argument":   {[]string{"path", attack}, nil, 2, []string{"is not an input"}},
		"hostile command":    {[]string{attack}, nil, 2, []string{"there is no command"}},
		"hostile folder":     {[]string{"validate"}, map[string]string{"SERVICE": attack}, 2, []string{"pwned"}},
		"stop":               {[]string{"stop", "--out", attack}, nil, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, "push", nil)
			policy, err := os.ReadFile(filepath.Join("..", "policy", "default.yaml"))
			check(t, err)
			j.write(".", map[string]string{"policy.yaml": string(policy)})
			for name, value := range test.input {
				j.setenv("INPUT_"+name, value)
			}
			e := j.step(test.args...)
			j.want(e, test.code)
			for _, w := range test.words {
				if !e.annotated(w) {
					t.Errorf("no annotation has %q: %v", w, e.log.Commands)
				}
			}
			if test.code == 0 && len(e.log.Commands) > 0 {
				t.Errorf("commands %v", e.log.Commands)
			}
		})
	}
}

// TestHostilePayloads are refused, or lead to no more than a plan.
func TestHostilePayloads(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		event, payload string
		code           int
		words          string
	}{
		"event":         {attack, "{}", 2, "what the path is to do for the event"},
		"target":        {"pull_request_target", "{}", 2, "Use instead: on: pull_request"},
		"not JSON":      {"push", attack, 3, "what started this run cannot be read"},
		"number":        {"pull_request", `{"number": "7\n::error title=pwned::pwned"}`, 3, "what started this run cannot be read"},
		"base":          {"pull_request", `{"number": 7, "pull_request": {"head": {"sha": "x"}, "base": {"ref": "\n::error title=pwned::pwned"}}}`, 3, "actions/checkout with fetch-depth: 0"},
		"default":       {"push", `{"repository": {"default_branch": "--upload-pack=x\n::error title=pwned::pwned"}}`, 0, "this is not the default branch"},
		"not delivered": {"push", `{"ref": "refs/heads/x"}`, 0, "this is not the default branch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, test.event, nil)
			j.write(".", map[string]string{"event.json": test.payload})
			e := j.step(pathOf()...)
			j.want(e, test.code, test.words)
			if test.code > 0 && !e.annotated("") {
				t.Errorf("no annotation: %v", e.log.Commands)
			}
		})
	}
}

// TestDataIsNotWrapped holds what other programs read as it is, also in a run.
func TestDataIsNotWrapped(t *testing.T) {
	t.Parallel()
	j := newJob(t, "push", nil)
	for _, what := range []string{"service", "policy", "record"} {
		if e := j.step("schema", what); e.code != 0 || !json.Valid([]byte(e.text)) {
			t.Errorf("idp schema %s gives %d, %.200s", what, e.code, e.text)
		}
	}
	if e := j.step("version"); !strings.HasPrefix(e.text, "idp ") || len(e.log.Stops) > 0 {
		t.Errorf("idp version gives %q", e.text)
	}
}
