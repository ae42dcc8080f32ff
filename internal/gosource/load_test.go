package gosource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/txtar"
)

func list(t *testing.T, dir string, args ...string) []Package {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-deps", "-json=" + Fields}, args...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var all []Package
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p Package
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func load(t *testing.T, all []Package) (map[string]*packages.Package, *Loader) {
	t.Helper()
	l := New(t.Context(), all, types.SizesFor("gc", runtime.GOARCH), nil)
	loaded := map[string]*packages.Package{}
	for _, p := range all {
		if !p.DepOnly {
			if err := l.Load(p, func(pkg *packages.Package) { loaded[p.ImportPath] = pkg }); err != nil {
				t.Fatal(err)
			}
		}
	}
	return loaded, l
}

// TestSameTypesAsTheCompiler holds every type in packages with heavy dependencies against what the compiler wrote down for
// those, as packages.Load reads it.
func TestSameTypesAsTheCompiler(t *testing.T) {
	t.Parallel()
	patterns := []string{"../sast", "../secrets", "../attest", "../deploy"}
	got, l := load(t, list(t, ".", patterns...))
	if errs := l.Errors(); len(errs) > 0 {
		t.Fatal(errs)
	}
	want, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
		packages.NeedTypes | packages.NeedTypesSizes | packages.NeedTypesInfo | packages.NeedSyntax | packages.NeedModule}, patterns...)
	if err != nil || len(want) != len(patterns) {
		t.Fatal(len(want), err)
	}
	total := 0
	for _, w := range want {
		g := got[w.PkgPath]
		if g == nil || len(w.Errors)+len(g.Errors) > 0 {
			t.Fatal(w.PkgPath, w.Errors, g.Errors)
		}
		a, b := described(w), described(g)
		total += len(a)
		for where, what := range a {
			if b[where] != what {
				t.Errorf("%s: %.200s, want %.200s", where, b[where], what)
			}
		}
		if len(a) != len(b) {
			t.Errorf("%s: %d types, want %d", w.PkgPath, len(b), len(a))
		}
	}
	if total < 20000 {
		t.Errorf("only %d types: the comparison says little", total)
	}
}

// unnamed is what the compiler calls some results without a name, and single then the brackets around one.
var (
	unnamed = regexp.MustCompile(`#rv\d+ `)
	single  = regexp.MustCompile(`\) \(([^(),]+)\)`)
)

// described are the types, with the methods behind them, and objects in a package, by their place in the source.
func described(pkg *packages.Package) map[string]string {
	all := map[string]string{}
	place := func(kind string, n ast.Node) string {
		from, to := pkg.Fset.Position(n.Pos()), pkg.Fset.Position(n.End())
		return fmt.Sprintf("%s %s-%d", kind, from, to.Offset)
	}
	sets := map[types.Type]string{}
	for e, tv := range pkg.TypesInfo.Types {
		if tv.Type == nil {
			continue
		}
		if sets[tv.Type] == "" {
			text := tv.Type.String()
			for m := range types.NewMethodSet(tv.Type).Methods() {
				text += "; " + m.String()
			}
			sets[tv.Type] = text
		}
		all[place(fmt.Sprintf("%T", e), e)] = fmt.Sprint(sets[tv.Type], " ", tv.Value)
	}
	for id, o := range pkg.TypesInfo.Uses {
		all[place("use", id)] = types.ObjectString(o, nil)
	}
	for e, s := range pkg.TypesInfo.Selections {
		all[place("selection", e)] = fmt.Sprint(s, s.Index(), s.Indirect())
	}
	for where, what := range all {
		all[where] = single.ReplaceAllString(unnamed.ReplaceAllString(what, ""), ") $1")
	}
	return all
}

