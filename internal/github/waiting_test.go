package github

import (
	"errors"
	"strings"
	"testing"

	githubfake "github.com/org/idp/internal/testkit/github"
)

func toProduction(p *place, run int64) Deployment {
	commit := p.repo.Head("main")
	if commit == "" {
		commit = p.repo.Commit("main", githubfake.Commit{Message: "change", Author: "ada"})
	}
	return Deployment{Service: "checkout", Environment: "production", Commit: commit, Image: "ghcr.io/acme/checkout", Digest: "sha256:" + strings.Repeat("9", 64),
		Task: TaskDeploy, Production: true, Run: Run{ID: run, Attempt: 1, URL: "https://github.com/acme/checkout/actions/runs/77"}, Description: "waits for the approval of a code owner"}
}

func TestWhatWaitsIsQueuedOnceAndEndsWithTheDeploy(t *testing.T) {
	t.Parallel()
	p := at(t, "deployments: write, actions: read")
	d := toProduction(p, 77)
	id, err := p.client.Wait(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	p.become(t, "deployments: write, actions: read")
	if again, err := p.client.Wait(t.Context(), d); err != nil || again != id {
		t.Errorf("asked again: %d, not %d: %v", again, id, err)
	}
	intents, err := p.client.Waiting(t.Context(), "production", "checkout")
	if err != nil || len(intents) != 1 || intents[0].Image != d.Image || intents[0].Digest != d.Digest || intents[0].Commit != d.Commit || intents[0].Asked.IsZero() {
		t.Errorf("%+v %v", intents, err)
	}
	if other, err := p.client.Waiting(t.Context(), "production", "cart"); err != nil || len(other) != 0 {
		t.Errorf("of another service: %+v %v", other, err)
	}
	d.Run.ID = 78
	begun, err := p.client.BeginDeployment(t.Context(), d)
	if err != nil || begun.ID == id || len(begun.Healed) != 0 {
		t.Errorf("%+v %v", begun, err)
	}
	states := map[string]string{}
	for _, d := range p.repo.Deployments() {
		states[d.Task] = d.State()
	}
	if states[TaskWait] != "inactive" || states[TaskDeploy] != "in_progress" {
		t.Errorf("%v", states)
	}
	if left, err := p.client.Waiting(t.Context(), "production", ""); err != nil || len(left) != 0 {
		t.Errorf("still waits: %+v %v", left, err)
	}
}

func TestGoingBackEndsNoWaiting(t *testing.T) {
	t.Parallel()
	p := at(t, "deployments: write, actions: read")
	d := toProduction(p, 77)
	if _, err := p.client.Wait(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	d.Task, d.Run.ID = TaskRollback, 78
	if _, err := p.client.BeginDeployment(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if intents, err := p.client.Waiting(t.Context(), "production", "checkout"); err != nil || len(intents) != 1 {
		t.Errorf("%+v %v", intents, err)
	}
}

// Each call is cut at each phase once: what waits is there once, and queued.
func TestWaitingSurvivesEveryCut(t *testing.T) {
	t.Parallel()
	for _, on := range []string{"POST /repos/{owner}/{repo}/deployments", "POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses", "GET /repos/{owner}/{repo}/deployments"} {
		for _, phase := range githubfake.Phases {
			p := at(t, "deployments: write, actions: read")
			d := toProduction(p, 77)
			f := phase.Fault
			f.On, f.Call = on, 1
			p.Inject(f)
			if _, err := p.client.Wait(t.Context(), d); err != nil {
				t.Errorf("%s, %s: %v", on, phase.Name, err)
			}
			if list := p.repo.Deployments(); len(list) != 1 || list[0].State() != "queued" {
				t.Errorf("%s, %s: %+v", on, phase.Name, list)
			}
		}
	}
}

func TestWaitingNeedsItsPermission(t *testing.T) {
	t.Parallel()
	p := at(t, "contents: read")
	_, err := p.client.Wait(t.Context(), toProduction(p, 77))
	var denied *Denied
	if !errors.As(err, &denied) || denied.Feature.Scope != "deployments: write" {
		t.Errorf("%v", err)
	}
}
