//go:build unix

package app_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/org/idp/internal/record"
)

// TestWhatARunIsAbout holds the ref in the record, and the commits that are the change, against what was checked out. The
// branch has one commit more than main on the remote, which has one commit.
func TestWhatARunIsAbout(t *testing.T) {
	t.Parallel()
	const zero = "0000000000000000000000000000000000000000"
	for name, test := range map[string]struct {
		event, ref string
		sha, head  string // empty is the commit that is checked out
		detached   bool
		remote     string // branch that the clone has of its remote
		wantRef    string
		commits    int
	}{
		"pull request":                    {"pull_request", "refs/pull/7/merge", "", zero, true, "main", "refs/pull/7/merge", 1},
		"pull request, its head":          {"pull_request", "refs/pull/7/merge", zero, "", true, "main", "refs/pull/7/head", 1},
		"pull request, something else":    {"pull_request", "refs/pull/7/merge", zero, zero, true, "main", "", 1},
		"push to another branch":          {"push", "refs/heads/work", "", "", false, "main", "refs/heads/work", 1},
		"push, main is not there":         {"push", "refs/heads/work", "", "", false, "other", "refs/heads/work", 2},
		"push to main, work is there":     {"push", "refs/heads/main", zero, "", false, "main", "refs/heads/work", 1},
		"push of a tag":                   {"push", "refs/tags/v1", "", "", true, "main", "refs/tags/v1", 1},
		"merge group":                     {"merge_group", "refs/heads/gh-readonly-queue/main/pr-7", "", "", true, "main", "refs/heads/gh-readonly-queue/main/pr-7", 1},
		"schedule, another tag, detached": {"schedule", "refs/heads/main", zero, "", true, "main", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJob(t, test.event, nil)
			j.git("update-ref", "refs/remotes/origin/"+test.remote, "HEAD")
			j.git("checkout", "-q", "-b", "work")
			j.commit(nil)
			commit := j.git("rev-parse", "HEAD")
			if test.detached {
				j.git("checkout", "-q", "--detach")
			}
			or := func(sha string) string {
				if sha == "" {
					return commit
				}
				return sha
			}
			j.setenv("GITHUB_REF", test.ref)
			j.setenv("GITHUB_SHA", or(test.sha))
			j.write(".", map[string]string{"event.json": fmt.Sprintf(`{"number": 7, "repository": {"full_name": "acme/plain", "default_branch": "main"},
				"pull_request": {"head": {"sha": %q}, "base": {"ref": "main"}}, "merge_group": {"head_sha": %q, "base_ref": "refs/heads/main"}}`,
				or(test.head), commit)})
			e := j.step("secrets", "--service", "svc", "--out", "out")
			j.want(e, 0)
			r := j.recordAt(j.path("tmp", "idp", "record.json"))
			if r.Source.Ref != test.wantRef || r.Source.Commit != commit {
				t.Errorf("source %+v, want ref %q", r.Source, test.wantRef)
			}
			s, _ := r.Stage(record.StageSecrets)
			var scan record.Scan
			check(t, json.Unmarshal(s.Evidence, &scan))
			if scan.Coverage.Expected != test.commits {
				t.Errorf("%d commits are the change, want %d", scan.Coverage.Expected, test.commits)
			}
		})
	}
}
