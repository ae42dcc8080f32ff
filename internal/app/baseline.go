package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/org/idp/internal/action"
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
	options
	imports []string
	prune   bool
}

func (in *baselineInputs) declare(s *action.Set) {
	in.options.Declare(s)
	action.Import(s, &in.imports)
	s.Bool(&in.prune, action.Input{Name: "prune", Usage: "Only take out what is not found any more; add nothing."})
}

// baseline scans everything and writes down what is found, for gates that count new findings only. It writes nothing
// unless every scan came to its end: what was not seen is not known.
func baseline(ctx context.Context, w World, args []string) error {
	var in baselineInputs
	var set action.Set
	in.declare(&set)
	if err := fill(w, "baseline", &set, args); err != nil {
		return err
	}
	d := newDelivery(w, in.options)
	defer d.board.Close()
	if err := d.open(ctx, Action{Name: "baseline", bare: true}, only[sastWork]()); err != nil {
		return err
	}
	found, scanners, notes, err := d.everything(ctx, in.imports)
	if err != nil {
		return err
	}
	name := d.inService(finding.BaselineFile)
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
func (d *delivery) everything(ctx context.Context, imports []string) (found []finding.Finding, scanners, notes []string, err error) {
	file, err := waiver.Load(d.dir())
	if err != nil {
		return nil, nil, nil, err
	}
	none, err := finding.ParseThreshold(finding.None)
	if err != nil {
		return nil, nil, nil, err
	}
	desk := func(suppressions string) triage.Desk {
		return triage.Desk{Rules: finding.Rules{FailOn: none, Suppressions: suppressions}, Waivers: d.rules.Waivers.Rules(), File: file, Now: d.world.Now()}
	}
	take := func(list []finding.Finding) {
		for _, f := range list {
			if f.Counts() && f.Scanner != waiver.Scanner {
				found = append(found, f)
			}
		}
	}
	gates := d.rules
	if gates.SAST.NewOnly != nil && *gates.SAST.NewOnly {
		d.board.Start(record.StageSAST)
		out, err := sast.Run(ctx, sast.Inputs{Import: imports, Dir: d.dir(), Root: d.root(), Commit: d.rec.Source.Commit, Platform: d.platform(""), Triage: desk(gates.SAST.Suppressions)},
			sast.Deps{Progress: d.progress(record.StageSAST)})
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
	case d.repo == nil:
		notes = append(notes, "not in it: secrets, because this is not in a git repository")
	default:
		d.board.Start(record.StageSecrets)
		out, err := secrets.Run(ctx, secrets.Inputs{History: secrets.HistoryAll, Repo: d.repo, Triage: desk(gates.Secrets.Suppressions)},
			secrets.Deps{Progress: d.progress(record.StageSecrets)})
		if err != nil {
			return nil, nil, nil, err
		}
		take(out.Findings)
		scanners = append(scanners, gitleaks)
	}
	if len(scanners) == 0 {
		return nil, nil, nil, fault.BadInputf("policy %s counts every finding, so a baseline would change nothing", d.policy.Name).WithDetail(notes...)
	}
	return found, scanners, notes, ctx.Err()
}
