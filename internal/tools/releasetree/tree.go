package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Files of the tree that have no counterpart in the repository.
const (
	checksumsFile = "dist/checksums.txt"
	sbomFile      = "dist/sbom.cdx.json"
	shimFile      = "dist/idp.js"
)

// copied are files that are in the tree as in the repository.
var copied = map[string]string{
	"action.yml":           "action.yml",
	"LICENSE":              "LICENSE",
	"README.md":            "README.md",
	"internal/shim/idp.js": shimFile,
	// What `uses: org/idp/.github/workflows/golden-path.yml@v1` reads.
	".github/workflows/golden-path.yml": ".github/workflows/golden-path.yml",
}

// tree is one release.
type tree struct {
	source, dir, version string
	platforms            []string
}

// lay replaces the folder with the tree. The checksums come last, so that an unfinished tree has none.
func (t tree) lay(ctx context.Context) error {
	if err := os.RemoveAll(t.dir); err != nil {
		return err
	}
	for from, to := range copied {
		if err := t.copy(from, to); err != nil {
			return err
		}
	}
	if err := t.entries("action.yml", "path"); err != nil {
		return err
	}
	actions, err := os.ReadDir(filepath.Join(t.source, "actions"))
	if err != nil {
		return err
	}
	for _, a := range actions {
		for _, file := range []string{"action.yml", "README.md"} {
			if err := t.copy(path.Join("actions", a.Name(), file), path.Join(a.Name(), file)); err != nil {
				return err
			}
		}
		if err := t.entries(path.Join(a.Name(), "action.yml"), a.Name()); err != nil {
			return err
		}
	}
	if err := t.compile(ctx); err != nil {
		return err
	}
	return t.sum()
}

// copy takes a file of the repository over, with the one mode that all such files have.
func (t tree) copy(from, to string) error {
	data, err := os.ReadFile(filepath.Join(t.source, filepath.FromSlash(from)))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the release needs %s, which this commit does not have", from)
	}
	if err != nil {
		return err
	}
	return t.write(to, data)
}

// write makes a file of the tree; its mode does not depend on the umask.
func (t tree) write(name string, data []byte) error {
	file := filepath.Join(t.dir, filepath.FromSlash(name))
	if err := t.folder(path.Dir(name)); err != nil {
		return err
	}
	if err := os.WriteFile(file, data, 0o644); err != nil { // #nosec G306 -- published to everyone
		return err
	}
	return os.Chmod(file, 0o644) // #nosec G302
}

func (t tree) folder(name string) error {
	dir := filepath.Join(t.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- published to everyone
		return err
	}
	return os.Chmod(dir, 0o755) // #nosec G302
}

// entries writes the files that an action.yml names: a node action is not told its own name, so each of them says it to
// the shim.
func (t tree) entries(actionFile, name string) error {
	data, err := os.ReadFile(filepath.Join(t.dir, filepath.FromSlash(actionFile)))
	if err != nil {
		return err
	}
	var action struct{ Runs struct{ Main, Post string } }
	if err := yaml.Unmarshal(data, &action); err != nil {
		return fmt.Errorf("%s: %w", actionFile, err)
	}
	for _, e := range []struct{ entry, named, want string }{
		{"main", action.Runs.Main, "dist/" + name + ".js"},
		{"post", action.Runs.Post, "dist/" + name + "-post.js"},
	} {
		if e.named == "" && e.entry == "post" {
			continue
		}
		if got := path.Join(path.Dir(actionFile), e.named); got != e.want {
			return fmt.Errorf("%s: %s is %q, which is %s of the tree and not %s", actionFile, e.entry, e.named, got, e.want)
		}
		if err := t.write(e.want, fmt.Appendf(nil, "require('./%s').%s('%s');\n", path.Base(shimFile), e.entry, name)); err != nil {
			return err
		}
	}
	return nil
}

// sum writes the checksums of every file of the tree, as `sha256sum -c` reads them at the tree's root.
func (t tree) sum() error {
	var lines strings.Builder
	err := filepath.WalkDir(t.dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		digest, err := digestOf(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(t.dir, file)
		_, _ = fmt.Fprintf(&lines, "%s  %s\n", digest, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		return err
	}
	return t.write(checksumsFile, []byte(lines.String()))
}

// digestOf is the SHA-256 of a file in hex.
func digestOf(file string) (string, error) {
	f, err := os.Open(file) // #nosec G304 -- a file of the tree
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
