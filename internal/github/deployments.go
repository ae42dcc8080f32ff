package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/org/idp/internal/fault"
)

// Tasks of a deployment. A rollback is one of its own, of the commit that is live again.
const (
	TaskDeploy   = "deploy"
	TaskRollback = "deploy:rollback"
)

// DescriptionLimit is the most characters that GitHub takes as the description of a status; longer ones are cut.
const DescriptionLimit = 140

// Run is a workflow run and which attempt of it.
type Run struct {
	ID      int64
	Attempt int
	URL     string // https://github.com/OWNER/NAME/actions/runs/ID
}

// Deployment is what is to be filed.
type Deployment struct {
	Service     string
	Environment string // of GitHub: one for each service where a repository has several
	Commit      string // 40 hex digits
	Image       string // without tag or digest; may be empty
	Digest      string // of the image
	Previous    string // digest that was live before; may be empty
	Delivery    string // id of the delivery record
	Task        string
	Production  bool
	Run         Run
	Description string
	Record      any // the essence of the delivery record, as JSON for readers of deployments; may be nil
}

// Begun is a deployment that is in progress.
type Begun struct {
	ID        int64
	Adopted   bool    // the job's own `environment:` had filed it
	Healed    []int64 // deployments that were still open although their run has ended; they are errors now
	NotHealed error   // why the run of another open one could not be asked for; it stays open
	Live      *Live   // what the environment ran before; nil where nothing is known to have succeeded

	waited []*filed // for an approval, until now
}

// Live is the deployment that succeeded last.
type Live struct {
	ID     int64
	Commit string
	Digest string // empty where something else than this program filed it
	At     time.Time
}

// End is how a deployment ended.
type End struct {
	Service, Environment string // as in Deployment
	State                string // success, failure or error
	With                 int64  // the deployment that this one comes of, and is as old as; 0 for none
	EnvironmentURL       string // may be empty
	LogURL               string
	Description          string
}

const payloadSchema = "idp.deployment/v1"

// payload is what a deployment of ours says of itself.
type payload struct {
	Schema   string `json:"idp"`
	Service  string `json:"service"`
	Image    string `json:"image,omitempty"`
	Digest   string `json:"digest,omitempty"`
	Previous string `json:"previous,omitempty"`
	Delivery string `json:"delivery,omitempty"`
	Run      int64  `json:"run"`
	Attempt  int    `json:"attempt"`
}

func (d Deployment) payload() payload {
	return payload{payloadSchema, d.Service, d.Image, d.Digest, d.Previous, d.Delivery, d.Run.ID, d.Run.Attempt}
}

// sent is the whole payload. What it says of the record is for its readers, and nothing is found by it.
func (d Deployment) sent() any {
	return struct {
		payload
		Record any `json:"record,omitempty"`
	}{d.payload(), d.Record}
}

// BeginDeployment files a deployment that is in progress, once: what this attempt of the run has filed is taken up again, and
// what the job's own `environment:` has filed is adopted. Deployments of the same service and environment whose run was cut
// off are closed first. It asks at most 1 list and the statuses of 30 deployments and of 30 that wait for an approval; 5 requests
// are usual.
func (c *Client) BeginDeployment(ctx context.Context, d Deployment) (Begun, error) {
	if d.Service == "" || d.Environment == "" || len(d.Commit) != 40 || d.Run.ID <= 0 {
		return Begun{}, fault.BadInputf("a deployment needs service, environment, commit and run")
	}
	list, err := c.filed(ctx, d.Environment, gh.DeploymentsListOptions{})
	if err != nil {
		return Begun{}, err
	}
	begun, mine, err := c.before(ctx, list, d)
	if err != nil {
		return begun, err
	}
	if mine == nil {
		if mine, err = c.create(ctx, d); err != nil {
			return begun, err
		}
	}
	begun.ID = mine.id
	if mine.state != "in_progress" || mine.ours == nil {
		if err := c.setState(ctx, mine.id, statusOf("in_progress", d.Run.URL, "", d.Description)); err != nil {
			return begun, err
		}
	}
	return begun, c.settle(ctx, d, begun.waited)
}

// before looks at what was filed: it closes what was cut off, and finds what is live and what is this delivery's already.
func (c *Client) before(ctx context.Context, list []*filed, d Deployment) (begun Begun, mine *filed, err error) {
	heal := healer{c: c, run: d.Run}
	err = c.walk(ctx, list, d.Service, func(f *filed) error {
		switch {
		case f.state == "success" && begun.Live == nil:
			begun.Live = f.live()
		case !f.open():
		case f.waits():
			begun.waited = append(begun.waited, f)
		case mine == nil && f.is(d):
			mine, begun.Adopted = f, f.ours == nil
		case f.ours != nil:
			closed, err := heal.close(ctx, f)
			if closed {
				begun.Healed = append(begun.Healed, f.id)
			}
			return err
		}
		return nil
	})
	begun.NotHealed = heal.err
	return begun, mine, err
}

