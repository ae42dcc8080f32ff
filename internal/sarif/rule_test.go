package sarif

import (
	"strings"
	"testing"

	"github.com/org/idp/internal/finding"
)

// described is a tool with rules in its driver and in an extension, run twice. The result under test is put in.
const described = `{"version": "2.1.0", "runs": [{
  "tool": {
    "driver": {"name": "x", "rules": [{"id": "A", "defaultConfiguration": {"level": "note"}}, {"id": "B"}],
      "notifications": [{"id": "lost", "defaultConfiguration": {"level": "error"}}]},
    "extensions": [{"name": "pack", "guid": "e0000000-0000-1111-9999-000000000000", "rules": [
      {"id": "A", "defaultConfiguration": {"level": "error"}},
      {"id": "C", "guid": "c0000000-0000-1111-9999-000000000000", "defaultConfiguration": {"level": "error"}}]}]},
  "invocations": [
    {"executionSuccessful": true, "ruleConfigurationOverrides": [
      {"descriptor": {"id": "B"}, "configuration": {"level": "error", "rank": 90}},
      {"descriptor": {"index": 1, "toolComponent": {"index": 0}}, "configuration": {"level": "note"}},
      {"descriptor": {"id": "A"}, "configuration": {"enabled": false}},
      {"descriptor": {"id": "nowhere"}, "configuration": {"level": "error"}}]},
    {"executionSuccessful": true}],
  "results": [{RESULT, "message": {"text": "bad"}}]}]}`

// TestLevels by the procedure of 3.27.10 of SARIF 2.1.0.
func TestLevels(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		result string
		rule   string
		want   finding.Severity
	}{
		"the default":                       {`"ruleIndex": 0`, "A", finding.Low},
		"of the driver before an extension": {`"ruleId": "A"`, "A", finding.Low},
		"of a part of a rule":               {`"ruleId": "A/1"`, "A/1", finding.Low},
		"by index in an extension":          {`"rule": {"index": 0, "toolComponent": {"index": 0}}`, "A", finding.High},
		"ruleIndex in an extension":         {`"ruleIndex": 0, "rule": {"toolComponent": {"index": 0}}`, "A", finding.High},
		"by the guid of an extension":       {`"rule": {"id": "A", "toolComponent": {"guid": "E0000000-0000-1111-9999-000000000000"}}`, "A", finding.High},
		"by the name of an extension":       {`"rule": {"id": "A", "toolComponent": {"name": "pack"}}`, "A", finding.High},
		"by guid":                           {`"rule": {"guid": "c0000000-0000-1111-9999-000000000000", "toolComponent": {"index": 0}}`, "C", finding.High},
		"in an extension by name alone":     {`"ruleId": "C"`, "C", finding.High},
		"of a rule nobody describes":        {`"ruleId": "Z"`, "Z", finding.Medium},
		"its own level":                     {`"ruleId": "B", "level": "note", "provenance": {"invocationIndex": 0}`, "B", finding.Low},
		"an override that raises":           {`"ruleId": "B", "provenance": {"invocationIndex": 0}`, "B", finding.High},
		"an override that lowers":           {`"ruleId": "C", "provenance": {"invocationIndex": 0}`, "C", finding.Low},
		"of an invocation without":          {`"ruleId": "B", "provenance": {"invocationIndex": 1}`, "B", finding.Medium},
		"of any invocation: the gravest":    {`"ruleId": "B"`, "B", finding.High},
		"of any invocation: never less":     {`"ruleId": "C", "provenance": {"invocationIndex": -1}`, "C", finding.High},
		"of a rule by name only":            {`"ruleId": "nowhere", "provenance": {"invocationIndex": 0}`, "nowhere", finding.High},
		"of a rule that was off":            {`"ruleId": "A", "provenance": {"invocationIndex": 0}`, "A", finding.Low},
		"what is open may be a failure":     {`"ruleId": "B", "kind": "open", "provenance": {"invocationIndex": 0}`, "B", finding.High},
	} {
		log, err := load(t, strings.Replace(described, "RESULT", c.result, 1), shop())
		if err != nil || len(log.Findings) != 1 || log.Findings[0].Severity != c.want || log.Findings[0].Rule != c.rule || log.Complete() != nil {
			t.Errorf("%s: %+v %v", name, log.Findings, err)
		}
	}
}

