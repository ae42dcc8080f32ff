package github

import (
	"net/http"
	"testing"

	githubfake "github.com/org/idp/internal/testkit/github"
)

// A token of a workflow has 1,000 requests an hour for the whole repository, so what a usual run costs is held here. An answer
// that has not changed is not counted.
func TestRequestsOfARun(t *testing.T) {
	t.Parallel()
	p := at(t, "deployments: write, actions: read, checks: write, security-events: write, contents: read, pull-requests: write")
	withPull(p)
	for run := range int64(5) {
		must[Begun](t)(p.deliver(t.Context(), p.delivery(run+1), "success"))
		p.tick()
	}
	live := p.repo.Head("main")
	p.merged("lin", 2)
	check := func(name string, number int) {
		id := must[int64](t)(p.client.BeginCheck(t.Context(), Check{Name: name, Commit: p.repo.Head("main"), Delivery: name, Title: "…", Summary: "…"}))
		if err := p.client.EndCheck(t.Context(), id, CheckEnd{Conclusion: "success", Title: "done", Summary: "all", Annotations: notes(number)}); err != nil {
			t.Fatal(err)
		}
	}
	cost := func(what string, wantAll, wantCounted int, run func()) {
		p.client = p.connect(t, nil) // each run begins without memory
		before := len(p.Calls())
		run()
		all, counted := p.Calls()[before:], 0
		for _, c := range all {
			if c.Status != http.StatusNotModified && c.Operation != "POST /graphql" {
				counted++
			}
		}
		if len(all) != wantAll || counted != wantCounted {
			t.Errorf("%s takes %d requests, %d of them counted; want %d and %d", what, len(all), counted, wantAll, wantCounted)
		}
	}
	cost("a push", 21, 18, func() {
		d := p.delivery(20)
		b := must[Begun](t)(p.client.BeginDeployment(t.Context(), d))
		check("push", 3)
		must[Changes](t)(p.client.Changes(t.Context(), live, d.Commit))
		must[string](t)(p.client.UploadSARIF(t.Context(), p.upload()))
		must[[]int64](t)(p.client.EndDeployment(t.Context(), b.ID, ended(d, "success")))
	})
	number := p.repo.PullRequest(githubfake.PullRequest{Title: "Again", Author: "ada", Head: "feature"})
	pull := func(body string) func() {
		return func() {
			must[*Live](t)(p.client.LiveDeployment(t.Context(), "staging", "checkout"))
			check("pull", 60)
			must[Changes](t)(p.client.Changes(t.Context(), live, p.repo.Head("feature")))
			must[string](t)(p.client.UploadSARIF(t.Context(), p.upload()))
			must[Comment](t)(p.client.PutComment(t.Context(), number, "checkout/staging", body))
		}
	}
	cost("a pull request", 16, 15, pull("one"))
	cost("its next commit", 15, 14, pull("two"))
}
