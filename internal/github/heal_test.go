package github

import (
	"context"
	"errors"
	"slices"
	"testing"

	githubfake "github.com/org/idp/internal/testkit/github"
)

func TestWhatWasCutOffIsClosed(t *testing.T) {
	t.Parallel()
	p := at(t, deploys)
	begin := func(run int64, attempt int, service string) int64 {
		d := p.delivery(run)
		d.Run.Attempt, d.Service = attempt, service
		return must[Begun](t)(p.client.BeginDeployment(t.Context(), d)).ID
	}
	p.repo.Run(githubfake.Run{ID: 1, Status: "completed", Conclusion: "cancelled", Attempt: 1})
	p.repo.Run(githubfake.Run{ID: 2, Status: "in_progress", Attempt: 1})
	p.repo.Run(githubfake.Run{ID: 3, Status: "in_progress", Attempt: 2})
	p.repo.Run(githubfake.Run{ID: 5, Status: "in_progress", Attempt: 2})
	// Filed with a token that may not ask about runs, so that none closes the one before it.
	p.become(t, "deployments: write")
	over, going, again, other, own := begin(1, 1, "checkout"), begin(2, 1, "checkout"), begin(3, 1, "checkout"), begin(1, 1, "cart"), begin(5, 1, "checkout")
	gone := begin(4, 1, "checkout") // a run that was deleted since
	p.become(t, deploys)

	d := p.delivery(5)
	d.Run.Attempt = 2
	b := must[Begun](t)(p.client.BeginDeployment(t.Context(), d))
	slices.Sort(b.Healed)
	if want := []int64{over, again, own, gone}; !slices.Equal(b.Healed, want) || b.NotHealed != nil {
		t.Errorf("closed %v, want %v; %v", b.Healed, want, b.NotHealed)
	}
	for _, d := range p.repo.Deployments() {
		want := "error"
		if d.ID == going || d.ID == other || d.ID == b.ID {
			want = "in_progress"
		}
		if d.State() != want {
			t.Errorf("deployment %d is %s, want %s", d.ID, d.State(), want)
		}
	}
}

func TestAnOpenDeploymentStaysWhereItsRunCannotBeAskedFor(t *testing.T) {
	t.Parallel()
	p := at(t, "deployments: write")
	p.repo.Run(githubfake.Run{ID: 1, Status: "completed", Conclusion: "cancelled", Attempt: 1})
	for run := int64(1); run < 3; run++ {
		must[Begun](t)(p.client.BeginDeployment(t.Context(), p.delivery(run)))
	}
	b := must[Begun](t)(p.deliver(t.Context(), p.delivery(3), "success"))
	var denied *Denied
	if !errors.As(b.NotHealed, &denied) || denied.Feature != Healing || b.Healed != nil {
		t.Errorf("%+v", b)
	}
	wantHistory(t, p, "staging deploy: in_progress", "staging deploy: in_progress", "staging deploy: in_progress success")
	if n := p.count()["GET /repos/{owner}/{repo}/actions/runs/{run_id}"]; n != 2 { // once for each of the two deliveries that saw an open one
		t.Errorf("asked %d times for runs that it may not see", n)
	}
}

func TestDeploymentCutAnywhere(t *testing.T) {
	t.Parallel()
	everywhere(t, deploys,
		func(p *place) {
			must[Begun](t)(p.deliver(t.Context(), p.delivery(1), "success"))
			must[Begun](t)(p.client.BeginDeployment(t.Context(), p.delivery(2)))
			p.repo.Run(githubfake.Run{ID: 2, Status: "completed", Conclusion: "failure", Attempt: 1})
		},
		func(ctx context.Context, p *place) error {
			d := p.delivery(3)
			if p.begun == 0 { // whoever is killed after it has the id in the state of the action
				b, err := p.client.BeginDeployment(ctx, d)
				if err != nil {
					return err
				}
				p.begun = b.ID
			}
			_, err := p.client.EndDeployment(ctx, p.begun, ended(d, "success"))
			return err
		},
		func(t *testing.T, p *place) {
			wantHistory(t, p, "staging deploy: in_progress success inactive", "staging deploy: in_progress error", "staging deploy: in_progress success")
		})
}

// A classic token without access to workflow runs gets 404 for any of them, which must not read as a run that is gone.
func TestARunThatIsHiddenIsNotGone(t *testing.T) {
	t.Parallel()
	hidden := say(404, `{"message": "Not Found"}`)
	client, _ := scripted(t, hidden, hidden, hidden, say(200, `{"total_count": 3, "workflow_runs": []}`))
	over, err := client.over(t.Context(), 1, 1)
	var denied *Denied
	if over || !errors.As(err, &denied) || denied.Feature != Healing {
		t.Errorf("over %v, %v", over, err)
	}
	if over, err := client.over(t.Context(), 1, 1); !over || err != nil {
		t.Errorf("over %v, %v", over, err)
	}
}
