// Package sast scans the Go code of a service with gosec, in this process, and proves that it saw all of it.
//
// What is scanned: every package of `go list ./...` in the service's folder, generated files included, with the build
// tags and GOFLAGS of the environment, and for the platform that the service is built for; and what else of the folder these
// are compiled with. That is what `gosec ./...` scans, with three differences. gosec walks into testdata, into folders that
// begin with _ or . and into nested modules, which go does not count to the module; here they are listed as left out, but for
// the packages that the service imports. gosec leaves out every path that contains "vendor"; here only what go takes for
// vendored is. And gosec's syntax rules do not see files that import "C"; here they do.
//
// What is left out on purpose is named in Coverage.Left: tests, vendored code, nested modules, what go ignores, files
// that the build constraints exclude on this platform. A finding that a #nosec comment suppresses is a finding like any
// other; the policy says whether it counts.
//
// How coverage is proven: every package that the go command lists has to come out of the scan, type-checked, and with as
// many files as gosec counted; every .go file below the folder must be either scanned or left out for a
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
	"github.com/org/idp/internal/sarif"
	"github.com/org/idp/internal/triage"
)

// Version is that of the gosec module that is linked in; a test holds it against go.mod.
const Version = "2.30.0"

// Inputs of the stage.
type Inputs struct {
	action.Reports
	Import []string
	// Platform is OS/ARCH that the service is built for, without cgo: build constraints then choose the files that are
	// compiled into its image; of several with commas, the code for each is scanned. Empty means what the environment says, as for code that is no service.
	Platform string

	// Filled in by the app.
	Dir           string      // folder of the service
	Root          string      // working tree of its repository; empty outside of one
	Commit        string      // what is checked out there
	Absent        []string    // files of the folder that the commit has and a sparse checkout leaves out
	Triage        triage.Desk // decides which findings count
	RequireImport bool        // without Go code there has to be an import
}

// Declare declares the inputs that users may set.
func (in *Inputs) Declare(s *action.Set) {
	in.Reports.Declare(s)
	action.Import(s, &in.Import)
	action.Platform(s, &in.Platform)
}

// Deps is what the stage needs from outside. The zero value works.
type Deps struct {
	Progress action.Progress
}

// Outputs of the stage.
type Outputs = action.Result[record.Scan]

// Run scans the module. The error is Failed when a finding fails the gate, Skipped when there is neither Go code nor an
// import, and undetermined when anything was not scanned; findings and evidence are given beside all of them.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	return run(ctx, in, deps, standardKit())
}

// Findings scans a folder without holding what it finds against anything, for comparing with it. A folder without Go code
// has none.
func Findings(ctx context.Context, dir, platform string, progress action.Progress) ([]finding.Finding, error) {
	if progress == nil {
		progress = func(string) {}
	}
	s, err := scanEach(ctx, dir, platform, progress, standardKit())
	if err != nil && fault.KindOf(err) == fault.Skipped {
		return nil, nil
	}
	return s.findings, err
}

// run is Run with the rules and analyzers to apply.
func run(ctx context.Context, in Inputs, deps Deps, k kit) (Outputs, error) {
	out := Outputs{
		Tool: record.Tool{Name: scanner, Version: Version},
		Evidence: record.Scan{
			Coverage: record.Coverage{Unit: "packages"},
			New:      map[string]int{}, Known: map[string]int{},
			Policy: in.Triage.Policy, FailOn: in.Triage.Rules.FailOn.String(), Commit: in.Commit, Platform: in.Platform,
		},
	}
	if deps.Progress == nil {
		deps.Progress = func(string) {}
	}
	s, err := scanEach(ctx, in.Dir, in.Platform, deps.Progress, k)
	if gap := absent(in.Absent); gap != nil && (err == nil || fault.KindOf(err) == fault.Skipped) {
		err = gap
	}
	coverage := &out.Evidence.Coverage
	coverage.Expected, coverage.Scanned, coverage.Files, coverage.Left = s.expected, s.scanned, s.files, s.left
	skipped := err != nil && fault.KindOf(err) == fault.Skipped
	if skipped && len(in.Import) == 0 {
		return out, in.withoutGo(err)
	}
	found := triage.Scan{Findings: s.findings, Scanners: []string{scanner}, Whole: true}
	if skipped {
		err, found.Scanners = nil, nil
		coverage.Left = append(coverage.Left, "gosec: there is no Go code")
	}
	if gap := in.read(ctx, &out, &found); err == nil {
		err = gap
	}
	found.Complete = err == nil
	settled, gate := in.Triage.Settle(ctx, found)
	out.Findings = settled.Findings
	settled.Evidence(&out.Evidence)
	out.Summary = summary(s, out.Evidence, settled)
	if err != nil {
		return out, withFindings(err, gate)
	}
	return out, gate
}

// withoutGo is the answer where there is nothing that this stage could look at.
func (in Inputs) withoutGo(skip error) error {
	if !in.RequireImport {
		return skip
	}
	return fault.Undeterminedf("%w, and the policy asks for what another scanner found", skip).
		WithNext("Run a scanner for the service's language before this step and hand over its SARIF: --import 'findings/*.sarif'")
}

// read adds what other scanners found.
func (in Inputs) read(ctx context.Context, out *Outputs, found *triage.Scan) error {
	if len(in.Import) == 0 {
		return nil
	}
	log, err := sarif.Load(ctx, in.Import, sarif.Source{Dir: in.Dir, Root: in.Root, Commit: in.Commit})
	found.Findings = append(found.Findings, log.Findings...)
	coverage := &out.Evidence.Coverage
	if len(found.Scanners) == 0 && len(log.Runs) > 0 {
		out.Tool = record.Tool{Name: log.Runs[0].Tool, Version: log.Runs[0].Version}
		coverage.Unit, coverage.Expected, coverage.Scanned = "runs", len(log.Runs), log.Ended()
	}
	found.Scanners = append(found.Scanners, log.Tools()...)
	coverage.Left = append(coverage.Left, log.Left...)
	out.Evidence.Gate = &record.Gate{Imports: log.Runs}
	if err != nil {
		return err
	}
	return log.Complete()
}

func summary(s scanned, e record.Scan, settled triage.Settled) string {
	var parts []string
	switch {
	case s.expected == 0:
	case s.scanned == 0:
		parts = append(parts, tool+" · nothing scanned")
	case s.scanned != s.expected:
		parts = append(parts, tool, fmt.Sprintf("%d of %s", s.scanned, finding.Plural(s.expected, "package")))
	default:
		parts = append(parts, tool, finding.Plural(s.expected, "package"))
	}
	if e.Gate != nil {
		for _, i := range e.Gate.Imports {
			parts = append(parts, strings.TrimSpace(i.Tool+" "+i.Version))
		}
	}
	if len(parts) == 0 {
		return tool + " · nothing scanned"
	}
	if s.scanned == 0 && s.expected > 0 {
		return strings.Join(parts, " · ")
	}
	return strings.Join(append(parts, settled.Summary("")), " · ")
}

var tool = scanner + " " + strings.TrimSuffix(Version, ".0")

// withFindings adds what the gate already refuses to an error that outranks the gate.
func withFindings(err, gate error) error {
	var e *fault.Error
	if !errors.As(err, &e) || fault.KindOf(gate) != fault.Failed {
		return err
	}
	detail := append([]string{"Found in what was scanned:"}, fault.Lines(gate)[1:]...)
	return e.WithDetail(detail...)
}
