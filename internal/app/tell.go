package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/report"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/ui"
)

// tellRunner hands the delivery to the steps after this one, and to the people who look at the run.
func (d *delivery) tellRunner(a Action) error {
	if !d.runner.Active() {
		return nil
	}
	if d.runner.Annotate(d.annotations()) {
		d.runner.Group(finding.Plural(len(d.allFindings()), "finding"), d.listing())
	}
	var summary bytes.Buffer
	if err := (report.Markdown{}).Format(&summary, d.asReport()); err != nil {
		return err
	}
	errs := []error{d.runner.Summary(summary.String(), d.out("summary.md"))}
	for _, o := range slices.Concat(commonOutputs, a.Outputs) {
		errs = append(errs, d.runner.Output(o.Name, outputs[o.Name](d)))
	}
	if err := errors.Join(errs...); err != nil {
		return fault.Undeterminedf("the runner's files cannot be written: %w", err)
	}
	return nil
}

// annotations are what did not pass, and then the findings.
func (d *delivery) annotations() []runner.Annotation {
	var notes []runner.Annotation
	for _, s := range d.rec.Stages {
		if s.Outcome != record.Failed && s.Outcome != record.Error {
			continue
		}
		note := runner.Annotation{Level: runner.Error, Title: "idp " + s.Name, Message: s.Reason}
		if s.Name == stageInputs { // its details name the inputs
			note.Message = strings.Join(append([]string{s.Reason}, s.Detail...), "\n")
		}
		notes = append(notes, note)
	}
	by := map[string]record.Stage{} // the scanner
	for _, s := range d.rec.Stages {
		for _, f := range d.findings[s.Name] {
			by[f.Scanner] = s
		}
	}
	for _, f := range d.allFindings() {
		notes = append(notes, runner.Annotation{Level: levelOf(by[f.Scanner], f), File: d.inRepository(f.File), Line: f.Line, Title: f.Rule, Message: f.Title})
	}
	return notes
}

// levelOf is an error for what failed the gate, a warning for what is new below it, and a notice for what does not count.
func levelOf(s record.Stage, f finding.Finding) runner.Level {
	if !f.Counts() {
		return runner.Notice
	}
	var e record.Scan
	if err := json.Unmarshal(s.Evidence, &e); err != nil {
		return runner.Error
	}
	t, err := finding.ParseThreshold(e.FailOn)
	if err != nil || t.Reaches(f.Severity) {
		return runner.Error
	}
	return runner.Warning
}

// listing has every finding on a line.
func (d *delivery) listing() []string {
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
func (d *delivery) inRepository(file string) string {
	if d.repo == nil {
		return file
	}
	return filepath.ToSlash(filepath.Join(filepath.FromSlash(d.repo.Path), filepath.FromSlash(file)))
}
