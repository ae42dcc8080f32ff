package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// written gives the log that a report is written as, which is valid and small enough.
func written(t *testing.T, r Report) sarifLog {
	t.Helper()
	var out bytes.Buffer
	if err := (SARIF{}).Format(&out, r); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := sarifSchema(t).Validate(doc); err != nil {
		t.Error(err)
	}
	if size, err := compressed(out.Bytes()); err != nil || size > 10<<20 {
		t.Errorf("%d bytes compressed, error %v", size, err)
	}
	var log sarifLog
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, run := range log.Runs {
		if ids[run.Automation.ID] {
			t.Errorf("two runs are %s", run.Automation.ID)
		}
		ids[run.Automation.ID] = true
	}
	return log
}

func reportOf(findings []finding.Finding) Report {
	rec := record.New(record.Service{Name: "checkout"}, record.Source{}, record.Run{}, "staging")
	rec.Put(record.Stage{Name: "sast", Outcome: record.Passed, Tool: &record.Tool{Name: "gosec"}})
	finding.Sort(findings)
	return Report{Record: rec, Scans: rec.Stages, Findings: findings}
}

// GitHub refuses more than 25,000 results: what counts at the gate is kept before what is known, and the graver before the
// others.
func TestSARIFKeepsWhatCounts(t *testing.T) {
	t.Parallel()
	var all []finding.Finding
	for i := range 30000 {
		f := finding.Finding{Scanner: "gosec", Rule: "G401", Title: "weak", Severity: finding.High, File: "a.go", Line: i + 1, Fingerprint: fmt.Sprintf("%032x", i), Known: i%2 == 0}
		if i%2 == 1 {
			f.Severity = finding.Low
		}
		all = append(all, f)
	}
	log := written(t, reportOf(all))
	run := log.Runs[0]
	if len(run.Results) != 25000 || run.Properties["idp/resultsLeftOut"] != 5000 {
		t.Fatalf("%d results, %v", len(run.Results), run.Properties)
	}
	for i, r := range run.Results {
		if want := map[bool]string{true: "new", false: "unchanged"}[i < 15000]; r.Baseline != want {
			t.Fatalf("result %d is %s", i, r.Baseline)
		}
	}
}

// GitHub takes the severity of a rule for that of its findings.
func TestSARIFRuleIsAsGraveAsItsFindings(t *testing.T) {
	t.Parallel()
	all := []finding.Finding{
		{Scanner: "gosec", Rule: "G401", Title: "new", Severity: finding.Low, File: "a.go", Fingerprint: strings.Repeat("a", 32)},
		{Scanner: "gosec", Rule: "G401", Title: "known", Severity: finding.Critical, File: "b.go", Fingerprint: strings.Repeat("b", 32), Known: true},
	}
	run := written(t, reportOf(all)).Runs[0]
	if r := run.Tool.Driver.Rules[0]; r.Properties["security-severity"] != "9.5" || r.Config.Level != "error" || run.Results[0].Level != "note" {
		t.Errorf("rule %+v, results %+v", r, run.Results)
	}
}

// GitHub refuses a file of more than 10 MB, compressed.
func TestSARIFIsSmallEnough(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	var all []finding.Finding
	for i := range 1200 {
		var name bytes.Buffer
		for range 1300 {
			fmt.Fprintf(&name, "%016x", random.Uint64())
		}
		all = append(all, finding.Finding{Scanner: "gosec", Rule: "G401", Title: "weak", Severity: finding.High, File: name.String(), Line: i, Fingerprint: fmt.Sprintf("%032x", i)})
	}
	run := written(t, reportOf(all)).Runs[0]
	if len(run.Results) == 0 || len(run.Results)+run.Properties["idp/resultsLeftOut"] != 1200 {
		t.Errorf("%d results, %v", len(run.Results), run.Properties)
	}
}

// GitHub refuses more than 20 runs.
func TestSARIFHasFewRuns(t *testing.T) {
	t.Parallel()
	var all []finding.Finding
	for i := range 25 {
		all = append(all, finding.Finding{Scanner: fmt.Sprintf("tool %d", i), Rule: "r", Title: "t", Severity: finding.Low, File: "a.py", Fingerprint: fmt.Sprintf("%032x", i)})
	}
	all[24].Severity = finding.Critical
	log := written(t, reportOf(all))
	if len(log.Runs) != 20 || log.Runs[0].Properties["idp/runsLeftOut"] != 6 || log.Runs[1].Tool.Driver.Name != "tool 24" {
		t.Errorf("%d runs, the second of %s, %v", len(log.Runs), log.Runs[1].Tool.Driver.Name, log.Runs[0].Properties)
	}
}

// Files are named from the service's folder, and for code scanning from the root of the repository.
func TestSARIFNamesFilesFromTheFolderThatItIsAskedFor(t *testing.T) {
	t.Parallel()
	for inRepository, want := range map[bool]string{false: `"uri": "main.go"`, true: `"uri": "services/my%20cart/main.go"`} {
		r := example()
		r.Record = r.Record.Clone()
		r.Record.Source.Path = "services/my cart"
		r.Findings = slices.Clone(r.Findings[:1])
		r.Findings[0].File = "main.go"
		var out bytes.Buffer
		if err := (SARIF{InRepository: inRepository}).Format(&out, r); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("in the repository %t: %s is not there: %v", inRepository, want, err)
		}
	}
}
