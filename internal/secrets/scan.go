package secrets

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/record"
)

// scan is one run over one repository. One goroutine lists the changes; as many workers as there are processors read and
// scan them, each with a git cat-file of its own.
type scan struct {
	repo     *gitrepo.Repo
	rules    rules
	progress action.Progress
	commits  []*commit
	listing  sync.Mutex       // of paths
	paths    map[string]*file // seen by the listers
	partial  bool             // there is a history before the commits
	// archiveDepth is how many archives deep files are looked for.
	archiveDepth int
	sieves       sync.Pool

	lost    atomic.Int64 // gaps of objects that git does not have
	scanned atomic.Int64 // commits
	done    atomic.Int64 // files of a folder that is in no repository
	bytes   atomic.Int64

	mu       sync.Mutex
	hits     map[string]hit      // by fingerprint
	secrets  map[string]bool     // values found, to keep them out of names
	longest  []string            // the same in the order in which they are taken out
	binaries map[string]bool     // paths
	closed   map[string]bool     // paths of archives that were not opened
	left     []string            // what else was left out on purpose
	gaps     map[string]struct{} // what could not be scanned
}

func newScan(repo *gitrepo.Repo, r rules, progress action.Progress) *scan {
	if progress == nil {
		progress = func(string) {}
	}
	s := &scan{repo: repo, rules: r, progress: progress, paths: map[string]*file{}, hits: map[string]hit{},
		secrets: map[string]bool{}, binaries: map[string]bool{}, closed: map[string]bool{}, gaps: map[string]struct{}{}}
	s.sieves.New = func() any { return r.filter.Sieve() }
	return s
}

// run scans everything and says what could not be seen; nil means that nothing was missed.
func (s *scan) run(ctx context.Context, l listing) *fault.Error {
	err := l.err
	switch {
	case ctx.Err() != nil:
		return fault.Undeterminedf("stopped before the first commit: %w", context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return unreadable(s.repo, "the commits cannot be listed", err)
	case err != nil:
		return asFault(err)
	}
	for i, id := range l.ids {
		s.commits = append(s.commits, &commit{id: id, order: i})
	}
	s.partial = l.base != ""
	s.progress(finding.Plural(len(l.ids), "commit"))
	group, inner := errgroup.WithContext(ctx)
	queues := make([]chan change, runtime.GOMAXPROCS(0))
	for i := range queues {
		queues[i] = make(chan change, queueLength)
		group.Go(func() error { return s.work(inner, queues[i]) })
	}
	group.Go(func() error {
		defer func() {
			for _, q := range queues {
				close(q)
			}
		}()
		return s.list(inner, queues)
	})
	return s.clean(s.verdict(ctx, group.Wait()))
}

// clean takes values out of what is said of a gap.
func (s *scan) clean(gap *fault.Error) *fault.Error {
	if gap != nil {
		for i, line := range gap.Detail {
			gap.Detail[i] = s.redact(line)
		}
	}
	return gap
}

func asFault(err error) *fault.Error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	return fault.Undeterminedf("%w", err)
}

const (
	// queueLength is how many changes wait for a worker.
	queueLength = 256
	// batchLength is how many of them it asks git for at once.
	batchLength = 40
)

// list hands every change to a worker. All changes of a file go to the same one, which can then use a version of it twice:
// as what was there before a change, and as what an older one made.
func (s *scan) list(ctx context.Context, queues []chan change) error {
	give := func(c change) error {
		c.settle(s.rules)
		if c.file = s.fileOf(c.path, queues); c.file.allowed {
			s.finish(c.commit)
			return nil
		}
		select {
		case queues[c.file.worker] <- c:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.history(ctx, give) })
	group.Go(func() error { return s.worktree(ctx, give) })
	return group.Wait()
}

// fileOf gives a new path to the worker who has least to do.
func (s *scan) fileOf(path string, queues []chan change) *file {
	s.listing.Lock()
	defer s.listing.Unlock()
	f, known := s.paths[path]
	if !known {
		f = s.rules.about(path)
		for i, q := range queues {
			if len(q) < len(queues[f.worker]) {
				f.worker = i
			}
		}
		s.paths[path] = f
	}
	return f
}

// finish takes one pending change, or git's whole account of it, off a commit.
func (s *scan) finish(c *commit) {
	if c == nil || c.pending.Add(-1) > 0 || c.failed.Load() {
		return
	}
	if n := s.scanned.Add(1); n%100 == 0 {
		s.progress(fmt.Sprintf("%d of %d commits", n, len(s.commits)))
	}
}

// work scans changes until there are no more.
func (s *scan) work(ctx context.Context, changes <-chan change) error {
	git, err := openObjects(ctx, s.repo.Root)
	if err != nil {
		return err
	}
	defer git.requests.Close() // once more after git.close does no harm
	for batch := range batches(changes) {
		for len(batch) > 0 {
			n, err := git.ask(batch)
			if err != nil {
				return err
			}
			for _, c := range batch[:n] {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err := s.scanAndLeave(ctx, git, c); err != nil {
					return err
				}
				s.finish(c.commit)
			}
			batch = batch[n:]
		}
	}
	return git.close()
}

