//go:build linux

package app_test

import (
	"fmt"
	"slices"
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