// TestBroken loads what the go command or the type checker has something against. None of it may pass for whole.
func TestBroken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ files, want string }{
		"type error in a body":             {"-- a/a.go --\npackage a\nfunc F() int { return \"\" }\n", "a/a.go:2:23: cannot use"},
		"type error in what others import": {"-- a/a.go --\npackage a\nimport \"example.com/m/b\"\nvar V b.T\n-- b/b.go --\npackage b\ntype T missing\n", "b/b.go:2:8: undefined: missing"},
		"syntax error":                     {"-- a/a.go --\npackage a\nfunc F( {\n", "a/a.go:2:9: expected"},
		"no such package":                  {"-- a/a.go --\npackage a\nimport _ \"example.com/m/none\"\n", "could not import example.com/m/none"},
		"cycle of imports":                 {"-- a/a.go --\npackage a\nimport _ \"example.com/m/b\"\n-- b/b.go --\npackage b\nimport _ \"example.com/m/a\"\n", "could not import example.com/m/"},
		"imports itself":                   {"-- a/a.go --\npackage a\nimport _ \"example.com/m/a\"\n", "could not import example.com/m/a"},
		"two packages in a folder":         {"-- a/a.go --\npackage a\n-- a/b.go --\npackage b\n", "package b; expected package a"},
		"not exported":                     {"-- a/a.go --\npackage a\nimport \"example.com/m/b\"\nvar V = b.f()\n-- b/b.go --\npackage b\nfunc f() int { return 1 }\n", "a/a.go:3:11:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loaded, l := load(t, list(t, folder(t, test.files), "./..."))
			var errs []string
			for _, pkg := range loaded {
				for _, e := range pkg.Errors {
					errs = append(errs, e.Error())
				}
				if pkg.IllTyped != (len(pkg.Errors) > 0) {
					t.Errorf("ill-typed %v, errors %v", pkg.IllTyped, pkg.Errors)
				}
			}
			if len(errs) == 0 {
				t.Error("nothing is wrong with any package")
			}
			for _, e := range l.Errors() {
				errs = append(errs, e.Error())
			}
			if got := strings.Join(errs, "\n"); !strings.Contains(got, test.want) {
				t.Errorf("no %q in\n%s", test.want, got)
			}
		})
	}
}

// TestImportersSeeEnough is about what a package needs of another without naming it.
func TestImportersSeeEnough(t *testing.T) {
	t.Parallel()
	loaded, l := load(t, list(t, folder(t, `-- a/a.go --
package a

import "example.com/m/b"

var (
	_ interface{ M() } = b.V           // a method of a type that nobody names
	_ [3]int           = b.Array       // the length is that of a literal
	_ [4]int           = [b.C]int{}    // a constant that repeats one that is not exported
	_                  = b.Alias{}.N   // a method of the type behind an alias that nobody names
	_ int              = b.Generic(1)
	_ interface{ D() } = b.Embeds{}
	_                  = b.Embeds{}.Deep.Field
	_ string           = b.Inferred
)
-- b/b.go --
package b

import (
	"strings"

	. "example.com/m/dot"
	other "example.com/m/deep"
)

type hidden struct{}

func (hidden) M() { strings.ToUpper("") }

var V hidden

var Array = [...]int{2: 1}

const (
	zero = iota + 3
	C
)

type target struct{}
type another = target

func (another) N() {}

type Alias = target

func Generic[T constraint](t T) T { return t }

type constraint interface{ ~int }

type Embeds struct {
	Deep other.Type
	Dotted
}

var Inferred = helper()

func helper() string { return "" }
-- deep/deep.go --
package deep

type Type struct{ base }

type base struct{ Field int }

type Unneeded missing
-- dot/dot.go --
package dot

type Dotted struct{}

func (Dotted) D() {}
`), "./a"))
	if pkg := loaded["example.com/m/a"]; pkg == nil || len(pkg.Errors) > 0 {
		t.Errorf("%+v", pkg)
	}
	if errs := l.Errors(); len(errs) > 0 {
		t.Error(errs)
	}
}

// TestCOfDependencies holds that a type of C, which nobody has looked at, is not taken for one that is known.
func TestCOfDependencies(t *testing.T) {
	t.Parallel()
	all := list(t, folder(t, `-- a/a.go --
package a

import "example.com/m/c"

var V = c.N
-- c/c.go --
package c

// enum { n = 1 };
import "C"

var N = C.n
-- b/b.go --
package b

import "example.com/m/c"

var T c.T
-- c/go.go --
package c

type T struct{ A int }
`), "./a", "./b")
	for i := range all {
		if all[i].ImportPath == "example.com/m/c" && len(all[i].CgoFiles) == 0 {
			all[i].CgoFiles = []string{"c.go"} // where there is no C compiler, go leaves it out
			all[i].Imports = append(all[i].Imports, "C")
		}
	}
	loaded, _ := load(t, all)
	if pkg := loaded["example.com/m/b"]; len(pkg.Errors) > 0 {
		t.Error(pkg.Errors)
	}
	pkg := loaded["example.com/m/a"]
	if len(pkg.Errors) != 1 || !pkg.IllTyped || !strings.Contains(pkg.Errors[0].Error(), "a/a.go:5:9: the type comes from C code of another package") {
		t.Error(pkg.Errors)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	all := list(t, ".", ".")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	l := New(ctx, all, types.SizesFor("gc", runtime.GOARCH), nil)
	cancel(cause)
	err := l.Load(all[len(all)-1], func(*packages.Package) {})
	if !errors.Is(err, cause) {
		t.Error(err)
	}
}

// folder makes a module of an archive.
func folder(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	files := append(txtar.Parse([]byte(archive)).Files, txtar.File{Name: "go.mod", Data: []byte("module example.com/m\n\ngo 1.24\n")})
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
