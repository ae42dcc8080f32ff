package delivery

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/report"
	"github.com/org/idp/internal/ui"
)

// Begin prints what is about to happen.
func (d *Delivery) Begin(name string) {
	head := fmt.Sprintf("idp %s  %s", name, d.Service.Name)
	if d.Repo != nil {
		head += "  " + ShortHash(d.Repo.Commit)
		if branch, ok := strings.CutPrefix(d.Record.Source.Ref, "refs/heads/"); ok {
			head += " (" + branch + ")"
		}
		if d.Record.Source.Dirty {
			head += " + uncommitted changes"
		}
	}
	if d.Record.Environment != "" {
		head += "  → " + d.Record.Environment
	}
	d.Board.Say(head, "")
}

// End writes the reports, tells the runner, and gives the exit code.
func (d *Delivery) End(a Action, task Work, err error) int {
	reportErr := d.report(task)
	code := cli.Code(err)
	if a.isPath() && err == nil {
		code = d.codeOfRecord()
	}
	if reportErr != nil {
		code = max(code, cli.BadInput)
		d.Board.Verdict("the reports cannot be written: " + reportErr.Error())
	}
	d.Board.Say("")
	if _, rejected := d.Record.Stage(stageInputs); a.isPath() && !rejected {
		d.Board.Say(d.table()...)
	}
	d.Board.Verdict(d.verdict(a, code))
	d.Board.Close()
	if err := d.tellRunner(a); err != nil {
		return max(cli.Exit(d.World, err), code)
	}
	return code
}

// table sums up a path: every stage in its order, and where to read more.
func (d *Delivery) table() []string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "  stage\toutcome\ttime\tread")
	for _, s := range d.Record.Stages {
		read := d.reads[s.Name]
		if d.scanned(s.Name) {
			read = d.Out("findings.sarif")
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
func (d *Delivery) scanned(name string) bool {
	return slices.ContainsFunc(d.scans, func(s record.Stage) bool { return s.Name == name })
}

// codeOfRecord gives the exit code of a whole path. Bad input only counts as such when nothing else was undetermined.
func (d *Delivery) codeOfRecord() int {
	code := cli.Passed
	switch d.Record.Outcome {
	case record.Passed:
		return cli.Passed
	case record.Failed:
		return cli.Failed
	}
	for _, s := range d.Record.Stages {
		if s.Outcome != record.Error {
			continue
		}
		if cli.Code(d.faults[s.Name]) != cli.BadInput {
			return cli.Undetermined
		}
		code = cli.BadInput
	}
	return max(code, cli.BadInput)
}

func (d *Delivery) verdict(a Action, code int) string {
	took := fmt.Sprintf("%.1fs", d.World.Now().Sub(d.Begun).Seconds())
	words := map[int]string{cli.Passed: "passed", cli.Failed: "failed", cli.BadInput: "bad input", cli.Undetermined: "could not be determined"}
	text := words[code]
	if s, ok := d.Record.Stage(a.Name); ok && s.Outcome == record.Skipped && code == cli.Passed {
		text = "skipped" // what does not apply was not found to be good
	}
	if a.isPath() && code != cli.BadInput {
		text = report.Verdict(d.Record)
	}
	text += " in " + took + d.unchanged() + " · " + d.Out("summary.md")
	if d.Live != "" {
		text += " · " + d.Live + " (ends with: idp stop --out " + d.Options.Out + ")"
	}
	if a.isPath() {
		text += d.consequence()
	}
	if code != cli.Passed {
		text += fmt.Sprintf("  (exit %d)", code)
	}
	return text
}

// unchanged says so when a delivery found everything as it would have left it.
func (d *Delivery) unchanged() string {
	deployed, deployErr := record.EvidenceOf[record.Deploy](d.Record, record.StageDeploy)
	listed, listErr := record.EvidenceOf[record.Catalog](d.Record, record.StageCatalog)
	if deployErr != nil || listErr != nil || deployed.Changed || listed.Changed {
		return ""
	}
	return ", nothing changed"
}

// consequence says what a delivery that did not pass left in the world.
func (d *Delivery) consequence() string {
	if d.Record.Outcome == record.Passed || d.Record.Plan {
		return ""
	}
	if s, ok := d.Record.Stage(record.StageSign); !ok || s.Outcome == record.Skipped {
		return " · nothing was pushed or deployed"
	}
	if s, ok := d.Record.Stage(record.StageDeploy); !ok || s.Outcome == record.Skipped {
		return " · nothing was deployed"
	}
	return ""
}

// asReport is what every form of a report is made from.
func (d *Delivery) asReport() report.Report {
	return report.Report{Record: d.Record, Scans: d.scans, Findings: d.allFindings(), Files: d.files, Diff: d.Diff, Code: d.codeURL(), CostBefore: d.CostBefore, CostUnknown: d.CostUnknown}
}

// codeURL is where the service's code can be read at this commit; empty outside a run.
func (d *Delivery) codeURL() string {
	repository, _, ok := strings.Cut(d.Record.Run.URL, "/actions/runs/")
	if !ok || d.Record.Source.Commit == "" {
		return ""
	}
	address := repository + "/blob/" + d.Record.Source.Commit + "/"
	if d.Record.Source.Path != "" {
		address += (&url.URL{Path: d.Record.Source.Path}).EscapedPath() + "/"
	}
	return address
}

// report writes everything that people and other tools read.
func (d *Delivery) report(task Work) error {
	r := d.asReport()
	forms := []form{
		{d.Out("summary.md"), report.Markdown{}},
	}
	if len(d.scans) > 0 {
		forms = append(forms, form{d.Out("findings.sarif"), report.SARIF{}}, form{d.Out("findings.json"), report.JSON{}})
	}
	if t, ok := As[reporting](task); ok {
		forms = append(forms, form{t.Reports().SARIF, report.SARIF{}}, form{t.Reports().JSON, report.JSON{}})
	}
	errs := []error{d.Record.Write(d.RecordPath)}
	for _, f := range forms {
		if f.path != "" {
			errs = append(errs, f.Write(r))
		}
	}
	return errors.Join(errs...)
}

// form is one file of a report.
type form struct {
	path string
	report.Formatter
}

func (f form) Write(r report.Report) error {
	var b bytes.Buffer
	if err := f.Format(&b, r); err != nil {
		return err
	}
	return record.WriteFile(f.path, b.Bytes(), 0o644)
}

// reporting is implemented by work that takes files for its findings.
type reporting interface{ Reports() action.Reports }

func (d *Delivery) allFindings() []finding.Finding {
	var all []finding.Finding
	for _, s := range d.Record.Stages {
		all = append(all, d.findings[s.Name]...)
	}
	finding.Sort(all)
	return all
}
