package service

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/codeowners"
)

// largestOwners is one more than GitHub reads, so that the package codeowners can tell what is too large.
const largestOwners = 3<<20 + 1

// ownerFact is whose idp.yaml in dir is by the repository's CODEOWNERS, as Backstage's CodeOwnersProcessor has it: the first
// owner, a team without its organisation. An e-mail address is no entity, so it is passed over; where there is nothing else, passed
// says so.
func ownerFact(dir string) (facts []fact, passed string, err error) {
	root, within, err := repositoryOf(dir)
	if err != nil || root == "" {
		return nil, "", err
	}
	tree, err := os.OpenRoot(root) // a link that leads out of the repository is not followed
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = tree.Close() }()
	file, err := codeowners.Find(func(path string) ([]byte, bool, error) {
		f, err := tree.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		defer func() { _ = f.Close() }()
		data, err := io.ReadAll(io.LimitReader(f, largestOwners))
		return data, err == nil, err
	})
	if err != nil {
		return nil, "", err
	}
	rule := file.Rule(filepath.ToSlash(filepath.Join(within, File)))
	if rule == nil || len(rule.Owners) == 0 {
		return nil, "", nil
	}
	i := slices.IndexFunc(rule.Owners, func(o string) bool { return strings.HasPrefix(o, "@") })
	if i < 0 {
		return nil, fmt.Sprintf("%s:%d gives it to %q: a catalogue has teams and users, and no addresses. Write owner in %s: a team, or user:NAME.",
			file.Path, rule.Line, rule.Owners[0], File), nil
	}
	owner := strings.TrimPrefix(rule.Owners[i], "@")
	if _, team, ok := strings.Cut(owner, "/"); ok {
		owner = team
	} else {
		owner = "user:" + owner
	}
	return []fact{{key: "owner", value: owner, from: rule.Pattern, file: filepath.Join(root, filepath.FromSlash(file.Path)), line: rule.Line, column: 1, fallback: true}}, "", nil
}

// repositoryOf finds the root of the repository that a folder is in, and the folder's path in it; no root where it is in none.
func repositoryOf(dir string) (root, within string, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", "", err
	}
	for root = abs; ; root = filepath.Dir(root) {
		if _, err := os.Lstat(filepath.Join(root, ".git")); err == nil {
			within, err := filepath.Rel(root, abs)
			return root, within, err
		}
		if root == filepath.Dir(root) {
			return "", "", nil
		}
	}
}
