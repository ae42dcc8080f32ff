package gosource

import (
	"go/ast"
	"go/token"
	"maps"
	"strconv"
)

// demand is what importers name of a package.
type demand struct {
	names map[string]bool
	all   bool // whatever is exported
}

// shake takes out of the files of a package what nobody who imports it can see: functions and variables that only bodies
// use, what is exported but not asked for, init, bodies, values of variables that have a type, and imports that nothing
// refers to any more. It gives what is asked of the imports that are left, by import path. Types keep all their methods.
//
// Names decide, without scopes: what is called like something that is needed stays. nameOf is the name of the package
// behind an import path; an import without a known name stays.
func shake(files []*ast.File, wanted demand, nameOf func(string) string) map[string]demand {
	s := shaker{
		decls: map[string][]ast.Node{}, methods: map[string]bool{}, aliases: map[string]bool{},
		used: map[string]bool{}, seen: map[ast.Node]bool{}, selected: map[string]map[string]bool{},
	}
	for _, f := range files {
		for _, d := range f.Decls {
			s.declare(d)
		}
	}
	for name := range s.decls {
		// Methods of an alias are those of another type.
		if wanted.names[name] || wanted.all && ast.IsExported(name) || s.aliases[name] && s.methods[name] {
			s.use(name)
		}
	}
	for len(s.todo) > 0 {
		n := s.todo[len(s.todo)-1]
		s.todo = s.todo[:len(s.todo)-1]
		ast.Inspect(n, s.visit)
	}
	asked := map[string]demand{}
	for _, f := range files {
		var kept []ast.Decl
		for _, d := range f.Decls {
			if s.keep(d, nameOf) {
				kept = append(kept, d)
			}
		}
		f.Decls = kept
		s.ask(asked, f, nameOf)
	}
	return asked
}

// ask adds what the package asks of the imports of a file.
func (s *shaker) ask(asked map[string]demand, f *ast.File, nameOf func(string) string) {
	for _, d := range f.Decls {
		d, ok := d.(*ast.GenDecl)
		if !ok || d.Tok != token.IMPORT {
			continue
		}
		for _, spec := range d.Specs {
			spec := spec.(*ast.ImportSpec)
			path := importPath(spec)
			name := localName(spec, nameOf)
			have := asked[path]
			if have.names == nil {
				have.names = map[string]bool{}
			}
			have.all = have.all || name == "" || name == "."
			maps.Copy(have.names, s.selected[name])
			asked[path] = have
		}
	}
}

// localName is what an import is called in its file; empty when that is not known.
func localName(spec *ast.ImportSpec, nameOf func(string) string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	return nameOf(importPath(spec))
}

func importPath(spec *ast.ImportSpec) string {
	path, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return "" // the type checker says so
	}
	return path
}

// shaker follows names from what is asked for.
type shaker struct {
	decls    map[string][]ast.Node // what a name stands for; a type with its methods
	methods  map[string]bool       // what has methods
	aliases  map[string]bool
	used     map[string]bool            // names of whatever kind
	selected map[string]map[string]bool // names behind a name and a dot
	seen     map[ast.Node]bool          // declarations whose names are followed, or will be
	todo     []ast.Node                 // of those, the ones that are not followed yet
}

func (s *shaker) declare(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Body != nil {
			d.Body.List = nil
		}
		name := owner(d)
		s.methods[name] = s.methods[name] || d.Recv != nil
		s.add(name, d)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			s.declareSpec(d, spec)
		}
	}
}

func (s *shaker) declareSpec(d *ast.GenDecl, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		s.add(spec.Name.Name, spec)
		s.aliases[spec.Name.Name] = spec.Assign.IsValid()
	case *ast.ValueSpec:
		var n ast.Node = d // a constant may repeat what one before it says, so they stay together
		if d.Tok == token.VAR {
			n = spec
			trim(spec)
		}
		for _, name := range spec.Names {
			s.add(name.Name, n)
		}
	}
}

func (s *shaker) add(name string, n ast.Node) {
	if name == "_" || name == "init" {
		return
	}
	s.decls[name] = append(s.decls[name], n)
}

// owner is the name by which a function is needed: for a method that of its type.
func owner(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	for t := f.Recv.List[0].Type; ; {
		switch x := t.(type) {
		case *ast.Ident:
			return x.Name
		case *ast.StarExpr:
			t = x.X
		case *ast.ParenExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		default:
			return "_"
		}
	}
}

// trim takes away what says nothing of a variable's type.
func trim(v *ast.ValueSpec) {
	if v.Type != nil {
		v.Values = nil
	}
	for _, value := range v.Values {
		ast.Inspect(value, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				n.Body.List = nil
			case *ast.CompositeLit:
				if array, ok := n.Type.(*ast.ArrayType); ok {
					if _, ok := array.Len.(*ast.Ellipsis); ok {
						return true // its elements give its length
					}
				}
				n.Elts = nil
			}
			return true
		})
	}
}

func (s *shaker) use(name string) {
	if !s.used[name] {
		s.used[name] = true
		for _, n := range s.decls[name] {
			if !s.seen[n] {
				s.seen[n] = true
				s.todo = append(s.todo, n)
			}
		}
	}
}

// visit uses the names that can stand for something of the package or an import.
func (s *shaker) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.Ident:
		s.use(n.Name)
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok {
			if s.selected[x.Name] == nil {
				s.selected[x.Name] = map[string]bool{}
			}
			s.selected[x.Name][n.Sel.Name] = true
		}
		ast.Inspect(n.X, s.visit)
		return false
	case *ast.Field:
		ast.Inspect(n.Type, s.visit)
		return false
	case *ast.FuncDecl:
		if n.Recv != nil {
			ast.Inspect(n.Recv, s.visit)
		}
		ast.Inspect(n.Type, s.visit)
		return false
	}
	return true
}

// keep tells whether something of a declaration is left, after taking out the rest.
func (s *shaker) keep(d ast.Decl, nameOf func(string) string) bool {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := owner(d)
		return name != "_" && name != "init" && s.used[name]
	case *ast.GenDecl:
		var kept []ast.Spec
		for _, spec := range d.Specs {
			if s.keepSpec(spec, nameOf) {
				kept = append(kept, spec)
			}
		}
		if d.Tok != token.CONST {
			d.Specs = kept
		}
		return len(kept) > 0
	}
	return true
}

func (s *shaker) keepSpec(spec ast.Spec, nameOf func(string) string) bool {
	switch spec := spec.(type) {
	case *ast.ImportSpec:
		name := localName(spec, nameOf)
		return name == "" || name == "." || s.used[name] && name != "_"
	case *ast.TypeSpec:
		return s.used[spec.Name.Name]
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.Name != "_" && s.used[name.Name] {
				return true
			}
		}
		return false
	}
	return true
}
