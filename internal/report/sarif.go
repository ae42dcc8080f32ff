package report

import (
	"encoding/json"
	"io"
	"net/url"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// SARIF writes the findings as SARIF 2.1.0, a run for each scanner, within GitHub's limits.
type SARIF struct{}

// resultLimit is what GitHub accepts of results in a run.
const resultLimit = 25000

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
	Help       sarifText      `json:"help"`
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

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Baseline     string            `json:"baselineState,omitempty"`
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
func (SARIF) Format(w io.Writer, r Report) error {
	log := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{}}
	for _, stage := range r.Scans {
		log.Runs = append(log.Runs, runOf(r.Record, stage, r.Findings))
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(log)
}

func runOf(rec *record.Record, stage record.Stage, all []finding.Finding) sarifRun {
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: stage.Tool.Name, Version: stage.Tool.Version, Rules: []sarifRule{}}},
		Automation:  sarifAutomation{ID: "idp/" + rec.Service.Name + "/" + stage.Name + "/" + rec.ID},
		Invocations: []sarifInvocation{{stage.Outcome == record.Passed || stage.Outcome == record.Failed}},
		Results:     []sarifResult{},
	}
	index := map[string]int{}
	for _, f := range all {
		if f.Scanner != stage.Tool.Name || len(run.Results) == resultLimit {
			continue
		}
		i, ok := index[f.Rule]
		if !ok {
			i = len(run.Tool.Driver.Rules)
			index[f.Rule] = i
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, ruleOf(f))
		}
		run.Results = append(run.Results, resultOf(f, i))
	}
	return run
}

func ruleOf(f finding.Finding) sarifRule {
	tags := []string{"security"}
	for _, c := range f.CWE {
		tags = append(tags, "external/cwe/"+lowerCWE(c))
	}
	help := f.Help
	if help == "" {
		help = f.Title
	}
	return sarifRule{ID: f.Rule, Short: sarifText{f.Title}, Help: sarifText{help}, HelpURI: f.HelpURI,
		Config:     sarifLevel{levels[f.Severity]},
		Properties: map[string]any{"tags": tags, "security-severity": scores[f.Severity]}}
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

func resultOf(f finding.Finding, rule int) sarifResult {
	location := sarifLocation{sarifPhysical{Artifact: sarifArtifact{URI: (&url.URL{Path: f.File}).String()}}}
	if f.Line > 0 {
		location.Physical.Region = &sarifRegion{StartLine: f.Line, StartColumn: f.Column, EndLine: max(f.EndLine, f.Line)}
	}
	result := sarifResult{RuleID: f.Rule, RuleIndex: rule, Level: levels[f.Severity], Message: sarifText{f.Title},
		Locations: []sarifLocation{location}, Fingerprints: map[string]string{"primaryLocationLineHash": f.Fingerprint},
		Baseline: "new"}
	if f.Known {
		result.Baseline = "unchanged"
	}
	return result
}

// levels are SARIF's, scores the middle of GitHub's ranges: above 9 critical, 7 high, 4 medium, else low.
var (
	levels = map[finding.Severity]string{finding.Critical: "error", finding.High: "error", finding.Medium: "warning", finding.Low: "note"}
	scores = map[finding.Severity]string{finding.Critical: "9.5", finding.High: "8.0", finding.Medium: "5.5", finding.Low: "2.0"}
)
