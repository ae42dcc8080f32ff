package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

var update = flag.Bool("update", false, "write the golden files")

func example() Report {
	rec := record.New(record.Service{Name: "checkout", Owner: "team"}, record.Source{Repository: "acme/checkout", Commit: strings.Repeat("4f", 20)}, record.Run{}, "staging")
	tool := &record.Tool{Name: "gosec", Version: "2.30.0"}
	rec.Put(record.Stage{Name: "sast", Outcome: record.Failed, Reason: "1 new finding", DurationMS: 812, Tool: tool,
		Detail: []string{"G404  a|b`c.go:3", "```", "<img src=x onerror=alert(1)> @acme/everyone"}})
	rec.Put(record.Stage{Name: "secrets", Outcome: record.Passed, Summary: "7 commits · none", Tool: &record.Tool{Name: "gitleaks", Version: "8.30.1"}})
	rec.Put(record.Stage{Name: "sign", Outcome: record.Skipped, Reason: "sast failed"})
	return Report{Record: rec, Code: "https://github.com/acme/checkout/blob/4f4f/", Scans: rec.Stages[:2], Findings: []finding.Finding{
		{Scanner: "gosec", Rule: "G404", Title: "Weak random <b>number</b> @acme", Help: "Use crypto/rand.", HelpURI: "https://cwe.mitre.org/data/definitions/338.html",
			Severity: finding.High, CWE: []string{"CWE-338"}, File: "dir with space/a|b`c.go", Line: 3, Column: 2, Fingerprint: "00ff"},
		{Scanner: "gosec", Rule: "G404", Title: "Weak random <b>number</b> @acme", Severity: finding.High, File: "c(1).go", Line: 9, Fingerprint: "22dd",
			Commit: strings.Repeat("ab", 20), Suppression: &finding.Suppression{By: "nosec", InSource: true, Justification: "only a | dice"}},
		{Scanner: "gosec", Rule: "G104", Title: "Error not checked", Severity: finding.Low, File: "b.go", Known: true, Fingerprint: "11ee"},
	}, Files: []File{{Path: ".idp/record.json", What: "the record"}}}
}

func TestSARIFIsValidAgainstThePublishedSchema(t *testing.T) {
	var out bytes.Buffer
	if err := (SARIF{}).Format(&out, example()); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := sarifSchema(t).Validate(doc); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	var log sarifLog
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	if len(log.Runs) != 2 || len(log.Runs[0].Results) != 3 || len(log.Runs[1].Results) != 0 {
		t.Fatalf("runs: %+v", log.Runs)
	}
	if got := log.Runs[0].Results[0].Locations[0].Physical.Artifact.URI; got != "dir%20with%20space/a%7Cb%60c.go" {
		t.Errorf("uri is %s", got)
	}
	if got := log.Runs[0].Results[1].Suppressions; len(got) != 1 || got[0].Kind != "inSource" || got[0].Justification != "only a | dice" {
		t.Errorf("suppressions: %+v", got)
	}
	if got := log.Runs[0].Results[0].Fingerprints["primaryLocationLineHash"]; got != "00ff" {
		t.Errorf("fingerprint %q", got)
	}
	rule := log.Runs[0].Tool.Driver.Rules[0]
	if rule.ID != "G404" || rule.Properties["security-severity"] != "8.0" || !slices.Contains(rule.Properties["tags"].([]any), any("external/cwe/cwe-338")) ||
		rule.Help.Text != "Use crypto/rand." || !strings.Contains(rule.Help.Markdown, "](https://cwe.mitre.org/data/definitions/338.html)") {
		t.Errorf("rule %+v", rule)
	}
	if a, b := log.Runs[0].Automation.ID, log.Runs[1].Automation.ID; a == b || !strings.HasPrefix(a, "idp/checkout/sast/") {
		t.Errorf("runs %s and %s", a, b)
	}
	if got := log.Runs[0].Results[2].Baseline; got != "unchanged" {
		t.Errorf("a known finding is %q", got)
	}
}

func TestSummarySaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	image := record.Artifact{Digest: "sha256:" + strings.Repeat("0", 64)}
	for want, rec := range map[string]record.Record{
		"Commit `4f4f4f4` of acme/checkout to **staging**": *example().Record,
		"Commit `4f4f4f4` of acme/checkout":                {Source: example().Record.Source},
		"image `" + image.Digest + "`":                     {Artifact: image},
		"":                                                 {},
	} {
		var out bytes.Buffer
		if err := (Markdown{}).Format(&out, Report{Record: &rec}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\n")
		if got := lines[2]; got != want && (want != "" || !strings.HasPrefix(got, "| |")) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// sarifSchema is the one that gosec ships for its own tests.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/securego/gosec/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "report", "sarif", "testdata", "sarif-schema-2.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = data.Close() }()
	doc, err := jsonschema.UnmarshalJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("mem:///sarif.json")
}

func TestMarkdown(t *testing.T) {
	var out bytes.Buffer
	if err := (Markdown{}).Format(&out, example()); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("..", "..", "testdata", "report", "summary.md")
	if *update {
		if err := record.WriteFile(golden, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("summary differs from %s (-want +got):\n%s", golden, diff)
	}
}

// What a summary says before its table, of what is known; and what the token of the run could not show.
func TestMarkdownSaysWhatItIsOf(t *testing.T) {
	t.Parallel()
	plan := record.New(record.Service{Name: "checkout"}, record.Source{Repository: "acme/checkout", Commit: strings.Repeat("4f", 20)}, record.Run{}, "staging")
	plan.Plan = true
	plan.Put(record.Stage{Name: record.StageGitHub, Outcome: record.Skipped, Reason: "nothing of it is shown there",
		Evidence: json.RawMessage(`{"without": ["comment: the token of this run can only read, because the pull request comes from a fork"]}`)})
	nothing := record.New(record.Service{}, record.Source{}, record.Run{}, "")
	nothing.Put(record.Stage{Name: "inputs", Outcome: record.Error, Reason: "there is no idp.yaml in ."})
	for name, c := range map[string]struct {
		rec  *record.Record
		want []string
	}{
		"plan":    {plan, []string{"# checkout could not be determined\n\nCommit `4f4f4f4` of acme/checkout to **staging**: a plan, nothing was changed\n\n| |", "⚠ comment: the token of this run can only read"}},
		"nothing": {nothing, []string{"# could not be determined: inputs\n\n| |"}},
	} {
		var b strings.Builder
		if err := (Markdown{}).Format(&b, Report{Record: c.rec}); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, b.String())
			}
		}
	}
}

func TestVerdictNamesTheStages(t *testing.T) {
	rec := record.New(record.Service{}, record.Source{}, record.Run{}, "x")
	if got := Verdict(rec); got != "could not be determined" {
		t.Errorf("an empty record: %q", got)
	}
	rec.Put(record.Stage{Name: "sast", Outcome: record.Passed})
	if got := Verdict(rec); got != "passed" {
		t.Errorf("got %q", got)
	}
	rec.Put(record.Stage{Name: "secrets", Outcome: record.Failed})
	rec.Put(record.Stage{Name: "smoke", Outcome: record.Failed})
	if got := Verdict(rec); got != "failed: secrets, smoke" {
		t.Errorf("got %q", got)
	}
	rec.Put(record.Stage{Name: "build", Outcome: record.Error})
	if got := Verdict(rec); got != "could not be determined: build" {
		t.Errorf("got %q", got)
	}
}
