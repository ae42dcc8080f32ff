// Package gitrepo asks git for the facts that the delivery needs: where the repository is, what commit is checked out,
// what differs from it, and which commits the change is made of.
package gitrepo

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
)

// Repo is a repository with at least one commit.
type Repo struct {
	Root     string    // absolute path of the working tree
	Path     string    // folder of the service in it, with slashes; empty at the root
	Commit   string    // full hash of HEAD
	Time     time.Time // committer time of HEAD
	Ref      string    // full name of the branch; empty on a detached HEAD
	Shallow  bool
	Origin   string // URL of the remote "origin" without credentials; empty without one
	Upstream string // full name of the default branch's ref, such as refs/remotes/origin/main; empty when unknown
}

// Open finds the repository that holds dir.
func Open(ctx context.Context, dir string) (*Repo, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, fault.BadInputf("service folder %s: %w", dir, err)
	}
	r := &Repo{Root: abs}
	top, err := r.line(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, notARepository(dir, abs, err)
	}
	r.Root = filepath.FromSlash(top)
	rel, err := filepath.Rel(r.Root, abs)
	if err != nil {
		return nil, err
	}
	if rel != "." {
		r.Path = filepath.ToSlash(rel)
	}
	return r, r.readHead(ctx)
}

// ErrNone is a folder that is in no repository.
var ErrNone = errors.New("not in a git repository")

func notARepository(dir, abs string, err error) error {
	var e *proc.Error
	switch {
	case !errors.As(err, &e):
		return err
	case e.Code == -1:
		return fault.Undeterminedf("git does not run: %w", err).WithNext("Install git and put it on the PATH.")
	case strings.Contains(e.Stderr, "dubious ownership"):
		f := fault.BadInputf("git refuses %s: it belongs to another user", dir)
		for line := range strings.Lines(e.Stderr) { // git knows the folder by the name that it has to be allowed by
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "git config ") {
				return f.WithNext("Allow it: " + line)
			}
		}
		return f
	case strings.Contains(e.Stderr, "must be run in a work tree"):
		return fault.BadInputf("%s is in a bare repository, or in the folder .git of another: there is no working tree", dir).
			WithNext("Clone it, and name that folder: git clone " + dir)
	case !strings.Contains(e.Stderr, "not a git repository"):
		return fault.Undeterminedf("git cannot read the repository of %s: %w", dir, err)
	}
	if broken := dotGit(abs); broken != "" {
		return fault.BadInputf("%s leads to no repository", broken).WithDetail("git says: "+strings.TrimSpace(e.Stderr)).
			WithNext("A worktree that was moved: git worktree repair", "A submodule: git submodule update --init", "No repository at all: remove "+broken)
	}
	f := fault.BadInputf("%s is not in a git repository, so there is no commit to deliver", dir).
		WithNext("Start one: git init && git add . && git commit -m 'first version'")
	f.Err = ErrNone
	return f
}