// batches gives what is there, at most batchLength at a time.
func batches(changes <-chan change) iter.Seq[[]change] {
	return func(yield func([]change) bool) {
		batch := make([]change, 0, batchLength)
		for c := range changes {
			batch = append(batch[:0], c)
			for open := true; open && len(batch) < batchLength; {
				select {
				case c, ok := <-changes:
					if open = ok; ok {
						batch = append(batch, c)
					}
				default:
					open = false
				}
			}
			if !yield(batch) {
				return
			}
		}
	}
}

// gap notes what could not be scanned; the scan goes on, so that all gaps are known at its end.
func (s *scan) gap(c change, why string) {
	where := " in the working tree"
	switch {
	case c.commit != nil:
		c.commit.failed.Store(true)
		where = fmt.Sprintf(" in commit %.7s", c.commit.id)
	case c.blob != "":
		where = " in the index"
	case s.repo.Commit == "":
		where = ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps[fmt.Sprintf("%s%s: %s", printable(c.path), where, why)] = struct{}{}
}

func (s *scan) leave(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = append(s.left, what)
}

// verdict is nil only when every commit and the whole working tree were seen.
func (s *scan) verdict(ctx context.Context, err error) *fault.Error {
	scanned := int(s.scanned.Load())
	counts := fmt.Sprintf("%d of %s readable", scanned, finding.Plural(len(s.commits), "commit"))
	if ctx.Err() != nil {
		return fault.Undeterminedf("stopped after %d of %s: %w", scanned, finding.Plural(len(s.commits), "commit"), context.Cause(ctx))
	}
	if err != nil {
		return unreadable(s.repo, counts, err)
	}
	if len(s.gaps) == 0 && scanned == len(s.commits) {
		return nil
	}
	if scanned == len(s.commits) {
		counts = finding.Plural(len(s.gaps), "file") + " of the working tree not scanned"
	}
	return s.incomplete(counts)
}

// incomplete names the gaps.
func (s *scan) incomplete(what string) *fault.Error {
	lines := slices.Sorted(maps.Keys(s.gaps))
	f := fault.Undeterminedf("%s", what).WithDetail(lines[:min(len(lines), 10)]...)
	if more := len(lines) - 10; more > 0 {
		f = f.WithDetail(fmt.Sprintf("and %d more", more))
	}
	return f.WithDetail(notAPass).WithNext(s.repair()...)
}

const notAPass = "A scan that did not see everything is not a pass."

func unreadable(repo *gitrepo.Repo, what string, err error) *fault.Error {
	f := fault.Undeterminedf("%s", what).WithDetail(gitReason(err))
	f.Err = err
	if errors.Is(err, exec.ErrNotFound) {
		return f.WithNext("Install git and put it on the PATH.")
	}
	return f.WithDetail(notAPass).WithNext(fetchNext(repo)...)
}

func fetchNext(repo *gitrepo.Repo) []string {
	if repo.Origin == "" {
		return []string{"See what is damaged: git fsck --full"}
	}
	return []string{"Fetch it: git fetch --refetch origin"}
}

// missing is the gap of an object that git does not have.
func (s *scan) missing(c change, id string) {
	s.gap(c, fmt.Sprintf("git cannot read blob %.7s (partial clone?)", id))
	s.lost.Add(1)
}

// repair says what to do about gaps.
func (s *scan) repair() []string {
	var next []string
	lost := int(s.lost.Load())
	if lost > 0 {
		next = fetchNext(s.repo)
	}
	switch {
	case lost >= len(s.gaps):
		return next
	case s.rules.strict: // no allowlist counts
		return append(next, "Take the file out of the repository; out of a commit that is not pushed yet with: git rebase -i")
	}
	return append(next, "A file that holds no secret by its nature: add its path to an allowlist in "+ConfigFile+".")
}

func (s *scan) coverage() record.Coverage {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := record.Coverage{Unit: "commits", Expected: len(s.commits), Scanned: int(s.scanned.Load()), Bytes: s.bytes.Load()}
	onList := 0
	for _, f := range s.paths {
		if f.allowed {
			onList++
		}
	}
	c.Files = len(s.paths) - onList
	if s.repo.Commit == "" {
		c.Unit, c.Expected, c.Scanned = "files", c.Files, max(0, int(s.done.Load())-len(s.gaps))
	}
	if s.rules.own {
		c.Left = append(c.Left, "what the rules and allowlists of "+ConfigFile+" let pass")
	}
	if onList > 0 {
		c.Left = append(c.Left, finding.Plural(onList, "file")+" on the allowlist of the rules, such as lock files, images and vendored code")
	}
	if n := len(s.binaries); n > 0 {
		c.Left = append(c.Left, "the content of "+finding.Plural(n, "binary file"))
	}
	if n := len(s.closed); n > 0 {
		c.Left = append(c.Left, "what is in "+finding.Plural(n, "archive")+" (archive-depth is "+strconv.Itoa(s.archiveDepth)+")")
	}
	slices.Sort(s.left)
	for _, what := range slices.Compact(s.left) {
		c.Left = append(c.Left, s.redact(what))
	}
	return c
}

func (s *scan) scanAndLeave(ctx context.Context, git *objects, c change) error {
	if err := s.scanChange(ctx, git, c); err != nil {
		return err
	}
	return git.leaveRest()
}
