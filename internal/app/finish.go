package app

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/report"
	"github.com/org/idp/internal/ui"
)

func isHelp(err error) bool { return errors.Is(err, pflag.ErrHelp) }

// begin prints what is about to happen.
func (d *delivery) begin(name string) {
	head := fmt.Sprintf("idp %s  %s", name, d.svc.Name)
	if d.repo != nil {
		head += "  " + shortHash(d.repo.Commit)
		if branch, ok := strings.CutPrefix(d.rec.Source.Ref, "refs/heads/"); ok {
			head += " (" + branch + ")"
		}
		if d.rec.Source.Dirty {
			head += " + uncommitted changes"
		}
	}
	if d.rec.Environment != "" {
		head += "  → " + d.rec.Environment
	}
	d.board.Say(head, "")
}

func shortHash(h string) string { return h[:min(7, len(h))] }

// end writes the reports, tells the runner, and gives the exit code.
func (d *delivery) end(a Action, task work, err error) int {
	reportErr := d.report(task)
	code := codeOf(err)
	if a.Name == registry[0].Name && err == nil {
		code = d.codeOfRecord()
	}
	if reportErr != nil {
		code = max(code, codeBadInput)
		d.board.Verdict("the reports cannot be written: " + reportErr.Error())
	}
	d.board.Say("")
	if _, rejected := d.rec.Stage(stageInputs); a.Name == registry[0].Name && !rejected {
		d.board.Say(d.table()...)
	}
	d.board.Verdict(d.verdict(a, code))
	d.board.Close()
	if err := d.tellRunner(a); err != nil {
		return max(finish(d.world, err), code)
	}
	return code
}

// table sums up a path: every stage in its order, and where to read more.
func (d *delivery) table() []string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "  stage\toutcome\ttime\tread")
	for _, s := range d.rec.Stages {
		read := d.reads[s.Name]
		if d.scanned(s.Name) {
			read = d.out("findings.sarif")
		}
		if s.Outcome == record.Skipped {
			read = s.Reason
		}
		_, _ = fmt.Fprintf(w, "  %s\t%s\t%.1fs\t%s\n", s.Name, s.Outcome, float64(s.DurationMS)/1000, ui.Clean(read))
	}
	_ = w.Flush() // a strings.Builder takes everything
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return append(lines, "")
}

// scanned tells whether a stage of this process looked for findings.
func (d *delivery) scanned(name string) bool {
	return slices.ContainsFunc(d.scans, func(s record.Stage) bool { return s.Name == name })
}

// codeOfRecord gives the exit code of a whole path. Bad input only counts as such when nothing else was undetermined.
func (d *delivery) codeOfRecord() int {
	code := codePassed
	switch d.rec.Outcome {
	case record.Passed:
		return codePassed
	case record.Failed:
		return codeFailed
	}
	for _, s := range d.rec.Stages {
		if s.Outcome != record.Error {
			continue
		}
		if codeOf(d.faults[s.Name]) != codeBadInput {
			return codeUndetermined
		}
		code = codeBadInput
	}
	return max(code, codeBadInput)
}

func (d *delivery) verdict(a Action, code int) string {
	took := fmt.Sprintf("%.1fs", d.world.Now().Sub(d.begun).Seconds())
	words := map[int]string{codePassed: "passed", codeFailed: "failed", codeBadInput: "bad input", codeUndetermined: "could not be determined"}
	text := words[code]
	if s, ok := d.rec.Stage(a.Name); ok && s.Outcome == record.Skipped && code == codePassed {
		text = "skipped" // what does not apply was not found to be good
	}
	if a.Name == registry[0].Name && code != codeBadInput {
		text = report.Verdict(d.rec)
	}
	text += " in " + took + d.unchanged() + " · " + d.out("summary.md")
	if d.live != "" {
		text += " · " + d.live + " (ends with: idp stop --out " + d.opts.Out + ")"
	}
	if a.Name == registry[0].Name {
		text += d.consequence()
	}
	if code != codePassed {
		text += fmt.Sprintf("  (exit %d)", code)
	}
	return text
}

// unchanged says so when a delivery found everything as it would have left it.
func (d *delivery) unchanged() string {
	deployed, deployErr := record.EvidenceOf[record.Deploy](d.rec, record.StageDeploy)
	listed, listErr := record.EvidenceOf[record.Catalog](d.rec, record.StageCatalog)
	if deployErr != nil || listErr != nil || deployed.Changed || listed.Changed {
		return ""
	}
	return ", nothing changed"
}

// consequence says what a delivery that did not pass left in the world.
func (d *delivery) consequence() string {
	if d.rec.Outcome == record.Passed || d.rec.Plan {
		return ""
	}
	if s, ok := d.rec.Stage(record.StageSign); !ok || s.Outcome == record.Skipped {
		return " · nothing was pushed or deployed"
	}
	if s, ok := d.rec.Stage(record.StageDeploy); !ok || s.Outcome == record.Skipped {
		return " · nothing was deployed"
	}
	return ""
}

// asReport is what every form of a report is made from.
func (d *delivery) asReport() report.Report {
	return report.Report{Record: d.rec, Scans: d.scans, Findings: d.allFindings(), Files: d.files, Diff: d.diff, Code: d.codeURL(), CostBefore: d.costBefore}
}

// codeURL is where the service's code can be read at this commit; empty outside a run.
func (d *delivery) codeURL() string {
	repository, _, ok := strings.Cut(d.rec.Run.URL, "/actions/runs/")
	if !ok || d.rec.Source.Commit == "" {
		return ""
	}
	address := repository + "/blob/" + d.rec.Source.Commit + "/"
	if d.rec.Source.Path != "" {
		address += (&url.URL{Path: d.rec.Source.Path}).EscapedPath() + "/"
	}
	return address
}

// report writes everything that people and other tools read.
func (d *delivery) report(task work) error {
	r := d.asReport()
	forms := []form{
		{d.out("summary.md"), report.Markdown{}},
	}
	if len(d.scans) > 0 {
		forms = append(forms, form{d.out("findings.sarif"), report.SARIF{}}, form{d.out("findings.json"), report.JSON{}})
	}
	if t, ok := as[reporting](task); ok {
		forms = append(forms, form{t.reports().SARIF, report.SARIF{}}, form{t.reports().JSON, report.JSON{}})
	}
	errs := []error{d.rec.Write(d.recordPath)}
	for _, f := range forms {
		if f.path != "" {
			errs = append(errs, f.write(r))
		}
	}
	return errors.Join(errs...)
}

// form is one file of a report.
type form struct {
	path string
	report.Formatter
}

func (f form) write(r report.Report) error {
	var b bytes.Buffer
	if err := f.Format(&b, r); err != nil {
		return err
	}
	return record.WriteFile(f.path, b.Bytes(), 0o644)
}

// reporting is implemented by work that takes files for its findings.
type reporting interface{ reports() action.Reports }

func (d *delivery) allFindings() []finding.Finding {
	var all []finding.Finding
	for _, s := range d.rec.Stages {
		all = append(all, d.findings[s.Name]...)
	}
	finding.Sort(all)
	return all
}
