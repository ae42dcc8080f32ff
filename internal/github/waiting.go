package github

import (
	"context"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/org/idp/internal/fault"
)

// TaskWait is the task of a deployment that waits for an approval. It is queued until the version is deployed, another one is, or
// its time is over; no runner waits with it.
const TaskWait = "deploy:wait"

// Intent is what is to be deployed as soon as somebody approves.
type Intent struct {
	ID                   int64
	Service, Environment string // of GitHub
	Commit               string
	Image, Digest        string
	Asked                time.Time
}

// Wait keeps what is to be deployed in a deployment that is queued, once for a digest: 3 requests, 2 when it waits already.
func (c *Client) Wait(ctx context.Context, d Deployment) (int64, error) {
	if d.Service == "" || d.Environment == "" || len(d.Commit) != 40 || d.Digest == "" || d.Image == "" {
		return 0, fault.BadInputf("what waits for an approval needs service, environment, commit and image")
	}
	d.Task = TaskWait
	there, err := c.waiting(ctx, d.Environment, d.Service, gh.DeploymentsListOptions{SHA: d.Commit, Task: TaskWait})
	if err != nil {
		return 0, err
	}
	for _, f := range there {
		if f.ours.Digest == d.Digest {
			return f.id, nil
		}
	}
	made, err := c.create(ctx, d)
	if err != nil {
		return 0, err
	}
	return made.id, c.setState(ctx, made.id, statusOf("queued", d.Run.URL, "", d.Description))
}

// Waiting are the intents for an environment of GitHub, the newest first. An empty service is any.
func (c *Client) Waiting(ctx context.Context, environment, service string) ([]Intent, error) {
	list, err := c.waiting(ctx, environment, service, gh.DeploymentsListOptions{Task: TaskWait})
	var intents []Intent
	for _, f := range list {
		intents = append(intents, Intent{ID: f.id, Service: f.ours.Service, Environment: environment, Commit: f.sha, Image: f.ours.Image, Digest: f.ours.Digest, Asked: f.at})
	}
	return intents, err
}

// waiting are the deployments that wait. One without a status was cut off when it was filed, and waits all the same.
func (c *Client) waiting(ctx context.Context, environment, service string, o gh.DeploymentsListOptions) ([]*filed, error) {
	list, err := c.filed(ctx, environment, o)
	if err != nil {
		return nil, err
	}
	var open []*filed
	for _, f := range list {
		if f.ours == nil || f.task != TaskWait || service != "" && f.ours.Service != service {
			continue
		}
		if err := c.look(ctx, f); err != nil {
			return nil, err
		}
		if f.open() {
			open = append(open, f)
		}
	}
	return open, nil
}

// settle ends the waiting of what is deployed now, and of what it comes before. Going back ends none.
func (c *Client) settle(ctx context.Context, d Deployment, waited []*filed) error {
	if d.Task != TaskDeploy {
		return nil
	}
	for _, f := range waited {
		text := "another version is deployed"
		if f.ours.Digest == d.Digest {
			text = "approved and deployed"
		}
		if err := c.setState(ctx, f.id, statusOf("inactive", d.Run.URL, "", text)); err != nil {
			return err
		}
	}
	return nil
}

// Brought tells whether a pull request, once merged, brought a commit.
func (c *Client) Brought(ctx context.Context, number int, commit string) (bool, error) {
	pull, err := c.pullOf(ctx, commit)
	return pull.GetNumber() == number && number > 0, err
}