// dotGit is what makes dir, or a folder that it is in, a repository for people, although it does not for git; empty where there is none.
func dotGit(dir string) string {
	for {
		name := filepath.Join(dir, ".git")
		if _, err := os.Lstat(name); err == nil {
			return name
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

func (r *Repo) readHead(ctx context.Context) error {
	var e *proc.Error
	// Only a branch without a commit has no hash; that of a commit which cannot be read is there.
	if _, err := r.line(ctx, "rev-parse", "--verify", "--quiet", "HEAD"); errors.As(err, &e) && e.Code == 1 {
		return fault.BadInputf("the repository %s has no commit yet, so there is nothing to deliver", r.Root).
			WithNext("Commit the service: git add . && git commit -m 'first version'")
	}
	head, err := r.line(ctx, "log", "-1", "--no-show-signature", "--format=%H %ct", "HEAD")
	if err != nil {
		return fault.Undeterminedf("git cannot read HEAD of %s: %w", r.Root, err)
	}
	commit, seconds, _ := strings.Cut(head, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fault.Undeterminedf("git names no time for commit %s: %w", commit, err)
	}
	r.Commit, r.Time = commit, time.Unix(unix, 0).UTC()
	shallow, err := r.line(ctx, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return fault.Undeterminedf("git cannot tell whether %s is shallow: %w", r.Root, err)
	}
	r.Shallow = shallow == "true"
	// Each of these is absent in an ordinary repository of some kind, so a failure is an answer.
	r.Ref, _ = r.line(ctx, "symbolic-ref", "--quiet", "HEAD")
	if origin, err := r.line(ctx, "remote", "get-url", "origin"); err == nil {
		r.Origin = WithoutCredentials(origin)
	}
	r.Upstream, _ = r.line(ctx, "symbolic-ref", "--quiet", "refs/remotes/origin/HEAD")
	return ctx.Err()
}

// Dir is the service's folder.
func (r *Repo) Dir() string { return filepath.Join(r.Root, filepath.FromSlash(r.Path)) }

// Name is OWNER/NAME from the remote's URL, or the folder's name without a remote.
func (r *Repo) Name() string {
	if parts := strings.Split(strings.TrimSuffix(remotePath(r.Origin), ".git"), "/"); len(parts) >= 2 {
		return strings.Join(parts[len(parts)-2:], "/")
	}
	return filepath.Base(r.Root)
}

// remotePath is the path of a URL or of git's HOST:PATH form; a file path or an empty remote has none.
func remotePath(remote string) string {
	if u, err := url.Parse(remote); err == nil && u.Host != "" {
		return strings.Trim(u.Path, "/")
	}
	host, path, ok := strings.Cut(remote, ":")
	if !ok || strings.ContainsAny(host, `/\`) {
		return ""
	}
	return strings.Trim(path, "/")
}

// userinfo is the part of a URL that may hold credentials; a password may well hold what no URL allows.
var userinfo = regexp.MustCompile(`://.*@`)

// WithoutCredentials takes user and password out of a URL, also out of one that cannot be parsed.
func WithoutCredentials(remote string) string {
	u, err := url.Parse(remote)
	if err != nil || u.Host == "" {
		return userinfo.ReplaceAllString(remote, "://")
	}
	u.User = nil
	return u.String()
}

// Dirty lists what differs from HEAD below the given folders of the repository, untracked files included, ignored ones
// not; each line is git's two status letters and the path.
func (r *Repo) Dirty(ctx context.Context, folders ...string) ([]string, error) {
	args := append([]string{"-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false", "status", "--porcelain=v1",
		"--untracked-files=all", "--ignore-submodules=none", "--"}, folders...)
	out, err := r.git(ctx, args...)
	if err != nil {
		return nil, fault.Undeterminedf("git cannot tell what is changed in %s: %w", r.Root, err)
	}
	var lines []string
	if text := strings.TrimRight(string(out), "\n"); text != "" {
		lines = strings.Split(text, "\n")
	}
	hidden, err := r.hidden(ctx, folders)
	if err != nil {
		return nil, err
	}
	for _, what := range hidden {
		lines = append(lines, " M "+what)
	}
	return lines, nil
}

// hidden lists what differs among the files that git was told not to look at (assume-unchanged, skip-worktree). A file that
// a sparse checkout leaves out is not there, so it does not differ.
func (r *Repo) hidden(ctx context.Context, folders []string) ([]string, error) {
	out, err := r.git(ctx, append([]string{"ls-files", "-v", "-z", "--"}, folders...)...)
	if err != nil {
		return nil, fault.Undeterminedf("git cannot list the files of %s: %w", r.Root, err)
	}
	var files []string
	for entry := range strings.SplitSeq(string(out), "\x00") {
		tag, name, _ := strings.Cut(entry, " ")
		if tag == "" || tag != "S" && tag == strings.ToUpper(tag) {
			continue
		}
		file := filepath.Join(r.Root, filepath.FromSlash(name))
		if _, err := os.Lstat(file); err != nil && tag == "S" {
			continue
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		return nil, nil
	}
	return r.Uncommitted(ctx, files, nil)
}

// Named lists the tracked files of a name in all of the repository, as paths from its root with slashes.
func (r *Repo) Named(ctx context.Context, name string) ([]string, error) {
	out, err := r.git(ctx, "ls-files", "-z")
	if err != nil {
		return nil, fault.Undeterminedf("git cannot list the files of %s: %w", r.Root, err)
	}
	var files []string
	for file := range strings.SplitSeq(string(out), "\x00") {
		if path.Base(file) == name {
			files = append(files, file)
		}
	}
	return files, nil
}

// Absent lists the files, as seen from the service's folder and below it, that a sparse checkout leaves out of the working tree.
func (r *Repo) Absent(ctx context.Context) ([]string, error) {
	args := []string{"ls-files", "-t", "-z", "--"}
	if r.Path != "" {
		args = append(args, r.Path)
	}
	out, err := r.git(ctx, args...)
	if err != nil {
		return nil, fault.Undeterminedf("git cannot list the files of %s: %w", r.Root, err)
	}
	var files []string
	for entry := range strings.SplitSeq(string(out), "\x00") {
		name, skipped := strings.CutPrefix(entry, "S ")
		if !skipped {
			continue
		}
		if _, err := os.Lstat(filepath.Join(r.Root, filepath.FromSlash(name))); errors.Is(err, fs.ErrNotExist) {
			files = append(files, strings.TrimPrefix(strings.TrimPrefix(name, r.Path), "/"))
		}
	}
	return files, nil
}

// MergeBase is the commit where HEAD left the default branch; empty where that is not known or HEAD is on it.
func (r *Repo) MergeBase(ctx context.Context) (string, error) {
	base, err := r.Shared(ctx)
	if base == r.Commit {
		return "", err
	}
	return base, err
}

// Shared is the newest commit that HEAD and the default branch have in common: HEAD itself where it is on that branch. It is
// empty where none is known, which in a shallow clone does not mean that there is none.
func (r *Repo) Shared(ctx context.Context) (string, error) {
	branch := r.Upstream
	if branch == "" {
		return "", nil
	}
	base, err := r.line(ctx, "merge-base", branch, "HEAD")
	var e *proc.Error
	if errors.As(err, &e) && e.Code == 1 { // no common history, which git says without a word
		return "", nil
	}
	if err != nil {
		return "", fault.Undeterminedf("git cannot find where HEAD left %s: %w", branch, err).
			WithNext("Fetch that branch: git fetch origin", "In a workflow: actions/checkout with fetch-depth: 0")
	}
	return base, nil
}

// elsewhere names the variables that lead git to another repository, index or object store than that of the folder it runs
// in, as git itself sets them for its hooks, or that make it read paths as patterns.
var elsewhere = []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
	"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_REPLACE_REF_BASE",
	"GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_IMPLICIT_WORK_TREE", "GIT_QUARANTINE_PATH"}

// Environ is the process's environment with what makes git's answers the same everywhere: about the folder it runs in, of
// objects as they are and not as others replace them, and never a prompt.
func Environ() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(elsewhere, name)
	})
	return append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_LITERAL_PATHSPECS=1", "GIT_NO_REPLACE_OBJECTS=1")
}

func (r *Repo) git(ctx context.Context, args ...string) ([]byte, error) {
	return proc.Run(ctx, proc.Command{Dir: r.Root, Env: Environ(), Name: "git", Args: args})
}

func (r *Repo) line(ctx context.Context, args ...string) (string, error) {
	out, err := r.git(ctx, args...)
	return strings.TrimSpace(string(out)), err
}
