package gosource

import (
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/go/callgraph"
	"golang.org/x/tools/go/callgraph/cha"
	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/ssa"
)

// built makes SSA of a package as gosec does: with what it imports as declarations only.
func built(pkg *packages.Package) *ssa.Package {
	prog := ssa.NewProgram(pkg.Fset, 0)
	for _, i := range pkg.Types.Imports() {
		prog.CreatePackage(i, nil, nil, true)
	}
	p := prog.CreatePackage(pkg.Types, pkg.Syntax, pkg.TypesInfo, false)
	p.Build()
	return p
}

// incoming are the calls of each function with a body by another one, sorted.
func incoming(g *callgraph.Graph, fset *token.FileSet) map[string][]string {
	all := map[string][]string{}
	for f, n := range g.Nodes {
		if f == nil || len(f.Blocks) == 0 {
			continue
		}
		name := fmt.Sprintf("%s %s %s", f, fset.Position(f.Pos()), f.Synthetic)
		for _, e := range n.In {
			all[name] = append(all[name], fmt.Sprintf("%s at %s", e.Caller.Func, fset.Position(e.Site.Pos())))
		}
		slices.Sort(all[name])
	}
	return all
}

// TestCallers holds the call graph against that of x/tools, on packages with heavy dependencies and on all ways to call.
func TestCallers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/calls\n\ngo 1.24\n", "main.go": waysToCall} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ways, _ := load(t, list(t, dir, "./..."))
	heavy, _ := load(t, list(t, ".", "../sast", "../secrets/...", "../signing", "../verifying", "../deploy", "../build", "../app/..."))
	total := 0
	for _, all := range []map[string]*packages.Package{ways, heavy} {
		for path, pkg := range all {
			if len(pkg.Errors) > 0 {
				t.Fatal(pkg.Errors)
			}
			want := incoming(cha.CallGraph(built(pkg).Prog), pkg.Fset)
			got := incoming(Callers(built(pkg)), pkg.Fset)
			for name, calls := range want {
				// Wrappers that call nothing with a body are left out. Of others the functions that they call would tell.
				if got[name] == nil && strings.Contains(name, " wrapper ") {
					continue
				}
				total += len(calls)
				if diff := cmp.Diff(calls, got[name]); diff != "" {
					t.Errorf("%s: %s: -cha +idp\n%s", path, name, diff)
				}
			}
			for name := range got {
				if want[name] == nil {
					t.Errorf("%s: %s is not called", path, name)
				}
			}
		}
	}
	if total < 1500 {
		t.Errorf("only %d calls: the comparison says little", total)
	}
}

const waysToCall = `package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
)

type reader struct{ n int }

func (r *reader) Read(b []byte) (int, error) { return len(b), nil }

type Wide struct{ reader }

func (Wide) String() string { return text("wide") }

type hidden struct{ *Wide }

func (h hidden) Close() error { return nil }

type less []int

func (l less) Len() int           { return len(l) }
func (l less) Less(i, j int) bool { return l[i] < l[j] }
func (l less) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }

type list[T any] struct{ items []T }

func (l *list[T]) add(t T)       { l.items = append(l.items, t) }
func (l *list[T]) Each(f func(T)) { for _, t := range l.items { f(t) } }

func apply[T any](t T, f func(T) string) string { return f(t) }

type each interface{ Each(func(string)) }

type handler struct{}

func (handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { answer(w, r.URL.Path) }

func answer(w io.Writer, s string) { fmt.Fprint(w, text(s)) }

func text(s string) string { return s }

func drain(r io.Reader) { _, _ = r.Read(nil) }

func closes(c io.Closer) { defer c.Close(); go text("go") }

type quiet struct{ io.Reader }

type counted struct{ *bufio.Reader }

func main() {
	drain(&reader{})
	drain(Wide{reader{1}}.self())
	drain(sorted{sort.Reverse(less{2, 1})})
	drain(io.LimitReader(quiet{&reader{}}, 2))
	drain(counted{bufio.NewReader(&reader{})})
	drain(bufio.NewReadWriter(bufio.NewReader(&reader{}), nil))
	closes(hidden{&Wide{}})
	sort.Sort(sort.Reverse(less{3, 1}))
	l := &list[string]{}
	l.add("x")
	var e each = l
	e.Each(func(s string) { text(s) })
	add, method := l.add, (*reader).Read
	add("y")
	_, _ = method(&reader{}, nil)
	f := apply[int]
	f(1, func(n int) string { return fmt.Sprint(n) })
	apply("z", text)
	http.Handle("/", handler{})
	http.HandleFunc("/f", func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(handler{}, w, r) })
	func() { defer func() { recover() }(); answer(os.Stdout, "end") }()
	var anything any = struct{ Wide }{}
	if s, ok := anything.(fmt.Stringer); ok {
		text(s.String())
	}
	unnamed := &struct{ io.Reader; less }{&reader{}, nil}
	drain(unnamed)
	sort.Sort(unnamed)
}

type sorted struct{ sort.Interface }

func (s sorted) Read(b []byte) (int, error) { return s.Len(), nil }

func (w Wide) self() io.Reader { return &w }
`
