package sast

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gosource"
	"github.com/org/idp/internal/proc"
)

// Why a .go file is not scanned.
const (
	leftVendor  = "vendored dependencies (vendor)"
	leftIgnored = "go ignores testdata and names that begin with _ or ."
	leftTest    = "tests (_test.go)"
	leftMod     = "go.mod says to ignore them"
	leftBuild   = "excluded by build constraints on this platform"
)

// tree accounts for every .go file below a folder.
type tree struct {
	files  map[string]string // path relative to the folder → why it is left out; empty when that is not known yet
	nested []string          // folders of nested modules
}

func walk(ctx context.Context, root string) (*tree, error) {
	t := &tree{files: map[string]string{}}
	reasons := map[string]string{".": ""} // by folder
	err := filepath.WalkDir(root, func(full string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		name, err := filepath.Rel(root, full)
		if err != nil || name == "." {
			return err
		}
		reason := reasons[filepath.Dir(name)]
		if entry.IsDir() {
			if entry.Name() == ".git" {
				return filepath.SkipDir
			}
			reasons[name] = t.folder(full, filepath.ToSlash(name), entry.Name(), reason)
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		if reason == "" && (strings.HasPrefix(entry.Name(), "_") || strings.HasPrefix(entry.Name(), ".")) {
			reason = leftIgnored
		}
		t.files[filepath.ToSlash(name)] = reason
		return nil
	})
	if ctx.Err() != nil {
		return t, stopped(ctx)
	}
	if err != nil {
		return t, fault.Undeterminedf("the service folder cannot be read: %s", relative(root, err.Error()))
	}
	return t, nil
}

// folder is why the .go files of a folder are left out; what holds for its parent holds for it.
func (t *tree) folder(full, name, base, parent string) string {
	switch {
	case parent != "":
		return parent
	case byName(base) != "":
		return byName(base)
	case isFile(filepath.Join(full, "go.mod")):
		t.nested = append(t.nested, name)
		return "a module of its own in " + name
	}
	return ""
}

// byName is why a folder of that name is left out; empty for most.
func byName(base string) string {
	switch {
	case base == "vendor":
		return leftVendor
	case base == "testdata" || strings.HasPrefix(base, "_") || strings.HasPrefix(base, "."):
		return leftIgnored
	}
	return ""
}

// absent is the gap that a sparse checkout leaves: code of the commit that would be scanned if it were there.
func absent(names []string) error {
	var gaps []string
	for _, name := range names {
		left := path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || byName(path.Base(name)) != ""
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			left = left || byName(path.Base(dir)) != "" || slices.Contains(names, dir+"/go.mod")
		}
		if !left {
			gaps = append(gaps, name)
		}
	}
	if len(gaps) == 0 {
		return nil
	}
	return fault.Undeterminedf("a sparse checkout leaves out %s of Go code", finding.Plural(len(gaps), "file")).
		WithDetail(limited(gaps)...).
		WithDetail(notAPass).
		WithNext("Check out the whole folder of the service: git sparse-checkout add FOLDER, or git sparse-checkout disable")
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.IsDir()
}

// nothing is why there is no Go code to scan; empty when there is some.
func (t *tree) nothing() string {
	for _, reason := range t.files {
		if reason == "" {
			return ""
		}
	}
	if len(t.nested) > 0 {
		return "no Go code in this folder; modules of their own are in " + strings.Join(t.nested, ", ")
	}
	return "no Go code in this folder"
}

// settle accounts for the files of a listed package.
func (t *tree) settle(root string, p gosource.Package) {
	mark := func(reason string, names []string) {
		for _, name := range names {
			rel, err := filepath.Rel(root, filepath.Join(p.Dir, name))
			if err == nil {
				t.files[filepath.ToSlash(rel)] = reason
			}
		}
	}
	mark(leftTest, slices.Concat(p.TestGoFiles, p.XTestGoFiles))
	mark(leftBuild, p.IgnoredGoFiles)
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.InvalidGoFiles) {
		if rel, err := filepath.Rel(root, filepath.Join(p.Dir, name)); err == nil {
			delete(t.files, filepath.ToSlash(rel))
		}
	}
}

// settleUnlisted accounts for packages that the pattern ./... passes over, because the build constraints exclude all of
// their files or because go.mod says to ignore the folder: go names those only when asked for the folder.
func (t *tree) settleUnlisted(ctx context.Context, root string, env []string) error {
	folders := map[string]struct{}{}
	for _, name := range t.unaccounted() {
		folders["./"+path.Dir(name)] = struct{}{}
	}
	if len(folders) == 0 {
		return nil
	}
	list, err := goList(ctx, root, env, nil, slices.Sorted(maps.Keys(folders))...)
	if err != nil {
		return err
	}
	for _, p := range list {
		if len(p.GoFiles)+len(p.CgoFiles)+len(p.InvalidGoFiles) == 0 && p.Dir != "" {
			t.settle(root, p)
		}
	}
	if len(t.unaccounted()) == 0 || !isFile(filepath.Join(root, "go.mod")) {
		return nil
	}
	ignored, err := ignores(ctx, root, env)
	for _, name := range t.unaccounted() {
		if ignored(path.Dir(name)) {
			t.files[name] = leftMod
		}
	}
	return err
}

// ignores tells which folders of the module go.mod says to ignore: ./NAME at the root, NAME anywhere.
func ignores(ctx context.Context, root string, env []string) (func(folder string) bool, error) {
	var mod struct{ Ignore []struct{ Path string } }
	out, err := proc.Run(ctx, proc.Command{Dir: root, Env: env, Name: "go", Args: []string{"mod", "edit", "-json"}})
	if err != nil {
		err = goFault(ctx, root, err)
	} else if err = json.Unmarshal(out, &mod); err != nil {
		err = fault.Undeterminedf("the answer of go mod edit cannot be read: %w", err)
	}
	return func(folder string) bool {
		for _, i := range mod.Ignore {
			within, part := "/"+folder+"/", "/"+path.Clean(i.Path)+"/"
			if strings.HasPrefix(within, part) || !strings.HasPrefix(i.Path, "./") && strings.Contains(within, part) {
				return true
			}
		}
		return false
	}, err
}

// unaccounted are the files that belong to no listed package and have no reason to be left out.
func (t *tree) unaccounted() []string {
	var names []string
	for name, reason := range t.files {
		if reason == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// reasons are the lines of what is left out, with the number of files and, where they are few, their names.
func (t *tree) reasons() []string {
	groups := map[string][]string{}
	for name, reason := range t.files {
		if reason != "" {
			groups[reason] = append(groups[reason], name)
		}
	}
	var lines []string
	for _, reason := range slices.Sorted(maps.Keys(groups)) {
		names := groups[reason]
		slices.Sort(names)
		line := fmt.Sprintf("%s: %s", reason, finding.Plural(len(names), "file"))
		if reason == leftBuild && len(names) <= 10 {
			line = fmt.Sprintf("%s: %s", reason, strings.Join(names, ", "))
		}
		lines = append(lines, line)
	}
	return lines
}

// onlyTests tells whether every file that is not left out by its folder is a test.
func (t *tree) onlyTests() bool {
	tests := false
	for _, reason := range t.files {
		if reason == "" || reason == leftBuild {
			return false
		}
		tests = tests || reason == leftTest
	}
	return tests
}
