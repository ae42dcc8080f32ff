package finding

import (
	"fmt"
	"strings"

	"github.com/org/idp/internal/fault"
)

// Counts are findings by severity.
type Counts map[string]int

// Total sums over the severities.
func (c Counts) Total() int {
	n := 0
	for _, v := range c {
		n += v
	}
	return n
}

// Count splits findings into those that count at the gate and those that were known before. What is suppressed is neither.
func Count(findings []Finding) (fresh, known Counts) {
	fresh, known = Counts{}, Counts{}
	for _, f := range findings {
		switch {
		case f.Counts():
			fresh[string(f.Severity)]++
		case f.Known:
			known[string(f.Severity)]++
		}
	}
	return fresh, known
}

// CountSuppressed counts what the team has decided to let pass.
func CountSuppressed(findings []Finding) Counts {
	c := Counts{}
	for _, f := range findings {
		if f.Suppression != nil {
			c[string(f.Severity)]++
		}
	}
	return c
}

// Gate says no when a finding that is neither known nor suppressed reaches the rules. Noun names what is counted:
// "finding", "secret".
func (r Rules) Gate(findings []Finding, noun string) error {
	if r.FailOn.rank == 0 {
		return fault.Undeterminedf("no threshold was set for the gate")
	}
	hits := r.Failing(findings)
	if len(hits) == 0 {
		return nil
	}
	return fault.Failedf("%s", Plural(len(hits), "new "+noun)).WithDetail(Describe(hits, 10)...)
}

// Failing are the findings that fail the gate.
func (r Rules) Failing(findings []Finding) []Finding {
	var hits []Finding
	for _, f := range findings {
		if r.Fails(f) {
			hits = append(hits, f)
		}
	}
	return hits
}

// Plural puts a number before a noun.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Describe writes up to limit findings for a person, a blank line between them.
func Describe(findings []Finding, limit int) []string {
	var lines []string
	for i, f := range findings {
		if i == limit {
			return append(lines, fmt.Sprintf("and %d more: see findings.sarif", len(findings)-limit))
		}
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%s  %s  %s  [%s]  %s", f.Rule, f.Place(), f.Severity, Short(f.Fingerprint, findings), f.origin()), " "))
		lines = append(lines, f.Title)
		if f.Help != "" {
			lines = append(lines, strings.Split(f.Help, "\n")...)
		}
	}
	return lines
}

// Place is FILE:LINE.
func (f Finding) Place() string {
	if f.Line == 0 {
		return f.File
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}

func (f Finding) origin() string {
	if f.Commit == "" {
		return ""
	}
	return strings.TrimRight(fmt.Sprintf("commit %.7s %s", f.Commit, f.Author), " ")
}
