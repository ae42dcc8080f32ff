package gosource

import (
	"path/filepath"
	"slices"
)

// Fields are what Package needs from go list. It looks for files to embed, and says which are missing, only when it is asked
// for EmbedFiles.
const Fields = "EmbedFiles,Dir,ImportPath,Name,Standard,DepOnly,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,InvalidGoFiles,CompiledGoFiles,Imports,ImportMap,Error,DepsErrors,Module"

// Package is what `go list -json` says about one package.
type Package struct {
	Dir, ImportPath, Name     string
	Standard, DepOnly         bool              // of Go's own library; only imported, not asked for
	GoFiles, CgoFiles         []string          // compiled
	IgnoredGoFiles            []string          // not, because of build constraints
	TestGoFiles, XTestGoFiles []string          // not, because they are tests
	InvalidGoFiles            []string          // cannot be parsed
	CompiledGoFiles           []string          // with -compiled: what comes of CgoFiles too
	Imports                   []string          // by the path in ImportMap's values
	ImportMap                 map[string]string // from the path in the source, where it differs
	Error                     *Error
	DepsErrors                []Error
	Module                    *Module
}

// Module is where a package comes from.
type Module struct {
	Path, Version, GoVersion, Dir string
	Main                          bool // what the go command was asked about, or another module of its workspace
	Replace                       *Module
}

// Local tells whether the module's code lies in a folder that no version is of: the main module, one of the workspace, or one
// that go.mod replaces by a folder.
func (m *Module) Local() bool {
	return m != nil && (m.Main || m.Replace != nil && m.Replace.Version == "")
}

// Error is a problem that the go command has with a package or an import.
type Error struct{ Pos, Err string }

// Files are the absolute names of the files that are compiled.
func (p Package) Files() []string {
	var names []string
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		names = append(names, filepath.Join(p.Dir, name))
	}
	return names
}

// compiled are the files that the compiler sees.
func (p Package) compiled() []string {
	if len(p.CgoFiles) == 0 {
		return p.Files()
	}
	return p.CompiledGoFiles
}

// imports are the packages that those files import.
func (p Package) imports() []string {
	if len(p.CgoFiles) == 0 {
		return p.Imports
	}
	return append([]string{"runtime/cgo", "syscall"}, p.Imports...) // what cgo writes imports them
}

// resolve gives the import path behind a path in the source.
func (p Package) resolve(path string) string {
	if mapped, ok := p.ImportMap[path]; ok {
		return mapped
	}
	return path
}
