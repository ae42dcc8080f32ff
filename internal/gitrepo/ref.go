package gitrepo

import (
	"context"
	"errors"
	"strings"

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

// Parents are the commits that HEAD was made from, as it says itself: also where a shallow clone does not have them.
func (r *Repo) Parents(ctx context.Context) (list []string, err error) {
	if r.Commit == "" {
		return nil, nil
	}
	text, err := r.git(ctx, "cat-file", "commit", r.Commit)
	if err != nil {
		return nil, fault.Undeterminedf("git cannot tell what commit %s was made from: %w", r.Commit, err)
	}
	header, _, _ := strings.Cut(string(text), "\n\n")
	for line := range strings.Lines(header) {
		if parent, ok := strings.CutPrefix(strings.TrimSpace(line), "parent "); ok {
			list = append(list, parent)
		}
	}
	return list, nil
}
