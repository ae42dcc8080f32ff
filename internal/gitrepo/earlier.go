package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
)

// Resolve gives the full hash of the commit that a ref, tag or short hash names.
func (r *Repo) Resolve(ctx context.Context, ref string) (string, error) {
	// --end-of-options keeps a name that begins with a hyphen a name.
	commit, err := r.line(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	var e *proc.Error
	if errors.As(err, &e) && e.Code == 1 {
		return "", fault.BadInputf("git knows no commit %q here", ref).
			WithNext("Fetch it: git fetch origin " + ref)
	}
	if err != nil {
		return "", fault.Undeterminedf("git cannot say which commit %q is: %w", ref, err)
	}
	return commit, nil
}

// Export writes the files of a commit below dir, which has to be there, and changes nothing in the repository: no
// worktree is registered and no hook runs. git archive would leave out what .gitattributes tells it to. The files of those
// submodules that are checked out now are among them.
func (r *Repo) Export(ctx context.Context, commit, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	index, err := os.MkdirTemp("", "idp-index-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(index) }()
	// Large files of git LFS stay pointers: fetching them needs the network, and no scanner reads them.
	env := append(Environ(), "GIT_INDEX_FILE="+filepath.Join(index, "index"), "GIT_LFS_SKIP_SMUDGE=1")
	for _, args := range [][]string{
		{"read-tree", commit},
		{"checkout-index", "--all", "--force", "--prefix=" + filepath.ToSlash(dir) + "/"},
	} {
		if _, err := proc.Run(ctx, proc.Command{Dir: r.Root, Env: env, Name: "git", Args: args}); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fault.Undeterminedf("git cannot give the files of commit %.7s: %w", commit, err)
		}
	}
	return r.exportSubmodules(ctx, commit, dir)
}

func (r *Repo) exportSubmodules(ctx context.Context, commit, dir string) error {
	out, err := r.git(ctx, "ls-tree", "-r", "-z", "--full-tree", commit)
	if err != nil {
		return fault.Undeterminedf("git cannot tell what is in commit %.7s: %w", commit, err)
	}
	for line := range strings.SplitSeq(string(out), "\x00") {
		meta, name, _ := strings.Cut(line, "\t")
		fields := strings.Fields(meta) // mode, type, hash
		if len(fields) != 3 || fields[0] != modeSubmodule {
			continue
		}
		inner := &Repo{Root: filepath.Join(r.Root, filepath.FromSlash(name))}
		if _, err := os.Lstat(filepath.Join(inner.Root, ".git")); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := inner.Export(ctx, fields[2], filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return fmt.Errorf("submodule %s: %w", name, err)
		}
	}
	return nil
}

// Change is a file that differs between a commit and the working tree. Old is empty for one that is new, New for one that
// is gone; they differ where it was renamed. Both are as the repository names them, with slashes.
type Change struct {
	Old, New string
	Blob     string // object that the commit has for Old; empty for a new file and for a submodule
}

// ChangesSince lists the files that differ between a commit and the working tree, renames found by likeness as git does.
// Untracked files are not among them.
func (r *Repo) ChangesSince(ctx context.Context, commit string) ([]Change, error) {
	out, err := r.git(ctx, "diff-index", "--raw", "-z", "-M", "-l2000", "--no-abbrev", "--ignore-submodules=all", commit, "--")
	if err != nil {
		return nil, fault.Undeterminedf("git cannot tell what changed since %.7s: %w", commit, err)
	}
	fields := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	var changes []Change
	for i := 0; i < len(fields) && fields[i] != ""; {
		// :MODE MODE BLOB BLOB STATUS, the path, and of a rename the new path.
		head := strings.Fields(strings.TrimPrefix(fields[i], ":"))
		names := 1
		if len(head) == 5 && head[4][0] == 'R' {
			names = 2
		}
		if len(head) != 5 || i+names >= len(fields) {
			return nil, fault.Undeterminedf("git's list of changes since %.7s breaks off", commit)
		}
		c := Change{Old: fields[i+1], New: fields[i+names]}
		if head[0] != modeSubmodule && strings.Trim(head[2], "0") != "" {
			c.Blob = head[2]
		}
		switch head[4][0] {
		case 'A':
			c.Old = ""
		case 'D':
			c.New = ""
		}
		changes = append(changes, c)
		i += 1 + names
	}
	return changes, nil
}

// Since lists the commits that HEAD reaches and the given commit does not.
func (r *Repo) Since(ctx context.Context, commit string) (map[string]bool, error) {
	out, err := r.git(ctx, "rev-list", r.Commit, "^"+commit, "--")
	if err != nil {
		return nil, fault.Undeterminedf("git cannot list the commits since %.7s: %w", commit, err)
	}
	since := map[string]bool{}
	for _, id := range strings.Fields(string(out)) {
		since[id] = true
	}
	return since, nil
}

// Blob names the object that a commit has for a file, by the file's path in the repository; empty where it has none.
func (r *Repo) Blob(ctx context.Context, commit, path string) (string, error) {
	entry, err := r.line(ctx, "ls-tree", "--format=%(objecttype) %(objectname)", commit, "--", path)
	if err != nil {
		return "", fault.Undeterminedf("git cannot read %s of commit %.7s: %w", path, commit, err)
	}
	id, _ := strings.CutPrefix(entry, "blob ")
	if id == entry {
		return "", nil
	}
	return id, nil
}

// File gives a file as it is in a commit, by its path in the repository; nil where the commit has none.
func (r *Repo) File(ctx context.Context, commit, path string) ([]byte, error) {
	id, err := r.Blob(ctx, commit, path)
	if err != nil || id == "" {
		return nil, err
	}
	data, err := r.git(ctx, "cat-file", "blob", id)
	if err != nil {
		return nil, fault.Undeterminedf("git cannot read %s of commit %.7s: %w", path, commit, err)
	}
	return data, nil
}

// Behind lists what is in another commit and not in HEAD, the newest first, each with its short hash and subject. It is not
// known where the clone does not have that commit, or not all that lies between.
func (r *Repo) Behind(ctx context.Context, commit string) (list []string, known bool, err error) {
	if !hashForm.MatchString(commit) {
		return nil, false, nil
	}
	has, err := r.Has(ctx, commit)
	if err != nil || !has || r.Shallow {
		return nil, false, err
	}
	text, err := r.line(ctx, "log", "--no-show-signature", "--format=%h %s", "HEAD.."+commit)
	if err != nil {
		return nil, false, fault.Undeterminedf("git cannot list what commit %s has and HEAD has not: %w", commit, err)
	}
	if text == "" {
		return nil, true, nil
	}
	return strings.Split(text, "\n"), true, nil
}

var hashForm = regexp.MustCompile(`^[0-9a-f]{40,64}$`)
