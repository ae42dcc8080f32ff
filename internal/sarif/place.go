package sarif

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/org/idp/internal/finding"
)

// places finds the files that results are about. Scanners name them from the root of the repository, from the folder that
// they ran in, or with a path of the machine or container that they ran on.
type places struct {
	dir, root string // absolute, without symbolic links
	known     map[string]string
}

func newPlaces(src Source) places {
	p := places{dir: real(src.Dir), known: map[string]string{}}
	if src.Root != "" {
		p.root = real(src.Root)
	}
	return p
}

func real(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	if resolved, err := filepath.EvalSymlinks(abs); err == nil {
		return resolved
	}
	return abs
}

// noFile stands for the file of a result that is about none.
const noFile = "."

// place sets file and lines; inside is false for a file of the repository that is outside of the service's folder. A file
// that cannot be found stays the service's: it is not left out because its name was not understood.
func (p places) place(f *finding.Finding, of run, res result) (inside bool, err error) {
	f.File = noFile
	if len(res.Locations) == 0 {
		return true, nil
	}
	at := res.Locations[0].Physical
	uri := at.Artifact.URI
	if i := at.Artifact.Index; uri == "" && i != nil && *i >= 0 {
		uri = of.Artifacts[*i].Location.URI
	}
	if uri == "" {
		return true, nil
	}
	f.Line, f.Column, f.EndLine = at.Region.StartLine, at.Region.StartColumn, max(at.Region.EndLine, at.Region.StartLine)
	file, ok := p.known[uri]
	if !ok {
		if file, err = p.file(uri); err != nil {
			return false, err
		}
		p.known[uri] = file
	}
	f.File = file
	return file == ".." || !strings.HasPrefix(file, "../"), nil
}

// file names a file from the service's folder, with slashes; outside of it with ../ before.
func (p places) file(uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", fmt.Errorf("artifact %.80q is not a URI", uri)
	}
	name := path.Clean("/" + strings.TrimPrefix(u.Path, "/"))[1:]
	if u.Scheme != "" && u.Scheme != "file" || name == "" {
		return uri, nil
	}
	if absolute := filepath.FromSlash(u.Path); u.Scheme == "file" || strings.HasPrefix(u.Path, "/") {
		for _, root := range []string{p.root, p.dir} {
			if rel, err := filepath.Rel(p.dir, absolute); err == nil && root != "" && within(root, absolute) {
				return filepath.ToSlash(rel), nil
			}
		}
	}
	// From the service's folder, from the root, and, for a path of another machine, from wherever its end is found.
	for rest := name; rest != ""; {
		for _, root := range []string{p.dir, p.root} {
			full := filepath.Join(root, filepath.FromSlash(rest))
			if root == "" || !exists(full) {
				continue
			}
			if rel, err := filepath.Rel(p.dir, full); err == nil {
				return filepath.ToSlash(rel), nil
			}
		}
		if u.Scheme != "file" && !strings.HasPrefix(u.Path, "/") {
			break
		}
		_, rest, _ = strings.Cut(rest, "/")
	}
	return name, nil
}

func within(root, name string) bool {
	rel, err := filepath.Rel(root, name)
	return err == nil && filepath.IsLocal(rel)
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
