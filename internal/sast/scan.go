package sast

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gosource"
)

// scanned is how far a scan came.
type scanned struct {
	expected, scanned int // packages
	files             int
	left              []string
	findings          []finding.Finding
}

// scan lists, loads and checks. What it gives is filled as far as it came, also beside an error.
func scan(ctx context.Context, dir, platform string, progress action.Progress, k kit) (scanned, error) {
	var out scanned
	defer room()()
	progress("listing packages")
	s, err := take(ctx, dir, platform)
	out.expected, out.left = len(s.packages), s.left
	if err != nil {
		return out, err
	}
	if err := newerGo(s); err != nil {
		return out, err
	}
	if err := pinGoVersion(s.goVersion()); err != nil {
		s.gaps = append(s.gaps, err.Error())
	}
	progress("loading " + finding.Plural(out.expected, "package"))
	results, errs, err := checkAll(ctx, s, progress, k)
	b := builder{root: s.root}
	gaps := s.gaps
	for _, r := range results {
		out.files += r.files
		b.add(r.issues)
		errs = append(errs, r.errs...)
		gaps = append(gaps, r.gaps...)
		if len(r.gaps) == 0 {
			out.scanned++
		}
	}
	out.findings = b.finish()
	gaps = append(gaps, b.gaps...)
	if err != nil {
		return out, err
	}
	if err := tooNew(s.tool, errs); err != nil {
		return out, err
	}
	return out, verdict(out, compilerLines(s.root, errs), gaps)
}

// room lets the garbage collector come half as often, for a quarter of the time at a quarter more memory, until the function
// that it gives is called. What the user has set in GOGC stays.
func room() (end func()) {
	const standard = 100
	before := debug.SetGCPercent(2 * standard)
	if before != standard {
		debug.SetGCPercent(before)
		return func() {}
	}
	return func() { debug.SetGCPercent(standard) }
}

// checkAll type-checks and checks the packages side by side. It gives the results that it has when the context ends, in the
// order of the import paths, and the errors in packages that they import.
func checkAll(ctx context.Context, s survey, progress action.Progress, k kit) ([]checked, []packages.Error, error) {
	loader := gosource.New(ctx, s.list, s.sizes, guards())
	done := make(chan checked, len(s.packages)) // holds everything, so that what outlives the context blocks nobody
	for _, p := range s.packages {
		go func() {
			_ = loader.Load(p, func(pkg *packages.Package) { done <- k.check(ctx, pkg, p) }) // the context's, seen below
		}()
	}
	var results []checked
	for range s.packages {
		progress(fmt.Sprintf("%d of %s", len(results), finding.Plural(len(s.packages), "package")))
		select {
		case r := <-done:
			results = append(results, r)
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return results, nil, stopped(ctx)
		}
	}
	slices.SortFunc(results, func(a, b checked) int { return strings.Compare(a.path, b.path) })
	return results, loader.Errors(), nil
}

// verdict is nil only when everything was scanned.
func verdict(s scanned, compile, gaps []string) error {
	const rule = "A scan that did not see everything is not a pass."
	switch {
	case len(compile) > 0:
		return fault.Undeterminedf("the module does not compile: %s", compile[0]).
			WithDetail(limited(slices.Concat(compile[1:], gaps))...).
			WithDetail(rule).
			WithNext("See what the compiler says: go build ./...")
	case s.scanned != s.expected || s.expected == 0:
		return fault.Undeterminedf("only %d of %s could be scanned", s.scanned, finding.Plural(s.expected, "package")).
			WithDetail(limited(gaps)...).
			WithDetail(rule).
			WithNext("Compare with what go sees: go build ./... && go vet ./...")
	case len(gaps) > 0:
		return fault.Undeterminedf("%s", gaps[0]).
			WithDetail(limited(gaps[1:])...).
			WithDetail(rule)
	}
	return nil
}

// limited keeps a list short enough to read.
func limited(lines []string) []string {
	const most = 20
	if len(lines) <= most {
		return lines
	}
	return append(slices.Clone(lines[:most]), fmt.Sprintf("and %d more", len(lines)-most))
}
