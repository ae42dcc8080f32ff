package sarif

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
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

// place sets file and lines. It is false for files of the repository that are outside of the service's folder. Of several
// places the first that is inside counts. A file that cannot be found stays the service's: it is not left out because its name
// was not understood.
func (p places) place(f *finding.Finding, of *run, res result) bool {
	f.File = noFile
	locations := res.Locations
	if !slices.ContainsFunc(locations, func(l location) bool { return of.uri(l.Physical.Artifact) != "" }) {
		locations = append(slices.Clone(locations), location{Physical: physical{Artifact: res.Target}})
	}
	for _, l := range locations {
		uri := of.uri(l.Physical.Artifact)
		if uri == "" {
			continue
		}
		file, ok := p.known[uri]
		if !ok {
			file = p.file(uri)
			p.known[uri] = file
		}
		region := l.Physical.Region
		f.File, f.Line, f.Column, f.EndLine = file, int(region.StartLine), int(region.StartColumn), int(max(region.EndLine, region.StartLine))
		if file == ".." || !strings.HasPrefix(file, "../") {
			return true
		}
	}
	return f.File == noFile
}

// uri of an artifact; one that is relative to another, as to the folder that the scanner ran in, is joined with that.
func (r *run) uri(at artifactLocation) string {
	if i := at.Index; at.URI == "" && i != nil && *i >= 0 {
		at = r.Artifacts[*i].Location
	}
	uri := slashes(at.URI)
	for range len(r.Bases) { // a base may have one itself
		base, ok := r.Bases[at.Base]
		if u, err := url.Parse(uri); !ok || base.URI == "" || uri == "" || err != nil || u.Scheme != "" || strings.HasPrefix(u.Path, "/") {
			break
		}
		uri, at = strings.TrimSuffix(slashes(base.URI), "/")+"/"+uri, base
	}
	return uri
}

var drive = regexp.MustCompile(`^[A-Za-z]:/`)

// slashes makes a URI of a path of Windows, which KICS and zizmor write as it is.
func slashes(uri string) string {
	uri = strings.ReplaceAll(uri, `\`, "/")
	if drive.MatchString(uri) {
		return "file:///" + uri
	}
	return uri
}

// file names a file from the service's folder, with slashes; outside of it with ../ before.
func (p places) file(uri string) string {
	u, err := url.Parse(uri)
	if err != nil { // a name that was not encoded, such as 100%.js
		u = &url.URL{Path: uri}
	}
	name := path.Clean("/" + strings.TrimPrefix(u.Path, "/"))[1:]
	if u.Scheme != "" && u.Scheme != "file" || name == "" {
		return uri
	}
	if absolute := filepath.FromSlash(u.Path); u.Scheme == "file" || strings.HasPrefix(u.Path, "/") {
		for _, root := range []string{p.root, p.dir} {
			if rel, err := filepath.Rel(p.dir, absolute); err == nil && root != "" && within(root, absolute) {
				return filepath.ToSlash(rel)
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
				return filepath.ToSlash(rel)
			}
		}
		if u.Scheme != "file" && !strings.HasPrefix(u.Path, "/") {
			break
		}
		_, rest, _ = strings.Cut(rest, "/")
	}
	return name
}

func within(root, name string) bool {
	rel, err := filepath.Rel(root, name)
	return err == nil && filepath.IsLocal(rel)
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
