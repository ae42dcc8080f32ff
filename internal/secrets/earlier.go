package secrets

import (
	"context"
	"maps"
	"slices"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gitrepo"
)

// Earlier finds the secrets that files had before they were changed, and have no more, or that are found in the same file now.
// One of the first that turns up elsewhere was moved there by the change and not brought by it; while its old place still has
// it, it is a copy.
func Earlier(ctx context.Context, repo *gitrepo.Repo, changes []gitrepo.Change, found []finding.Finding, gate finding.Rules) ([]finding.Finding, error) {
	rules, err := loadRules(repo.Root, strict(gate))
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
		if !slices.ContainsFunc(found, func(f finding.Finding) bool { return f.Fingerprint == key }) {
			delete(before.hits, key)
		}
	}
	return before.findings(ctx), nil
}
