package sast

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/go/analysis"

	"github.com/org/idp/internal/fault"
)

func TestCancelled(t *testing.T) {
	t.Parallel()
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		dir, _ := unpack(t, "testdata/clean.txtar")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := Run(ctx, inputs(t, dir), Deps{})
		wantUndetermined(t, err, "stopped before everything was scanned")
	})
	t.Run("while loading", func(t *testing.T) {
		t.Parallel()
		dir, _ := unpack(t, "testdata/clean.txtar")
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Run(ctx, inputs(t, dir), Deps{Progress: func(what string) {
			if strings.HasPrefix(what, "loading") {
				cancel()
			}
		}})
		wantUndetermined(t, err, "stopped before everything was scanned")
	})
	t.Run("while an analyzer is busy", func(t *testing.T) {
		t.Parallel()
		dir, _ := unpack(t, "testdata/high.txtar")
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		defer close(release)
		k := replaced("G701", func(*analysis.Pass) (any, error) {
			cancel()
			<-release // longer than the test waits for the answer
			return nil, nil
		})
		out, err := run(ctx, inputs(t, dir), Deps{}, k)
		wantUndetermined(t, err, "stopped before everything was scanned: context canceled", "example.com/high: not ", "example.com/high/gen: not ", ", in G", "G701")
		if !errors.Is(err, context.Canceled) || out.Evidence.Coverage.Expected != 2 || out.Evidence.Coverage.Scanned != 0 {
			t.Errorf("%v %+v", err, out.Evidence.Coverage)
		}
	})
}

// TestAnalyzerWithoutEnd has one that never comes back for one of two packages, and then one that fills the memory too.
func TestAnalyzerWithoutEnd(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	endless := func(work func()) func(*analysis.Pass) (any, error) {
		return func(pass *analysis.Pass) (any, error) {
			if strings.HasSuffix(pass.Pkg.Path(), "/gen") {
				work()
				<-release
			}
			return nil, nil
		}
	}
	for _, c := range []struct {
		patience patience
		work     func()
		want     string
	}{
		{patience{time: 20 * time.Second, memory: 1 << 40}, func() {},
			"gosec has not come to an end with example.com/high/gen in 20s"},
		{patience{time: 5 * time.Minute, memory: 64 << 20, calm: 10 * time.Second}, func() { hoard = append(hoard, make([]byte, 1<<30)); runtime.GC() },
			"gosec has not come to an end with example.com/high/gen, and takes "},
	} {
		dir, _ := unpack(t, "testdata/high.txtar")
		k := replaced("G701", endless(c.work))
		k.patience = c.patience
		out, err := run(t.Context(), inputs(t, dir), Deps{}, k)
		wantUndetermined(t, err, "stopped before everything was scanned: "+c.want, "example.com/high/gen: not finished after ", "s, in G", "G701",
			"Found in what was scanned:", "G404  main.go:11")
		if c := out.Evidence.Coverage; c.Scanned != 1 || c.Expected != 2 {
			t.Errorf("coverage %+v", c)
		}
	}
}

// hoard keeps what it has: memory that goes away while a test counts would hide what is new.
var hoard [][]byte

// endless makes G602 of gosec 2.30.0 follow each of the calls anew in each of them.
func endless() string {
	text := "package main\n\nfunc walk(path []int) int {\n\tswitch path[0] {\n"
	for n := range 14 {
		text += fmt.Sprintf("\tcase %d:\n\t\treturn walk(path[1:])\n", n)
	}
	return text + "\t}\n\treturn 0\n}\n\nfunc main() { println(walk(make([]int, 3))) }\n"
}

// scanFolder, in the environment, makes this program scan that folder in place of the tests, with a deadline in the middle of G602.
const scanFolder = "IDP_TEST_SCAN"

