package gitrepo

import (
	"context"
	"errors"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
)

// Has tells whether a ref, by its full name, leads to a commit in this repository.
func (r *Repo) Has(ctx context.Context, ref string) (bool, error) {
	_, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	var e *proc.Error
	if errors.As(err, &e) && e.Code == 1 {
		return false, nil
	}
	if err != nil {
		return false, fault.Undeterminedf("git cannot tell whether %s is there: %w", ref, err)
	}
	return true, nil
}
