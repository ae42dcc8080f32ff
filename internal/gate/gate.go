// Package gate holds what other scanners found, handed over as SARIF, to the gate that sast and secrets hold their own
// findings to: the same fingerprints, baseline, waivers and thresholds. It scans nothing itself.
package gate

import (
	"context"
	"errors"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/sarif"
	"github.com/org/idp/internal/triage"
)

// Inputs of the stage.
type Inputs struct {
	action.Reports
	Import []string

	// Filled in by the app.
	Dir    string      // folder of the service
	Root   string      // working tree of its repository; empty outside of one
	Commit string      // what is checked out there
	Triage triage.Desk // decides which findings count
}

// Declare declares the inputs that users may set.
func (in *Inputs) Declare(s *action.Set) {
	in.Reports.Declare(s)
	action.Import(s, &in.Import)
}

// Deps is what the stage needs from outside. The zero value works.
type Deps struct {
	Progress action.Progress
}

// Outputs of the stage.
type Outputs = action.Result[record.Scan]

// Run reads the files and gives the gate's answer. A file that is missing, that cannot be read, or whose scanner did not
// come to its end leaves it undetermined.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	out := Outputs{Evidence: record.Scan{Coverage: record.Coverage{Unit: "runs"}, New: map[string]int{}, Known: map[string]int{},
		Policy: in.Triage.Policy, FailOn: in.Triage.Rules.FailOn.String(), Commit: in.Commit}}
	if len(in.Import) == 0 {
		return out, fault.BadInputf("there is nothing to hold to the gate").
			WithNext("Give the SARIF of a scanner: --import 'findings/*.sarif'")
	}
	if deps.Progress != nil {
		deps.Progress("reading " + strings.Join(in.Import, ", "))
	}
	log, err := sarif.Load(ctx, in.Import, sarif.Source{Dir: in.Dir, Root: in.Root, Commit: in.Commit})
	if len(log.Runs) > 0 {
		out.Tool = record.Tool{Name: log.Runs[0].Tool, Version: log.Runs[0].Version}
	}
	c := &out.Evidence.Coverage
	c.Expected, c.Scanned, c.Left = len(log.Runs), log.Ended(), log.Left
	if err == nil {
		err = log.Complete()
	}
	out.Evidence.Gate = &record.Gate{Imports: log.Runs}
	settled, refusal := in.Triage.Settle(ctx, triage.Scan{Findings: log.Findings, Scanners: log.Tools(), Complete: err == nil, Whole: true})
	out.Findings = settled.Findings
	settled.Evidence(&out.Evidence)
	var tools []string
	for _, r := range log.Runs {
		tools = append(tools, strings.TrimSpace(r.Tool+" "+r.Version))
	}
	out.Summary = strings.Join(append(tools, settled.Summary("")), " · ")
	if err != nil {
		return out, withFindings(err, refusal)
	}
	return out, refusal
}

// withFindings adds what the gate already refuses to an error that outranks the gate.
func withFindings(err, refusal error) error {
	var e *fault.Error
	if !errors.As(err, &e) || fault.KindOf(refusal) != fault.Failed {
		return err
	}
	return e.WithDetail("Found in what was read:").WithDetail(fault.Lines(refusal)[1:]...)
}
