package github

import (
	"fmt"
	"strings"
	"testing"

	githubfake "github.com/org/idp/internal/testkit/github"
)

// Each push to production waits for its approval, and the newest is approved. Those that waited are over then, and are no sign that
// what was deployed before them is.
func TestWhatWaitedDoesNotHideWhatIsLive(t *testing.T) {
	t.Parallel()
	p := at(t, deploys)
	d := toProduction(p, 1)
	must[Begun](t)(p.deliver(t.Context(), d, "success"))
	var newest Deployment
	for run := range int64(4) {
		newest = toProduction(p, 10+run)
		newest.Digest = "sha256:" + strings.Repeat(fmt.Sprint(run), 64)
		must[int64](t)(p.client.Wait(t.Context(), newest))
		p.tick()
	}
	newest.Run.ID = 20
	must[Begun](t)(p.deliver(t.Context(), newest, "failure"))
	live := must[*Live](t)(p.client.LiveDeployment(t.Context(), "production", "checkout"))
	if live == nil || live.Digest != d.Digest {
		t.Errorf("live after a deploy that failed: %+v", live)
	}
	newest.Run.ID = 21
	begun := must[Begun](t)(p.deliver(t.Context(), newest, "success"))
	if begun.Live == nil || begun.Live.Digest != d.Digest {
		t.Errorf("live before: %+v", begun.Live)
	}
	if first := p.repo.Deployments()[0]; first.State() != "inactive" {
		t.Errorf("what was replaced is %s still", first.State())
	}
}

// Deliveries to one environment follow one another, but what they do afterwards does not: the one that deployed first may be the
// last to say so, and is not what is live.
func TestADeliveryThatEndsLateReplacesNothingNewer(t *testing.T) {
	t.Parallel()
	p := at(t, deploys)
	before := must[Begun](t)(p.deliver(t.Context(), p.delivery(1), "success"))
	first, second := p.delivery(2), p.delivery(3)
	p.repo.Run(githubfake.Run{ID: 2, Status: "in_progress", Attempt: 1})
	a := must[Begun](t)(p.client.BeginDeployment(t.Context(), first))
	p.tick()
	b := must[Begun](t)(p.client.BeginDeployment(t.Context(), second))
	must[[]int64](t)(p.client.EndDeployment(t.Context(), b.ID, ended(second, "success")))
	for range 2 { // it may be cut off and repeated
		must[[]int64](t)(p.client.EndDeployment(t.Context(), a.ID, ended(first, "success")))
	}
	wantHistory(t, p, "staging deploy: in_progress success inactive", "staging deploy: in_progress success inactive", "staging deploy: in_progress success")
	live := must[*Live](t)(p.client.LiveDeployment(t.Context(), "staging", "checkout"))
	if live == nil || live.ID != b.ID || live.ID == before.ID {
		t.Errorf("live: %+v", live)
	}
}

// The deployment of a job's own `environment:` is filed when the job starts, which may be before an earlier one deploys.
func TestAnAdoptedDeploymentIsAsNewAsItsDeploy(t *testing.T) {
	t.Parallel()
	p := at(t, deploys)
	early := p.repo.JobDeployment("main", "staging", 2)
	p.repo.JobDeployment("main", "staging", 3)
	must[Begun](t)(p.deliver(t.Context(), p.delivery(3), "success"))
	p.tick()
	last := must[Begun](t)(p.deliver(t.Context(), p.delivery(2), "success"))
	if last.ID != early {
		t.Fatalf("%+v", last)
	}
	wantHistory(t, p, "staging deploy: queued in_progress in_progress success", "staging deploy: queued in_progress in_progress success inactive")
}
