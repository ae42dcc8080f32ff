package delivery

import (
	"context"
	"fmt"
)

// readEvent finds out what started the run, and from it what the change is measured against.
func (d *Delivery) readEvent(ctx context.Context) error {
	var err error
	if d.Event, err = d.Runner.Event(); err != nil || d.Repo == nil {
		return err
	}
	const remote = "refs/remotes/origin/"
	if d.Event.BaseRef != "" {
		d.Repo.Upstream = remote + d.Event.BaseRef
		return nil
	}
	if d.Repo.Upstream != "" || d.Event.DefaultBranch == "" {
		return nil
	}
	// actions/checkout leaves no origin/HEAD. Without the branch all of the history is the change, which is more.
	there, err := d.Repo.Has(ctx, remote+d.Event.DefaultBranch)
	if there {
		d.Repo.Upstream = remote + d.Event.DefaultBranch
	}
	return err
}

// ref names what was checked out: what the run was started for only where that commit is the one.
func (d *Delivery) ref() string {
	switch {
	case d.Repo == nil || d.Event.SHA == d.Repo.Commit:
		return d.Event.Ref
	case d.Event.Number > 0 && d.Event.Head.SHA == d.Repo.Commit:
		return fmt.Sprintf("refs/pull/%d/head", d.Event.Number)
	}
	return d.Repo.Ref
}
