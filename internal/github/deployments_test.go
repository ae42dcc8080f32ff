package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
)

const deploys = "deployments: write, actions: read"

// delivery is one of the head of main to staging, by the first attempt of a run.
func (p *place) delivery(run int64) Deployment {
	return Deployment{Service: "checkout", Environment: "staging", Commit: p.repo.Head("main"), Digest: "sha256:" + strings.Repeat("a", 64),
		Delivery: fmt.Sprint("d", run), Task: TaskDeploy, Description: "checkout", Run: p.run(run, 1)}
}

func (p *place) run(id int64, attempt int) Run {
	return Run{ID: id, Attempt: attempt, URL: fmt.Sprintf("https://github.com/acme/checkout/actions/runs/%d", id)}
}

func ended(d Deployment, state string) End {
	return End{Service: d.Service, Environment: d.Environment, State: state, EnvironmentURL: "https://staging.acme.example", LogURL: d.Run.URL, Description: state}
}

// deliver carries out a delivery from beginning to end.
func (p *place) deliver(ctx context.Context, d Deployment, state string) (Begun, error) {
	b, err := p.client.BeginDeployment(ctx, d)
	if err != nil {
		return b, err
	}
	_, err = p.client.EndDeployment(ctx, b.ID, ended(d, state))
	return b, err
}

// history is each deployment's states, oldest first.
func (p *place) history() []string {
	var all []string
	for _, d := range p.repo.Deployments() {
		line := d.Environment + " " + d.Task + ":"
		for _, s := range d.Statuses {
			line += " " + s.State
		}
		all = append(all, line)
	}
	return all
}

func wantHistory(t *testing.T, p *place, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, p.history()); diff != "" {
		t.Errorf("deployments (-want +got):\n%s", diff)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestDeploymentSaysWhatItIs(t *testing.T) {
	t.Parallel()
	p := at(t, deploys)
	d := p.delivery(7)
	d.Previous, d.Production = "sha256:before", true
	b := must[Begun](t)(p.deliver(t.Context(), d, "success"))
	if b.Adopted || b.Live != nil || b.Healed != nil || b.NotHealed != nil {
		t.Errorf("%+v", b)
	}
	wantHistory(t, p, "staging deploy: in_progress success")
	got := p.repo.Deployments()[0]
	if got.SHA != d.Commit || !got.Production || got.Transient || got.ID != b.ID {
		t.Errorf("%+v", got)
	}
	var said map[string]any
	if err := json.Unmarshal(got.Payload, &said); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"idp": "idp.deployment/v1", "service": "checkout", "digest": d.Digest, "previous": "sha256:before",
		"delivery": "d7", "run": 7.0, "attempt": 1.0}, said); diff != "" {
		t.Error(diff)
	}
	last := got.Statuses[1]
	if last.LogURL != d.Run.URL || last.EnvironmentURL != "https://staging.acme.example" || got.Statuses[0].LogURL != d.Run.URL {
		t.Errorf("%+v", got.Statuses)
	}
}

func TestWhatIsReplacedBecomesInactive(t *testing.T) {
	t.Parallel()
	p := at(t, deploys)
	first := must[Begun](t)(p.deliver(t.Context(), p.delivery(1), "success"))
	other := p.delivery(2)
	other.Service = "cart" // shares the environment
	must[Begun](t)(p.deliver(t.Context(), other, "success"))
	elsewhere := p.delivery(3)
	elsewhere.Environment = "production"
	must[Begun](t)(p.deliver(t.Context(), elsewhere, "success"))

	failing := must[Begun](t)(p.deliver(t.Context(), p.delivery(4), "failure"))
	if failing.Live == nil || failing.Live.ID != first.ID || failing.Live.Commit != p.repo.Head("main") || failing.Live.Digest == "" {
		t.Errorf("live before: %+v", failing.Live)
	}
	back := p.delivery(4)
	back.Task = TaskRollback
	must[Begun](t)(p.deliver(t.Context(), back, "success"))
	must[Begun](t)(p.deliver(t.Context(), p.delivery(5), "error"))
	wantHistory(t, p, "staging deploy: in_progress success inactive", "staging deploy: in_progress success", "production deploy: in_progress success",
		"staging deploy: in_progress failure", "staging deploy:rollback: in_progress success", "staging deploy: in_progress error")
	live := must[*Live](t)(p.client.LiveDeployment(t.Context(), "staging", "checkout"))
	if live == nil || live.ID != p.repo.Deployments()[4].ID {
		t.Errorf("live: %+v", live)
	}
	if live := must[*Live](t)(p.client.LiveDeployment(t.Context(), "qa", "checkout")); live != nil {
		t.Errorf("live where nothing is: %+v", live)
	}
}

