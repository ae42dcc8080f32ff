package build

import (
	"context"
	"debug/buildinfo"
	"maps"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/license"
	"github.com/org/idp/internal/record"
)

// stdlib names the standard library among modules, as vulnerability scanners do.
const stdlib = "stdlib"

// module is one module linked into the program.
type module struct {
	path    string // as it is imported
	actual  string // path of the code that was compiled: that of the replacement where there is one
	version string // empty for a folder that replaces a module
	sum     string // h1: as in go.sum; empty for what has none
	folder  string // relative folder that replaces the module; empty otherwise
	needs   []string
	license license.Module
}

func (m module) purl() string {
	namespace, name := "", m.actual
	if i := strings.LastIndex(m.actual, "/"); i >= 0 {
		namespace, name = m.actual[:i], m.actual[i+1:]
	}
	return packageurl.NewPackageURL(packageurl.TypeGolang, namespace, name, m.version, nil, "").ToString()
}

// linked joins what the linker wrote into the program, which is the truth on versions, with who imports whom. The import
// graph, unlike go mod graph, names what was selected and linked, and needs neither network nor more than vendor/.
func linked(in Inputs, info *buildinfo.BuildInfo, packages []listed) ([]module, error) {
	version, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	modules := []module{{path: info.Main.Path, actual: info.Main.Path, version: in.Commit}}
	for _, d := range info.Deps {
		modules = append(modules, dependency(d, in.Commit))
	}
	slices.SortStableFunc(modules[1:], func(a, b module) int { return strings.Compare(a.path, b.path) })
	modules = append(modules, module{path: stdlib, actual: stdlib, version: version})

	needs := imports(packages)
	for i, m := range modules {
		found, ok := needs[m.path]
		if !ok {
			return nil, fault.Undeterminedf("module %s is in the program and not in its imports, so the SBOM would be wrong", m.path)
		}
		modules[i].needs = found
		delete(needs, m.path)
	}
	for path := range needs {
		return nil, fault.Undeterminedf("module %s is imported and not in the program, so the SBOM would be wrong", path)
	}
	return modules, nil
}

func dependency(d *debug.Module, commit string) module {
	m := module{path: d.Path, actual: d.Path, version: d.Version, sum: d.Sum}
	switch {
	case d.Replace != nil && d.Replace.Sum == "" && isFolder(d.Replace.Path):
		m.version, m.sum = "", ""
		if !strings.HasPrefix(d.Replace.Path, "/") && !strings.Contains(d.Replace.Path, `:\`) { // no paths of this machine
			m.folder = d.Replace.Path
		}
	case d.Replace != nil:
		m.actual, m.version, m.sum = d.Replace.Path, d.Replace.Version, d.Replace.Sum
	case d.Version == "(devel)": // of the same workspace, so of the same commit
		m.version = commit
	}
	return m
}

// isFolder tells a folder from a module path, as go.mod does.
func isFolder(path string) bool {
	return strings.HasPrefix(path, "./") || strings.HasPrefix(path, "../") || strings.HasPrefix(path, "/") ||
		strings.HasPrefix(path, `.\`) || strings.HasPrefix(path, `..\`) || strings.Contains(path, `:\`) || path == "." || path == ".."
}

// imports says for each module which other modules its packages import, sorted.
func imports(packages []listed) map[string][]string {
	owner := map[string]string{}
	for _, p := range packages {
		switch {
		case p.Standard:
			owner[p.ImportPath] = stdlib
		case p.Module != nil:
			owner[p.ImportPath] = p.Module.Path
		}
	}
	needs := map[string][]string{}
	for _, p := range packages {
		from, ok := owner[p.ImportPath]
		if !ok {
			continue
		}
		if _, ok := needs[from]; !ok {
			needs[from] = nil
		}
		for _, path := range p.Imports {
			if mapped, ok := p.ImportMap[path]; ok {
				path = mapped
			}
			if to := owner[path]; to != "" && to != from && !slices.Contains(needs[from], to) {
				needs[from] = append(needs[from], to)
			}
		}
	}
	for _, list := range needs {
		slices.Sort(list)
	}
	return needs
}

// place is where the code of a module lies, and the folders of its packages that are compiled.
type place struct {
	root     string
	packages []string
	fixed    bool // the code is that of a version
}

// places says for each module where it is. In vendor/, go list names no folder of a module; that of a package tells it.
func places(in Inputs, packages []listed, mode string) map[string]place {
	all := map[string]place{}
	for _, p := range packages {
		path, below := stdlib, "src/"+p.ImportPath // its licence lies above src
		switch {
		case p.Dir == "" || !p.Standard && p.Module == nil:
			continue
		case !p.Standard:
			path, below = p.Module.Path, strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, p.Module.Path), "/")
		}
		at, ok := all[path]
		if !ok {
			at.root = strings.TrimSuffix(strings.TrimSuffix(p.Dir, filepath.FromSlash(below)), string(filepath.Separator))
			at.fixed = p.Standard || p.Module.fixed() && mode != vendored
			if !p.Standard && p.Module.Version == "" && p.Module.Replace == nil { // of the repository itself, whose licence may lie at its root
				at.root = license.Near(at.root, in.root())
			}
		}
		switch {
		case !p.Standard || strings.HasSuffix(p.ImportPath, "/boring/syso"):
			at.packages = append(at.packages, p.Dir)
		case !ok: // Go has one licence, but for that object of BoringSSL, which only GOEXPERIMENT=boringcrypto links
			at.packages = append(at.packages, at.root)
		}
		all[path] = at
	}
	return all
}

// licences are those of modules, by path, and the files that say so which are the repository's and not a version's.
type licences struct {
	of    map[string]license.Module
	files []string
	err   error
}

// licensing reads the licences of modules on the side.
func licensing(ctx context.Context, in Inputs, r *license.Reader, packages []listed, mode string) <-chan licences {
	done := make(chan licences, 1)
	go func() {
		found := licences{of: map[string]license.Module{}}
		all := places(in, packages, mode)
		for _, path := range slices.Sorted(maps.Keys(all)) {
			at := all[path]
			m, err := r.Module(ctx, at.root, at.packages)
			if err != nil {
				found.err = fault.Undeterminedf("the licence of module %s cannot be read: %w", path, err)
				break
			}
			found.of[path] = m
			if !at.fixed {
				for _, f := range m.Files {
					found.files = append(found.files, f.Absolute)
				}
			}
		}
		done <- found
	}()
	return done
}

// license notes the licences of what is linked.
func (p *program) license(found licences) error {
	for i, m := range p.modules {
		p.modules[i].license = found.of[m.path]
	}
	p.made.there(found.files...)
	return found.err
}

// materials lists the modules but the program's own, which the commit names, and what the program's own packages import.
func (p program) materials() (all []record.Material, needs []string) {
	urls := map[string]string{}
	for _, m := range p.modules {
		urls[m.path] = m.purl()
	}
	for i, m := range p.modules {
		var list []string
		for _, path := range m.needs {
			list = append(list, urls[path])
		}
		if i == 0 {
			needs = list
			continue
		}
		all = append(all, record.Material{URI: m.purl(), Sum: m.sum, Needs: list})
	}
	return all, needs
}
