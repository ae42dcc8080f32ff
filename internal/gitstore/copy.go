package gitstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/org/idp/internal/proc"
)

// Copy puts the files of a commit in the place of dir, which is on the file system of Temp. Links are written as files that hold
// their target. It needs a store that has the whole catalogue.
func (s *Store) Copy(ctx context.Context, commit, dir string) error {
	if commit == "" {
		return nil
	}
	fresh, old := filepath.Join(s.o.Temp, "copy"), filepath.Join(s.o.Temp, "old")
	if err := os.Mkdir(fresh, 0o755); err != nil { // #nosec G301 -- for everyone on the runner to read
		return err
	}
	if _, err := s.git(ctx, nil, "read-tree", commit); err != nil {
		return err
	}
	// Not with --work-tree alone: GIT_DIR is that of a bare repository.
	_, err := proc.Run(ctx, proc.Command{Dir: fresh, Env: append(s.env, "GIT_WORK_TREE="+fresh), Name: "git",
		Args: []string{"-c", "core.bare=false", "checkout-index", "--all", "--force"}})
	if err != nil {
		return err
	}
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(fresh, dir)
}
