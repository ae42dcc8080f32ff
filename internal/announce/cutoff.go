package announce

import (
	"context"
	"errors"

	"github.com/org/idp/internal/github"
)

// CutOff ends on GitHub what a process that was cut off had begun: whether it would have passed is not known, so nothing of it
// is a success.
func (a *Announcer) CutOff(ctx context.Context, s State, what string) error {
	c, err := a.Connect(budgetBefore)
	if err != nil {
		return err
	}
	return errors.Join(a.without(cutDeployment(ctx, c, s, what)), a.without(cutCheck(ctx, c, s, what)))
}

func cutDeployment(ctx context.Context, c *github.Client, s State, what string) error {
	if s.Deployment == nil {
		return nil
	}
	if s.DeploymentID == 0 { // it may have been filed all the same, and is found then
		begun, err := c.BeginDeployment(ctx, *s.Deployment)
		if err != nil {
			return err
		}
		s.DeploymentID = begun.ID
	}
	_, err := c.EndDeployment(ctx, s.DeploymentID, github.End{Service: s.Deployment.Service, Environment: s.Deployment.Environment,
		State: "error", LogURL: s.Deployment.Run.URL, Description: what})
	return err
}

func cutCheck(ctx context.Context, c *github.Client, s State, what string) error {
	if s.Status != nil {
		status := *s.Status
		status.State, status.Description = "error", what
		return c.SetStatus(ctx, status)
	}
	if s.Check == nil {
		return nil
	}
	if s.CheckID == 0 { // it may have been filed all the same
		var err error
		if s.CheckID, err = c.OpenCheck(ctx, *s.Check); err != nil {
			return err
		}
	}
	if s.CheckID == 0 {
		return nil // a check that is required and not there keeps a change from being merged
	}
	return c.EndCheck(ctx, s.CheckID, github.CheckEnd{Conclusion: "failure", Title: "could not be determined", Summary: what + ". Whether it would have passed is not known."})
}
