package sast

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gitrepo"
)

// subject is real code, of other people, with some hundred findings: a module that this one depends on anyway.
const subject = "github.com/rogpeppe/go-internal"

// refactorings are done to all of it at once. Share is the least part of the known findings that has to be recognised.
// That of statements, which gofmt -r rewrites, is lower: where more than names of the declaration changes, a finding is new.
var refactorings = []struct {
	name  string
	do    func(*copied, *testing.T)
	share float64
}{
	{"lines moved, a line for each argument, gofmt -s", func(tr *copied, t *testing.T) {
		tr.moveLines(t)
		tr.splitLines(t)
		tr.gofmt(t, "-s")
	}, 1},
	{"gofmt -r, two names everywhere", func(tr *copied, t *testing.T) {
		tr.gofmt(t, "-r", "err -> failure")
		tr.gofmt(t, "-r", "data -> content")
	}, 0.98},
	{"declarations in another order", (*copied).reorder, 1},
	{"files renamed", (*copied).renameFiles, 1},
	{"packages renamed", (*copied).renameFolders, 1},
	{"half of the functions in files of their own", (*copied).splitFiles, 1},
	{"every body in a function of its own", (*copied).extract, 1},
	{"all of the above but gofmt -r", func(tr *copied, t *testing.T) {
		tr.moveLines(t)
		tr.splitLines(t)
		tr.reorder(t)
		tr.splitFiles(t)
		tr.renameFiles(t)
	}, 1},
}

// TestRefactorings counts how many known findings are recognised after a refactoring, and how many new ones, which are
// copies of the known, are wrongly taken for one: none may.
func TestRefactorings(t *testing.T) {
	t.Parallel()
	base := newCopied(t)
	old := base.findings(t)
	if len(old) < 80 {
		t.Fatalf("only %d findings: the figures would say little", len(old))
	}
	results := make([]string, len(refactorings))
	for i, r := range refactorings {
		t.Run(r.name, func(t *testing.T) {
			tr := newCopied(t)
			r.do(tr, t)
			tr.plant(t)
			tr.git(t, "add", "-A")
			now := tr.findings(t)
			git := match(t, finding.Matcher{Renamed: tr.renamed(t)}, now, old)
			alone := match(t, finding.Matcher{}, now, old)
			results[i] = fmt.Sprintf("%-48s %3d of %3d known  without git %3d  wrongly known %d of %d", r.name, git.known, len(old), alone.known,
				git.wrong+alone.wrong, git.planted)
			t.Log(results[i])
			if git.wrong+alone.wrong > 0 {
				t.Errorf("%d planted findings are taken for known ones", git.wrong+alone.wrong)
			}
			if git.planted < 20 {
				t.Errorf("only %d findings were planted", git.planted)
			}
			if got := float64(git.known) / float64(len(old)); got < r.share {
				t.Errorf("%.0f %% are recognised, want %.0f %%:\n%s", 100*got, 100*r.share, strings.Join(git.missed, "\n"))
			}
		})
	}
	t.Log("\n" + strings.Join(results, "\n"))
}

// copied is a working copy of the subject.
type copied struct {
	dir  string
	repo *gitrepo.Repo
}

func newCopied(t *testing.T) *copied {
	t.Helper()
	from := strings.TrimSpace(output(t, ".", "go", "list", "-m", "-f", "{{.Dir}}", subject))
	tr := &copied{dir: t.TempDir()}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(from, path)
		if err != nil || d.IsDir() && d.Name() == "testdata" {
			return errOr(err, fs.SkipDir)
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(tr.dir, rel)
		return errOr(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, 0o644))
	})
	if err != nil {
		t.Fatal(err)
	}
	// The versions of this module, which are there without a network.
	mod := "module " + subject + "\n\ngo " + output(t, ".", "go", "list", "-m", "-f", "{{.GoVersion}}")
	for _, m := range []string{"golang.org/x/mod", "golang.org/x/sys", "golang.org/x/tools"} {
		mod += "\nrequire " + strings.TrimSpace(output(t, ".", "go", "list", "-m", "-f", "{{.Path}} {{.Version}}", m)) + "\n"
	}
	sum, err := os.ReadFile(filepath.Join("..", "..", "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, tr.dir, "go.mod", mod)
	write(t, tr.dir, "go.sum", string(sum))
	tr.git(t, "init", "-q")
	tr.git(t, "add", "-A")
	tr.git(t, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "base")
	if tr.repo, err = gitrepo.Open(t.Context(), tr.dir); err != nil {
		t.Fatal(err)
	}
	return tr
}

func errOr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return string(out)
}

