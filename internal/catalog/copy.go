package catalog

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
)

// replaceable tells whether the folder may be replaced: when it is absent, empty, or a copy that we made.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil
	}
	if err == nil {
		var data []byte
		if data, err = os.ReadFile(filepath.Join(dir, indexFile)); err == nil { // #nosec G304 -- the app's own output folder
			_, err = parseIndex(data)
		}
	}
	if err != nil {
		return fault.BadInputf("folder %s is in the way: it is not a copy of a catalogue, so it is not replaced", dir).
			WithNext("Move it away, or choose another output folder with --out.")
	}
	return nil
}

// replaceCopy puts the files of a commit in the place of dir. Links are written as files that hold their target.
func replaceCopy(ctx context.Context, r *repo, commit, dir string) error {
	if commit == "" {
		return nil
	}
	fresh, old := filepath.Join(r.dir, "copy"), filepath.Join(r.dir, "old")
	if err := os.Mkdir(fresh, 0o755); err != nil { // #nosec G301 -- for everyone on the runner to read
		return err
	}
	if _, err := r.git(ctx, nil, "read-tree", commit); err != nil {
		return err
	}
	// Not with --work-tree alone: GIT_DIR is that of a bare repository.
	_, err := proc.Run(ctx, proc.Command{Dir: fresh, Env: append(r.env, "GIT_WORK_TREE="+fresh), Name: "git",
		Args: []string{"-c", "core.bare=false", "checkout-index", "--all", "--force"}})
	if err != nil {
		return err
	}
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(fresh, dir)
}
