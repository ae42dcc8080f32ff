package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
)

// started gives a step of a run that an event started.
func started(t testing.TB, event, ref, payload string) *step {
	s := newStep(t)
	s.env["GITHUB_EVENT_NAME"], s.env["GITHUB_REF"], s.env["GITHUB_EVENT_PATH"] = event, ref, filepath.Join(s.dir, "event.json")
	if err := os.WriteFile(s.env["GITHUB_EVENT_PATH"], []byte(payload), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEvents reads payloads that were cut down from those of @octokit/webhooks-examples.
func TestEvents(t *testing.T) {
	const pull = "refs/pull/2/merge"
	head := Head{SHA: "ec26c3e57ca3a959ca5aad62de7213c562f8c821", Ref: "changes", Repository: "Codertocat/Hello-World"}
	fork, gone := head, head
	fork.Repository, gone.Repository = "mallory/Hello-World", ""
	queue := "gh-readonly-queue/main/pr-104-929f8209d40f77f4abc622a499c93a83babdbe64"
	tests := map[string]Event{
		"pull_request":           {Name: "pull_request", Action: "opened", Ref: pull, DefaultBranch: "master", BaseRef: "master", Number: 2, Head: head},
		"pull_request_fork":      {Name: "pull_request", Action: "opened", Ref: pull, DefaultBranch: "master", BaseRef: "master", Number: 2, Head: fork, Fork: true},
		"pull_request_fork_gone": {Name: "pull_request", Action: "opened", Ref: pull, DefaultBranch: "master", BaseRef: "master", Number: 2, Head: gone, Fork: true},
		"merge_group": {Name: "merge_group", Action: "checks_requested", Ref: "refs/heads/" + queue, DefaultBranch: "main", BaseRef: "main",
			Head: Head{SHA: "2ffea6db159f6b6c47a24e778fb9ef40cf6b1c7d", Ref: queue, Repository: "octo-org/octo-repo"}},
		"push_default":      {Name: "push", Ref: "refs/heads/master", DefaultBranch: "master"},
		"push_branch":       {Name: "push", Ref: "refs/heads/feature/pay", DefaultBranch: "master"},
		"push_tag":          {Name: "push", Ref: "refs/tags/simple-tag", DefaultBranch: "master"},
		"push_deleted":      {Name: "push", Ref: "refs/heads/master", DefaultBranch: "master", Deleted: true},
		"workflow_dispatch": {Name: "workflow_dispatch", Ref: "refs/heads/main", DefaultBranch: "main", Inputs: map[string]string{"environment": "staging", "force": "true"}},
		"release_published": {Name: "release", Action: "published", Ref: "refs/tags/0.0.1", DefaultBranch: "master", Tag: "0.0.1"},
		"release_edited":    {Name: "release", Action: "edited", Ref: "refs/tags/0.0.1", DefaultBranch: "master", Tag: "0.0.1"},
		"issue_comment": {Name: "issue_comment", Action: "created", Ref: "refs/heads/master", DefaultBranch: "master",
			Comment: Comment{Body: "You are totally right! I'll get this fixed right away."}},
		"issue_comment_pull_request": {Name: "issue_comment", Action: "created", Ref: "refs/heads/master", DefaultBranch: "master",
			Comment: Comment{Number: 2, Body: "/approve production\n\nLooks good."}},
		"schedule":     {Name: "schedule", Ref: "refs/heads/master", DefaultBranch: "master"},
		"workflow_run": {Name: "workflow_run", Action: "completed", Ref: "refs/heads/main", DefaultBranch: "main"},
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "events", "*.json"))
	if err != nil || len(files) != len(tests) {
		t.Fatalf("%d payloads for %d tests, %v", len(files), len(tests), err)
	}
	for _, file := range files {
		want, ok := tests[strings.TrimSuffix(filepath.Base(file), ".json")]
		payload, err := os.ReadFile(file)
		if err != nil || !ok {
			t.Fatalf("%s: %v", file, err)
		}
		got, err := started(t, want.Name, want.Ref, string(payload)).Event()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", file, err, diff)
		}
	}
}

func TestAnEventThatCannotBeReadIsAnError(t *testing.T) {
	for name, test := range map[string]struct{ event, payload, want string }{
		"not JSON":               {"push", "<html>", "invalid character"},
		"nothing":                {"push", "", "unexpected end"},
		"breaks off":             {"push", `{"ref": "refs/he`, "unexpected end"},
		"a list":                 {"push", "[]", "cannot unmarshal"},
		"number is a text":       {"pull_request", `{"number": "7\n::error::x"}`, "cannot unmarshal"},
		"no pull request":        {"pull_request", `{"number": 7}`, "does not say which one"},
		"a null pull request":    {"pull_request", `{"number": 7, "pull_request": null}`, "does not say which one"},
		"no number":              {"pull_request", `{"pull_request": {"head": {"sha": "a"}, "base": {"ref": "main"}}}`, "has no number"},
		"no base":                {"pull_request", `{"number": 7, "pull_request": {"head": {"sha": "a"}}}`, "into which branch"},
		"no head":                {"pull_request", `{"number": 7, "pull_request": {"base": {"ref": "main"}}}`, "into which branch"},
		"no merge group":         {"merge_group", `{}`, "does not say which one"},
		"a merge group of none":  {"merge_group", `{"merge_group": {"head_sha": "a"}}`, "into which branch"},
		"no release":             {"release", `{}`, "does not say which one"},
		"a release without tag":  {"release", `{"release": {}}`, "names no tag"},
		"larger than GitHub has": {"push", `{"ref": "` + strings.Repeat("x", 25<<20) + `"}`, "larger than 25 MiB"},
	} {
		_, err := started(t, test.event, "refs/heads/main", test.payload).Event()
		if fault.KindOf(err) != fault.Undetermined || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %.200v", name, err)
		}
	}
	s := started(t, "push", "refs/heads/main", "{}")
	for _, path := range []string{"", filepath.Join(s.dir, "nothing"), s.dir} {
		s.env["GITHUB_EVENT_PATH"] = path
		if _, err := s.Event(); err == nil || fault.KindOf(err) != fault.Undetermined {
			t.Errorf("payload %q: %v", path, err)
		}
	}
}

func TestRefusedEvents(t *testing.T) {
	for event, want := range map[string]string{"": "GITHUB_EVENT_NAME", "pull_request_target": "secrets of this repository"} {
		if _, err := started(t, event, "refs/heads/main", "{}").Event(); fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", event, err)
		}
	}
}

func FuzzAnyPayloadIsReadOrRefused(f *testing.F) {
	for _, event := range []string{"push", "pull_request", "merge_group", "release", "workflow_dispatch"} {
		f.Add(event, `{"number": 1, "pull_request": {"head": {"sha": "a"}, "base": {"ref": "b"}}, "inputs": {"a": [1, null]}}`)
	}
	f.Fuzz(func(t *testing.T, event, payload string) {
		e, err := started(t, event, "refs/heads/main", payload).Event()
		if err == nil && event == "pull_request" && (e.Number < 1 || e.BaseRef == "" || e.Head.SHA == "") {
			t.Errorf("%q is %+v", payload, e)
		}
	})
}
