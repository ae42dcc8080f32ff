package finding

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// How a gate takes suppressions, such as #nosec and gitleaks:allow. The zero value is Allow.
const (
	Allow             = "allow"
	NeedJustification = "need-justification"
	Refuse            = "refuse"
)

var (
	confidences  = []string{"low", "medium", "high"}
	suppressions = []string{Allow, NeedJustification, Refuse}
)

// Rules say which findings fail a gate.
type Rules struct {
	FailOn        Threshold
	MinConfidence string               // low, medium or high; empty: any
	CWE           map[string]Threshold // by CWE-NUMBER, in place of FailOn
	NewOnly       bool                 // what was there before the change does not count
	Suppressions  string               // Allow, NeedJustification or Refuse; empty: Allow
}

// Reaches tells whether a finding that is neither known nor suppressed fails the gate. Of several weaknesses the one with
// the lowest threshold decides. A finding whose confidence is not known is taken for certain.
func (r Rules) Reaches(f Finding) bool {
	if at := slices.Index(confidences, f.Confidence); at >= 0 && at < slices.Index(confidences, r.MinConfidence) {
		return false
	}
	t := r.FailOn
	for i, cwe := range f.CWE {
		if own := r.of(cwe); i == 0 || t.Weaker(own) {
			t = own
		}
	}
	return t.Reaches(f.Severity)
}

// of is the threshold for a weakness; an empty name stands for those that are not listed.
func (r Rules) of(cwe string) Threshold {
	if t, ok := r.CWE[cwe]; ok {
		return t
	}
	return r.FailOn
}

// Fails tells whether a finding fails the gate.
func (r Rules) Fails(f Finding) bool { return f.Counts() && r.Reaches(f) }

// Accepts tells whether a suppression beside the code lets a finding pass.
func (r Rules) Accepts(s *Suppression) bool {
	switch r.Suppressions {
	case "", Allow:
		return true
	case NeedJustification:
		return HasWords(s.Justification)
	}
	return false
}

// HasWords tells whether a text says anything, be it the number of a ticket: spaces, signs and what cannot be seen are no reason.
func HasWords(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// Weaker says in what a scan that was held to r let more pass than today's rules would; nil where in nothing. Known and
// suppressed are how many findings passed as such: a door through which nothing went makes no difference.
func (r Rules) Weaker(today Rules, known, suppressed int) error {
	names := slices.Sorted(maps.Keys(r.CWE))
	for name := range maps.Keys(today.CWE) {
		if _, ok := r.CWE[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if r.FailOn.Weaker(today.FailOn) {
		return fmt.Errorf("it was scanned with fail-on %s, the policy asks for %s", r.FailOn, today.FailOn)
	}
	for _, name := range names {
		if r.of(name).Weaker(today.of(name)) {
			return fmt.Errorf("it was scanned with %s for %s, the policy asks for %s", r.of(name), name, today.of(name))
		}
	}
	if slices.Index(confidences, r.MinConfidence) > slices.Index(confidences, today.MinConfidence) {
		return fmt.Errorf("it was scanned with min-confidence %s, the policy asks for %s", r.MinConfidence, orAny(today.MinConfidence))
	}
	if r.NewOnly && !today.NewOnly && known > 0 {
		return fmt.Errorf("%s passed as known, the policy counts them", Plural(known, "finding"))
	}
	if rank(r.Suppressions) < rank(today.Suppressions) && suppressed > 0 {
		return fmt.Errorf("%s passed as suppressed, under %s, and the policy says %s", Plural(suppressed, "finding"),
			orAllow(r.Suppressions), today.Suppressions)
	}
	return nil
}

// rank orders the ways to take suppressions; one that is not known is the strictest as a demand.
func rank(s string) int {
	if i := slices.Index(suppressions, orAllow(s)); i >= 0 {
		return i
	}
	return len(suppressions)
}

func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return s
}

func orAllow(s string) string {
	if s == "" {
		return Allow
	}
	return s
}
