package gosource

import (
	"go/ast"
	"go/types"
	"slices"

	"golang.org/x/tools/go/callgraph"
	"golang.org/x/tools/go/ssa"
	"golang.org/x/tools/go/types/typeutil"
)

// Callers is the call graph by class hierarchy analysis of a package that is built on imports without bodies, as far as it
// leads to functions that have one: those have the same callers as in cha.CallGraph, but for what could be called only
// through a conversion to an interface in dead code. cha.CallGraph makes a function of every method of every type in reach,
// which takes longer than all analyzers together; here only of those that can call back into the package.
func Callers(pkg *ssa.Package) *callgraph.Graph {
	r := reach{pkg: pkg, functions: map[*ssa.Function]bool{}, types: map[types.Type]bool{}}
	for _, m := range pkg.Members {
		switch m := m.(type) {
		case *ssa.Function:
			r.function(m)
		case *ssa.Type:
			if named, ok := m.Type().(*types.Named); ok && ast.IsExported(m.Name()) && named.TypeParams() == nil {
				r.methodsOf(named)
				r.methodsOf(types.NewPointer(named))
			}
		}
	}
	return r.graph()
}

// reach are the functions with a body that the package, or what it hands out as an interface, can call.
type reach struct {
	pkg       *ssa.Package
	functions map[*ssa.Function]bool
	types     map[types.Type]bool // seen, those with a name
}

func (r *reach) function(f *ssa.Function) {
	if f == nil || len(f.Blocks) == 0 || r.functions[f] {
		return
	}
	r.functions[f] = true
	var few [10]*ssa.Value
	for _, b := range f.Blocks {
		for _, instr := range b.Instrs {
			for _, operand := range instr.Operands(few[:0]) {
				if g, ok := (*operand).(*ssa.Function); ok {
					r.function(g)
				}
			}
			if m, ok := instr.(*ssa.MakeInterface); ok && !open(m.X.Type()) {
				r.visit(m.X.Type())
			}
		}
	}
}

// methodsOf follows the methods of a type that are of the package, or call what an embedded interface holds.
func (r *reach) methodsOf(t types.Type) {
	if types.IsInterface(t) {
		return
	}
	for sel := range r.pkg.Prog.MethodSets.MethodSet(t).Methods() {
		method := sel.Obj().(*types.Func)
		if method.Signature().TypeParams() == nil && (method.Pkg() == r.pkg.Pkg || types.IsInterface(method.Signature().Recv().Type())) {
			r.function(r.pkg.Prog.MethodValue(sel))
		}
	}
}

// visit follows a type that a value in an interface can have, and all that reflection gets at from there.
func (r *reach) visit(t types.Type) {
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		if r.types[t] {
			return
		}
		r.types[t] = true
		if r.callsBack(t) {
			r.methodsOf(t)
			r.methodsOf(types.NewPointer(t))
		}
		for m := range t.Methods() {
			r.signature(m.Signature())
		}
		r.parts(t.Underlying())
	case *types.Struct:
		if r.callsBack(t) {
			r.methodsOf(t)
		}
		r.parts(t)
	case *types.Pointer:
		if s, ok := types.Unalias(t.Elem()).(*types.Struct); ok && r.callsBack(s) {
			r.methodsOf(t)
		}
		r.visit(t.Elem())
	default:
		r.parts(t)
	}
}

// parts visits what a type without a name is made of.
func (r *reach) parts(t types.Type) {
	switch t := t.(type) {
	case *types.Struct:
		for f := range t.Fields() {
			r.visit(f.Type())
		}
	case *types.Interface:
		for m := range t.Methods() {
			r.signature(m.Signature())
		}
	case *types.Map:
		r.visit(t.Key())
		r.visit(t.Elem())
	case *types.Signature:
		r.signature(t)
	case interface{ Elem() types.Type }:
		r.visit(t.Elem())
	}
}

