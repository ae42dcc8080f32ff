package sast

import (
	"fmt"
	"go/token"
	"go/types"
	"strconv"
	"strings"
	"sync"

	"github.com/securego/gosec/v2/analyzers"
	"github.com/securego/gosec/v2/issue"
	"github.com/securego/gosec/v2/taint"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/buildssa"
	"golang.org/x/tools/go/callgraph"
	"golang.org/x/tools/go/ssa"

	"github.com/org/idp/internal/gosource"
)

// flow is a rule about where tainted data flows to.
type flow struct {
	taint.RuleInfo
	config func() taint.Config
}

// flows are those of gosec's analyzers that follow taint, by identifier.
var flows = map[string]flow{
	"G120": {analyzers.FormParsingLimitRule, analyzers.FormParsingLimits},
	"G701": {analyzers.SQLInjectionRule, analyzers.SQLInjection},
	"G702": {analyzers.CommandInjectionRule, analyzers.CommandInjection},
	"G703": {analyzers.PathTraversalRule, analyzers.PathTraversal},
	"G704": {analyzers.SSRFRule, analyzers.SSRF},
	"G705": {analyzers.XSSRule, analyzers.XSS},
	"G706": {analyzers.LogInjectionRule, analyzers.LogInjection},
	"G707": {analyzers.SMTPInjectionRule, analyzers.SMTPInjection},
	"G708": {analyzers.SSTIRule, analyzers.SSTI},
	"G709": {analyzers.UnsafeDeserializationRule, analyzers.UnsafeDeserialization},
	"G710": {analyzers.OpenRedirectRule, analyzers.OpenRedirect},
}

// callers makes the call graph of the one package that an analyzer sees, once and only when it is needed.
type callers struct {
	once  sync.Once
	graph *callgraph.Graph
}

func (c *callers) of(pkg *ssa.Package) *callgraph.Graph {
	c.once.Do(func() { c.graph = gosource.Callers(pkg) })
	return c.graph
}

// run does what gosec's own analyzer for the rule does, on a call graph that is made in a fraction of the time of gosec's.
func (f flow) run(description string, c *callers) func(*analysis.Pass) (any, error) {
	return func(pass *analysis.Pass) (any, error) {
		built, ok := pass.ResultOf[buildssa.Analyzer].(*analyzers.SSAAnalyzerResult)
		if !ok || built.SSA == nil {
			return nil, analyzers.ErrNoSSAResult
		}
		config := f.config()
		if !called(built.SSA.SrcFuncs, config.Sinks) {
			return nil, nil
		}
		engine := taint.New(&config)
		engine.SetCallGraph(c.of(built.SSA.Pkg))
		var issues []*issue.Issue
		for _, r := range engine.Analyze(built.SSA.Pkg.Prog, built.SSA.SrcFuncs) {
			issues = append(issues, f.issue(description, r.Sink, pass.Fset, r.SinkPos))
		}
		return issues, nil
	}
}

// called tells whether something in a package of one of the sinks is called at all.
func called(functions []*ssa.Function, sinks []taint.Sink) bool {
	packages := map[string]bool{}
	for _, s := range sinks {
		packages[s.Package] = true
	}
	for _, f := range functions {
		for _, b := range f.Blocks {
			for _, instr := range b.Instrs {
				if call, ok := instr.(*ssa.Call); ok && packages[packageOf(call)] {
					return true
				}
			}
		}
	}
	return false
}

// packageOf is the import path of what is called; empty when that is not known.
func packageOf(call *ssa.Call) string {
	if call.Call.IsInvoke() {
		if named, ok := call.Call.Value.Type().(*types.Named); ok && named.Obj().Pkg() != nil {
			return named.Obj().Pkg().Path()
		}
		return ""
	}
	if f := call.Call.StaticCallee(); f != nil && f.Pkg != nil && f.Pkg.Pkg != nil {
		return f.Pkg.Pkg.Path()
	}
	return ""
}

// issue is as gosec words it: with the name of the sink.
func (f flow) issue(description string, sink taint.Sink, fset *token.FileSet, pos token.Pos) *issue.Issue {
	name := sink.Package + "." + sink.Method
	if sink.Receiver != "" {
		pointer := ""
		if sink.Pointer {
			pointer = "*"
		}
		name = fmt.Sprintf("(%s%s.%s).%s", pointer, sink.Package, sink.Receiver, sink.Method)
	}
	severity, ok := map[string]issue.Score{"LOW": issue.Low, "HIGH": issue.High, "CRITICAL": issue.High}[f.Severity]
	if !ok {
		severity = issue.Medium
	}
	at, file := fset.Position(pos), fset.File(pos) // gosec takes the line from a //line comment, and not the file
	if file == nil {
		return &issue.Issue{}
	}
	return &issue.Issue{
		RuleID: f.ID, What: description + ": " + name, Severity: severity, Confidence: issue.High, Cwe: issue.GetCweByRule(f.ID),
		File: file.Name(), Line: strconv.Itoa(at.Line), Col: strconv.Itoa(at.Column),
	}
}

// guards are the types that gosec looks up by name in what a package imports, by import path.
func guards() map[string][]string {
	all := map[string][]string{}
	for _, f := range flows {
		for _, sink := range f.config().Sinks {
			for _, name := range sink.ArgTypeGuards {
				dot := strings.LastIndexByte(name, '.')
				all[name[:dot]] = append(all[name[:dot]], name[dot+1:])
			}
		}
	}
	return all
}
