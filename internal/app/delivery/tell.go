package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/report"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/strictyaml"
	"github.com/org/idp/internal/ui"
)

// tellRunner hands the delivery to the steps after this one, and to the people who look at the run.
func (d *Delivery) tellRunner(a Action) error {
	if !d.Runner.Active() {
		return nil
	}
	if d.Runner.Annotate(d.annotations()) {
		d.Runner.Group(finding.Plural(len(d.allFindings()), "finding"), d.listing())
	}
	var summary bytes.Buffer
	if err := (report.Markdown{}).Format(&summary, d.asReport()); err != nil {
		return err
	}
	errs := []error{d.Runner.Summary(summary.String(), d.Out("summary.md"))}
	for _, o := range slices.Concat(commonOutputs, a.Outputs) {
		errs = append(errs, d.Runner.Output(o.Name, Outputs[o.Name](d)))
	}
	if err := errors.Join(errs...); err != nil {
		return fault.Undeterminedf("the runner's files cannot be written: %w", err)
	}
	return nil
}

// annotations are what did not pass, and then the findings.
func (d *Delivery) annotations() []runner.Annotation {
	var notes []runner.Annotation
	for _, s := range d.Record.Stages {
		if s.Outcome != record.Failed && s.Outcome != record.Error {
			continue
		}
		note := runner.Annotation{Level: runner.Error, Title: "idp " + s.Name, Message: s.Reason}
		if s.Name == stageInputs { // its details name the inputs
			note.Message = strings.Join(append([]string{s.Reason}, s.Detail...), "\n")
		}
		notes = append(notes, note)
		notes = append(notes, d.places(s.Name)...)
	}
	all, rules := d.ranked()
	for _, f := range all {
		notes = append(notes, runner.Annotation{Level: levelOf(rules[f.Scanner], f), File: d.inRepository(f.File), Line: f.Line, Title: f.Rule, Message: f.Title})
	}
	return notes
}

// places are the lines of files that a stage has problems with.
func (d *Delivery) places(stage string) (notes []runner.Annotation) {
	var problems strictyaml.Problems
	if d.Repo == nil || !errors.As(d.faults[stage], &problems) {
		return nil
	}
	for _, p := range problems {
		full, err := filepath.Abs(p.File)
		if err != nil {
			continue
		}
		if file, err := filepath.Rel(d.Repo.Root, full); err == nil && filepath.IsLocal(file) {
			notes = append(notes, runner.Annotation{Level: runner.Error, File: filepath.ToSlash(file), Line: p.Line, Title: "idp " + stage, Message: p.Message})
		}
	}
	return notes
}

// rulesOf are what a stage held its findings to. Where that cannot be told, nothing passes.
func rulesOf(s record.Stage) finding.Rules {
	var e record.Scan
	if json.Unmarshal(s.Evidence, &e) != nil {
		return finding.Rules{}
	}
	rules, err := policy.RulesOf(e)
	if err != nil {
		return finding.Rules{}
	}
	return rules
}

// levelOf is an error for what failed the gate, a warning for what is new below it, and a notice for what does not count.
func levelOf(rules finding.Rules, f finding.Finding) runner.Level {
	switch {
	case !f.Counts():
		return runner.Notice
	case rules.Reaches(f):
		return runner.Error
	}
	return runner.Warning
}

// lookedFor is how many files are looked into for what the change touched: a step annotates fewer lines than that.
const lookedFor = 50

// touchedFirst puts findings on lines that the change touched before the others, as those are what its author can see in
// the pull request, and the runner takes only so many. Where what changed cannot be told, the gravest stay first.
func (d *Delivery) touchedFirst(all []finding.Finding) {
	if d.Repo == nil || len(all) < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // also after an interrupt
	defer cancel()
	base, err := d.Repo.MergeBase(ctx)
	if err != nil || base == "" {
		return
	}
	changes, err := d.Repo.ChangesSince(ctx, base)
	if err != nil {
		return
	}
	changed := map[string]gitrepo.Change{}
	for _, c := range changes {
		changed[c.New] = c
	}
	touched := map[string]gitrepo.Lines{}
	for _, f := range all {
		file := d.inRepository(f.File)
		c, is := changed[file]
		if _, known := touched[file]; !is || known || len(touched) == lookedFor {
			continue
		}
		if touched[file], err = d.Repo.LinesSince(ctx, base, c); err != nil {
			return
		}
	}
	rank := func(f finding.Finding) int {
		if touched[d.inRepository(f.File)].Have(f.Line, f.EndLine) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b finding.Finding) int { return rank(a) - rank(b) })
}

// listing has every finding on a line.
func (d *Delivery) listing() []string {
	var lines []string
	for _, f := range d.allFindings() {
		text := fmt.Sprintf("%s  %s  %s  %s", f.Severity, f.Rule, f.Place(), f.Title)
		if f.Known {
			text += " (known)"
		}
		lines = append(lines, ui.Clean(text))
	}
	return lines
}

// inRepository names a file of the service as the repository does.
func (d *Delivery) inRepository(file string) string {
	if d.Repo == nil {
		return file
	}
	return filepath.ToSlash(filepath.Join(filepath.FromSlash(d.Repo.Path), filepath.FromSlash(file)))
}
