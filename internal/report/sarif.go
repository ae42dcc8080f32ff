package report

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// SARIF writes the findings as SARIF 2.1.0, a run for each scanner, within GitHub's limits.
type SARIF struct {
	// InRepository names files from the root of the repository, where code scanning looks for them; otherwise they are named from
	// the service's folder, as everywhere else.
	InRepository bool
}

// GitHub's limits (docs.github.com, "SARIF support for code scanning"). It refuses a file beyond them, and of the results of
// a run shows the first 5,000. What counts at the gate comes first, the gravest before the others, so that what is cut is the least.
// A result has one location here, of 1,000, and there are never more rules than results.
const (
	runLimit    = 20
	resultLimit = 25000 // of a run, as many as rules
	tagLimit    = 20    // of a rule
	sizeLimit   = 10 << 20
)

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Automation  sarifAutomation   `json:"automationDetails"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	Properties  map[string]int    `json:"properties,omitempty"`
}

// sarifInvocation keeps an empty run that saw nothing apart from one that found nothing.
type sarifInvocation struct {
	Successful bool `json:"executionSuccessful"`
}

type sarifAutomation struct {
	ID string `json:"id"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version,omitempty"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID         string         `json:"id"`
	Short      sarifText      `json:"shortDescription"`
	Full       sarifText      `json:"fullDescription"`
	Help       sarifHelp      `json:"help"`
	HelpURI    string         `json:"helpUri,omitempty"`
	Config     sarifLevel     `json:"defaultConfiguration"`
	Properties map[string]any `json:"properties"`
}

type sarifLevel struct {
	Level string `json:"level"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifHelp struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Fingerprints map[string]string  `json:"partialFingerprints"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	Baseline     string             `json:"baselineState,omitempty"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification,omitempty"`
}

type sarifLocation struct {
	Physical sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
	EndLine     int `json:"endLine,omitempty"`
}

// Format implements Formatter.
func (s SARIF) Format(w io.Writer, r Report) error {
	r.Findings = slices.Clone(r.Findings)
	slices.SortStableFunc(r.Findings, func(a, b finding.Finding) int { return passes(a) - passes(b) }) // they come by gravity
	limit := min(resultLimit, len(r.Findings))
	for {
		var file bytes.Buffer
		if err := s.write(&file, r, limit); err != nil {
			return err
		}
		size, err := compressed(file.Bytes())
		if err != nil {
			return err
		}
		if size <= sizeLimit || limit == 0 {
			_, err := file.WriteTo(w)
			return err
		}
		limit /= 2
	}
}

func passes(f finding.Finding) int {
	if f.Counts() {
		return 0
	}
	return 1
}

// compressed is the size as GitHub measures it.
func compressed(file []byte) (int, error) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write(file)
	return zipped.Len(), errors.Join(err, z.Close())
}

// write makes a file of at most limit results a run.
func (s SARIF) write(w io.Writer, r Report, limit int) error {
	log := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{}}
	for _, stage := range append(slices.Clone(r.Scans), others(r)...) {
		if len(log.Runs) == runLimit {
			log.Runs[0].leaveOut("idp/runsLeftOut", 1)
			continue
		}
		log.Runs = append(log.Runs, runOf(r.Record, stage, r.Findings, limit, s.folder(r.Record)))
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(log)
}

// leaveOut counts what the file does not have for GitHub's limits.
func (r *sarifRun) leaveOut(what string, n int) {
	if r.Properties == nil {
		r.Properties = map[string]int{}
	}
	r.Properties[what] += n
}

// others are the scanners whose findings a stage took over besides those of its own tool, as stages of their own, in the order
// of what each found.
func others(r Report) []record.Stage {
	var list []record.Stage
	known := map[string]bool{}
	for _, s := range r.Scans {
		known[s.Tool.Name] = true
	}
	for _, f := range r.Findings {
		if len(r.Scans) > 0 && !known[f.Scanner] {
			known[f.Scanner] = true
			list = append(list, record.Stage{Name: f.Scanner, Tool: &record.Tool{Name: f.Scanner}, Outcome: record.Worst(r.Scans)})
		}
	}
	return list
}

