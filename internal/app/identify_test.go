//go:build linux

package app_test

import (
	"fmt"
	"strings"
	"testing"

	githubfake "github.com/org/idp/internal/testkit/github"
)

// A pull request whose first commit was good must not go on showing that once idp.yaml is broken or gone.
func TestBrokenFileIsShownInThePullRequest(t *testing.T) {
	t.Parallel()
	const good = "name: plain\nowner: team-plain\nenvironments: {staging: {}}\n"
	for name, c := range map[string]struct {
		base, head string // idp.yaml where the change began, and then; empty for none
		options    []string
		want       string // in the comment; empty where nothing can be shown
		annotated  string
	}{
		"unknown key":              {good, good + "prot: 80\n", nil, `unknown key "prot"`, "::error file=idp.yaml,line=4,title=idp inputs::"},
		"environments are missing": {good, "name: plain\nowner: [x]\n", nil, "owner: want text", "::error file=idp.yaml,line=2,"},
		"no YAML":                  {good, "\tname: plain\n", nil, "indented with a tab", "::error file=idp.yaml,line=1,"},
		"gone":                     {good, "", nil, "there is no idp.yaml", "::error title=idp inputs::there is no idp.yaml"},
		"the target says where":    {good, "", []string{"--target", "local"}, "there is no idp.yaml", "::error title=idp inputs::"},
		"never there":              {"", "", nil, "", "::error title=idp inputs::there is no idp.yaml"},
		"never readable":           {"", "\tname: plain\n", nil, "", "::error file=idp.yaml,line=1,"},
		"of no environment":        {good, good + "prot: 80\n", []string{"--environment", "moon"}, "", "::error file=idp.yaml,line=4,"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			put := func(text string) {
				m.git("rm", "-q", "-f", "--ignore-unmatch", "idp.yaml")
				files := map[string]string{"note": name + text}
				if text != "" {
					files["idp.yaml"] = text
				}
				m.commit(files)
			}
			put(c.base)
			m.git("update-ref", "refs/remotes/origin/main", "HEAD")
			m.git("checkout", "-q", "-b", "feature")
			put(c.head)
			head := m.git("rev-parse", "HEAD")
			s := githubfake.New(t)
			repo := s.Repository("acme/plain")
			repo.Push(m.path("svc"))
			number := repo.PullRequest(githubfake.PullRequest{Title: "A change", Author: "ada", Head: "feature"})
			m.inRun()
			m.write(".", map[string]string{"event.json": fmt.Sprintf(`{"number": %d, "repository": {"full_name": "acme/plain", "default_branch": "main"},
				"pull_request": {"head": {"sha": %q, "repo": {"full_name": "acme/plain"}}, "base": {"ref": "main"}}}`, number, head)})
			for name, value := range map[string]string{"GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/1/merge", "GITHUB_SHA": head, "GITHUB_API_URL": s.API(),
				"INPUT_GITHUB-TOKEN": s.Token("acme/plain", map[string]string{"checks": "write", "contents": "read", "deployments": "read", "pull-requests": "write"})} {
				m.setenv(name, value)
			}
			said := m.start(append([]string{"path", "--service", "svc", "--out", "out"}, c.options...)...).end(patience, 2)
			if !strings.Contains(said, c.annotated) {
				t.Errorf("no %q in\n%s", c.annotated, said)
			}
			checks, comments := repo.CheckRuns(), repo.Comments(number)
			if c.want == "" {
				if len(checks)+len(comments) != 0 {
					t.Errorf("checks %+v, comments %+v", checks, comments)
				}
				return
			}
			environment := "staging"
			if len(c.options) > 0 {
				environment = "local"
			}
			if len(checks) != 1 || checks[0].Name != "idp/plain/"+environment || checks[0].SHA != head || checks[0].Conclusion != "failure" {
				t.Errorf("checks %+v", checks)
			}
			if len(comments) != 1 || !strings.Contains(comments[0].Body, "plain could not be determined: inputs") || !strings.Contains(comments[0].Body, c.want) {
				t.Errorf("comments %+v", comments)
			}
		})
	}
}
