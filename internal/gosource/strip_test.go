package gosource

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestStrip(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"func F() { return }":                                                        "func F() {}",
		"func F() {\n\tif x {\n\t}\n}\nvar V int":                                    "func F() {\n\n\n}\nvar V int",
		"func (t T) M() struct{ A int } { return }":                                  "func (t T) M() struct{ A int } {}",
		"func F() interface { M() } { return }":                                      "func F() interface { M() } {}",
		"func F() struct /* { */ { A int } { return }":                               "func F() struct /* { */ { A int } {}",
		"func F() func() { return }":                                                 "func F() func() {}",
		"func F[T interface{ ~int }](f func(struct{}) T) { f }":                      "func F[T interface{ ~int }](f func(struct{}) T) {}",
		"func F() { '}'; \"}\\\"\"; `}\\`; /* } */ // }\n}":                          "func F() {\n}",
		"func F()\nvar V = T{1}":                                                     "func F()\nvar V = T{1}",
		"var V = func() { return }":                                                  "var V = func() { return }",
		"type F func()\ntype S struct { A int }":                                     "type F func()\ntype S struct { A int }",
		"// func F() { return }":                                                     "// func F() { return }",
		"var V = `\nfunc F() { return }`":                                            "var V = `\nfunc F() { return }`",
		"const (\nfuncs = 1\n)\nvar func世 = T{1}":                                    "const (\nfuncs = 1\n)\nvar func世 = T{1}",
		"package p // a\n// b\n\nvar V /* c */ = 1 / 2 // d\nvar W = 3":              "package p\n\n\nvar V = 1 / 2\nvar W = 3",
		"package p\nfunc F() // {\nvar V = T{1}":                                     "package p\nfunc F()\nvar V = T{1}",
		"// a\npackage p\nfunc F() {" + strings.Repeat("\n", 20) + "}\nvar V int":    "// a\npackage p\nfunc F() {\n/*line :23:1*/}\nvar V int",
		"package p\ntype T struct {" + strings.Repeat("\n\t// F", 9) + "\n\tF int }": "package p\ntype T struct {\n/*line :12:1*/F int }",
		"package p /*":   "package p /*",
		"func F() { ":    "func F() { ",
		"func F() { \"":  "func F() { \"",
		"func F() { '\\": "func F() { '\\",
		"func F() { `":   "func F() { `",
		"func":           "func",
		"":               "",
	} {
		if got := string(strip([]byte(src))); got != want {
			t.Errorf("%q: %q, want %q", src, got, want)
		}
	}
}

func FuzzStrip(f *testing.F) {
	f.Add([]byte("package p\n\nfunc F() struct{ A int } { return '{' }\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		fset := token.NewFileSet()
		want, err := parser.ParseFile(fset, "", src, parser.SkipObjectResolution)
		if err != nil {
			strip(src) // must not panic
			return
		}
		same(t, "", src, fset, want)
	})
}

// TestStripKeepsEverythingElse holds what is left of Go's own library against what its parser makes of the whole.
func TestStripKeepsEverythingElse(t *testing.T) {
	t.Parallel()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, before, after := 0, 0, 0
	for _, folder := range []string{"crypto", "encoding", "go", "net", "os", "reflect", "runtime", "text"} {
		err := filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src", folder), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || strings.Contains(name, "testdata") {
				return err
			}
			src, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			fset := token.NewFileSet()
			want, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
			if err != nil {
				return nil // not every file of the library is for this Go
			}
			files, before, after = files+1, before+len(src), after+len(strip(src))
			same(t, name, src, fset, want)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d files, %d KiB, stripped %d KiB", files, before>>10, after>>10)
	if files < 500 || after > before*6/10 {
		t.Errorf("%d files, %d of %d bytes are left", files, after, before)
	}
}

// same compares a stripped file with a parsed one: declarations and their lines.
func same(t *testing.T, name string, src []byte, whole *token.FileSet, want *ast.File) {
	t.Helper()
	fset := token.NewFileSet()
	got, err := parser.ParseFile(fset, name, strip(src), parser.SkipObjectResolution)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	a, b := text(t, want), text(t, got)
	if a != b {
		t.Errorf("%s: -whole +stripped\n-%s\n+%s", name, a, b)
		return
	}
	if bytes.Contains(src, []byte("/line")) || bytes.Contains(src, []byte("*line")) {
		return // the file gives its lines other numbers
	}
	for i, d := range want.Decls {
		if a, b := whole.PositionFor(d.Pos(), false), fset.Position(got.Decls[i].Pos()); a.Line != b.Line || a.Filename != b.Filename {
			t.Errorf("%s: declaration %d is at %s, want %s", name, i, b, a)
		}
	}
}

// text is a file without bodies and blanks.
func text(t *testing.T, f *ast.File) string {
	t.Helper()
	for _, d := range f.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil {
			d.Body.List = nil
		}
	}
	var b bytes.Buffer
	if err := (&printer.Config{Mode: printer.RawFormat}).Fprint(&b, token.NewFileSet(), f); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestSelections(t *testing.T) {
	t.Parallel()
	found := selections([]byte("package p\n\nvar V = a.B(c . D, e.\n\tF, /* x.X */ \"y.Y\", `z.Z`) // w.W\n\nvar U = g /* h */ . /* i */ J[k.L...]().m.N / o.P // .Q\n"))
	var got []string
	for x, names := range found {
		for name := range names {
			got = append(got, x+"."+name)
		}
	}
	slices.Sort(got)
	if want := "a.B c.D e.F g.J k.L m.N o.P"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}