// What others file in the environment, with a payload that is text, counts as live there and is replaced as well.
func TestDeploymentsOfOthersAreReplaced(t *testing.T) {
	t.Parallel()
	p := at(t, deploys)
	job := p.repo.JobDeployment("main", "staging", 99)
	p.repo.EndJobDeployment(job, "success")
	b := must[Begun](t)(p.deliver(t.Context(), p.delivery(1), "success"))
	if b.Live == nil || b.Live.ID != job || b.Live.Digest != "" {
		t.Errorf("live before: %+v", b.Live)
	}
	wantHistory(t, p, "staging deploy: queued in_progress success inactive", "staging deploy: in_progress success")
}

func TestAJobsOwnDeploymentIsAdopted(t *testing.T) {
	t.Parallel()
	p := at(t, deploys)
	other := p.repo.JobDeployment("main", "staging", 70) // another run, whose number begins the same
	mine := p.repo.JobDeployment("main", "staging", 7)
	b := must[Begun](t)(p.deliver(t.Context(), p.delivery(7), "success"))
	if !b.Adopted || b.ID != mine || b.ID == other {
		t.Errorf("%+v", b)
	}
	p.repo.EndJobDeployment(mine, "success")
	wantHistory(t, p, "staging deploy: queued in_progress", "staging deploy: queued in_progress in_progress success success")
}

func TestDeploymentsWithoutPermission(t *testing.T) {
	t.Parallel()
	for _, has := range []string{"actions: read", "actions: read, deployments: read"} {
		refused(t, Deployments, has, func(*place) {}, func(ctx context.Context, p *place) error {
			_, err := p.client.BeginDeployment(ctx, p.delivery(1))
			return err
		})
	}
}

// A plan files nothing, so it asks for no more than to read.
func TestWhatIsLiveNeedsToBeRead(t *testing.T) {
	t.Parallel()
	p := at(t, "actions: read")
	_, err := p.client.LiveDeployment(t.Context(), "staging", "checkout")
	var denied *Denied
	if !errors.As(err, &denied) || denied.Feature != LiveState || !strings.HasSuffix(err.Error(), ": add to the job permissions: {deployments: read}") {
		t.Errorf("%v", err)
	}
	p.become(t, "deployments: read")
	if live, err := p.client.LiveDeployment(t.Context(), "staging", "checkout"); live != nil || err != nil {
		t.Errorf("%+v, %v", live, err)
	}
}

func TestRequestsOfADeployment(t *testing.T) {
	t.Parallel()
	p := at(t, deploys)
	for run := range int64(12) {
		must[Begun](t)(p.deliver(t.Context(), p.delivery(run+1), "success"))
		p.clock.pass(2 * 60e9) // within the secondary limit
	}
	before := len(p.Calls())
	b := must[Begun](t)(p.client.BeginDeployment(t.Context(), p.delivery(100)))
	begun := len(p.Calls())
	if _, err := p.client.EndDeployment(t.Context(), b.ID, ended(p.delivery(100), "success")); err != nil {
		t.Fatal(err)
	}
	if n, m := begun-before, len(p.Calls())-begun; n != 6 || m != 7 {
		t.Errorf("%d requests to begin and %d to end", n, m)
	}
}

func TestDeploymentsThatCannotBe(t *testing.T) {
	t.Parallel()
	p := at(t, deploys)
	if _, err := p.client.BeginDeployment(t.Context(), Deployment{}); fault.KindOf(err) != fault.BadInput {
		t.Errorf("error %v", err)
	}
	if _, err := p.client.EndDeployment(t.Context(), 1, End{State: "succeeded"}); fault.KindOf(err) != fault.BadInput {
		t.Errorf("error %v", err)
	}
	d := p.delivery(1)
	d.Commit = strings.Repeat("0", 40)
	if _, err := p.client.BeginDeployment(t.Context(), d); fault.KindOf(err) != fault.Undetermined || !strings.Contains(fmt.Sprint(err), "422") {
		t.Errorf("a commit that is not there: %v", err)
	}
	for _, call := range p.Calls() {
		if call.Method != http.MethodGet && call.Status < 300 {
			t.Errorf("%s was carried out", call.Operation)
		}
	}
}