func runOf(rec *record.Record, stage record.Stage, all []finding.Finding, limit int, folder string) sarifRun {
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: stage.Tool.Name, Version: stage.Tool.Version, Rules: []sarifRule{}}},
		Automation:  sarifAutomation{ID: "idp/" + rec.Service.Name + "/" + stage.Name + "/" + rec.ID},
		Invocations: []sarifInvocation{{stage.Outcome == record.Passed || stage.Outcome == record.Failed}},
		Results:     []sarifResult{},
	}
	index := map[string]int{}
	for _, f := range all {
		if f.Scanner != stage.Tool.Name {
			continue
		}
		if len(run.Results) == limit {
			run.leaveOut("idp/resultsLeftOut", 1)
			continue
		}
		i, ok := index[f.Rule]
		if !ok {
			i = len(run.Tool.Driver.Rules)
			index[f.Rule] = i
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, ruleOf(f))
		}
		run.Tool.Driver.Rules[i].atLeast(f.Severity)
		run.Results = append(run.Results, resultOf(f, i, folder))
	}
	return run
}

func ruleOf(f finding.Finding) sarifRule {
	tags := []string{"security"}
	for _, c := range f.CWE {
		tags = append(tags, "external/cwe/"+lowerCWE(c))
	}
	properties := map[string]any{"tags": tags[:min(len(tags), tagLimit)]}
	if f.Confidence != "" {
		properties["precision"] = f.Confidence
	}
	help := f.Help
	if help == "" {
		help = f.Title
	}
	return sarifRule{ID: f.Rule, Short: sarifText{f.Title}, Full: sarifText{f.Title}, HelpURI: f.HelpURI,
		Help: sarifHelp{Text: help, Markdown: markdownHelp(help, f.HelpURI)}, Properties: properties}
}

// atLeast makes a rule as grave as the gravest of its findings: GitHub takes the severity from here.
func (r *sarifRule) atLeast(s finding.Severity) {
	if now, _ := r.Properties["security-severity"].(string); scores[s] > now {
		r.Properties["security-severity"], r.Config.Level = scores[s], levels[s]
	}
}

// markdownHelp keeps each step of the help on a line of its own.
func markdownHelp(help, uri string) string {
	lines := textLines(help)
	if uri != "" {
		lines = append(lines, "", link(text(uri), uri))
	}
	return strings.Join(lines, "\n")
}

// lowerCWE gives cwe-079 for CWE-79, the form that GitHub groups by.
func lowerCWE(c string) string {
	digits := ""
	for _, r := range c {
		if r >= '0' && r <= '9' {
			digits += string(r)
		}
	}
	for len(digits) < 3 {
		digits = "0" + digits
	}
	return "cwe-" + digits
}

// folder is what stands before the files of the service.
func (s SARIF) folder(rec *record.Record) string {
	if s.InRepository {
		return rec.Source.Path
	}
	return ""
}

func resultOf(f finding.Finding, rule int, folder string) sarifResult {
	location := sarifLocation{sarifPhysical{Artifact: sarifArtifact{URI: (&url.URL{Path: path.Join(folder, f.File)}).String()}}}
	if f.Line > 0 {
		location.Physical.Region = &sarifRegion{StartLine: f.Line, StartColumn: f.Column, EndLine: max(f.EndLine, f.Line)}
	}
	result := sarifResult{RuleID: f.Rule, RuleIndex: rule, Level: levels[f.Severity], Message: sarifText{f.Title},
		Locations: []sarifLocation{location}, Fingerprints: map[string]string{"primaryLocationLineHash": f.Fingerprint},
		Baseline: "new"}
	if f.Known {
		result.Baseline = "unchanged"
	}
	if s := f.Suppression; s != nil {
		kind := "external"
		if s.InSource {
			kind = "inSource"
		}
		result.Suppressions = []sarifSuppression{{Kind: kind, Status: "accepted", Justification: s.Justification}}
	}
	return result
}

// levels are SARIF's, scores the middle of GitHub's ranges: above 9 critical, 7 high, 4 medium, else low.
var (
	levels = map[finding.Severity]string{finding.Critical: "error", finding.High: "error", finding.Medium: "warning", finding.Low: "note"}
	scores = map[finding.Severity]string{finding.Critical: "9.5", finding.High: "8.0", finding.Medium: "5.5", finding.Low: "2.0"}
)
