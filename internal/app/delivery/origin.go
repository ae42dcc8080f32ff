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

// Commit is where HEAD left the branch; empty where there is nothing to compare with. Who names a branch wants to compare:
// where it has no commit in common with HEAD, that is an error and not HEAD itself, in which everything would be known.
func (o *Origin) Commit(ctx context.Context) (string, error) {
	repo := o.Repo()
	if repo == nil {
		return "", nil
	}
	base, err := repo.Shared(ctx)
	switch {
	case err != nil:
		return "", err
	case base == repo.Commit && o.Ref == "":
		return "", nil
	case base != "": // HEAD itself where the branch has it: what is not committed is the change
		return base, nil
	case repo.Upstream != "" && repo.Shallow:
		return "", fault.Undeterminedf("the clone is shallow: it ends before the commit where HEAD left %s", repo.Upstream).
			WithNext("Fetch the rest: git fetch --unshallow origin", "In a workflow: actions/checkout with fetch-depth: 0")
	case o.Ref != "":
		return "", fault.BadInputf("input baseline: HEAD and %s have no commit in common, so there is nothing to compare with", o.Ref)
	}
	return "", nil
}
