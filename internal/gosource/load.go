// Package gosource type-checks the packages of a module from their source alone, without compiling anything: those of the
// module whole, with all that go/types knows of them, and of what they import as much as they can see.
//
// It takes the place of packages.Load, which lets the go command compile every dependency to read its export data. What
// makes it as fast: a package is read after all of its importers, so that it is known what they need of it; everything
// else is left out before it is parsed or type-checked, packages that nothing is needed of as a whole.
//
// Nothing is lost in silence: where too much was left out, the type checker misses it in an importer. Functions written in
// C have no type here; a package of the module that needs one is reported as ill-typed.
package gosource

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/tools/go/packages"
)

// Loader type-checks packages side by side, as many at a time as there are processors.
type Loader struct {
	ctx   context.Context
	fset  *token.FileSet
	sizes types.Sizes
	slots chan struct{}
	order []*node // dependencies first
	nodes map[string]*node

	mu sync.Mutex // of what nodes say about their importers
}

// node is a package as its importers see it.
type node struct {
	Package
	place int // in the order

	importers int // those that have not said yet what they need
	wanted    demand
	direct    bool // imported by a package that is asked for

	done  chan struct{} // closed when the rest is there
	types *types.Package
	errs  []packages.Error
}

// New makes a loader for what `go list -deps` says, in its order: dependencies first. It begins at once with what the
// packages asked for import, and works until ctx ends. In also are names, by import path, that will be looked up in the
// packages that are imported directly, beside those that their importers use.
func New(ctx context.Context, list []Package, sizes types.Sizes, also map[string][]string) *Loader {
	l := &Loader{ctx: ctx, fset: token.NewFileSet(), sizes: sizes, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), nodes: map[string]*node{}}
	for i, p := range list {
		n := &node{Package: p, place: i, wanted: demand{names: map[string]bool{}}, done: make(chan struct{})}
		l.order = append(l.order, n)
		l.nodes[p.ImportPath] = n
	}
	for _, n := range l.order {
		for _, path := range n.Imports {
			if d := l.imported(n.Package, path); d != nil {
				d.importers++
			}
		}
	}
	l.selected(also)
	l.mu.Lock()
	defer l.mu.Unlock()
	var first []*node
	for _, n := range l.order {
		if n.importers == 0 {
			first = append(first, n)
		}
	}
	for _, n := range first {
		l.settle(n)
	}
	return l
}

// imported is a package that p imports; nil where there is no such package, for one that has no files, and for one that
// comes later in the order, as only in a cycle of imports.
func (l *Loader) imported(p Package, path string) *node {
	n := l.nodes[p.resolve(path)]
	if n == nil || path == "unsafe" || path == "C" || n.place >= l.nodes[p.ImportPath].place {
		return nil
	}
	return n
}

// settle begins with a package all of whose importers have said what they need, under the lock.
func (l *Loader) settle(n *node) {
	if n.wanted.all || len(n.wanted.names) > 0 {
		go func() {
			defer close(n.done)
			l.surface(n)
		}()
		return
	}
	if n.direct {
		n.types = types.NewPackage(n.ImportPath, n.Name)
		n.types.MarkComplete()
	}
	close(n.done)
	l.release(n)
}

// release says that a package needs nothing more of its imports, under the lock.
func (l *Loader) release(n *node) {
	for _, path := range n.Imports {
		if d := l.imported(n.Package, path); d != nil {
			if d.importers--; d.importers == 0 {
				l.settle(d)
			}
		}
	}
}

// surface type-checks what importers need of a package.
func (l *Loader) surface(n *node) {
	var files []*ast.File
	asked := map[string]demand{}
	alive := l.slot(func() {
		defer n.guard()
		files = l.parse(n.Package, n.Files(), &n.errs, func(name string, src []byte) (*ast.File, error) {
			return parser.ParseFile(l.fset, name, strip(src), parser.SkipObjectResolution)
		})
		asked = shake(files, n.wanted, l.nameOf(n.Package))
	})
	if !alive {
		return
	}
	l.ask(n, asked)
	if l.await(n.Package, maps.Keys(asked)) != nil {
		return
	}
	l.slot(func() {
		defer n.guard()
		conf := l.config(n.Package, &n.errs)
		conf.IgnoreFuncBodies, conf.FakeImportC = true, true
		n.types, _ = conf.Check(n.ImportPath, l.fset, files, nil)
		if _, ok := asked["C"]; ok {
			n.errs = nil // what comes of C is unknown, and so are errors about it
		}
	})
}

