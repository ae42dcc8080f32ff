package sast

import (
	"errors"
	"go/ast"
	"io"
	"log"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/securego/gosec/v2"
	"github.com/securego/gosec/v2/analyzers"
	"github.com/securego/gosec/v2/issue"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/packages"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gosource"
)

// lines is an error as a person sees it.
func lines(err error) string {
	if err == nil {
		return ""
	}
	return strings.Join(fault.Lines(err), "\n")
}

func wantUndetermined(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Fatalf("want undetermined, got %v", err)
	}
	for _, text := range texts {
		if !strings.Contains(lines(err), text) {
			t.Errorf("no %q in:\n%s", text, lines(err))
		}
	}
}

// TestSameAsGosec holds the findings against those of gosec's own way through a module.
func TestSameAsGosec(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"clean", "credential", "high", "low", "nosec", "taint", "flows", "many"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := unpack(t, "testdata/"+name+".txtar")
			out, _ := Run(t.Context(), inputs(t, dir), Deps{})
			var got []string
			for _, f := range out.Findings {
				if f.Suppression != nil {
					continue // gosec drops them
				}
				got = append(got, strings.Join([]string{f.Rule, f.Place(), string(f.Severity), f.Confidence, f.Title}, " "))
			}
			want := byGosec(t, dir)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-gosec +idp\n%s", diff)
			}
			for id := range flows {
				if name == "flows" && !strings.Contains(strings.Join(got, "\n"), id+" ") {
					t.Errorf("nothing of %s: the comparison says nothing of it", id)
				}
			}
			if name == "many" && len(got) < 10 {
				t.Errorf("only %d findings: the comparison says little", len(got))
			}
		})
	}
}

func byGosec(t *testing.T, dir string) []string {
	t.Helper()
	k := standardKit()
	a := gosec.NewAnalyzer(gosec.NewConfig(), false, false, false, 2, log.New(io.Discard, "", 0))
	a.LoadRules(k.rules, map[string]bool{})
	a.LoadAnalyzers(k.analyzers, map[string]bool{})
	paths, err := gosec.PackagePaths(dir+"/...", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Process(nil, paths...); err != nil {
		t.Fatal(err)
	}
	issues, _, errs := a.Report()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var list []string
	for _, i := range issues {
		rel, err := filepath.Rel(dir, i.File)
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(i.Line, "-")
		list = append(list, strings.Join([]string{i.RuleID, filepath.ToSlash(rel) + ":" + line,
			strings.ToLower(i.Severity.String()), strings.ToLower(i.Confidence.String()), title(i)}, " "))
	}
	slices.Sort(list)
	return list
}

// replaced is the standard kit with one analyzer's work replaced.
func replaced(id string, work func(*analysis.Pass) (any, error)) kit {
	k := standardKit()
	k.analyzers, k.flows = maps.Clone(k.analyzers), maps.Clone(k.flows)
	delete(k.flows, id)
	k.analyzers[id] = analyzers.AnalyzerDefinition{ID: id, Create: func(id, doc string) *analysis.Analyzer {
		return &analysis.Analyzer{Name: id, Doc: doc, Run: work}
	}}
	return k
}

func TestAnalyzerThatPanics(t *testing.T) {
	t.Parallel()
	dir, _ := unpack(t, "testdata/high.txtar")
	k := replaced("G701", func(pass *analysis.Pass) (any, error) {
		if strings.HasSuffix(pass.Pkg.Path(), "/gen") {
			panic("index out of range [1]")
		}
		return nil, nil
	})
	out, err := run(t.Context(), inputs(t, dir), Deps{}, k)
	wantUndetermined(t, err, "only 1 of 2 packages could be scanned",
		"example.com/high/gen: Error running analyzer G701: panic: index out of range [1]", "Found in what was scanned:", "G404  main.go:11")
	if c := out.Evidence.Coverage; c.Scanned != 1 || c.Expected != 2 {
		t.Errorf("coverage %+v", c)
	}
	if len(out.Findings) != 2 {
		t.Errorf("the other rules' findings are lost: %+v", out.Findings)
	}
}

func TestAnalyzerThatFails(t *testing.T) {
	t.Parallel()
	dir, _ := unpack(t, "testdata/clean.txtar")
	k := replaced("G115", func(*analysis.Pass) (any, error) { return nil, errors.New("no SSA") })
	out, err := run(t.Context(), inputs(t, dir), Deps{}, k)
	wantUndetermined(t, err, "only 0 of 3 packages could be scanned", "example.com/clean: 21 of 22 analyzers came to their end")
	if out.Evidence.Coverage.Scanned != 0 {
		t.Errorf("coverage %+v", out.Evidence.Coverage)
	}
}

// brokenRule stands in for a rule of gosec with a defect.
type brokenRule struct {
	err   error
	panic bool
}

func (brokenRule) ID() string { return "G104" }

func (r brokenRule) Match(ast.Node, *gosec.Context) (*issue.Issue, error) {
	if r.panic {
		panic("nil map")
	}
	return nil, r.err
}

func TestRuleThatBreaks(t *testing.T) {
	t.Parallel()
	for want, rule := range map[string]brokenRule{
		"G104 panicked: nil map":                     {panic: true},
		"G104 cannot judge line 10: no such context": {err: errors.New("no such context")},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			dir, _ := unpack(t, "testdata/high.txtar")
			k := standardKit()
			k.rules = maps.Clone(k.rules)
			k.rules["G104"] = func(string, gosec.Config) (gosec.Rule, []ast.Node) {
				return rule, []ast.Node{(*ast.FuncDecl)(nil)}
			}
			out, err := run(t.Context(), inputs(t, dir), Deps{}, k)
			wantUndetermined(t, err, "example.com/high: "+want)
			if !slices.ContainsFunc(out.Findings, func(f finding.Finding) bool { return f.Rule == "G404" }) {
				t.Error("the finding of another rule is lost")
			}
		})
	}
}