func scanForAMoment(dir string) {
	ctx, cancel := context.WithCancelCause(context.Background())
	k := standardKit()
	def := k.analyzers["G602"]
	create := def.Create
	def.Create = func(id, description string) *analysis.Analyzer {
		a := create(id, description)
		work := a.Run
		a.Run = func(pass *analysis.Pass) (any, error) {
			time.AfterFunc(500*time.Millisecond, func() { cancel(context.DeadlineExceeded) })
			return work(pass)
		}
		return a
	}
	k.analyzers["G602"] = def
	_, err := scan(ctx, dir, "", func(string) {}, k)
	fmt.Println(strings.Join(fault.Lines(err), "\n"))
}

// TestProcessEndsAtTheDeadline runs a process whose deadline comes in the middle of a rule of gosec's that has no end and cannot
// be interrupted: it names the package and the rule, and ends.
func TestProcessEndsAtTheDeadline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/endless\n\ngo 1.24\n")
	write(t, dir, "main.go", endless())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), scanFolder+"="+dir)
	out, err := cmd.CombinedOutput()
	for _, want := range []string{"stopped before everything was scanned: context deadline exceeded", "example.com/endless: not finished after ", ", in G", "G602"} {
		if err != nil || !bytes.Contains(out, []byte(want)) {
			t.Errorf("%v, no %q in:\n%s", err, want, out)
		}
	}
}

// TestCgo holds where there is a C compiler and where there is none.
func TestCgo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/cgo\n\ngo 1.24\n")
	write(t, dir, "main.go", "package main\n\nfunc main() {}\n")
	write(t, dir, "c.go", "package main\n\n// int one(void) { return 1; }\nimport \"C\"\nimport \"math/rand\"\n\nvar N = rand.Int() + int(C.one())\n")
	out, err := Run(t.Context(), inputs(t, dir), Deps{})
	if slices.Contains(out.Evidence.Coverage.Left, leftBuild+": c.go") {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if fault.KindOf(err) != fault.Failed || len(out.Findings) == 0 || out.Findings[0].Place() != "c.go:7" ||
		out.Evidence.Coverage.Files != 2 {
		t.Errorf("%v %+v", err, out)
	}
}

// TestCgoThatFails has a package with C code that cannot be compiled, and another one.
func TestCgoThatFails(t *testing.T) {
	for name, compiler := range map[string]string{"no compiler": "no-such-compiler", "compiler that fails": "false"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "go.mod", "module example.com/cgo\n\ngo 1.24\n")
			write(t, dir, "main.go", "package main\n\nimport \"math/rand\"\n\nfunc main() { println(rand.Int()) }\n")
			if err := os.Mkdir(filepath.Join(dir, "c"), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, dir, "c/c.go", "package c\n\n// int one(void) { return 1; }\nimport \"C\"\n\nvar N = int(C.one())\n")
			t.Setenv("CGO_ENABLED", "1")
			t.Setenv("CC", compiler)
			out, err := Run(t.Context(), inputs(t, dir), Deps{})
			wantUndetermined(t, err, "the module does not compile", "example.com/cgo/c: ", "G404  main.go:5")
			if c := out.Evidence.Coverage; c.Scanned != 1 || c.Expected != 2 {
				t.Errorf("coverage %+v", c)
			}
		})
	}
}

// TestHugeFile holds that there is no size beyond which a file is not looked at.
func TestHugeFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/huge\n\ngo 1.24\n")
	line := "\t\"" + strings.Repeat("x", 1000) + "\",\n"
	write(t, dir, "main.go", "package main\n\nimport \"math/rand\"\n\nvar table = []string{\n"+strings.Repeat(line, 20<<10)+"}\n\nfunc main() { println(table, rand.Int()) }\n")
	out, err := Run(t.Context(), inputs(t, dir), Deps{})
	if fault.KindOf(err) != fault.Failed || len(out.Findings) != 1 || out.Findings[0].Place() != "main.go:20488" {
		t.Errorf("%v %+v", err, out.Findings)
	}
}
