package secrets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/proc"
)

// fetchTime bounds how long the rest of a shallow clone may take to come.
const fetchTime = 2 * time.Minute

// shallowEnds gives the commits of which a shallow clone does not have the parents.
func shallowEnds(ctx context.Context, repo *gitrepo.Repo) (map[string]bool, error) {
	path, err := runGit(ctx, repo.Root, "rev-parse", "--git-path", "shallow")
	if err != nil {
		return nil, unreadable(repo, "git cannot tell where the shallow clone ends", err)
	}
	if path = strings.TrimRight(path, "\r\n"); !filepath.IsAbs(path) {
		path = filepath.Join(repo.Root, path)
	}
	list, err := os.ReadFile(path) // #nosec G304 -- git names the file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // not shallow any more
	}
	if err != nil {
		return nil, fault.Undeterminedf("cannot read where the shallow clone ends: %w", plain(err))
	}
	ends := map[string]bool{}
	for _, id := range strings.Fields(string(list)) {
		ends[id] = true
	}
	return ends, nil
}

// fetchRest fetches the history behind the commits where the clone ends, and says what is in the way. No branch, tag or
// configuration of the clone changes. Not every server gives commits by their name, so the second attempt asks for what
// the clone is set to fetch, which updates its remote-tracking branches as any fetch does.
func fetchRest(ctx context.Context, repo *gitrepo.Repo, cut []string, progress action.Progress) string {
	if repo.Origin == "" {
		return "There is no remote to fetch the rest from."
	}
	if progress != nil {
		progress("fetching the rest of a shallow clone")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTime, fmt.Errorf("the fetch took more than %s", fetchTime))
	defer cancel()
	options := []string{"fetch", "--quiet", "--unshallow", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance"}
	byName := append(append(options[:len(options):len(options)], "--no-write-fetch-head", "--refmap=", "origin"), cut[:min(len(cut), 200)]...)
	if err := fetch(ctx, repo, byName); err == nil {
		return ""
	}
	if err := fetch(ctx, repo, append(options, "origin")); err != nil {
		return "The rest cannot be fetched: " + credentials.ReplaceAllString(gitReason(err), "://")
	}
	return ""
}

// credentials are what a URL in one of git's messages may hold.
var credentials = regexp.MustCompile(`://[^/@\s]+@`)

// fetch never asks for anything: credentials are those that git is configured with.
func fetch(ctx context.Context, repo *gitrepo.Repo, args []string) error {
	c := command(repo.Root, args...)
	chosen := slices.ContainsFunc(c.Env, func(v string) bool { return strings.HasPrefix(v, "GIT_SSH") })
	if _, err := runGit(ctx, repo.Root, "config", "core.sshCommand"); err != nil && !chosen {
		c.Env = append(c.Env, "GIT_SSH_COMMAND=ssh -oBatchMode=yes")
	}
	_, err := proc.Run(ctx, c)
	return err
}