// ask tells the imports of a package what it needs of them.
func (l *Loader) ask(n *node, asked map[string]demand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for path, d := range asked {
		if i := l.imported(n.Package, path); i != nil {
			maps.Copy(i.wanted.names, d.names)
			i.wanted.all = i.wanted.all || d.all
		}
	}
	l.release(n)
}

// await waits for imports of a package. The error is the context's.
func (l *Loader) await(p Package, paths iter.Seq[string]) error {
	for path := range paths {
		n := l.imported(p, path)
		if n == nil {
			continue
		}
		select {
		case <-n.done:
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
	}
	return nil
}

// Load type-checks a package of the module, after what it imports, and hands it to use. A package that cannot be
// type-checked is given as far as it could be, with its Errors. The error is the context's.
func (l *Loader) Load(p Package, use func(*packages.Package)) error {
	if err := l.await(p, slices.Values(p.imports())); err != nil {
		return err
	}
	l.slot(func() { use(l.whole(p)) })
	return context.Cause(l.ctx)
}

// Errors are those of the packages that were imported, as far as they are done.
func (l *Loader) Errors() []packages.Error {
	var all []packages.Error
	for _, n := range l.order {
		select {
		case <-n.done:
			all = append(all, n.errs...)
		default:
		}
	}
	return all
}

// guard makes a panic, of the type checker for instance, an error.
func (n *node) guard() {
	if r := recover(); r != nil {
		n.errs = append(n.errs, panicked(n.Package, r))
	}
}

func panicked(p Package, cause any) packages.Error {
	return packages.Error{Msg: fmt.Sprintf("%s: cannot be type-checked: panic: %v", p.ImportPath, cause), Kind: packages.TypeError}
}

// slot runs work when a processor is free; not at all, and false, after the end of the context.
func (l *Loader) slot(work func()) bool {
	select {
	case l.slots <- struct{}{}:
	case <-l.ctx.Done():
		return false
	}
	defer func() { <-l.slots }()
	if l.ctx.Err() != nil {
		return false
	}
	work()
	return true
}

// nameOf gives the names of the packages that p can import.
func (l *Loader) nameOf(p Package) func(string) string {
	return func(path string) string {
		if path == "C" {
			return "C"
		}
		if n := l.nodes[p.resolve(path)]; n != nil {
			return n.Name
		}
		return ""
	}
}

func (l *Loader) config(p Package, errs *[]packages.Error) *types.Config {
	conf := &types.Config{Importer: importer{l, p}, Sizes: l.sizes, Error: func(err error) {
		*errs = append(*errs, typeError(err))
	}}
	if p.Module != nil && p.Module.GoVersion != "" {
		conf.GoVersion = "go" + p.Module.GoVersion
	}
	return conf
}

func typeError(err error) packages.Error {
	var e types.Error
	if !errors.As(err, &e) {
		return packages.Error{Msg: err.Error(), Kind: packages.UnknownError}
	}
	return packages.Error{Pos: e.Fset.Position(e.Pos).String(), Msg: e.Msg, Kind: packages.TypeError}
}

// importer gives a package what it imports, which is loaded by then.
type importer struct {
	l *Loader
	p Package
}

func (i importer) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	n := i.l.imported(i.p, path)
	if n == nil {
		return nil, fmt.Errorf("%s is not there", path)
	}
	select {
	case <-n.done:
	default:
		return nil, fmt.Errorf("%s is not loaded", path)
	}
	if n.types == nil {
		return nil, fmt.Errorf("%s cannot be read", path)
	}
	return n.types, nil
}

// parse reads files of a package; those with an error as far as they can be read.
func (l *Loader) parse(p Package, names []string, errs *[]packages.Error, parse func(string, []byte) (*ast.File, error)) []*ast.File {
	var files []*ast.File
	for _, name := range names {
		if !filepath.IsAbs(name) {
			name = filepath.Join(p.Dir, name)
		}
		src, err := os.ReadFile(name) // #nosec G304 -- what go list names
		if err == nil {
			var f *ast.File
			if f, err = parse(name, src); f != nil {
				files = append(files, f)
			}
		}
		if err != nil {
			*errs = append(*errs, readErrors(name, err)...)
		}
	}
	return files
}