func (tr *copied) git(t *testing.T, args ...string) {
	t.Helper()
	output(t, tr.dir, "git", args...)
}

func (tr *copied) findings(t *testing.T) []finding.Finding {
	t.Helper()
	list, err := Findings(t.Context(), tr.dir, "", nil)
	if err != nil {
		t.Fatal(lines(err))
	}
	return slices.DeleteFunc(list, func(f finding.Finding) bool { return f.Suppression != nil })
}

// files are the Go files, with slashes.
func (tr *copied) files(t *testing.T) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(tr.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			rel, _ := filepath.Rel(tr.dir, path)
			list = append(list, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (tr *copied) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tr.dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

type outcome struct {
	known, planted, wrong int
	missed                []string
}

// planted is what all new code is called.
const planted = "planted"

// renamed is what git takes for renamed.
func (tr *copied) renamed(t *testing.T) map[string]string {
	t.Helper()
	changes, err := tr.repo.ChangesSince(t.Context(), tr.repo.Commit)
	if err != nil {
		t.Fatal(err)
	}
	renamed := map[string]string{}
	for _, c := range changes {
		if c.Old != "" && c.New != "" && c.Old != c.New {
			renamed[c.New] = c.Old
		}
	}
	return renamed
}

// match counts.
func match(t *testing.T, m finding.Matcher, now, old []finding.Finding) outcome {
	t.Helper()
	var o outcome
	for i, j := range m.Match(now, old) {
		f := now[i]
		place := fmt.Sprintf("%s %s %s %s", f.Rule, f.Place(), f.Scope, f.Snippet)
		if strings.Contains(strings.ToLower(f.Scope), planted) {
			o.planted++
			if j >= 0 {
				o.wrong++
				t.Errorf("taken for the one in %s %s: %s", old[j].Place(), old[j].Scope, place)
			}
			continue
		}
		if j >= 0 {
			o.known++
		} else {
			o.missed = append(o.missed, place)
		}
	}
	return o
}

// plant adds new weaknesses, which are copies of the old: of every function with its whole body, above the original
// in the same file and under another name.
func (tr *copied) plant(t *testing.T) {
	t.Helper()
	for _, name := range tr.files(t) {
		text := tr.read(t, name)
		fset, file := parseFile(t, text)
		var copies []string
		for _, d := range functions(file) {
			if d.Name.Name == "init" || d.Name.Name == "main" || d.Recv != nil || d.Body == nil {
				continue
			}
			from, at := fset.Position(d.Pos()).Offset, fset.Position(d.Name.Pos()).Offset
			copies = append(copies, text[from:at]+planted+d.Name.Name+text[at+len(d.Name.Name):fset.Position(d.End()).Offset])
		}
		if at := bodyStart(fset, file); len(copies) > 0 {
			write(t, tr.dir, name, text[:at]+"\n\n"+strings.Join(copies, "\n\n")+"\n\n"+text[at:])
		}
	}
}

func parseFile(t *testing.T, text string) (*token.FileSet, *ast.File) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return fset, file
}

func functions(file *ast.File) []*ast.FuncDecl {
	var list []*ast.FuncDecl
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			list = append(list, f)
		}
	}
	return list
}

// bodyStart is the offset behind the imports.
func bodyStart(fset *token.FileSet, file *ast.File) int {
	at := fset.Position(file.Name.End()).Offset
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			at = fset.Position(g.End()).Offset
		}
	}
	return at
}

func (tr *copied) each(t *testing.T, change func(name, text string) string) {
	t.Helper()
	for _, name := range tr.files(t) {
		write(t, tr.dir, name, change(name, tr.read(t, name)))
	}
}

