package gosource

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"

	"golang.org/x/tools/go/packages"
)

// whole type-checks all of a package.
func (l *Loader) whole(p Package) *packages.Package {
	pkg := &packages.Package{
		ID: p.ImportPath, PkgPath: p.ImportPath, Name: p.Name, Dir: p.Dir, GoFiles: p.Files(), CompiledGoFiles: p.compiled(),
		Fset: l.fset, TypesSizes: l.sizes,
		TypesInfo: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
			Implicits: map[ast.Node]types.Object{}, Instances: map[*ast.Ident]types.Instance{}, Scopes: map[ast.Node]*types.Scope{},
			Selections: map[*ast.SelectorExpr]*types.Selection{}, FileVersions: map[*ast.File]string{},
		},
	}
	defer func() {
		if r := recover(); r != nil {
			pkg.Errors = append(pkg.Errors, panicked(p, r))
		}
		pkg.IllTyped = len(pkg.Errors) > 0
	}()
	pkg.Syntax = l.parse(p, pkg.CompiledGoFiles, &pkg.Errors, l.full)
	pkg.Types, _ = l.config(p, &pkg.Errors).Check(p.ImportPath, l.fset, pkg.Syntax, pkg.TypesInfo)
	if len(pkg.Errors) == 0 {
		pkg.Errors = l.unknown(pkg.TypesInfo)
	}
	return pkg
}

// unknown is the first expression whose type is not known, though the type checker has no objection. It comes from a
// dependency that imports C, which is not looked at.
func (l *Loader) unknown(info *types.Info) []packages.Error {
	first := token.NoPos
	for e, tv := range info.Types {
		if tv.Type == types.Typ[types.Invalid] && !tv.IsBuiltin() && (!first.IsValid() || e.Pos() < first) {
			first = e.Pos()
		}
	}
	if !first.IsValid() {
		return nil
	}
	return []packages.Error{{Pos: l.fset.Position(first).String(), Msg: "the type comes from C code of another package, which is not scanned", Kind: packages.TypeError}}
}

var cgoLine = regexp.MustCompile(`(?m)^//line (.+\.go):1:1$`)

// full parses a file with its comments. It gives files that cgo has rewritten the name of their source: gosec's rules pass
// over anything else, and the //line comments in them make the lines right.
func (l *Loader) full(name string, src []byte) (*ast.File, error) {
	if filepath.Ext(name) != ".go" {
		if m := cgoLine.FindSubmatch(src[:min(len(src), 4096)]); m != nil && filepath.IsAbs(string(m[1])) {
			name = string(m[1])
		}
	}
	return parser.ParseFile(l.fset, name, src, parser.AllErrors|parser.ParseComments)
}

// readErrors are what is wrong with a file, with the place.
func readErrors(name string, err error) []packages.Error {
	var list scanner.ErrorList
	if !errors.As(err, &list) {
		return []packages.Error{{Pos: name + ":1", Msg: err.Error(), Kind: packages.ParseError}}
	}
	var errs []packages.Error
	for _, e := range list {
		errs = append(errs, packages.Error{Pos: e.Pos.String(), Msg: e.Msg, Kind: packages.ParseError})
	}
	return errs
}
