package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/testkit/runneroracle"
)

// eventOf reads a payload as a run that it started would.
func eventOf(t *testing.T, name, ref string, payload []byte) (runner.Event, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(file, payload, 0o600); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name, "GITHUB_REF": ref, "GITHUB_EVENT_PATH": file}
	return runner.New(func(k string) string { return vars[k] }, &bytes.Buffer{}).Event()
}

// TestWhatThePathDoesForEachEvent has, for every payload, what happens without the input, with plan: true, with plan: false.
func TestWhatThePathDoesForEachEvent(t *testing.T) {
	tests := map[string]struct{ event, ref, does string }{
		"pull_request":               {"pull_request", "refs/pull/2/merge", "plan plan plan"},
		"pull_request_fork":          {"pull_request", "refs/pull/2/merge", "plan plan plan"},
		"pull_request_fork_gone":     {"pull_request", "refs/pull/2/merge", "plan plan plan"},
		"merge_group":                {"merge_group", "refs/heads/gh-readonly-queue/main/pr-104", "plan plan plan"},
		"push_default":               {"push", "refs/heads/master", "deliver plan deliver"},
		"push_branch":                {"push", "refs/heads/feature/pay", "plan plan deliver"},
		"push_tag":                   {"push", "refs/tags/simple-tag", "deliver plan deliver"},
		"push_deleted":               {"push", "refs/heads/master", "plan plan plan"},
		"workflow_dispatch":          {"workflow_dispatch", "refs/heads/main", "deliver plan deliver"},
		"release_published":          {"release", "refs/tags/0.0.1", "deliver plan deliver"},
		"release_edited":             {"release", "refs/tags/0.0.1", "plan plan deliver"},
		"schedule":                   {"schedule", "refs/heads/master", "plan plan deliver"},
		"issue_comment":              {"issue_comment", "refs/heads/master", "refuse plan refuse"},
		"issue_comment_pull_request": {"issue_comment", "refs/heads/master", "refuse plan refuse"},
		"workflow_run":               {"workflow_run", "refs/heads/master", "refuse plan refuse"},
	}
	files, err := filepath.Glob(inRepo("testdata/events/*.json"))
	if err != nil || len(files) != len(tests) {
		t.Fatalf("%d payloads for %d tests, %v", len(files), len(tests), err)
	}
	seen := map[string]bool{}
	for name, test := range tests {
		payload, err := os.ReadFile(inRepo("testdata/events/" + name + ".json"))
		if err != nil {
			t.Fatal(err)
		}
		event, err := eventOf(t, test.event, test.ref, payload)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if rule, ok := ruleOf(event); ok {
			seen[rule.event+rule.which] = true
		}
		var does []string
		yes, no := true, false
		for _, input := range []*bool{nil, &yes, &no} {
			does = append(does, decision(t, event, input))
		}
		if got := strings.Join(does, " "); got != test.does {
			t.Errorf("%s: %s, want %s", name, got, test.does)
		}
	}
	for _, rule := range eventRules {
		if !seen[rule.event+rule.which] {
			t.Errorf("no payload is for %s %s", rule.event, rule.which)
		}
		if (rule.why == "") != (rule.does == deliversUnless) {
			t.Errorf("%s %s: a plan needs a reason, a delivery none", rule.event, rule.which)
		}
	}
}

func decision(t *testing.T, e runner.Event, input *bool) string {
	t.Helper()
	plan, reason, err := planned(e, input)
	switch {
	case err != nil:
		if fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), e.Name) || plan {
			t.Errorf("%+v: %v", e, err)
		}
		return "refuse"
	case plan:
		if (reason == "") != (input != nil && *input) {
			t.Errorf("%+v: reason %q", e, reason)
		}
		return "plan"
	}
	return "deliver"
}

func TestWithoutTheDefaultBranchNoPushDelivers(t *testing.T) {
	for _, payload := range []string{"{}", `{"repository": null}`, `{"repository": {"default_branch": ""}}`} {
		for _, ref := range []string{"refs/heads/main", "refs/heads/", ""} {
			event, err := eventOf(t, "push", ref, []byte(payload))
			if err != nil || decision(t, event, nil) != "plan" {
				t.Errorf("%s of %s: %v", payload, ref, err)
			}
		}
	}
}

// TestASecretIsNoFlag declares a secret, which no action has yet.
func TestASecretIsNoFlag(t *testing.T) {
	var log bytes.Buffer
	vars := map[string]string{"GITHUB_ACTIONS": "true", "INPUT_API-TOKEN": "first line of it\nsecond line\n", "INPUT_COUNT": "many"}
	w := cli.World{Getenv: func(k string) string { return vars[k] }}
	w.Runner = runner.New(w.Getenv, &log)
	var token string
	var count int
	var set action.Set
	set.String(&token, action.Input{Name: "api-token", Secret: true})
	set.Int(&count, action.Input{Name: "count"})
	for _, args := range [][]string{{"--api-token", "hunter2"}, {"--api-token=hunter2"}} {
		err := cli.Fill(w, "x", &set, args)
		text := strings.Join(fault.Lines(err), "\n")
		if fault.KindOf(err) != fault.BadInput || !strings.Contains(text, "INPUT_API-TOKEN") || strings.Contains(text, "hunter2") {
			t.Errorf("%v: %s", args, text)
		}
	}
	if err := cli.Fill(w, "x", &set, nil); err == nil {
		t.Error("the other input is wrong")
	}
	var masked []string
	for _, c := range (&runneroracle.Log{}).Read(log.String()).Commands {
		masked = append(masked, c.Name+" "+c.Data)
	}
	if got := strings.Join(masked, ", "); got != "add-mask first line of it, add-mask second line" {
		t.Errorf("commands: %s", got)
	}
}
