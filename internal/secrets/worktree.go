package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// worktree hands on what differs between HEAD and the index, between the index and the working tree, and what is not
// tracked and not ignored.
func (s *scan) worktree(ctx context.Context, give func(change) error) error {
	for _, args := range [][]string{
		{"diff-index", "--cached", "--raw", "-z", "-M", "-l2000", "--no-abbrev", s.repo.Commit, "--"},
		{"diff-files", "--raw", "-z", "--no-abbrev", "--ignore-submodules=all", "--"},
	} {
		if err := s.rawChanges(ctx, args, func(c change) error {
			if args[0] == "diff-index" && c.blob == "" {
				return nil // an unresolved conflict: diff-files names its file too
			}
			return give(c)
		}); err != nil {
			return err
		}
	}
	if err := s.hidden(ctx, give); err != nil {
		return err
	}
	return s.untracked(ctx, give)
}

// hidden hands on the files that git was told not to look at (assume-unchanged, skip-worktree), as far as they are there, and
// names the submodules.
func (s *scan) hidden(ctx context.Context, give func(change) error) error {
	out, err := runGit(ctx, s.repo.Root, "ls-files", "-v", "--stage", "-z", "--")
	if err != nil {
		return err
	}
	for entry := range strings.SplitSeq(out, "\x00") {
		head, name, _ := strings.Cut(entry, "\t")
		fields := strings.Fields(head) // tag, mode, object, stage
		if len(fields) == 4 && fields[1] == modeSubmodule {
			s.leave("the submodule " + printable(name))
			continue
		}
		if len(fields) != 4 || (fields[0] != "S" && fields[0] == strings.ToUpper(fields[0])) {
			continue
		}
		if err := give(change{path: name, parents: fields[2:3]}); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) rawChanges(ctx context.Context, args []string, give func(change) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	git, err := start(ctx, s.repo.Root, nil, args...)
	if err != nil {
		return err
	}
	err = parseRaw(git.Reader, func(id string) error {
		return fmt.Errorf("git %s showed a commit %q", args[0], id)
	}, give)
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		err = git.reason(err)
	}
	return err
}

func (s *scan) untracked(ctx context.Context, give func(change) error) error {
	out, err := runGit(ctx, s.repo.Root, "ls-files", "-z", "--others", "--exclude-standard", "--")
	if err != nil {
		return err
	}
	for _, name := range strings.Split(out, "\x00") {
		switch {
		case name == "":
		case strings.HasSuffix(name, "/"):
			s.leave("the folder " + printable(name) + ": a repository of its own")
		default:
			if err := give(change{path: name, newPath: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

// errGone is a file that is not there any more, or never was one that could hold content.
var errGone = errors.New("gone")

// readFile reads a file of the working tree as blob reads an object. A link's content is where it leads: it is never
// followed.
func readFile(root, path string) ([]byte, int64, error) {
	name := filepath.Join(root, filepath.FromSlash(path))
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, errGone
	case err != nil:
		return nil, 0, plain(err)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(name)
		return []byte(target), int64(len(target)), plain(err)
	case !info.Mode().IsRegular():
		return nil, 0, errGone
	}
	f, err := os.Open(name) // #nosec G304 -- a regular file that git names
	if err != nil {
		return nil, 0, plain(err)
	}
	defer f.Close()
	var content bytes.Buffer
	size, err := io.Copy(&content, io.LimitReader(f, MaxFileSize+1)) // it may grow while it is read
	if err != nil {
		return nil, 0, plain(err)
	}
	if size > MaxFileSize {
		return content.Bytes()[:binaryProbe], max(size, info.Size()), nil
	}
	return content.Bytes(), size, nil
}

// plain takes the path out of an error: the caller names the file.
func plain(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
