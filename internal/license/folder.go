package license

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Bounds of what is read. The longest licence has 60 KB; files of notices that gather those of others have more.
const (
	maxSize  = 256 << 10 // bytes of a file
	maxFiles = 50        // of a module
)

// Module is what the licence files of a module say of its packages in a program. The zero Module says nothing.
type Module struct {
	// Concluded is an expression of SPDX of which all holds: what every licence file beside or above a package says. Empty where
	// that is not determined, and Why says why.
	Concluded string
	// Declared is what the module itself says of the whole of it: a single licence at its root, or what the file there states.
	// Empty where that is not so.
	Declared string
	Why      string
	Files    []File // by path
}

// File is a licence file.
type File struct {
	Path     string // below the root of the module, with slashes
	Absolute string
	Text
}

// Module reads the licence files beside packages of a module, in folders, and above them up to its root. An error means that
// they could not be read.
func (r *Reader) Module(ctx context.Context, root string, packages []string) (Module, error) {
	var m Module
	above := map[string]int{} // licence files in the folder or above it, up to the root
	for _, dir := range folders(root, packages) {
		if err := context.Cause(ctx); err != nil {
			return m, err
		}
		names, err := licenceFiles(dir)
		if err != nil {
			return m, err
		}
		above[dir] = len(names)
		if dir != root {
			above[dir] += above[filepath.Dir(dir)]
		}
		if len(m.Files)+len(names) > maxFiles {
			return Module{Why: fmt.Sprintf("it has more than %d licence files", maxFiles)}, nil
		}
		for _, name := range names {
			f := File{Absolute: filepath.Join(dir, name)}
			if f.Text, err = r.file(f.Absolute); err != nil {
				return m, err
			}
			rel, err := filepath.Rel(root, f.Absolute)
			if err != nil {
				return m, err
			}
			f.Path = filepath.ToSlash(rel)
			m.Files = append(m.Files, f)
		}
	}
	m.conclude(root, packages, above)
	return m, nil
}

// conclude joins what the files say.
func (m *Module) conclude(root string, packages []string, above map[string]int) {
	var all, atRoot []string
	stated := false
	for _, f := range m.Files {
		if f.Expression == "" {
			m.Why = f.Path + ": " + f.Why
			return
		}
		all = append(all, f.Expression)
		if !strings.Contains(f.Path, "/") {
			atRoot, stated = append(atRoot, f.Expression), f.Stated
		}
	}
	slices.Sort(atRoot)
	if atRoot = slices.Compact(atRoot); len(atRoot) == 1 && (stated || !strings.Contains(atRoot[0], " ")) {
		m.Declared = atRoot[0]
	}
	if i := slices.IndexFunc(packages, func(p string) bool { return above[p] == 0 }); i >= 0 {
		m.Why = "it has no licence file"
		if rel, err := filepath.Rel(root, packages[i]); err == nil && len(m.Files) > 0 {
			m.Why = "no licence file is beside or above " + filepath.ToSlash(rel)
		}
		return
	}
	m.Concluded = and(all)
}

// ID is the licence where it is a single one of which the text was recognised, else empty.
func (m Module) ID() string {
	if strings.Contains(m.Concluded, " ") || slices.ContainsFunc(m.Files, func(f File) bool { return f.Stated }) {
		return ""
	}
	return m.Concluded
}

// Comment says for people from what the licence was concluded, or why it was not.
func (m Module) Comment() string {
	if m.Concluded == "" && m.Why != "" {
		return "not determined: " + m.Why
	}
	var parts []string
	for _, f := range m.Files {
		parts = append(parts, f.Path+": "+f.Expression)
	}
	return strings.Join(parts, "; ")
}

// With is what is known where both hold: of packages of a module for one platform, and of those for another.
func (m Module) With(other Module) Module {
	for _, f := range other.Files {
		if !slices.Contains(m.Files, f) {
			m.Files = append(m.Files, f)
		}
	}
	if m.Declared != other.Declared {
		m.Declared = ""
	}
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	if m.Concluded == "" || other.Concluded == "" {
		m.Concluded, m.Why = "", cmp.Or(m.Why, other.Why)
		return m
	}
	var all []string
	for _, f := range m.Files {
		all = append(all, f.Expression)
	}
	m.Concluded = and(all)
	return m
}

// folders are those of packages and all above them up to the root, which is first.
func folders(root string, packages []string) []string {
	seen := map[string]bool{root: true}
	for _, dir := range packages {
		for !seen[dir] && len(dir) > len(root) {
			seen[dir] = true
			dir = filepath.Dir(dir)
		}
	}
	all := make([]string, 0, len(seen))
	for dir := range seen {
		all = append(all, dir)
	}
	slices.Sort(all)
	return all
}

// Near is the first folder from dir upwards to top with a licence file, else dir.
func Near(dir, top string) string {
	for at := dir; at == top || strings.HasPrefix(at, top+string(filepath.Separator)); at = filepath.Dir(at) {
		if names, err := licenceFiles(at); err == nil && len(names) > 0 {
			return at
		}
	}
	return dir
}

var (
	named = regexp.MustCompile(`(?i)^(([a-z0-9.]+[-_.])*(un)?licen[cs]es?|copying)([-_.].*)?$`)
	// aside are no licences of what is compiled: programs and data, the licence of documentation or of a logo, and what REUSE
	// (https://reuse.software) puts beside a single file.
	aside = regexp.MustCompile(`(?i)\.(go|sh|py|[jt]s|json|ya?ml|toml|csv|xml|tmpl|license)$|[-_.](docs?|logo)$`)
)

// licenceFiles are the names in a folder that people give to licences, sorted. What is no regular file is among them.
func licenceFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name := e.Name(); !e.IsDir() && named.MatchString(name) && !aside.MatchString(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// file reads one file. What is there and cannot be a licence is an answer; what cannot be read is an error.
func (r *Reader) file(path string) (Text, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Text{}, err
	}
	if !info.Mode().IsRegular() { // a link may lead anywhere, and a pipe never ends
		return Text{Why: "it is no regular file"}, nil
	}
	if info.Size() > maxSize {
		return Text{Why: fmt.Sprintf("it is larger than %d KB", maxSize>>10)}, nil
	}
	f, err := os.Open(path) // #nosec G304 -- a licence of what is being compiled
	if err != nil {
		return Text{}, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize))
	if err = errors.Join(err, f.Close()); err != nil {
		return Text{}, err
	}
	key := sha256.Sum256(data)
	if known, ok := r.texts[key]; ok {
		return known, nil
	}
	text := r.Text(data)
	r.texts[key] = text
	return text, nil
}
