package sast

import (
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/securego/gosec/v2"
	"golang.org/x/tools/go/packages"

	"github.com/org/idp/internal/proc"
)

// loaded is what the loader made of the module.
type loaded struct {
	packages []*packages.Package
	broken   map[string]bool // import paths of packages with an error of any kind
	compile  []string        // what the compiler would say, the first cause first
	gaps     []string        // packages that are missing or in excess
}

// load reads and type-checks every package in one go.
func load(ctx context.Context, s survey) (loaded, error) {
	l := loaded{broken: map[string]bool{}}
	env, remove, err := proc.GoTemp(s.env)
	if err != nil {
		return l, err
	}
	defer remove()
	pkgs, err := packages.Load(&packages.Config{
		Context: ctx, Mode: gosec.LoadMode, Dir: s.root, Env: env, ParseFile: parse,
	}, "./...")
	if ctx.Err() != nil {
		return l, stopped(ctx)
	}
	if err != nil {
		return l, goFault(ctx, s.root, err)
	}
	var all []packages.Error
	for _, pkg := range pkgs {
		_, expected := s.packages[pkg.PkgPath]
		if !expected && len(pkg.GoFiles) == 0 && len(pkg.Errors) == 0 {
			continue // tests only
		}
		if !expected {
			l.gaps = append(l.gaps, pkg.PkgPath+": loaded, but not listed by go")
		}
		if len(pkg.Errors) > 0 || pkg.IllTyped {
			l.broken[pkg.PkgPath] = true
			l.gaps = append(l.gaps, pkg.PkgPath+": not type-checked, so only in part scanned")
		}
		all = append(all, pkg.Errors...)
		l.packages = append(l.packages, pkg)
	}
	l.gaps = append(l.gaps, missing(s, l.packages)...)
	for _, path := range slices.Sorted(maps.Keys(s.packages)) {
		for _, e := range s.packages[path].DepsErrors {
			all = append(all, packages.Error{Pos: e.Pos, Msg: e.Err, Kind: packages.ListError})
		}
	}
	l.compile = compilerLines(s.root, all)
	return l, tooOld(all)
}

// missing are the packages that the go command lists and the loader did not give.
func missing(s survey, pkgs []*packages.Package) []string {
	var gaps []string
	for path, p := range s.packages {
		if !slices.ContainsFunc(pkgs, func(pkg *packages.Package) bool { return pkg.PkgPath == path }) {
			gaps = append(gaps, path+": listed by go, but not loaded")
		} else if p.Error != nil {
			gaps = append(gaps, path+": "+relative(s.root, p.Error.Err))
		}
	}
	slices.Sort(gaps)
	return gaps
}

// compilerLines puts what went wrong first before its consequences: a package that cannot be imported is a consequence of
// an error in that package, and what the compiler printed for it says the same again.
func compilerLines(root string, errs []packages.Error) []string {
	rank := func(e packages.Error) int {
		switch {
		case strings.Contains(e.Msg, "could not import"):
			return 2
		case strings.HasPrefix(strings.TrimSpace(e.Msg), "#"):
			return 3
		case e.Kind == packages.ParseError:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(errs, func(a, b packages.Error) int {
		return cmp.Compare(rank(a), rank(b))
	})
	var lines []string
	for _, e := range errs {
		if strings.HasPrefix(e.Msg, "\t") {
			continue // a further position of the error before it
		}
		if len(lines) > 0 && rank(e) > rank(errs[0]) && rank(e) >= 2 {
			break
		}
		text := strings.TrimSpace(e.Msg)
		if e.Pos != "" && e.Pos != "-" {
			text = e.Pos + ": " + text
		}
		text = strings.Join(strings.Fields(relative(root, text)), " ")
		if !slices.Contains(lines, text) {
			lines = append(lines, text)
		}
	}
	return lines
}

var cgoLine = regexp.MustCompile(`(?m)^//line (.+\.go):1:1$`)

// parse parses like the loader does by itself, but gives the files that cgo has rewritten the name of their source.
// gosec's rules pass over anything else, and the //line comments in them make the lines right.
func parse(fset *token.FileSet, name string, src []byte) (*ast.File, error) {
	if filepath.Ext(name) != ".go" {
		if m := cgoLine.FindSubmatch(src[:min(len(src), 4096)]); m != nil && filepath.IsAbs(string(m[1])) {
			name = string(m[1])
		}
	}
	file, err := parser.ParseFile(fset, name, src, parser.AllErrors|parser.ParseComments)
	if file == nil && err == nil {
		err = fmt.Errorf("%s: not parsed", name)
	}
	return file, err
}
