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
	now, err := everything(ctx, d, in.imports)
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
	next, known := now.baseline(old, in.prune)
	added, gone := len(next.Of(now.scanners...))-known, len(old.Of(now.scanners...))-known
	data, err := next.Encode()
	if err != nil {
		return err
	}
	if err := record.WriteFile(name, data, 0o644); err != nil {
		return fault.BadInputf("%s cannot be written: %w", name, err)
	}
	_, _ = fmt.Fprintf(w.Stdout, "%s: %s, %d added, %d gone\n", name, finding.Plural(len(next.Findings), "finding"), added, gone)
	for _, n := range now.notes {
		_, _ = fmt.Fprintln(w.Stdout, n)
	}
	return nil
}

// debt is what is found in the whole service.
type debt struct {
	found    []finding.Finding // what would count at a gate
	scanners []string          // whose findings they may be
	notes    []string          // what is not in it, and why
}

// baseline makes the next one of an old one, and says how many entries that has were found again. With prune nothing is added.
func (now debt) baseline(old *finding.Baseline, prune bool) (next finding.Baseline, known int) {
	for _, scanner := range now.scanners {
		mine := slices.DeleteFunc(slices.Clone(now.found), func(f finding.Finding) bool { return f.Scanner != scanner })
		kept := mine[:0:0]
		for i, j := range (finding.Matcher{Anywhere: scanner == gitleaks}).Match(mine, old.Of(scanner)) {
			if j >= 0 {
				known++
			}
			if j >= 0 || !prune {
				kept = append(kept, mine[i])
			}
		}
		next.Findings = append(next.Findings, finding.NewBaseline(kept).Findings...)
	}
	for _, e := range old.Findings { // of scanners that did not run now, nothing is known
		if !slices.Contains(now.scanners, e.Scanner) {
			next.Findings = append(next.Findings, e)
		}
	}
	return next.Sorted(), known
}

func (now *debt) add(list []finding.Finding, scanners ...string) {
	for _, f := range list {
		if f.Counts() && f.Scanner != waiver.Scanner {
			now.found = append(now.found, f)
		}
	}
	for _, name := range scanners { // an import may be of a scanner that ran here too
		if !slices.Contains(now.scanners, name) {
			now.scanners = append(now.scanners, name)
		}
	}
}

// everything scans the whole service with every scanner whose gate counts new findings only.
func everything(ctx context.Context, d *delivery.Delivery, imports []string) (now debt, err error) {
	file, err := waiver.Load(d.Dir())
	if err != nil {
		return now, err
	}
	none, err := finding.ParseThreshold(finding.None)
	if err != nil {
		return now, err
	}
	desk := func(suppressions string) triage.Desk {
		return triage.Desk{Rules: finding.Rules{FailOn: none, Suppressions: suppressions}, Waivers: d.Rules.Waivers.Rules(), File: file, Now: d.World.Now()}
	}
	if newOnly := d.Rules.SAST.NewOnly; newOnly == nil || !*newOnly {
		now.notes = append(now.notes, "not in it: what sast finds, because all of it counts under this policy (sast: {new-only: true} would change that)")
	} else if err := now.scanCode(ctx, d, imports, desk(d.Rules.SAST.Suppressions)); err != nil {
		return now, err
	}
	if newOnly := d.Rules.Secrets.NewOnly; newOnly == nil || !*newOnly {
		now.notes = append(now.notes, "not in it: secrets, because all of them count under this policy")
	} else if d.Repo == nil {
		now.notes = append(now.notes, "not in it: secrets, because this is not in a git repository")
	} else if err := now.scanHistory(ctx, d, desk(d.Rules.Secrets.Suppressions)); err != nil {
		return now, err
	}
	if len(now.scanners) == 0 {
		return now, fault.BadInputf("policy %s counts every finding, so a baseline would change nothing", d.Policy.Name).WithDetail(now.notes...)
	}
	return now, ctx.Err()
}

func (now *debt) scanCode(ctx context.Context, d *delivery.Delivery, imports []string, desk triage.Desk) error {
	d.Board.Start(record.StageSAST)
	left, err := absent(ctx, d)
	if err != nil {
		return err
	}
	out, err := sast.Run(ctx, sast.Inputs{Import: imports, Dir: d.Dir(), Root: d.Root(), Commit: d.Record.Source.Commit, Absent: left,
		Platform: d.Platform(""), Triage: desk}, sast.Deps{Progress: d.Progress(record.StageSAST)})
	if err != nil && fault.KindOf(err) != fault.Skipped {
		return err
	}
	now.add(out.Findings, gosec)
	if out.Evidence.Gate != nil {
		for _, i := range out.Evidence.Gate.Imports {
			now.add(nil, i.Tool)
		}
	}
	return nil
}

func (now *debt) scanHistory(ctx context.Context, d *delivery.Delivery, desk triage.Desk) error {
	d.Board.Start(record.StageSecrets)
	out, err := secrets.Run(ctx, secrets.Inputs{History: secrets.HistoryAll, Repo: d.Repo, Triage: desk},
		secrets.Deps{Progress: d.Progress(record.StageSecrets)})
	if err != nil {
		return err
	}
	now.add(out.Findings, gitleaks)
	return nil
}
