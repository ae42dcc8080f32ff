package scanning

import (
	"context"
	"fmt"
	"slices"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/sast"
	"github.com/org/idp/internal/secrets"
	"github.com/org/idp/internal/triage"
	"github.com/org/idp/internal/waiver"
)

// baselineInputs are what `idp baseline` takes.
type baselineInputs struct {
	delivery.Options
	imports []string
	prune   bool
}

func (in *baselineInputs) declare(s *action.Set) {
	in.Options.Declare(s)
	action.Import(s, &in.imports)
	s.Bool(&in.prune, action.Input{Name: "prune", Usage: "Only take out what is not found any more; add nothing."})
}

// Baseline scans everything and writes down what is found, for gates that count new findings only. It writes nothing
// unless every scan came to its end: what was not seen is not known.
func Baseline(ctx context.Context, w cli.World, args []string) error {
	var in baselineInputs
	var set action.Set
	in.declare(&set)
	if err := cli.Fill(w, "baseline", &set, args); err != nil {
		return err
	}
	d := delivery.New(w, in.Options, nil)
	defer d.Board.Close()
	if err := d.Open(ctx, delivery.Action{Name: "baseline", Bare: true}, delivery.Only[SAST]()); err != nil {
		return err
	}
	found, scanners, notes, err := everything(ctx, d, in.imports)
	if err != nil {
		return err
	}
	name := d.InService(finding.BaselineFile)
	old, err := finding.ReadBaseline(name)
	if err != nil {
		return err
	}
	if old == nil {
		old = &finding.Baseline{}
	}
	if old.Findings == nil && in.prune {
		return fault.BadInputf("there is no %s to take anything out of", name)
	}
	next := finding.Baseline{}
	known := 0
	for _, scanner := range scanners {
		mine := slices.DeleteFunc(slices.Clone(found), func(f finding.Finding) bool { return f.Scanner != scanner })
		kept := mine[:0:0]
		for i, j := range (finding.Matcher{Anywhere: scanner == gitleaks}).Match(mine, old.Of(scanner)) {
			if j >= 0 {
				known++
			}
			if j >= 0 || !in.prune {
				kept = append(kept, mine[i])
			}
		}
		next.Findings = append(next.Findings, finding.NewBaseline(kept).Findings...)
	}
	added, gone := len(next.Findings)-known, len(old.Of(scanners...))-known
	for _, e := range old.Findings { // of scanners that did not run now, nothing is known
		if !slices.Contains(scanners, e.Scanner) {
			next.Findings = append(next.Findings, e)
		}
	}
	next = next.Sorted()
	data, err := next.Encode()
	if err != nil {
		return err
	}
	if err := record.WriteFile(name, data, 0o644); err != nil {
		return fault.BadInputf("%s cannot be written: %w", name, err)
	}
	_, _ = fmt.Fprintf(w.Stdout, "%s: %s, %d added, %d gone\n", name, finding.Plural(len(next.Findings), "finding"), added, gone)
	for _, n := range notes {
		_, _ = fmt.Fprintln(w.Stdout, n)
	}
	return nil
}

// everything scans the whole service with every scanner whose gate counts new findings only, and gives what would count.
func everything(ctx context.Context, d *delivery.Delivery, imports []string) (found []finding.Finding, scanners, notes []string, err error) {
	file, err := waiver.Load(d.Dir())
	if err != nil {
		return nil, nil, nil, err
	}
	none, err := finding.ParseThreshold(finding.None)
	if err != nil {
		return nil, nil, nil, err
	}
	desk := func(suppressions string) triage.Desk {
		return triage.Desk{Rules: finding.Rules{FailOn: none, Suppressions: suppressions}, Waivers: d.Rules.Waivers.Rules(), File: file, Now: d.World.Now()}
	}
	take := func(list []finding.Finding) {
		for _, f := range list {
			if f.Counts() && f.Scanner != waiver.Scanner {
				found = append(found, f)
			}
		}
	}
	gates := d.Rules
	if gates.SAST.NewOnly != nil && *gates.SAST.NewOnly {
		d.Board.Start(record.StageSAST)
		left, err := absent(ctx, d)
		if err != nil {
			return nil, nil, nil, err
		}
		out, err := sast.Run(ctx, sast.Inputs{Import: imports, Dir: d.Dir(), Root: d.Root(), Commit: d.Record.Source.Commit, Absent: left,
			Platform: d.Platform(""), Triage: desk(gates.SAST.Suppressions)},
			sast.Deps{Progress: d.Progress(record.StageSAST)})
		if err != nil && fault.KindOf(err) != fault.Skipped {
			return nil, nil, nil, err
		}
		take(out.Findings)
		scanners = append(scanners, gosec)
		if out.Evidence.Gate != nil {
			for _, i := range out.Evidence.Gate.Imports {
				scanners = append(scanners, i.Tool)
			}
		}
	} else {
		notes = append(notes, "not in it: what sast finds, because all of it counts under this policy (sast: {new-only: true} would change that)")
	}
	switch {
	case gates.Secrets.NewOnly == nil || !*gates.Secrets.NewOnly:
		notes = append(notes, "not in it: secrets, because all of them count under this policy")
	case d.Repo == nil:
		notes = append(notes, "not in it: secrets, because this is not in a git repository")
	default:
		d.Board.Start(record.StageSecrets)
		out, err := secrets.Run(ctx, secrets.Inputs{History: secrets.HistoryAll, Repo: d.Repo, Triage: desk(gates.Secrets.Suppressions)},
			secrets.Deps{Progress: d.Progress(record.StageSecrets)})
		if err != nil {
			return nil, nil, nil, err
		}
		take(out.Findings)
		scanners = append(scanners, gitleaks)
	}
	if len(scanners) == 0 {
		return nil, nil, nil, fault.BadInputf("policy %s counts every finding, so a baseline would change nothing", d.Policy.Name).WithDetail(notes...)
	}
	return found, scanners, notes, ctx.Err()
}
