package github

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	gh "github.com/google/go-github/v60/github"
)

const (
	// pastLimit is how many deployments of an environment are looked at, newest first, and how many that wait for an approval; each
	// costs a request for its state.
	pastLimit = 30
	// restLimit is after how many replaced ones the rest is known to be at rest: what was open when they were replaced has
	// been closed by then, unless its run outlived two deliveries after it.
	restLimit = 2
)

// errEnough ends a walk before its end.
var errEnough = errors.New("enough")

// filed is a deployment on GitHub. Its state is known after it was looked at.
type filed struct {
	id        int64
	sha, task string
	ours      *payload // nil where others filed it
	state     string
	at        time.Time              // of the state
	began     int64                  // number of the status by which it is in progress, higher for what began later; 0 for none
	statuses  []*gh.DeploymentStatus // newest first
}

func filedAs(d *gh.Deployment) *filed {
	return &filed{id: d.GetID(), sha: d.GetSHA(), task: d.GetTask(), ours: readPayload(d.Payload), at: d.GetCreatedAt().Time}
}

func (f *filed) open() bool {
	return slices.Contains([]string{"pending", "queued", "in_progress"}, f.state)
}

func (f *filed) live() *Live {
	l := &Live{ID: f.id, Commit: f.sha, At: f.at}
	if f.ours != nil {
		l.Digest = f.ours.Digest
	}
	return l
}

// is tells whether an open deployment is this delivery's: filed by an earlier try of the same attempt, or by GitHub for the
// job's `environment:`, whose statuses link to the run.
func (f *filed) is(d Deployment) bool {
	switch {
	case f.sha != d.Commit || f.task != d.Task:
		return false
	case f.ours != nil:
		return f.ours.Run == d.Run.ID && f.ours.Attempt == d.Run.Attempt && f.ours.Digest == d.Digest
	}
	return slices.ContainsFunc(f.statuses, func(s *gh.DeploymentStatus) bool {
		return d.Run.under(s.GetLogURL()) || d.Run.under(s.GetTargetURL())
	})
}

// waits tells whether a deployment is one that waits for an approval, or did.
func (f *filed) waits() bool { return f.ours != nil && f.task == TaskWait }

// endedAs tells whether a deployment ended so, whatever has replaced it since.
func (f *filed) endedAs(want *gh.DeploymentStatusRequest) bool {
	list := f.statuses
	if len(list) > 1 && list[0].GetState() == "inactive" {
		list = list[1:]
	}
	return len(list) > 0 && sameStatus(list[0], want)
}

// filed lists the newest 100 deployments of an environment, without their states.
func (c *Client) filed(ctx context.Context, environment string, o gh.DeploymentsListOptions) ([]*filed, error) {
	o.Environment, o.PerPage = environment, 100
	list, _, err := c.api.Repositories.ListDeployments(ctx, c.owner, c.name, &o)
	if err != nil {
		return nil, c.judge(ctx, Deployments, err)
	}
	var all []*filed
	for _, d := range list {
		all = append(all, filedAs(d))
	}
	return all, nil
}

// walk visits the deployments of a service, those that others filed included, newest first, each with its state. What waited for an
// approval is over whenever anything is deployed, so that it says nothing of what was replaced.
func (c *Client) walk(ctx context.Context, list []*filed, service string, visit func(*filed) error) error {
	rest, looked := 0, map[bool]int{}
	for _, f := range list {
		if f.ours != nil && f.ours.Service != service {
			continue
		}
		if looked[f.waits()]++; looked[f.waits()] > pastLimit {
			continue
		}
		if err := c.look(ctx, f); err != nil {
			return err
		}
		if err := visit(f); errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return err
		}
		if f.state == "inactive" && !f.waits() {
			if rest++; rest == restLimit {
				return nil
			}
		}
	}
	return nil
}

// look asks for the state, which GitHub keeps apart. A deployment without a status is pending.
func (c *Client) look(ctx context.Context, f *filed) error {
	list, err := c.statuses(ctx, f.id)
	if err != nil {
		return err
	}
	f.state, f.statuses = "pending", list
	if len(list) > 0 {
		f.state, f.at = list[0].GetState(), list[0].GetCreatedAt().Time
	}
	for _, s := range slices.Backward(list) {
		if s.GetState() == "in_progress" {
			f.began = s.GetID()
		}
	}
	return nil
}

// statuses are the latest ones of a deployment, newest first.
func (c *Client) statuses(ctx context.Context, id int64) ([]*gh.DeploymentStatus, error) {
	list, _, err := c.api.Repositories.ListDeploymentStatuses(ctx, c.owner, c.name, id, &gh.ListOptions{PerPage: pastLimit})
	return list, c.judge(ctx, Deployments, err)
}

func (c *Client) latest(ctx context.Context, id int64) (*gh.DeploymentStatus, error) {
	list, err := c.statuses(ctx, id)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// healer closes deployments whose run is over.
type healer struct {
	c   *Client
	run Run // that asks
	err error
}

// close ends a deployment that is still open as an error when its run has ended. Where that cannot be asked, h.err says why,
// and the deployment stays open: it may well be going on.
func (h *healer) close(ctx context.Context, f *filed) (bool, error) {
	over := f.ours.Run == h.run.ID && f.ours.Attempt < h.run.Attempt // attempts follow one another
	if f.ours.Run != h.run.ID {
		if h.err != nil {
			return false, nil
		}
		if over, h.err = h.c.over(ctx, f.ours.Run, f.ours.Attempt); ctx.Err() != nil {
			return false, h.err
		}
	}
	if !over {
		return false, nil
	}
	err := h.c.setState(ctx, f.id, statusOf("error", "", "", "Cut off: its run ended before the outcome was known."))
	return err == nil, err
}

// over tells whether an attempt of a run has ended. A run that is gone has; so that a token that may not see runs does not
// look the same, GitHub is then asked for any run.
func (c *Client) over(ctx context.Context, run int64, attempt int) (bool, error) {
	got, _, err := c.api.Actions.GetWorkflowRunByID(ctx, c.owner, c.name, run)
	if status(err) == http.StatusNotFound {
		_, _, err = c.api.Actions.ListRepositoryWorkflowRuns(ctx, c.owner, c.name, &gh.ListWorkflowRunsOptions{ListOptions: gh.ListOptions{PerPage: 1}})
		return err == nil, c.judge(ctx, Healing, err)
	}
	if err != nil {
		return false, c.judge(ctx, Healing, err)
	}
	return got.GetStatus() == "completed" || got.GetRunAttempt() > attempt, nil
}
