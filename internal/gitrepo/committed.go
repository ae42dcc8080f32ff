package gitrepo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
)

// Modes of git's trees.
const (
	modeLink      = "120000"
	modeSubmodule = "160000"
)

// entry is what a commit has at a path.
type entry struct{ mode, hash string }

// Uncommitted gives those of the files, named by absolute path, that are not what the commit has at their place: changed,
// not tracked, ignored, or outside of the repository. It compares content, because git's index can be told to look away
// (assume-unchanged, skip-worktree) and does not speak of ignored files. Of the folders it gives the committed files that
// are not there; a folder that maps to true counts with all below it.
func (r *Repo) Uncommitted(ctx context.Context, files []string, folders map[string]bool) ([]string, error) {
	c, err := r.commit(ctx)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := c.add(ctx, file); err != nil {
			return nil, err
		}
	}
	for folder, deep := range folders {
		if err := c.present(folder, deep); err != nil {
			return nil, err
		}
	}
	if err := c.compare(ctx); err != nil {
		return nil, err
	}
	slices.Sort(c.wrong)
	return slices.Compact(c.wrong), nil
}

// committed holds files against one commit.
type committed struct {
	*Repo
	root  string              // without symbolic links
	tree  map[string]entry    // by path in the repository
	queue []string            // paths whose content is to be compared
	below map[string][]string // files in submodules, by the submodule's path
	wrong []string
}

func (r *Repo) commit(ctx context.Context) (*committed, error) {
	c := &committed{Repo: r, tree: map[string]entry{}, below: map[string][]string{}}
	var err error
	if c.root, err = filepath.EvalSymlinks(r.Root); err != nil {
		return nil, err
	}
	out, err := r.git(ctx, "ls-tree", "-r", "-z", "--full-tree", r.Commit)
	if err != nil {
		return nil, fault.Undeterminedf("git cannot tell what is in commit %s: %w", r.Commit, err)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		meta, name, _ := strings.Cut(line, "\t")
		if f := strings.Fields(meta); len(f) == 3 { // mode, type, hash
			c.tree[name] = entry{f[0], f[2]}
		}
	}
	return c, nil
}

// add takes one file. A link has to be committed, and what it leads to as well.
func (c *committed) add(ctx context.Context, file string) error {
	folder, err := filepath.EvalSymlinks(filepath.Dir(file))
	if errors.Is(err, fs.ErrNotExist) {
		folder, err = filepath.Dir(file), nil
	}
	if err != nil {
		return fault.Undeterminedf("%s cannot be looked at: %w", file, err)
	}
	full := filepath.Join(folder, filepath.Base(file))
	rel, err := filepath.Rel(c.root, full)
	if err != nil || !filepath.IsLocal(rel) {
		c.note(full + " (outside of the repository)")
		return nil
	}
	name := filepath.ToSlash(rel)
	if sub := c.submodule(name); sub != "" {
		c.below[sub] = append(c.below[sub], full)
		return nil
	}
	e, tracked := c.tree[name]
	info, err := os.Lstat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.note(name + " (not there)")
		return nil
	case err != nil:
		return fault.Undeterminedf("%s cannot be looked at: %w", file, err)
	case !tracked:
		c.note(name + " (not in the commit)")
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		return c.link(ctx, name, full, e)
	case e.mode == modeLink || strings.ContainsAny(name, "\n\"\\"): // hash-object reads one name a line, quoted or not
		c.note(name + " (changed)")
		return nil
	}
	c.queue = append(c.queue, name)
	return nil
}

func (c *committed) link(ctx context.Context, name, full string, e entry) error {
	target, err := os.Readlink(full)
	if err != nil {
		return fault.Undeterminedf("%s cannot be looked at: %w", name, err)
	}
	hash, err := proc.Run(ctx, proc.Command{Dir: c.root, Env: Environ(), Name: "git", Args: []string{"hash-object", "--stdin"},
		Stdin: strings.NewReader(filepath.ToSlash(target))})
	if err != nil {
		return fault.Undeterminedf("git cannot hash %s: %w", name, err)
	}
	if e.mode != modeLink || strings.TrimSpace(string(hash)) != e.hash {
		c.note(name + " (changed)")
	}
	real, err := filepath.EvalSymlinks(full)
	if err != nil {
		return fault.Undeterminedf("%s cannot be looked at: %w", name, err)
	}
	return c.add(ctx, real)
}

// submodule is the path of the submodule that the file is in; empty for none.
func (c *committed) submodule(name string) string {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if c.tree[dir].mode == modeSubmodule {
			return dir
		}
	}
	return ""
}

func (c *committed) note(what string) { c.wrong = append(c.wrong, what) }

// present notes what the commit has in the folder and the working tree has not, as in a sparse checkout.
func (c *committed) present(folder string, deep bool) error {
	real, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return fault.Undeterminedf("%s cannot be looked at: %w", folder, err)
	}
	rel, err := filepath.Rel(c.root, real)
	if err != nil || !filepath.IsLocal(rel) {
		return nil // its files are outside too, and noted
	}
	prefix := filepath.ToSlash(rel) + "/"
	if rel == "." {
		prefix = ""
	}
	for name, e := range c.tree {
		rest, inside := strings.CutPrefix(name, prefix)
		if !inside || e.mode == modeSubmodule || !deep && strings.Contains(rest, "/") {
			continue
		}
		if _, err := os.Lstat(filepath.Join(c.root, filepath.FromSlash(name))); errors.Is(err, fs.ErrNotExist) {
			c.note(name + " (not there)")
		}
	}
	return nil
}

// compare hashes the files as they are and, where that differs, as git would commit them: line ends may have been
// converted on checkout. Content that gives the committed object in either way follows from the commit.
func (c *committed) compare(ctx context.Context) error {
	rest := c.queue
	for _, filters := range [][]string{{"--no-filters"}, nil} {
		var err error
		if rest, err = c.differing(ctx, rest, filters); err != nil {
			return err
		}
	}
	for _, name := range rest {
		c.note(name + " (changed)")
	}
	for sub, files := range c.below {
		inner := &Repo{Root: filepath.Join(c.root, filepath.FromSlash(sub)), Commit: c.tree[sub].hash}
		wrong, err := inner.Uncommitted(ctx, files, nil)
		if err != nil {
			return err
		}
		for _, w := range wrong {
			c.note(sub + "/" + w)
		}
	}
	return nil
}

func (c *committed) differing(ctx context.Context, names []string, filters []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	out, err := proc.Run(ctx, proc.Command{Dir: c.root, Env: Environ(), Name: "git",
		Args: append([]string{"hash-object", "--stdin-paths"}, filters...), Stdin: strings.NewReader(strings.Join(names, "\n") + "\n")})
	if err != nil {
		return nil, fault.Undeterminedf("git cannot hash the files of %s: %w", c.root, err)
	}
	hashes := strings.Fields(string(out))
	if len(hashes) != len(names) {
		return nil, fault.Undeterminedf("git hashed %d of %d files of %s", len(hashes), len(names), c.root)
	}
	var differ []string
	for i, name := range names {
		if hashes[i] != c.tree[name].hash {
			differ = append(differ, name)
		}
	}
	return differ, nil
}
