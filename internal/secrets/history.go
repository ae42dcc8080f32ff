package secrets

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitrepo"
)

// commit is one that has to be seen. It was seen when all that git shows of it was scanned.
type commit struct {
	id      string
	order   int          // 0 is the newest; parents come after their children
	pending atomic.Int32 // changes still to scan, and 1 more until git has shown all of them
	failed  atomic.Bool  // a change could not be scanned
}

// change is a file as it is after a commit, or in the index or the working tree.
type change struct {
	commit  *commit // nil outside the history
	path    string  // in the repository, with slashes, of any bytes but NUL
	blob    string  // object; empty for the file in the working tree
	parents []string
	from    []string // the paths that the parents have it at, where one of them is another; else nil
	newPath bool     // nothing was at this path before
	file    *file    // what the rules say of the path; nil where that is not known yet
}

// same tells that only the file's mode changed.
func (c change) same() bool { return len(c.parents) == 1 && c.parents[0] == c.blob && !c.newPath }

// blobs names the objects that the change is scanned with, in the order in which they are read.
func (c change) blobs() []string {
	switch {
	case c.same():
		return nil
	case c.blob == "":
		return c.parents
	}
	return append([]string{c.blob}, c.parents...)
}

// listing is what there is to see.
type listing struct {
	ids  []string // of the commits, newest first
	base string   // where they begin; empty for the whole history
	err  error
}

// commitsOf lists the commits of the change. Where a shallow clone cuts them off, the rest is fetched first: what is beyond
// the cut is not known, not even its number.
func commitsOf(ctx context.Context, repo *gitrepo.Repo, history string, progress action.Progress) listing {
	l, cut := listCommits(ctx, repo, history)
	if len(cut) == 0 {
		return l
	}
	failed := fetchRest(ctx, repo, cut, progress)
	if l, cut = listCommits(ctx, repo, history); len(cut) == 0 {
		return l
	}
	f := fault.Undeterminedf("the clone is shallow: it ends at commit %.7s, in the middle of what has to be scanned", cut[0]).WithDetail(failed, notAPass)
	if repo.Origin == "" {
		return listing{err: f.WithNext("Clone it whole: git clone without --depth")}
	}
	return listing{err: f.WithNext("Fetch the rest: git fetch --unshallow origin", "In a workflow: actions/checkout with fetch-depth: 0")}
}

// listCommits gives also those of the commits at which the clone ends.
func listCommits(ctx context.Context, repo *gitrepo.Repo, history string) (l listing, cut []string) {
	if history != HistoryAll {
		if l.base, l.err = repo.MergeBase(ctx); l.err != nil {
			return l, nil
		}
	}
	args := []string{"rev-list", "--topo-order", repo.Commit}
	if l.base != "" {
		args = append(args, "^"+l.base)
	}
	out, err := runGit(ctx, repo.Root, append(args, "--")...)
	if err != nil {
		return listing{err: unreadable(repo, "git cannot list the commits", err)}, nil
	}
	if l.ids = strings.Fields(out); len(l.ids) == 0 {
		return listing{err: fault.Undeterminedf("git lists no commit up to %.7s", repo.Commit)}, nil
	}
	if !repo.Shallow {
		return l, nil
	}
	ends, err := shallowEnds(ctx, repo)
	if err != nil {
		return listing{err: err}, nil
	}
	for _, id := range l.ids {
		if ends[id] {
			cut = append(cut, id)
		}
	}
	return l, cut
}

// parseRaw reads the form of git's diff-tree, diff-index and diff-files with --raw -z: NUL after every part, a commit
// as its bare hash, a change as ":MODES HASHES STATUS" (a colon for each parent) and then its path, or two for a rename.
// The end of output inside a change is an error.
func parseRaw(r *bufio.Reader, onCommit func(id string) error, onChange func(change) error) error {
	for {
		head, err := r.ReadString(0)
		if err == io.EOF && head == "" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("git's list of changes breaks off: %w", noEOF(err))
		}
		head = head[:len(head)-1]
		if !strings.HasPrefix(head, ":") {
			if err := onCommit(strings.TrimSpace(head)); err != nil {
				return err
			}
			continue
		}
		c, ok, err := parseChange(r, head)
		if err != nil {
			return err
		}
		if ok {
			if err := onChange(c); err != nil {
				return err
			}
		}
	}
}

