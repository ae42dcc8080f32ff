package gitstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/proc"
)

// CreateBare makes an empty bare repository at dir, the catalogue of the local target, in one step; where there is one
// already it does nothing.
func CreateBare(ctx context.Context, dir string) error {
	run := func(at string, args ...string) (string, error) {
		// The two variables that lead git elsewhere are set, so nothing that a caller exported counts.
		env := append(environ(filepath.Dir(at), Remote{}), "GIT_DIR="+at)
		out, err := proc.Run(ctx, proc.Command{Dir: filepath.Dir(at), Env: env, Name: "git", Args: args})
		return strings.TrimSpace(string(out)), err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil { // #nosec G301 -- the output folder is for everyone on the runner to read
		return fault.Undeterminedf("the output folder cannot be made: %w", err)
	}
	if entries, err := os.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) && (err != nil || len(entries) > 0) {
		if bare, err := run(dir, "rev-parse", "--is-bare-repository"); err == nil && bare == "true" {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fault.BadInputf("%s is in the way: it is not a bare Git repository", dir).
			WithNext("Move it away, or name a catalogue with --catalog.")
	}
	temp, err := os.MkdirTemp(parent, ".catalog-*")
	if err != nil {
		return fault.Undeterminedf("the catalogue cannot be made: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }()
	fresh := filepath.Join(temp, "bare.git")
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--template=", "--initial-branch=main", fresh},
		{"config", "gc.autoDetach", "false"}, // a push must leave no process behind
		{"config", "uploadpack.allowFilter", "true"},
	} {
		if _, err := run(fresh, args...); err != nil {
			return whyNot(ctx, err, "git cannot make the catalogue "+dir)
		}
	}
	_ = os.Remove(dir) // an empty folder; Windows does not rename over one
	if err := os.Rename(fresh, dir); err != nil {
		return fault.Undeterminedf("the catalogue cannot be made: %w", err)
	}
	return nil
}