func (tr *copied) moveLines(t *testing.T) {
	tr.each(t, func(_, text string) string {
		fset, file := parseFile(t, text)
		at := bodyStart(fset, file)
		return text[:at] + "\n\n// What follows was moved.\n\n" + strings.ReplaceAll(text[at:], "\nfunc ", "\n\n\n// A function.\nfunc ")
	})
}

// splitLines writes each argument of each call in a line of its own.
func (tr *copied) splitLines(t *testing.T) {
	tr.each(t, func(_, text string) string {
		fset, file := parseFile(t, text)
		insert := map[int]string{}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			insert[fset.Position(call.Lparen).Offset+1] = "\n"
			for _, a := range call.Args[1:] {
				insert[fset.Position(a.Pos()).Offset] = "\n"
			}
			last := strings.TrimRight(text[fset.Position(call.Args[len(call.Args)-1].End()).Offset:fset.Position(call.Rparen).Offset], " \t\n")
			if !strings.HasSuffix(last, ",") {
				insert[fset.Position(call.Rparen).Offset] = ",\n"
			}
			return true
		})
		var b strings.Builder
		for i := range len(text) {
			b.WriteString(insert[i])
			b.WriteByte(text[i])
		}
		return pretty(t, b.String())
	})
}

func pretty(t *testing.T, text string) string {
	t.Helper()
	out, err := format.Source([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func (tr *copied) gofmt(t *testing.T, args ...string) {
	t.Helper()
	name := filepath.Join(strings.TrimSpace(output(t, ".", "go", "env", "GOROOT")), "bin", "gofmt")
	output(t, tr.dir, name, append(args, "-w", ".")...)
}

// reorder reverses the functions of every file.
func (tr *copied) reorder(t *testing.T) {
	tr.each(t, func(_, text string) string {
		fset, file := parseFile(t, text)
		var kept, moved strings.Builder
		last := 0
		list := functions(file)
		var texts []string
		for _, d := range list {
			from := d.Pos()
			if d.Doc != nil {
				from = d.Doc.Pos()
			}
			a, b := fset.Position(from).Offset, fset.Position(d.End()).Offset
			kept.WriteString(text[last:a])
			texts = append(texts, text[a:b])
			last = b
		}
		kept.WriteString(text[last:])
		for _, f := range slices.Backward(texts) {
			moved.WriteString("\n\n" + f + "\n")
		}
		return kept.String() + moved.String()
	})
}

// platform is a suffix that means something to go.
var platform = regexp.MustCompile(`_(linux|darwin|windows|unix|plan9|openbsd|aix|solaris|illumos|386|amd64|arm64|stub|other|wasm|js)\.go$`)

func (tr *copied) renameFiles(t *testing.T) {
	for _, name := range tr.files(t) {
		if !platform.MatchString(name) {
			tr.git(t, "add", "-A")
			tr.git(t, "mv", name, strings.TrimSuffix(name, ".go")+"_new.go")
		}
	}
}

// renameFolders gives every package with findings another import path.
func (tr *copied) renameFolders(t *testing.T) {
	for _, folder := range []string{"cache", "testscript", "goproxytest", "lockedfile"} {
		tr.git(t, "mv", folder, folder+"2")
		old := regexp.MustCompile(regexp.QuoteMeta(`"`+subject+"/"+folder) + `(["/])`)
		tr.each(t, func(_, text string) string {
			return old.ReplaceAllString(text, folder+` "`+subject+"/"+folder+"2$1")
		})
		// An import of a folder below has that folder's name, not this one's.
		below := regexp.MustCompile(folder + ` ("` + regexp.QuoteMeta(subject) + "/" + folder + `2/)`)
		tr.each(t, func(_, text string) string { return below.ReplaceAllString(text, "$1") })
	}
}

// splitFiles moves every second function of a file to another one of the same package.
func (tr *copied) splitFiles(t *testing.T) {
	for _, name := range tr.files(t) {
		text := tr.read(t, name)
		fset, file := parseFile(t, text)
		var stay, move strings.Builder
		last := 0
		for i, d := range functions(file) {
			from := d.Pos()
			if d.Doc != nil {
				from = d.Doc.Pos()
			}
			a, b := fset.Position(from).Offset, fset.Position(d.End()).Offset
			if i%2 == 1 {
				stay.WriteString(text[last:a])
				move.WriteString(text[a:b] + "\n\n")
				last = b
			}
		}
		stay.WriteString(text[last:])
		if move.Len() == 0 || platform.MatchString(name) || strings.Contains(text, "import _") || strings.Contains(text, "\t_ \"") {
			continue
		}
		head := text[:fset.Position(file.Name.End()).Offset] + "\n\n"
		var imports strings.Builder
		for _, s := range file.Imports {
			imports.WriteString("import " + text[fset.Position(s.Pos()).Offset:fset.Position(s.End()).Offset] + "\n")
		}
		write(t, tr.dir, name, withoutUnused(t, stay.String()))
		write(t, tr.dir, strings.TrimSuffix(name, ".go")+"_half.go", withoutUnused(t, head+imports.String()+"\n"+move.String()))
	}
}

// withoutUnused takes out imports that nothing uses any more.
func withoutUnused(t *testing.T, text string) string {
	t.Helper()
	fset, file := parseFile(t, text)
	type cut struct{ from, to int }
	var cuts []cut
	for _, s := range file.Imports {
		name := strings.Trim(s.Path.Value, `"`)
		name = name[strings.LastIndex(name, "/")+1:]
		if s.Name != nil {
			name = s.Name.Name
		}
		used := false
		ast.Inspect(file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if id, ok := sel.X.(*ast.Ident); ok && id.Name == name {
					used = true
				}
			}
			return !used
		})
		if !used {
			from := s.Pos()
			for _, d := range file.Decls {
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT && !g.Lparen.IsValid() && g.Specs[0] == s {
					from = g.Pos()
				}
			}
			cuts = append(cuts, cut{fset.Position(from).Offset, fset.Position(s.End()).Offset})
		}
	}
	for _, c := range slices.Backward(cuts) {
		text = text[:c.from] + text[c.to:]
	}
	return text
}

// extract puts the body of every function into one of its own, which is called in its place.
func (tr *copied) extract(t *testing.T) {
	tr.each(t, func(_, text string) string {
		fset, file := parseFile(t, text)
		at := func(p token.Pos) int { return fset.Position(p).Offset }
		for _, d := range slices.Backward(functions(file)) {
			args, ok := arguments(d)
			if !ok {
				continue
			}
			call := "extracted" + d.Name.Name + "(" + args + ")"
			if d.Recv != nil {
				call = d.Recv.List[0].Names[0].Name + "." + call
			}
			if d.Type.Results != nil {
				call = "return " + call
			}
			header := text[at(d.Pos()):at(d.Name.Pos())] + "extracted" + text[at(d.Name.Pos()):at(d.Body.Lbrace)]
			text = text[:at(d.Body.Lbrace)] + "{\n\t" + call + "\n}\n\n" + header + text[at(d.Body.Lbrace):]
		}
		return text
	})
}

// arguments are what calls the function with its own parameters; not ok where they have no names.
func arguments(d *ast.FuncDecl) (string, bool) {
	if d.Body == nil || len(d.Body.List) == 0 || d.Type.TypeParams != nil || d.Name.Name == "init" || d.Name.Name == "main" || d.Doc != nil && strings.Contains(d.Doc.Text(), "go:") ||
		d.Recv != nil && (len(d.Recv.List[0].Names) == 0 || d.Recv.List[0].Names[0].Name == "_") {
		return "", false
	}
	var args []string
	for _, p := range d.Type.Params.List {
		if len(p.Names) == 0 {
			return "", false
		}
		for _, n := range p.Names {
			if n.Name == "_" {
				return "", false
			}
			if _, variadic := p.Type.(*ast.Ellipsis); variadic {
				args = append(args, n.Name+"...")
			} else {
				args = append(args, n.Name)
			}
		}
	}
	return strings.Join(args, ", "), true
}
