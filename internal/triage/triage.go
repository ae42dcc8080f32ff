// Package triage decides which findings of a scan count at its gate: not those that were there before the change or are
// in the baseline, where the policy counts new ones only, nor those that the team lets pass. It is what sast, secrets and
// gate do with what they found, whichever scanner found it.
package triage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/waiver"
)

// Desk has what findings are held against. The zero value decides nothing: it has no threshold.
type Desk struct {
	Policy        string // name and digest of the policy that the rules are of, for the evidence
	Rules         finding.Rules
	Waivers       waiver.Rules
	File          *waiver.File      // nil: the service has none
	Baseline      *finding.Baseline // nil: none
	BaselineShown string            // its name and digest, for the evidence
	Now           time.Time         // the day that waivers run out on

	// Before finds out what was there before the change, given what is there now. It is asked only when something would fail, so that a clean
	// change costs nothing more; nil, and an answer of nil, mean that there is nothing to compare with.
	Before func(context.Context, []finding.Finding) (*Before, error)
	// Compares are the scanners that it can tell of. What others found is compared with the baseline only.
	Compares []string
}

// Before is what was there before the change.
type Before struct {
	Commit   string
	Findings []finding.Finding
	Renamed  map[string]string // see finding.Matcher
	Waivers  *waiver.File
}

// Scan is what a scanner hands over.
type Scan struct {
	Findings []finding.Finding
	Scanners []string               // whose findings they may be, also when there are none
	Noun     string                 // what one is called: finding, secret
	Complete bool                   // all that had to be seen was seen
	Whole    bool                   // that was everything there is, so what is not among the findings is not there
	Anywhere bool                   // see finding.Matcher
	Gone     func(file string) bool // see waiver.Scan
}

// Settled is the decision.
type Settled struct {
	Findings []finding.Finding
	Rules    finding.Rules
	Gate     record.Gate
	Stale    int // entries of the baseline that match nothing any more
	// Comparable: there is a way to find out what was there before the change. Compared: it was gone.
	Comparable, Compared bool
	Waived               int
}

// Settle marks the findings and gives the gate's answer: nil, Failed, or undetermined when it cannot be told what was
// there before.
func (d Desk) Settle(ctx context.Context, s Scan) (Settled, error) {
	out := Settled{Findings: s.Findings, Rules: d.Rules, Gate: d.gate(), Comparable: d.Before != nil}
	d.suppress(out.Findings)
	recorded := d.baseline(s, &out)
	waived := d.File.Apply(waiver.Scan{Findings: out.Findings, Scanners: s.Scanners, Whole: s.Complete && s.Whole, Gone: s.Gone}, d.Waivers, d.Now)
	out.Findings = append(out.Findings, waived.Problems...)
	out.Waived = waived.Count
	if waived.Count > 0 {
		out.Gate.Waivers = &record.Waived{Count: waived.Count, Earliest: waived.Earliest, Latest: waived.Latest, NeedReason: d.Waivers.NeedReason}
	}
	err := d.compare(ctx, s, &out, recorded)
	finding.Sort(out.Findings)
	if err == nil {
		err = d.Rules.Gate(out.Findings, s.noun())
	}
	return out, d.advise(err, out.Findings)
}

func (s Scan) noun() string {
	if s.Noun == "" {
		return "finding"
	}
	return s.Noun
}

// suppress takes away the suppressions that the policy does not accept, and says so.
func (d Desk) suppress(findings []finding.Finding) {
	for i := range findings {
		f := &findings[i]
		if f.Suppression == nil || d.Rules.Accepts(f.Suppression) {
			continue
		}
		why := "the policy accepts none"
		if d.Rules.Suppressions == finding.NeedJustification {
			why = "the policy asks for a justification; write -- and the reason after it"
		}
		f.Help = strings.TrimSpace(fmt.Sprintf("Its %s does not count: %s.\n%s", f.Suppression.By, why, f.Help))
		f.Suppression = nil
	}
}

// baseline marks what the team has decided to live with, and gives those of its entries that were found.
func (d Desk) baseline(s Scan, out *Settled) (recorded []finding.Finding) {
	if d.Baseline == nil || !d.Rules.NewOnly {
		return nil
	}
	entries := d.Baseline.Of(s.Scanners...)
	// What was not looked at may well be where the entry says, and what is elsewhere a copy of it.
	for i, found := range (finding.Matcher{Anywhere: s.Anywhere && s.Whole}).MarkKnown(out.Findings, entries) {
		if found {
			recorded = append(recorded, entries[i])
		}
	}
	out.Gate.Baseline = d.BaselineShown
	if s.Complete && s.Whole {
		out.Stale = len(entries) - len(recorded)
	}
	return recorded
}

// compare marks what was there before the change, where something would fail otherwise. What the baseline or a waiver lets pass
// already is no more among that, so that a copy of it is new.
func (d Desk) compare(ctx context.Context, s Scan, out *Settled, recorded []finding.Finding) error {
	failing := slices.DeleteFunc(d.Rules.Failing(out.Findings), func(f finding.Finding) bool {
		return f.Scanner != waiver.Scanner && !slices.Contains(d.Compares, f.Scanner)
	})
	if !d.Rules.NewOnly || d.Before == nil || len(failing) == 0 || !s.Complete {
		return nil
	}
	before, err := d.Before(ctx, out.Findings)
	if err != nil {
		return d.unknown(ctx, err, failing, s)
	}
	if before == nil {
		return nil
	}
	old := slices.Clone(before.Findings)
	d.suppress(old)
	old = slices.DeleteFunc(old, func(f finding.Finding) bool { return f.Suppression != nil })
	old = without(old, finding.Matcher{Anywhere: s.Anywhere}.Match(old, recorded))
	old = d.File.Unspent(old, out.Findings, before.Waivers)
	markOpen(finding.Matcher{Renamed: before.Renamed, Anywhere: s.Anywhere}, out.Findings, old)
	for i, f := range out.Findings {
		if f.Scanner == waiver.Scanner {
			waiver.MarkKnown(out.Findings[i:i+1], before.Waivers)
		}
	}
	out.Compared, out.Gate.Base = true, before.Commit
	return nil
}

