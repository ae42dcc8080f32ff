package sarif

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// reader turns runs into findings.
type reader struct {
	places
	log     *Log
	src     *finding.Sources
	commit  string
	outside int
	other   map[string]int // results that are no findings, by why
}

func newReader(src Source, log *Log) *reader {
	return &reader{places: newPlaces(src), log: log, src: finding.NewSources(src.Dir), commit: src.Commit, other: map[string]int{}}
}

func (r *reader) read(name string, data []byte) error {
	doc, err := parse(name, data)
	if err != nil {
		return err
	}
	for i := range doc.Runs {
		run := &doc.Runs[i]
		tool := run.Tool.Driver
		for _, p := range run.Provenance {
			if p.RevisionID != "" && r.commit != "" && p.RevisionID != r.commit {
				return fault.Undeterminedf("%s of %s is about commit %.12s, not about %.12s", name, tool.Name, p.RevisionID, r.commit).
					WithNext("Run the scanner on the commit that is checked out here.")
			}
		}
		if gaps := run.gaps(name); len(gaps) > 0 {
			r.log.Gaps = append(r.log.Gaps, gaps...)
			r.log.broken++
		}
		version := tool.SemanticVersion
		if version == "" {
			version = tool.Version
		}
		r.log.Runs = append(r.log.Runs, record.Import{Tool: tool.Name, Version: version, File: name, Results: len(*run.Results)})
		for _, res := range *run.Results {
			if err := r.add(run, res); err != nil {
				return fault.Undeterminedf("%s of %s: %w", name, tool.Name, err)
			}
		}
	}
	return nil
}

// gaps are what the scanner says it did not see.
func (r *run) gaps(name string) []string {
	var gaps []string
	for i, inv := range r.Invocations {
		if inv.Successful != nil && !*inv.Successful || inv.Signal != "" || inv.StartFailure != "" {
			gaps = append(gaps, fmt.Sprintf("%s did not come to its end, says %s", r.Tool.Driver.Name, name))
		}
		for _, n := range slices.Concat(inv.Execution, inv.Config) {
			if r.isError(n, i) {
				gaps = append(gaps, fmt.Sprintf("%s, in %s: %s", r.Tool.Driver.Name, name, firstLine(n.Message.Text, 200)))
			}
		}
	}
	return gaps
}

// isError tells of a notification of an invocation, by its number, whether something went wrong. What cannot be told went wrong.
func (r *run) isError(n notification, number int) bool {
	if n.Level != nil {
		return *n.Level == "error" || !slices.Contains(levels, *n.Level)
	}
	about, err := r.descriptor(n.Descriptor, notificationsOf)
	if err != nil {
		return true
	}
	level, err := r.level(about, n.Descriptor.ID, notificationsOf, func(i invocation) []override { return i.Notifications }, &number)
	return err != nil || level == "error"
}

// notFindings are the kinds of results that say that something is in order, and how to call that.
var notFindings = map[string]string{"pass": "passed", "informational": "informational", "notApplicable": "not applicable"}

// graded tells whether a result has a level of its own. "none" is that of all results that are no failures (3.27.10).
func (r result) graded() bool { return r.Level != nil && *r.Level != "none" }

