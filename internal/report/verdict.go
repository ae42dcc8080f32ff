package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// Verdict says in a few words what the delivery came to, such as "passed" or "failed: secrets".
func Verdict(rec *record.Record) string {
	var names []string
	for _, s := range rec.Stages {
		if s.Outcome == rec.Outcome {
			names = append(names, s.Name)
		}
	}
	switch {
	case onlyWaits(rec):
		return "not deployed yet: waits for approval"
	case rec.Outcome == record.Passed:
		return "passed"
	case rec.Outcome == record.Failed:
		return "failed: " + strings.Join(names, ", ")
	}
	if len(names) == 0 {
		return "could not be determined"
	}
	return "could not be determined: " + strings.Join(names, ", ")
}

// headline is the verdict in terms of the environment, such as "would deploy to staging"; plain text.
func headline(r Report) string {
	rec := r.Record
	if rec.Outcome != record.Passed && !waits(r) {
		return Verdict(rec) + backOn(rec)
	}
	switch {
	case waits(r):
		return "waits for approval to deploy to " + rec.Environment
	case rec.Plan:
		if p, err := record.EvidenceOf[record.Plan](rec, record.StagePlan); err == nil && unchanged(p) {
			return "would change nothing in " + rec.Environment
		}
		return "would deploy to " + rec.Environment
	}
	if back, err := record.EvidenceOf[record.Rollback](rec, record.StageRollback); err == nil {
		if back.To == nil {
			return "taken out of " + rec.Environment
		}
		return fmt.Sprintf("rolled back to %s in %s", record.ShortDigest(back.To.Digest), rec.Environment)
	}
	if deployed, err := record.EvidenceOf[record.Deploy](rec, record.StageDeploy); err == nil {
		if !deployed.Changed {
			return "was live in " + rec.Environment + " already"
		}
		return "deployed to " + rec.Environment
	}
	return Verdict(rec)
}

// waits tells whether all that is missing is somebody's approval. What did not pass waits for nobody.
func waits(r Report) bool { return onlyWaits(r.Record) }

// onlyWaits is waits. A deploy that an approval resumes is the only stage of its record, so that nothing else has passed.
func onlyWaits(rec *record.Record) bool {
	alone := rec.Outcome == record.Error && !slices.ContainsFunc(rec.Stages, func(s record.Stage) bool { return s.Outcome != record.Skipped })
	return rec.Waits() != "" && (rec.Outcome == record.Passed || alone)
}

// unchanged tells whether a plan was compared with what runs and would change nothing of it.
func unchanged(p record.Plan) bool {
	for action, n := range p.Changes {
		if action != "unchanged" && n > 0 {
			return false
		}
	}
	return p.Live != nil && p.Changes["unchanged"] > 0
}

// backOn says what runs after a deploy that did not pass.
func backOn(rec *record.Record) string {
	for _, s := range rec.Stages {
		var d record.Deploy
		if s.Name == record.StageDeploy && json.Unmarshal(s.Evidence, &d) == nil && d.Restored != nil {
			return "; back on " + record.ShortDigest(d.Restored.Digest)
		}
	}
	return ""
}

// row is a line of the table of stages: how it ended, what it is about, and what it came to in plain text.
type row struct {
	outcome    record.Outcome
	name, text string
}

var marks = map[record.Outcome]string{record.Passed: "✓", record.Failed: "✗", record.Error: "?", record.Skipped: "–"}

// rows has a line for each stage that did something: the scans on one where all of them passed. Stages that were skipped
// share one for each reason; those that a plan never does have none.
func rows(r Report) []row {
	var list []row
	skipped := map[string]int{} // place of the row by reason
	scans := scansPassed(r.Record)
	for _, s := range r.Record.Stages {
		switch {
		case s.Outcome == record.Skipped && r.Record.Plan && slices.Contains(changing, s.Name):
		case s.Outcome == record.Skipped:
			if i, ok := skipped[s.Reason]; ok {
				list[i].name += ", " + s.Name
				continue
			}
			skipped[s.Reason] = len(list)
			list = append(list, row{s.Outcome, s.Name, "skipped: " + s.Reason})
		case scans && isScan(s):
			if !slices.ContainsFunc(list, func(r row) bool { return r.name == "scans" }) {
				list = append(list, row{record.Passed, "scans", counted(r)})
			}
		case s.Name == record.StagePlan && s.Outcome == record.Passed:
			list = append(list, row{s.Outcome, r.Record.Environment, s.Summary})
		default:
			list = append(list, row{s.Outcome, s.Name, lineOf(r, s)})
		}
	}
	return list
}

// changing are the stages that a plan never does.
var changing = []string{record.StageSign, record.StageVerify, record.StageDeploy, record.StageSmoke, record.StageAttest, record.StageCatalog, record.StageEvents, record.StageNotify}

func isScan(s record.Stage) bool {
	return slices.Contains([]string{record.StageSAST, record.StageSecrets, record.StageGate}, s.Name)
}

func scansPassed(rec *record.Record) bool {
	return !slices.ContainsFunc(rec.Stages, func(s record.Stage) bool { return isScan(s) && s.Outcome != record.Passed })
}

// lineOf is what a stage came to, with what the change adds to the cost.
func lineOf(r Report, s record.Stage) string {
	if s.Name == record.StageCost && s.Outcome == record.Passed {
		return s.Summary + costChange(r)
	}
	return line(s)
}

func line(s record.Stage) string {
	if s.Outcome == record.Passed {
		return s.Summary
	}
	return s.Reason
}

// counted says how many findings there are, such as "no new findings (3 known, 1 waived)". It counts what the stages say,
// so that a report without the findings themselves is right, too.
func counted(r Report) string {
	var fresh, known, suppressed int
	for _, s := range r.Record.Stages {
		var scan record.Scan
		if isScan(s) && json.Unmarshal(s.Evidence, &scan) == nil {
			fresh, known, suppressed = fresh+sum(scan.New), known+sum(scan.Known), suppressed+sum(scan.Suppressed)
		}
	}
	words := "no new findings"
	if fresh > 0 {
		words = finding.Plural(fresh, "new finding") + " below the threshold"
	}
	var beside []string
	if known > 0 {
		beside = append(beside, fmt.Sprintf("%d known", known))
	}
	if suppressed > 0 {
		beside = append(beside, fmt.Sprintf("%d let pass", suppressed))
	}
	if len(beside) > 0 {
		words += " (" + strings.Join(beside, ", ") + ")"
	}
	return words
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// took is the time from the beginning of the first stage to the end of the last one; empty where no stage says.
func took(rec *record.Record) string {
	var first, last time.Time
	for _, s := range rec.Stages {
		if s.StartedAt.IsZero() {
			continue
		}
		end := s.StartedAt.Add(time.Duration(s.DurationMS) * time.Millisecond)
		if first.IsZero() || s.StartedAt.Before(first) {
			first = s.StartedAt
		}
		if end.After(last) {
			last = end
		}
	}
	d := last.Sub(first)
	switch {
	case first.IsZero():
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return strings.TrimSuffix(d.Round(time.Second).String(), "0s")
}
