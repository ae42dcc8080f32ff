package sast

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/tools/go/packages"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
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
	progress("listing packages")
	s, err := take(ctx, dir, platform)
	out.expected, out.left = len(s.packages), s.left
	if err != nil {
		return out, err
	}
	if err := newerGo(s); err != nil {
		return out, err
	}
	progress("loading " + finding.Plural(out.expected, "package"))
	l, err := load(ctx, s)
	if err != nil {
		return out, err
	}
	gaps := slices.Concat(s.gaps, l.gaps)
	if err := pinGoVersion(s.goVersion()); err != nil {
		gaps = append(gaps, err.Error())
	}
	results, err := checkAll(ctx, s, l.packages, progress, k)
	b := builder{root: s.root}
	for _, r := range results {
		out.files += r.files
		b.add(r.issues)
		if l.broken[r.path] {
			continue // what gosec could not do with it follows from what is said already
		}
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
	return out, verdict(out, l.compile, gaps)
}

// checkAll checks the packages side by side and gives the results it has when the context ends.
func checkAll(ctx context.Context, s survey, pkgs []*packages.Package, progress action.Progress, k kit) ([]checked, error) {
	// Both channels hold everything, so that a worker that outlives the context blocks nobody.
	jobs, done := make(chan *packages.Package, len(pkgs)), make(chan checked, len(pkgs))
	for _, pkg := range pkgs {
		jobs <- pkg
	}
	close(jobs)
	for range min(runtime.GOMAXPROCS(0), len(pkgs)) {
		go func() {
			for pkg := range jobs {
				if ctx.Err() != nil {
					return
				}
				done <- k.check(ctx, pkg, s.packages[pkg.PkgPath])
			}
		}()
	}
	var results []checked
	for range pkgs {
		progress(fmt.Sprintf("%d of %s", len(results), finding.Plural(len(pkgs), "package")))
		select {
		case r := <-done:
			results = append(results, r)
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return results, stopped(ctx)
		}
	}
	return results, nil
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