func (r *reader) add(of *run, res result) error {
	if why := notFindings[res.Kind]; why != "" && !res.graded() {
		r.other[why]++
		return nil
	}
	if res.State == "absent" {
		r.other["absent since an earlier run"]++
		return nil
	}
	about, id, err := of.rule(res)
	if err != nil {
		return err
	}
	severity, err := of.severity(res, about, id)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	if about == nil {
		about = &rule{}
	}
	f := finding.Finding{Scanner: of.Tool.Driver.Name, Rule: id, Title: titleOf(res, about), Help: helpOf(about), HelpURI: about.HelpURI,
		Severity: severity, Confidence: confidenceOf(res, about), CWE: weaknesses(res, about)}
	if !r.place(&f, of, res) {
		r.outside++
		return nil
	}
	f.Suppression = suppressed(res.Suppressions, of.Tool.Driver.Name)
	context := r.src.Place(&f, secret(res, about, f.CWE))
	if partial := partialOf(res.Partial); partial != "" {
		context = "partial " + partial
	}
	if context == "" {
		context = "title " + f.Title
	}
	f.Fingerprint = finding.Fingerprint(f.Scanner, f.Rule, f.File, context)
	// What this program has written has fingerprints already, made of more than can be seen here.
	if hash := res.Partial["primaryLocationLineHash"]; strings.HasPrefix(of.Automation.ID, "idp/") && finding.IsFingerprint(hash) {
		f.Fingerprint = hash
	}
	r.log.Findings = append(r.log.Findings, f)
	return nil
}

// finish makes the fingerprints unique, and says what was left out.
func (r *reader) finish() {
	finding.Number(r.log.Findings)
	if r.outside > 0 {
		r.log.Left = append(r.log.Left, finding.Plural(r.outside, "imported result")+" about files outside of the service folder")
	}
	for _, why := range slices.Sorted(maps.Keys(r.other)) {
		r.log.Left = append(r.log.Left, finding.Plural(r.other[why], "imported result")+": "+why)
	}
}

// severity takes the score of a vulnerability, by GitHub's ranges, before the level. A score of 0 is none.
func (r *run) severity(res result, about *rule, id string) (finding.Severity, error) {
	bags := []properties{res.Properties}
	if about != nil {
		bags = append(bags, about.Properties)
	}
	for _, p := range bags {
		score, err := p.score()
		switch {
		case err != nil:
			return "", err
		case score == 0:
			continue
		case score >= 9:
			return finding.Critical, nil
		case score >= 7:
			return finding.High, nil
		case score >= 4:
			return finding.Medium, nil
		}
		return finding.Low, nil
	}
	level, err := r.levelOf(res, about, id)
	switch level {
	case "error":
		return finding.High, err
	case "warning":
		return finding.Medium, err
	}
	return finding.Low, err
}

// levelOf a result is its own, else that of its rule. What is open or to be reviewed may be a failure, so it counts as one.
func (r *run) levelOf(res result, about *rule, id string) (string, error) {
	if res.graded() || res.Level != nil && (res.Kind == "" || res.Kind == "fail") {
		return *res.Level, nil
	}
	return r.level(about, id, rulesOf, func(i invocation) []override { return i.Rules }, res.Provenance.Invocation)
}

// score is 0 where there is none.
func (p properties) score() (score float64, err error) {
	switch v := p["security-severity"].(type) {
	case nil:
		return 0, nil
	case float64:
		score = v
	case string:
		if score, err = strconv.ParseFloat(strings.TrimSpace(v), 64); err != nil {
			return 0, fmt.Errorf("security-severity %.20q is not a number", v)
		}
	default:
		return 0, fmt.Errorf("security-severity is not a number")
	}
	if !(score >= 0 && score <= 10) {
		return 0, fmt.Errorf("security-severity %v is not from 0 to 10", score)
	}
	return score, nil
}

// confidenceOf takes Bandit's word about the result and Semgrep's tag before the precision, which Semgrep always calls very high.
func confidenceOf(res result, about *rule) string {
	if word := confidences[strings.ToLower(res.Properties.text("issue_confidence"))]; word != "" {
		return word
	}
	for _, tag := range about.Properties.tags() {
		if word, ok := strings.CutSuffix(tag, " CONFIDENCE"); ok && confidences[strings.ToLower(word)] != "" {
			return confidences[strings.ToLower(word)]
		}
	}
	return confidences[about.Properties.text("precision")]
}

// confidences by GitHub's property "precision".
var confidences = map[string]string{"very-high": "high", "high": "high", "medium": "medium", "low": "low"}