// Modes of git's trees that matter here.
const (
	modeNone      = "000000"
	modeSubmodule = "160000"
)

// parseChange reads one change; ok is false for one that leaves no content behind.
func parseChange(r *bufio.Reader, head string) (c change, ok bool, err error) {
	parents := len(head) - len(strings.TrimLeft(head, ":"))
	fields := strings.Fields(head[parents:])
	if len(fields) != 2*(parents+1)+1 {
		return c, false, fmt.Errorf("git's list of changes has a line of another form: %q", head)
	}
	modes, ids, status := fields[:parents+1], fields[parents+1:2*(parents+1)], fields[len(fields)-1]
	renamed := strings.ContainsAny(status, "RC")
	paths := make([]string, 1)
	switch {
	case parents > 1: // those in all parents, as --combined-all-paths has it
		paths = make([]string, parents+1)
	case renamed:
		paths = make([]string, 2)
	}
	for i := range paths {
		if paths[i], err = r.ReadString(0); err != nil {
			return c, false, fmt.Errorf("git's list of changes breaks off: %w", noEOF(err))
		}
		paths[i] = paths[i][:len(paths[i])-1]
	}
	c.path = paths[len(paths)-1]
	mode := modes[parents]
	if mode == modeSubmodule || (mode == modeNone && status != "U") {
		return c, false, nil
	}
	if id := ids[parents]; strings.Trim(id, "0") != "" {
		c.blob = id
	}
	for i, id := range ids[:parents] {
		if modes[i] != modeNone && modes[i] != modeSubmodule && strings.Trim(id, "0") != "" {
			c.parents = append(c.parents, id)
			if renamed {
				c.from = append(c.from, paths[i])
			}
		}
	}
	c.newPath = renamed && parents == 1 || len(c.parents) == 0
	return c, true, nil
}

// settle leaves out what was at a path that the rules see otherwise than the one where it is now: what they let pass there
// is not known from there.
func (c *change) settle(r rules) {
	if c.from == nil {
		return
	}
	var parents []string
	for i, path := range c.from {
		if path == c.path || r.alike(path, c.path) {
			parents = append(parents, c.parents[i])
		}
	}
	c.parents = parents
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// history hands on every change of the commits, in their order, and fails unless git showed each of them whole.
func (s *scan) history(ctx context.Context, give func(change) error) error {
	ids := make([]string, len(s.commits))
	for i, c := range s.commits {
		ids[i] = c.id
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// -c shows of a merge what differs from all parents; --always shows commits that change nothing. Renames are found by
	// likeness, as in gitleaks' git log: a file that is renamed and edited at once is no new one. Where there are more than 2000
	// of them git looks for exact ones only, and all that the others hold is new.
	git, err := start(ctx, s.repo.Root, strings.NewReader(strings.Join(ids, "\n")+"\n"),
		"diff-tree", "--stdin", "--raw", "-z", "-r", "-c", "--root", "--always", "-M", "-l2000",
		"--combined-all-paths", "--no-abbrev")
	if err != nil {
		return err
	}
	seen, current := 0, (*commit)(nil)
	err = parseRaw(git.Reader, func(id string) error {
		if seen == len(s.commits) || s.commits[seen].id != id {
			return fmt.Errorf("git showed commit %q out of turn", id)
		}
		s.finish(current)
		current = s.commits[seen]
		current.pending.Store(1)
		seen++
		return nil
	}, func(c change) error {
		if current == nil {
			return errors.New("git showed a change before its commit")
		}
		c.commit = current
		current.pending.Add(1)
		return give(c)
	})
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) { // git ended, and knows better why
		err = git.reason(err)
	}
	if err != nil {
		return err
	}
	s.finish(current)
	if seen != len(s.commits) {
		return fmt.Errorf("git showed %d of %d commits and said that this was all", seen, len(s.commits))
	}
	return nil
}