// A reference that leads nowhere could hide that a rule is graver than it looks.
func TestReferencesThatLeadNowhere(t *testing.T) {
	t.Parallel()
	for result, want := range map[string]string{
		`"rule": {"index": 0, "toolComponent": {"guid": "00000000-0000-1111-9999-000000000000"}}`: "an extension that the tool does not have",
		`"rule": {"index": 0, "toolComponent": {"index": 1}}`:                                     "extension 1 of 1",
		`"rule": {"index": 7}`: "rule 7 of 2",
		`"rule": {"guid": "00000000-0000-1111-9999-000000000000"}`: "a rule that the tool does not have",
		`"ruleId": "B", "ruleIndex": 0`:                            `its rule is "B" by name and "A" by its reference`,
	} {
		if _, err := load(t, strings.Replace(described, "RESULT", result, 1), shop()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", result, err, want)
		}
	}
	text := strings.Replace(described, "RESULT", `"ruleId": "B"`, 1)
	text = strings.Replace(text, `"descriptor": {"id": "B"}`, `"descriptor": {"index": 9}`, 1)
	if _, err := load(t, text, shop()); err == nil || !strings.Contains(err.Error(), "invocations[0] configures rule 9 of 2") {
		t.Error(err)
	}
}

// A policy of the one who runs the tool can make a rule graver (3.14.30).
func TestPoliciesOfTheRun(t *testing.T) {
	t.Parallel()
	text := strings.Replace(described, "RESULT", `"ruleId": "A"`, 1)
	text = strings.Replace(text, `"invocations"`, `"policies": [{"name": "strict", "rules": [{"id": "A", "defaultConfiguration": {"level": "error"}}]}], "invocations"`, 1)
	if log, err := load(t, text, shop()); err != nil || len(log.Findings) != 1 || log.Findings[0].Severity != finding.High {
		t.Error(log, err)
	}
}

// The level of a notification, too, may be that of its description.
func TestNotificationOfALevelByItsDescription(t *testing.T) {
	t.Parallel()
	text := strings.Replace(described, "RESULT", `"ruleId": "A"`, 1)
	for descriptor, gaps := range map[string]int{`{"index": 0}`: 1, `{"id": "lost"}`: 1, `{"id": "other"}`: 0} {
		notified := strings.Replace(text, `{"executionSuccessful": true}`, `{"executionSuccessful": true, "toolExecutionNotifications": [{"descriptor": `+descriptor+`, "message": {"text": "a file"}}]}`, 1)
		if log, err := load(t, notified, shop()); err != nil || len(log.Gaps) != gaps {
			t.Errorf("%s: %v %v", descriptor, log.Gaps, err)
		}
	}
}

// What is at no place in a file may be about the one that was scanned.
func TestFileThatWasScanned(t *testing.T) {
	t.Parallel()
	text := strings.Replace(minimal, `"locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/server.js"}, "region": {"startLine": 5}}}]`,
		`"locations": [{"logicalLocations": [{"name": "f"}]}], "analysisTarget": {"uri": "src/server.js"}`, 1)
	if log, err := load(t, text, shop()); err != nil || len(log.Findings) != 1 || log.Findings[0].Place() != "src/server.js" {
		t.Error(log.Findings, err)
	}
	text = strings.Replace(text, `{"uri": "src/server.js"}`, `{"index": 4}`, 1)
	if _, err := load(t, text, shop()); err == nil || !strings.Contains(err.Error(), "artifact 4 of 0") {
		t.Error(err)
	}
}