func (c *Client) create(ctx context.Context, d Deployment) (*filed, error) {
	made := &filed{}
	err := c.write(ctx, Deployments, func() error {
		answer, _, err := c.api.Repositories.CreateDeployment(ctx, c.owner, c.name, &gh.DeploymentRequest{
			Ref: &d.Commit, Task: &d.Task, Environment: &d.Environment, Payload: d.sent(), Description: cutTo(d.Description, DescriptionLimit),
			ProductionEnvironment: &d.Production, TransientEnvironment: gh.Bool(false),
			// Merging the default branch and waiting for other checks are not what was asked for; without these it answers 409.
			AutoMerge: gh.Bool(false), RequiredContexts: &[]string{},
		})
		if err == nil {
			made = filedAs(answer)
		}
		return err
	}, func() (bool, error) {
		list, err := c.filed(ctx, d.Environment, gh.DeploymentsListOptions{SHA: d.Commit, Task: d.Task})
		for _, f := range list {
			if f.ours != nil && *f.ours == d.payload() {
				made = f
				return true, nil
			}
		}
		return false, err
	})
	if err == nil && made.id == 0 {
		err = fault.Undeterminedf("GitHub's answer names no deployment")
	}
	return made, err
}

// EndDeployment says how a deployment ended, and on success makes exactly those inactive that it replaced: what was a success
// in the same environment, of the same service or filed by others. Deliveries end in another order than they deploy in: one that
// began after this and is a success already has replaced it. It may be called again. It gives the replaced ones.
func (c *Client) EndDeployment(ctx context.Context, id int64, e End) (replaced []int64, err error) {
	if !slices.Contains([]string{"success", "failure", "error"}, e.State) {
		return nil, fault.BadInputf("a deployment cannot end as %q", e.State)
	}
	want := statusOf(e.State, e.LogURL, e.EnvironmentURL, e.Description)
	own, began, err := c.begun(ctx, id, e.With)
	if err != nil {
		return nil, err
	}
	if !own.endedAs(want) {
		if err := c.setState(ctx, id, want); err != nil {
			return nil, err
		}
	}
	if e.State != "success" {
		return nil, nil
	}
	list, err := c.filed(ctx, e.Environment, gh.DeploymentsListOptions{})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(f *filed) bool { return f.id == id || f.waits() })
	replace := func(old, by int64) error {
		err := c.setState(ctx, old, statusOf("inactive", "", "", fmt.Sprintf("Replaced by deployment %d.", by)))
		if err == nil {
			replaced = append(replaced, old)
		}
		return err
	}
	var newer *filed
	err = c.walk(ctx, list, e.Service, func(f *filed) error {
		switch {
		case f.state != "success":
			return nil
		case f.ours != nil && f.began > began:
			newer = f
			return nil
		}
		return replace(f.id, id)
	})
	if err == nil && newer != nil && own.state != "inactive" {
		err = replace(id, newer.id)
	}
	return replaced, err
}

// begun looks at a deployment and when it began, or the one that it comes of.
func (c *Client) begun(ctx context.Context, id, with int64) (own *filed, began int64, err error) {
	own = &filed{id: id}
	if err := c.look(ctx, own); err != nil || with == 0 {
		return own, own.began, err
	}
	first := &filed{id: with}
	err = c.look(ctx, first)
	return own, first.began, err
}

// LiveDeployment is what an environment runs of a service by what was filed; nil where none of the last 30 succeeded, those that
// wait for an approval not counted.
func (c *Client) LiveDeployment(ctx context.Context, environment, service string) (*Live, error) {
	var live *Live
	list, err := c.filed(ctx, environment, gh.DeploymentsListOptions{})
	if err == nil {
		err = c.walk(ctx, slices.DeleteFunc(list, (*filed).waits), service, func(f *filed) error {
			if f.state == "success" {
				live = f.live()
				return errEnough
			}
			return nil
		})
	}
	if denied := new(Denied); errors.As(err, &denied) {
		denied.Feature = LiveState // nothing is filed for this
	}
	return live, err
}

func statusOf(state, log, environment, description string) *gh.DeploymentStatusRequest {
	// GitHub's own rule for inactive ones goes by the name of the environment, whatever the service, and never in production.
	s := &gh.DeploymentStatusRequest{State: &state, Description: cutTo(description, DescriptionLimit), AutoInactive: gh.Bool(false)}
	if log != "" {
		s.LogURL = &log
	}
	if environment != "" {
		s.EnvironmentURL = &environment
	}
	return s
}

func sameStatus(has *gh.DeploymentStatus, want *gh.DeploymentStatusRequest) bool {
	return has != nil && has.GetState() == want.GetState() && has.GetDescription() == want.GetDescription() && has.GetEnvironmentURL() == want.GetEnvironmentURL()
}

func (c *Client) setState(ctx context.Context, id int64, want *gh.DeploymentStatusRequest) error {
	return c.write(ctx, Deployments, func() error {
		_, _, err := c.api.Repositories.CreateDeploymentStatus(ctx, c.owner, c.name, id, want)
		return err
	}, func() (bool, error) {
		has, err := c.latest(ctx, id)
		return sameStatus(has, want), err
	})
}

// cutTo bounds a text to so many characters, the last of which says that it was cut.
func cutTo(text string, limit int) *string {
	if r := []rune(text); len(r) > limit {
		text = string(r[:limit-1]) + "…"
	}
	return &text
}

// readPayload gives nil for what others filed. GitHub gives a payload back as the object or as the string that it was sent as.
func readPayload(raw json.RawMessage) *payload {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	var p payload
	if json.Unmarshal(raw, &p) != nil || p.Schema != payloadSchema {
		return nil
	}
	return &p
}

// under tells whether a page belongs to a run: its own page, or that of one of its jobs or attempts.
func (r Run) under(page string) bool {
	return r.URL != "" && (page == r.URL || strings.HasPrefix(page, r.URL+"/"))
}