func TestGoIsMissing(t *testing.T) {
	dir, _ := unpack(t, "testdata/clean.txtar")
	t.Setenv("PATH", t.TempDir())
	_, err := Run(t.Context(), inputs(t, dir), Deps{})
	wantUndetermined(t, err, "go is not on the PATH", "https://go.dev/doc/install")
}

func TestNewerGo(t *testing.T) {
	dir, _ := unpack(t, "testdata/clean.txtar")
	mod := filepath.Join(dir, "go.mod")
	if err := os.WriteFile(mod, []byte("module example.com/clean\n\ngo 1.999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOTOOLCHAIN", "local")
	_, err := Run(t.Context(), inputs(t, dir), Deps{})
	wantUndetermined(t, err, "the module needs a newer Go than the one on the PATH", "1.999")

	// A newer go on the PATH lists the packages, but the type checker in this program is not newer.
	s := survey{packages: map[string]gosource.Package{"x": {Module: &gosource.Module{GoVersion: "1.999"}}}}
	wantUndetermined(t, newerGo(s), "the module needs go1.999, and this program was built with go1.")

	// Its library may then be beyond that type checker.
	undefined := []packages.Error{{Msg: "undefined: new2"}}
	wantUndetermined(t, tooNew("go1.999.1", undefined), "the go command on the PATH is go1.999.1", "undefined: new2")
	if err := tooNew("go1.18", undefined); err != nil {
		t.Error(err)
	}
	if err := tooNew("go1.999.1", nil); err != nil {
		t.Error(err)
	}
}

func TestBuildTagsOfTheEnvironment(t *testing.T) {
	dir, _ := unpack(t, "testdata/left.txtar")
	t.Setenv("GOFLAGS", "-tags=integration")
	out, err := Run(t.Context(), inputs(t, dir), Deps{})
	if fault.KindOf(err) != fault.Failed || out.Evidence.Coverage.Files != 3 {
		t.Errorf("tagged.go is not scanned: %v %+v", err, out.Evidence.Coverage)
	}
	if left := strings.Join(out.Evidence.Coverage.Left, "\n"); strings.Contains(left, "tagged.go") {
		t.Errorf("tagged.go is left out:\n%s", left)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFolders(t *testing.T) {
	t.Parallel()
	dir, _ := unpack(t, "testdata/clean.txtar")
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		_, err := Run(t.Context(), inputs(t, filepath.Join(dir, "nowhere")), Deps{})
		if fault.KindOf(err) != fault.BadInput {
			t.Error(err)
		}
	})
	t.Run("part of a module", func(t *testing.T) {
		t.Parallel()
		out, err := Run(t.Context(), inputs(t, filepath.Join(dir, "internal")), Deps{})
		want := []string{"the rest of the module, outside of internal"}
		if err != nil || out.Evidence.Coverage.Scanned != 2 || cmp.Diff(want, out.Evidence.Coverage.Left) != "" {
			t.Error(err, out.Evidence.Coverage)
		}
	})
	t.Run("symbolic link", func(t *testing.T) {
		t.Parallel()
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(dir, link); err != nil {
			t.Fatal(err)
		}
		out, err := Run(t.Context(), inputs(t, link), Deps{})
		if err != nil || out.Evidence.Coverage.Scanned != 3 {
			t.Error(err, out.Evidence.Coverage)
		}
	})
	t.Run("package behind a symbolic link", func(t *testing.T) {
		t.Parallel()
		dir, _ := unpack(t, "testdata/imported.txtar")
		elsewhere := filepath.Join(t.TempDir(), "shared")
		if err := errors.Join(os.Rename(filepath.Join(dir, "testdata", "shared"), elsewhere),
			os.Symlink(elsewhere, filepath.Join(dir, "testdata", "shared"))); err != nil {
			t.Fatal(err)
		}
		out, err := Run(t.Context(), inputs(t, dir), Deps{})
		if fault.KindOf(err) != fault.Failed || !strings.Contains(lines(err), "G404  testdata/shared/n.go:6") {
			t.Error(lines(err))
		}
		if c := out.Evidence.Coverage; c.Scanned != 5 || c.Expected != 5 {
			t.Error(c)
		}
	})
}

func TestThresholds(t *testing.T) {
	t.Parallel()
	dir, _ := unpack(t, "testdata/low.txtar")
	for failOn, want := range map[string]fault.Kind{"low": fault.Failed, "medium": -1, "none": -1} {
		in := inputs(t, dir)
		in.Triage.Rules.FailOn, _ = finding.ParseThreshold(failOn)
		out, err := Run(t.Context(), in, Deps{})
		if (want == -1) != (err == nil) || err != nil && fault.KindOf(err) != want || out.Evidence.FailOn != failOn {
			t.Errorf("%s: %v, evidence says %s", failOn, err, out.Evidence.FailOn)
		}
	}
	in := inputs(t, dir)
	in.Triage.Rules.FailOn = finding.Threshold{}
	_, err := Run(t.Context(), in, Deps{})
	wantUndetermined(t, err, "no threshold was set")
}

func TestFingerprintsStayWhenLinesMove(t *testing.T) {
	t.Parallel()
	dir, _ := unpack(t, "testdata/low.txtar")
	before, _ := Run(t.Context(), inputs(t, dir), Deps{})
	data, err := os.ReadFile(filepath.Join(dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "main.go", "// Package main has a comment now.\n"+strings.ReplaceAll(string(data), "\tos.", "\n\t\tos."))
	after, _ := Run(t.Context(), inputs(t, dir), Deps{})
	prints := func(o Outputs) (list []string) {
		for _, f := range o.Findings {
			list = append(list, f.Fingerprint)
		}
		return list
	}
	if diff := cmp.Diff(prints(before), prints(after)); diff != "" || len(after.Findings) != 2 {
		t.Error(diff)
	}
}

func TestCredentialIsNowhere(t *testing.T) {
	t.Parallel()
	dir, a := unpack(t, "testdata/credential.txtar")
	out, err := Run(t.Context(), inputs(t, dir), Deps{})
	got := describe(out, err)
	for _, secret := range regexp.MustCompile(`[0-9a-f]{40}`).FindAllString(string(a.Files[1].Data), -1) {
		if strings.Contains(got, secret) {
			t.Errorf("%s is told:\n%s", secret, got)
		}
	}
}

func TestGapsThatOnlyTheCountsShow(t *testing.T) {
	t.Parallel()
	dir, _ := unpack(t, "testdata/clean.txtar")
	s, err := take(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	p := s.packages["example.com/clean"]
	want := p
	want.GoFiles = append(slices.Clone(want.GoFiles), "more.go")
	err = gosource.New(t.Context(), s.list, s.sizes, nil).Load(p, func(pkg *packages.Package) {
		r := standardKit().check(&watch{ctx: t.Context(), path: pkg.PkgPath}, pkg, want)
		if diff := cmp.Diff([]string{"example.com/clean: 1 of 2 files read"}, r.gaps); diff != "" {
			t.Error(diff)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := verdict(scanned{}, nil, nil); err == nil {
		t.Error("a scan of nothing passes")
	}
}

func TestEveryRuleIsExplained(t *testing.T) {
	t.Parallel()
	all, err := helps()
	if err != nil {
		t.Fatal(err)
	}
	k := standardKit()
	ids := slices.Sorted(maps.Keys(k.rules))
	ids = append(ids, slices.Sorted(maps.Keys(k.analyzers))...)
	slices.Sort(ids)
	if diff := cmp.Diff(ids, slices.Sorted(maps.Keys(all))); diff != "" {
		t.Errorf("-gosec +rules.yaml\n%s", diff)
	}
	for id, help := range all {
		if strings.Count(help+" ", ". ") < 2 || !strings.HasSuffix(help, ".") {
			t.Errorf("%s: not two sentences: %s", id, help)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "github.com/securego/gosec/v2 v"+Version+"\n") {
		t.Errorf("go.mod does not have gosec %s", Version)
	}
}