var (
	placeholder = regexp.MustCompile(`\{(\d+)\}`)
	form        = regexp.MustCompile(`(?m)^Message: (.*\S.*)$`)
	link        = regexp.MustCompile(`\[([^\]]*)\]\(\d+\)`) // CodeQL's links to related locations
	brackets    = strings.NewReplacer(`\[`, `[`, `\]`, `]`) // that are no links (3.11.6)
)

func titleOf(res result, about *rule) string {
	text := res.Message.Text
	if text == "" {
		text = about.Messages[res.Message.ID].Text
	}
	if text == "" {
		text = about.Short.Text
	}
	text = placeholder.ReplaceAllStringFunc(text, func(s string) string {
		if n, err := strconv.Atoi(s[1 : len(s)-1]); err == nil && n < len(res.Message.Arguments) {
			return res.Message.Arguments[n]
		}
		return s
	})
	// Trivy writes a form of several lines, of which the first alone says little. One may say what is wrong in this place.
	if short := firstLine(about.Short.Text, 200); short != "" && strings.Contains(strings.TrimSpace(text), "\n") {
		if said := form.FindStringSubmatch(text); said != nil {
			text = said[1]
		}
		text = short + ": " + firstLine(text, 100)
	}
	if text = firstLine(brackets.Replace(link.ReplaceAllString(text, "$1")), 300); text == "" {
		return "Found by rule " + res.RuleID
	}
	return text
}

func helpOf(about *rule) string {
	for _, text := range []string{about.Full.Text, about.Short.Text} {
		if text = firstLine(text, 300); text != "" {
			return text
		}
	}
	return ""
}

func firstLine(s string, most int) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	runes := []rune(strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " "))
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}

var cwe = regexp.MustCompile(`(?i)^(?:external/cwe/)?cwe-0*([1-9][0-9]*)\b`)

// weaknesses are CWE-NUMBER, from tags as CodeQL, Semgrep and Trivy write them, and from taxonomies.
func weaknesses(res result, about *rule) []string {
	var list []string
	for _, tag := range slices.Concat(about.Properties.tags(), res.Properties.tags()) {
		if m := cwe.FindStringSubmatch(tag); m != nil {
			list = append(list, "CWE-"+m[1])
		}
	}
	taxa := res.Taxa
	for _, r := range about.Relationships {
		taxa = append(taxa, r.Target)
	}
	for _, t := range taxa {
		if t.Component != nil && strings.EqualFold(t.Component.Name, "CWE") {
			list = append(list, "CWE-"+strings.TrimLeft(strings.TrimPrefix(strings.ToUpper(t.ID), "CWE-"), "0"))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// partialOf is the scanner's own context, without the number that tells equal lines apart: that is counted here.
func partialOf(partial map[string]string) string {
	if hash := partial["primaryLocationLineHash"]; hash != "" {
		hash, _, _ = strings.Cut(hash, ":")
		return hash
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(partial)) {
		parts = append(parts, key+"="+partial[key])
	}
	return strings.Join(parts, " ")
}

// suppressed is nil unless every suppression was accepted: SARIF lets one that is under review or rejected outweigh others.
func suppressed(list []suppression, tool string) *finding.Suppression {
	if len(list) == 0 {
		return nil
	}
	s := finding.Suppression{By: tool}
	for _, one := range list {
		if one.Status != "" && one.Status != "accepted" {
			return nil
		}
		s.InSource = s.InSource || one.Kind == "inSource"
		if s.Justification == "" {
			s.Justification = firstLine(one.Justification, 300)
		}
	}
	return &s
}

// secret tells whether the code at the place may hold one.
func secret(res result, about *rule, cwes []string) bool {
	return slices.ContainsFunc(cwes, func(c string) bool {
		return slices.Contains([]string{"CWE-798", "CWE-259", "CWE-321", "CWE-312", "CWE-522"}, c)
	}) || slices.ContainsFunc(slices.Concat(about.Properties.tags(), res.Properties.tags()), func(t string) bool {
		return strings.Contains(strings.ToLower(t), "secret")
	})
}
