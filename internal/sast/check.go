package sast

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"log"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/securego/gosec/v2"
	"github.com/securego/gosec/v2/analyzers"
	"github.com/securego/gosec/v2/issue"
	"github.com/securego/gosec/v2/rules"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/packages"

	"github.com/org/idp/internal/gosource"
)

// kit is the rules (syntax) and analyzers (SSA and taint) to apply.
type kit struct {
	rules     map[string]gosec.RuleBuilder
	analyzers map[string]analyzers.AnalyzerDefinition
	flows     map[string]flow // how to do the work of some of them
	patience  patience
}

// standardKit is everything that gosec has.
func standardKit() kit {
	r, _ := rules.Generate(true).RulesInfo()
	a, _ := analyzers.Generate(true).AnalyzersInfo()
	return kit{rules: r, analyzers: a, flows: flows, patience: standardPatience}
}

// checked is what came of one package.
type checked struct {
	path   string
	files  int
	issues []*issue.Issue
	gaps   []string
	errs   []packages.Error // of the compiler's kind
}

// check runs everything on one package, with an Analyzer of its own, so that nothing is shared between packages.
func (k kit) check(w *watch, pkg *packages.Package, want gosource.Package) checked {
	w.guard("gosec", func() {
		// No test files, generated files too, suppressions tracked so that they can be counted.
		a := gosec.NewAnalyzer(gosec.NewConfig(), false, false, true, runtime.GOMAXPROCS(0), log.New(w, "", 0))
		a.LoadRules(w.rules(k.rules), map[string]bool{})
		a.LoadAnalyzers(w.analyzers(k), map[string]bool{})
		// What was found before a panic is still worth showing.
		defer w.report(a, want)
		a.CheckRules(pkg)
		a.CheckAnalyzers(pkg)
		if ran := int(w.ran.Load()); ran != len(k.analyzers) {
			w.gap("%d of %d analyzers came to their end", ran, len(k.analyzers))
		}
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.path, w.out.errs = pkg.PkgPath, append(listErrors(want), pkg.Errors...)
	switch { // What gosec could not do with it follows from that.
	case pkg.IllTyped:
		w.out.gaps = []string{pkg.PkgPath + ": not type-checked, so only in part scanned"}
	case want.Error != nil:
		w.out.gaps = append(w.out.gaps, pkg.PkgPath+": go does not build it")
	}
	return w.out
}

// watch sees what gosec would lose: panics, errors that it only logs, and analyzers that never ran.
type watch struct {
	ctx  context.Context
	path string
	ran  atomic.Int64

	mu      sync.Mutex
	out     checked
	running []string // analyzers

	taken  time.Duration // for this package, so far; the crew's
	memory uint64        // in use when it began; the crew's
}

// doing names the analyzers that run.
func (w *watch) doing() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.running) == 0 {
		return ""
	}
	return ", in " + strings.Join(slices.Sorted(slices.Values(w.running)), ", ")
}

// runs notes that an analyzer runs until the function that it gives is called.
func (w *watch) runs(id string) (ended func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = append(w.running, id)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.running = slices.DeleteFunc(w.running, func(r string) bool { return r == id })
	}
}

func (w *watch) gap(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := w.path + ": " + fmt.Sprintf(format, args...)
	if !slices.Contains(w.out.gaps, line) {
		w.out.gaps = append(w.out.gaps, line)
	}
}

// guard turns a panic into a gap.
func (w *watch) guard(what string, work func()) {
	defer func() {
		if r := recover(); r != nil {
			w.gap("%s panicked: %v", what, r)
		}
	}()
	work()
}

// report takes over what gosec has so far.
func (w *watch) report(a *gosec.Analyzer, want gosource.Package) {
	issues, stats, errs := a.Report()
	for file, list := range errs {
		for _, e := range list {
			w.gap("%s:%d: %s", file, e.Line, e.Err)
		}
	}
	if stats.NumFiles != len(want.Files()) {
		w.gap("%d of %d files read", stats.NumFiles, len(want.Files()))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.issues, w.out.files = issues, stats.NumFiles
}

// harmless are the beginnings of the log lines that tell of no loss.
var harmless = []string{"Checking package:", "Checking file:", "Ignoring generated file:"}

// Write receives gosec's log, one entry a call. An entry that is not known to be harmless is a gap.
func (w *watch) Write(entry []byte) (int, error) {
	first, _, _ := bytes.Cut(entry, []byte("\n"))
	line := string(first)
	if !slices.ContainsFunc(harmless, func(h string) bool { return strings.HasPrefix(line, h) }) {
		w.gap("%s", line)
	}
	return len(entry), nil
}

func (w *watch) analyzers(k kit) map[string]analyzers.AnalyzerDefinition {
	watched := map[string]analyzers.AnalyzerDefinition{}
	shared := &callers{}
	for id, def := range k.analyzers {
		create := def.Create
		def.Create = func(id, description string) *analysis.Analyzer {
			a := create(id, description)
			work := a.Run
			if f, ok := k.flows[id]; ok {
				work = f.run(description, shared)
			}
			a.Run = func(pass *analysis.Pass) (result any, err error) {
				if err := w.ctx.Err(); err != nil {
					return nil, err
				}
				defer w.runs(id)()
				// gosec runs analyzers in goroutines of their own, where a panic would end the whole program.
				defer func() {
					if r := recover(); r != nil {
						result, err = nil, fmt.Errorf("panic: %v", r)
					}
				}()
				if result, err = work(pass); err == nil {
					w.ran.Add(1)
				}
				return result, err
			}
			return a
		}
		watched[id] = def
	}
	return watched
}

func (w *watch) rules(builders map[string]gosec.RuleBuilder) map[string]gosec.RuleBuilder {
	watched := map[string]gosec.RuleBuilder{}
	for id, build := range builders {
		watched[id] = func(id string, conf gosec.Config) (gosec.Rule, []ast.Node) {
			rule, nodes := build(id, conf)
			return watchedRule{rule, w}, nodes
		}
	}
	return watched
}

// watchedRule makes a panic, or an error that gosec only logs, a gap. After the end of the context it matches nothing.
type watchedRule struct {
	gosec.Rule
	w *watch
}

func (r watchedRule) Match(n ast.Node, c *gosec.Context) (found *issue.Issue, _ error) {
	if r.w.ctx.Err() != nil {
		return nil, nil
	}
	r.w.guard(r.ID(), func() {
		var err error
		if found, err = r.Rule.Match(n, c); err != nil {
			_, line := gosec.GetLocation(n, c)
			r.w.gap("%s cannot judge line %d: %v", r.ID(), line, err)
		}
	})
	return found, nil
}