func (r *reach) signature(s *types.Signature) {
	if s.TypeParams() != nil {
		return
	}
	for v := range s.Params().Variables() {
		r.visit(v.Type())
	}
	for v := range s.Results().Variables() {
		r.visit(v.Type())
	}
}

// callsBack tells whether a type can have methods that methodsOf follows. Those in seen are being looked at.
func (r *reach) callsBack(t types.Type, seen ...types.Type) bool {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	t = types.Unalias(t)
	if named, ok := t.(*types.Named); ok && named.Obj().Pkg() == r.pkg.Pkg {
		return true
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok || slices.Contains(seen, t) {
		return false
	}
	for f := range s.Fields() {
		if f.Embedded() && (types.IsInterface(f.Type()) || r.callsBack(f.Type(), append(seen, t)...)) {
			return true
		}
	}
	return false
}

// open tells whether a type depends on a type parameter.
func open(t types.Type) bool {
	switch t := types.Unalias(t).(type) {
	case *types.TypeParam:
		return true
	case *types.Named:
		for arg := range t.TypeArgs().Types() {
			if open(arg) {
				return true
			}
		}
		return false
	case *types.Struct:
		for f := range t.Fields() {
			if open(f.Type()) {
				return true
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			if open(m.Type()) {
				return true
			}
		}
	case *types.Tuple:
		for v := range t.Variables() {
			if open(v.Type()) {
				return true
			}
		}
	case *types.Signature:
		return open(t.Params()) || open(t.Results())
	case *types.Map:
		return open(t.Key()) || open(t.Elem())
	case interface{ Elem() types.Type }:
		return open(t.Elem())
	}
	return false
}

// graph has an edge for each call of one of the functions in another.
func (r *reach) graph() *callgraph.Graph {
	g := callgraph.New(nil)
	c := r.callees()
	for f := range r.functions {
		from := g.CreateNode(f)
		for _, b := range f.Blocks {
			for _, instr := range b.Instrs {
				site, ok := instr.(ssa.CallInstruction)
				if !ok {
					continue
				}
				for _, callee := range c.of(site) {
					callgraph.AddEdge(from, site, g.CreateNode(callee))
				}
			}
		}
	}
	return g
}

// callees finds the functions that a call can mean.
type callees struct {
	functions typeutil.Map               // by signature: []*ssa.Function
	methods   map[string][]*ssa.Function // by name, which for those that are not exported has the package in it
	found     map[invoked][]*ssa.Function
}

// invoked is a method of an interface.
type invoked struct {
	of   *types.Interface
	name string
}

func (r *reach) callees() *callees {
	c := &callees{methods: map[string][]*ssa.Function{}, found: map[invoked][]*ssa.Function{}}
	for f := range r.functions {
		object, declared := f.Object().(*types.Func)
		switch {
		case f.Signature.Recv() == nil && f.Synthetic != "package initializer":
			same, _ := c.functions.At(f.Signature).([]*ssa.Function)
			c.functions.Set(f.Signature, append(same, f))
		case f.Signature.Recv() != nil && declared:
			c.methods[object.Id()] = append(c.methods[object.Id()], f)
		}
	}
	return c
}

func (c *callees) of(site ssa.CallInstruction) []*ssa.Function {
	call := site.Common()
	if !call.IsInvoke() {
		if f := call.StaticCallee(); f != nil {
			if len(f.Blocks) == 0 {
				return nil
			}
			return []*ssa.Function{f}
		}
		if _, ok := call.Value.(*ssa.Builtin); ok {
			return nil
		}
		same, _ := c.functions.At(call.Signature()).([]*ssa.Function)
		return same
	}
	key := invoked{call.Value.Type().Underlying().(*types.Interface), call.Method.Id()}
	found, ok := c.found[key]
	if !ok {
		for _, f := range c.methods[key.name] {
			if types.Implements(f.Signature.Recv().Type(), key.of) {
				found = append(found, f)
			}
		}
		c.found[key] = found
	}
	return found
}
