package secrets

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gitrepo"
)

// Gone finds the secrets that files had before they were changed, and have no more. One that turns up elsewhere was moved
// there by the change and not brought by it; while its old place still has it, it is a copy.
func Gone(ctx context.Context, repo *gitrepo.Repo, changes []gitrepo.Change) ([]finding.Finding, error) {
	rules, err := loadRules(repo.Root)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	git, err := openObjects(ctx, repo.Root)
	if err != nil {
		return nil, err
	}
	defer git.requests.Close() // once more after git.close does no harm
	before, now := newScan(repo, rules, nil), newScan(repo, rules, nil)
	for _, c := range changes {
		if c.Blob == "" {
			continue
		}
		if err := before.scanChange(ctx, git, change{path: c.Old, blob: c.Blob, newPath: true}); err != nil {
			return nil, err
		}
		if c.New != c.Old {
			continue
		}
		if err := now.scanChange(ctx, git, change{path: c.New, newPath: true}); err != nil {
			return nil, err
		}
	}
	if err := git.close(); err != nil {
		return nil, err
	}
	for _, s := range []*scan{before, now} {
		if len(s.gaps) > 0 {
			return nil, fault.Undeterminedf("%s", before.redact(slices.Sorted(maps.Keys(s.gaps))[0])).WithNext(fetchNext(repo)...)
		}
	}
	for key := range now.hits {
		delete(before.hits, key)
	}
	found := before.findings(ctx)
	for i := range found {
		found[i].Title = fmt.Sprintf("%s was here before.", found[i].Rule)
	}
	return found, nil
}