// without leaves out those findings that have a match.
func without(findings []finding.Finding, matches []int) []finding.Finding {
	var list []finding.Finding
	for i, f := range findings {
		if matches[i] < 0 {
			list = append(list, f)
		}
	}
	return list
}

// markOpen marks the findings that are among old, but for those that the baseline or a waiver lets pass already. Of two that are
// alike in everything the one that is suppressed beside the code is the old one: so the other is looked at.
func markOpen(m finding.Matcher, findings, old []finding.Finding) {
	var open []finding.Finding
	var at []int
	for _, suppressed := range []bool{true, false} {
		for i, f := range findings {
			waived := f.Suppression != nil && f.Suppression.By == waiver.By
			if !f.Known && !waived && (f.Suppression != nil) == suppressed {
				open, at = append(open, f), append(at, i)
			}
		}
	}
	for i, j := range m.Match(open, old) {
		findings[at[i]].Known = j >= 0
	}
}

// unknown is a comparison that could not be made. All as new would blame the change for what it did not do, and all as
// known would be a gate that fails open; so it is neither.
func (d Desk) unknown(ctx context.Context, err error, failing []finding.Finding, s Scan) error {
	if ctx.Err() != nil {
		return err
	}
	f := fault.Undeterminedf("whether the change brought %s cannot be told: %w", finding.Plural(len(failing), s.noun()), err)
	var cause *fault.Error
	if errors.As(err, &cause) {
		f = f.WithDetail(cause.Detail...)
		if cause.Kind == fault.BadInput {
			f.Kind = fault.BadInput
		}
	}
	f = f.WithDetail("", "Found:").WithDetail(finding.Describe(failing, 10)...)
	if cause != nil {
		f = f.WithNext(cause.Next...)
	}
	return f.WithNext("Or fix what was found; or compare with another commit: --baseline REF; or record what is there: idp baseline")
}

// advise says how to let a false alarm pass.
func (d Desk) advise(err error, findings []finding.Finding) error {
	var f *fault.Error
	hits := slices.DeleteFunc(d.Rules.Failing(findings), func(f finding.Finding) bool { return f.Scanner == waiver.Scanner })
	if !errors.As(err, &f) || f.Kind != fault.Failed || d.Waivers.MaxDays == 0 || len(hits) == 0 {
		return err
	}
	line := fmt.Sprintf("False alarm? idp waive %s --reason \"…\" --expires %dd", finding.Short(hits[0].Fingerprint, findings), min(30, d.Waivers.MaxDays))
	if len(hits) > 1 {
		line += fmt.Sprintf("  (%s %s; the others by the number in brackets)", hits[0].Rule, hits[0].Place())
	}
	return f.WithNext(line)
}

func (d Desk) gate() record.Gate {
	g := record.Gate{MinConfidence: d.Rules.MinConfidence, NewOnly: d.Rules.NewOnly, Suppressions: d.Rules.Suppressions}
	for name := range maps.Keys(d.Rules.CWE) {
		if g.CWE == nil {
			g.CWE = map[string]string{}
		}
		g.CWE[name] = d.Rules.CWE[name].String()
	}
	return g
}

// Evidence puts the decision into a scan's evidence.
func (s Settled) Evidence(e *record.Scan) {
	e.New, e.Known = finding.Count(s.Findings)
	e.Suppressed = finding.CountSuppressed(s.Findings)
	e.FailOn = s.Rules.FailOn.String()
	imports := []record.Import(nil)
	if e.Gate != nil {
		imports = e.Gate.Imports
	}
	gate := s.Gate
	gate.Imports = imports
	e.Gate = &gate
}

// Summary counts, such as "0 new, 3 known"; with a noun, such as "secret", it is "none" or "1 new secret". Where what is
// below the threshold was not compared with what was there before, it is not called new.
func (s Settled) Summary(noun string) string {
	fresh, known := finding.Count(s.Findings)
	failing := len(s.Rules.Failing(s.Findings))
	suppressed := finding.CountSuppressed(s.Findings).Total() - s.Waived
	news, below := fresh.Total(), 0
	if s.Rules.NewOnly && s.Comparable && !s.Compared {
		news, below = failing, fresh.Total()-failing
	}
	var parts []string
	switch {
	case noun == "":
		parts = []string{fmt.Sprintf("%d new, %d known", news, known.Total())}
	case news > 0:
		parts = []string{finding.Plural(news, "new "+noun)}
	default:
		parts = []string{"none"}
	}
	if noun != "" && known.Total() > 0 {
		parts = append(parts, fmt.Sprintf("%d known", known.Total()))
	}
	for _, c := range []struct {
		n    int
		what string
	}{{below, "below the threshold"}, {s.Waived, "waived"}, {suppressed, "suppressed"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if s.Stale > 0 {
		parts = append(parts, fmt.Sprintf("%d gone from the baseline (idp baseline --prune)", s.Stale))
	}
	return strings.Join(parts, ", ")
}
