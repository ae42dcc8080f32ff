package delivery

import (
	"context"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitrepo"
)

// Root is the working tree of the repository; empty outside of one.
func (d *Delivery) Root() string {
	if d.Repo == nil {
		return ""
	}
	return d.Repo.Root
}

// Origin is the commit that a change began at.
type Origin struct {
	Delivery *Delivery
	Ref      string // empty: the default branch
}

// Repo is the repository as seen from the branch that is compared with.
func (o *Origin) Repo() *gitrepo.Repo {
	if o.Ref == "" || o.Delivery.Repo == nil {
		return o.Delivery.Repo
	}
	r := *o.Delivery.Repo
	r.Upstream = o.Ref
	return &r
}

// Commit is where HEAD left the branch; empty where there is nothing to compare with.
func (o *Origin) Commit(ctx context.Context) (string, error) {
	repo := o.Repo()
	if repo == nil {
		return "", nil
	}
	base, err := repo.MergeBase(ctx)
	switch {
	case err != nil:
		return "", err
	case base != "":
		return base, nil
	case o.Ref != "": // HEAD itself, or what HEAD is behind of: what is not committed is the change
		return repo.Commit, nil
	case repo.Upstream == "" || !repo.Shallow:
		return "", nil
	}
	tip, err := repo.Resolve(ctx, repo.Upstream)
	if err == nil && tip == repo.Commit {
		return "", nil
	}
	return "", fault.Undeterminedf("the clone is shallow: it ends before the commit where HEAD left %s", repo.Upstream).
		WithNext("Fetch the rest: git fetch --unshallow origin", "In a workflow: actions/checkout with fetch-depth: 0")
}
