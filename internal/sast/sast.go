// Package sast scans the Go code of a service with gosec, in this process, and proves that it saw all of it.
//
// What is scanned: every package of `go list ./...` in the service's folder, generated files included, with the build
// tags, platform and GOFLAGS of the environment. That is what `gosec ./...` scans, with three differences. gosec walks
// into testdata, into folders that begin with _ or . and into nested modules, which go does not count to the module; here
// they are listed as left out. gosec leaves out every path that contains "vendor"; here only what go takes for vendored
// is. And gosec's syntax rules do not see files that import "C"; here they do.
//
// What is left out on purpose is named in Coverage.Left: tests, vendored code, nested modules, what go ignores, files
// that the build constraints exclude on this platform, and findings that a #nosec comment suppresses.
//
// How coverage is proven: the packages that the go command lists are compared with those that were loaded, and the files
// of each with the files that gosec counted; every .go file below the folder must be either scanned or left out for a
// reason; every analyzer must have come to its end on every package; and any log line of gosec that is not known to be
// harmless counts as a gap. One loss cannot be seen from outside: G602 (slice bounds) swallows its own panics.
//
// The limit of cancelling: gosec takes no context. Rules and analyzers are not begun after it is cancelled, but one that
// is running goes on in the background until it ends by itself, or the process does.
package sast

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// Version is that of the gosec module that is linked in; a test holds it against go.mod.
const Version = "2.30.0"

// Inputs of the stage.
type Inputs struct {
	action.Reports

	// Filled in by the app.
	Dir       string            // folder of the service
	Commit    string            // what is checked out there
	Threshold finding.Threshold // FailOn, or what the policy says
}

// Declare declares the inputs that users may set.
func (in *Inputs) Declare(s *action.Set) { in.Reports.Declare(s) }

// Deps is what the stage needs from outside. The zero value works.
type Deps struct {
	Progress action.Progress
}

// Outputs of the stage.
type Outputs = action.Result[record.Scan]

// Run scans the module. The error is Failed when a finding reaches the threshold, Skipped when there is no Go code, and
// undetermined when anything was not scanned; findings and evidence are given beside all of them.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	return run(ctx, in, deps, standardKit())
}

// run is Run with the rules and analyzers to apply.
func run(ctx context.Context, in Inputs, deps Deps, k kit) (Outputs, error) {
	out := Outputs{
		Tool: record.Tool{Name: scanner, Version: Version},
		Evidence: record.Scan{
			Coverage: record.Coverage{Unit: "packages"},
			New:      map[string]int{}, Known: map[string]int{},
			FailOn: in.Threshold.String(), Commit: in.Commit,
		},
	}
	if deps.Progress == nil {
		deps.Progress = func(string) {}
	}
	s, err := scan(ctx, in.Dir, deps.Progress, k)
	coverage := &out.Evidence.Coverage
	coverage.Expected, coverage.Scanned, coverage.Files, coverage.Left = s.expected, s.scanned, s.files, s.left
	out.Findings = s.findings
	out.Evidence.New, out.Evidence.Known = finding.Count(s.findings)
	out.Summary = summary(s)
	gate := finding.Gate(s.findings, in.Threshold, "finding")
	if err != nil {
		return out, withFindings(err, gate)
	}
	return out, gate
}

func summary(s scanned) string {
	tool := scanner + " " + strings.TrimSuffix(Version, ".0")
	if s.scanned == 0 {
		return tool + " · nothing scanned"
	}
	covered := finding.Plural(s.expected, "package")
	if s.scanned != s.expected {
		covered = fmt.Sprintf("%d of %s", s.scanned, covered)
	}
	fresh, known := finding.Count(s.findings)
	parts := []string{
		tool,
		covered,
		fmt.Sprintf("%d new, %d known", fresh.Total(), known.Total()),
	}
	if s.suppressed > 0 {
		parts = append(parts, fmt.Sprintf("%d suppressed by #nosec", s.suppressed))
	}
	return strings.Join(parts, " · ")
}

// withFindings adds what the gate already refuses to an error that outranks the gate.
func withFindings(err, gate error) error {
	var e *fault.Error
	if !errors.As(err, &e) || fault.KindOf(gate) != fault.Failed {
		return err
	}
	detail := append([]string{"Found in what was scanned:"}, fault.Lines(gate)[1:]...)
	return e.WithDetail(detail...)
}
