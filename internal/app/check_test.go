//go:build linux

package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	githubfake "github.com/org/idp/internal/testkit/github"
)

// The name of a check says from the beginning what kind of run it is of.
func TestTheCheckOfARunThatNobodysChangeAskedFor(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	s := githubfake.New(t)
	repo := s.Repository("acme/plain")
	repo.Push(m.path("svc"))
	m.inRun()
	m.setenv("GITHUB_API_URL", s.API())
	m.setenv("INPUT_GITHUB-TOKEN", s.Token("acme/plain", map[string]string{"checks": "write", "contents": "read"}))
	for _, run := range []struct {
		event, payload string
		args           []string
		code           int
		want           string
	}{
		{"push", "", []string{"--plan"}, 0, "idp/plain/local success"},
		{"schedule", "", nil, 0, "idp/plain/local (schedule) success"},
		{"workflow_dispatch", "", []string{"--plan"}, 0, "idp/plain/local (workflow_dispatch) success"},
		{"workflow_run", "", nil, 2, "idp/plain/local (workflow_run) failure"}, // refused
		{"push", `, "deleted": true`, nil, 0, ""},
	} {
		before := repo.CheckRuns()
		m.setenv("GITHUB_EVENT_NAME", run.event)
		m.write(".", map[string]string{"event.json": fmt.Sprintf(`{"repository": {"full_name": "acme/plain", "default_branch": "main"}%s}`, run.payload)})
		said := m.deliver(run.args...).end(patience, run.code)
		var got []string
		for _, k := range repo.CheckRuns()[len(before):] {
			got = append(got, k.Name+" "+k.Conclusion)
		}
		if want := slices.DeleteFunc([]string{run.want}, func(s string) bool { return s == "" }); !slices.Equal(got, want) {
			t.Errorf("%s %s: %q, want %q\n%s", run.event, run.payload, got, want, said)
		}
	}
}

// The verdict of a pull request stands at its head. What was checked out has to be that, or a merge of it.
func TestAPullRequestIsNotJudgedByAnotherCommit(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	s := githubfake.New(t)
	repo := s.Repository("acme/plain")
	base := m.git("rev-parse", "HEAD")
	m.git("update-ref", "refs/remotes/origin/main", base)
	m.git("checkout", "-q", "-b", "feature")
	m.commit(map[string]string{"README.md": "More."})
	head := m.git("rev-parse", "HEAD")
	m.git("checkout", "-q", "main")
	m.git("merge", "-q", "--no-ff", "-m", "Merge", "feature")
	merge := m.git("rev-parse", "HEAD")
	for branch, sha := range map[string]string{"main": base, "feature": head} {
		repo.Commit(branch, githubfake.Commit{SHA: sha, Message: "change", Author: "ada", Files: map[string]string{branch + ".md": branch}})
	}
	number := repo.PullRequest(githubfake.PullRequest{Title: "More", Author: "ada", Head: "feature"})
	m.inRun()
	m.setenv("GITHUB_API_URL", s.API())
	m.setenv("INPUT_GITHUB-TOKEN", s.Token("acme/plain", map[string]string{"checks": "write", "pull-requests": "write", "contents": "read", "deployments": "read"}))
	m.setenv("GITHUB_EVENT_NAME", "pull_request")
	m.setenv("GITHUB_REF", fmt.Sprintf("refs/pull/%d/merge", number))
	m.write(".", map[string]string{"event.json": fmt.Sprintf(`{"repository": {"full_name": "acme/plain", "default_branch": "main"}, "number": %d,
		"pull_request": {"head": {"sha": %q, "ref": "feature", "repo": {"full_name": "acme/plain"}}, "base": {"ref": "main"}}}`, number, head)})
	for _, run := range []struct {
		what, sha, checkout string
		shown               int
	}{
		{"GitHub's test merge", merge, merge, 1},
		{"the head", strings.Repeat("a", 40), head, 1},
		{"a merge that the workflow made", strings.Repeat("a", 40), merge, 1},
		{"the base", merge, base, 0},
	} {
		before, comments := len(repo.CheckRuns()), len(repo.Comments(number))
		m.setenv("GITHUB_SHA", run.sha)
		m.git("checkout", "-q", "--detach", run.checkout)
		said := m.deliver().end(patience, 0)
		list := repo.CheckRuns()[before:]
		for _, k := range list {
			if k.SHA != head || k.Conclusion != "success" {
				t.Errorf("%s: check %+v", run.what, k)
			}
		}
		left := "the check and the comment are left out: commit " + base[:7] + " was checked out, which is neither the head of pull request 1 nor a merge of it"
		if len(list) != run.shown || strings.Contains(said, left) != (run.shown == 0) {
			t.Errorf("%s: %d checks\n%s", run.what, len(list), said)
		}
		if n := len(repo.Comments(number)); run.shown == 0 && n != comments {
			t.Errorf("%s: %d comments", run.what, n)
		}
	}
}
