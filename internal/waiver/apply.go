package waiver

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/finding"
)

// Scanner is whose findings those about waivers are.
const Scanner = "idp"

// By is what a finding that is let pass says of who did it.
const By = "waiver"

// The rules of findings about waivers.
const (
	RuleExpired    = "waiver-expired"
	RuleUnmatched  = "waiver-unmatched"
	RuleTooLong    = "waiver-too-long"
	RuleNoReason   = "waiver-without-reason"
	RuleNotAllowed = "waiver-not-allowed"
)

// Rules are what the policy says of waivers.
type Rules struct {
	MaxDays    int // from today to the last day; 0 allows none
	NeedReason bool
}

// Scan is what waivers are applied to.
type Scan struct {
	Findings []finding.Finding
	Scanners []string // that ran: waivers for others are left alone
	Whole    bool     // everything there is was scanned, so that a waiver without a finding waives nothing
	// Gone tells of a file that was not scanned that it is there no more. What it had may have moved; while it is there, what is
	// found elsewhere is a copy. Nil where everything was scanned.
	Gone func(file string) bool
}

// Applied says what waivers did.
type Applied struct {
	Count    int    // findings that pass
	Earliest string // last day of the waiver among them that runs out first
	Latest   string // and of the one that runs out last
	Problems []finding.Finding
}

// Apply sets the suppression of each finding that is waived, and gives what is wrong with the waivers as findings. A
// waiver with something wrong lets nothing pass. Now is the day that counts, in UTC.
func (f *File) Apply(s Scan, rules Rules, now time.Time) Applied {
	var out Applied
	if f == nil {
		return out
	}
	used := make([]int, len(f.Waivers)) // findings by waiver
	assign := func(is func(Waiver, finding.Finding) bool, alone bool) {
		for i, w := range f.Waivers {
			if alone && s.Gone != nil && !s.Gone(w.Path) {
				continue
			}
			for j := range s.Findings {
				hit := &s.Findings[j]
				if alone && used[i] > 0 || hit.Suppression != nil && hit.Suppression.By == By || !is(w, *hit) {
					continue
				}
				used[i]++
				wrong := w.wrong(rules, now)
				if wrong != "" {
					hit.Help = strings.TrimSpace(w.problem(wrong, rules).Title + ".\n" + hit.Help)
				} else if hit.Suppression == nil {
					hit.Suppression = &finding.Suppression{By: By, Justification: w.Reason, Owner: w.Owner, Expires: w.Expires}
					out.count(w)
				}
			}
		}
	}
	assign(Waiver.matches, false)
	// Only what no waiver is for by its own fingerprint can be something that moved.
	assign(Waiver.follows, true)
	for i, w := range f.Waivers {
		if !slices.Contains(s.Scanners, w.Scanner) {
			continue
		}
		rule := w.wrong(rules, now)
		if used[i] == 0 {
			if !s.Whole {
				continue
			}
			if rule == "" || rule == RuleExpired {
				rule = RuleUnmatched
			}
		}
		if rule != "" {
			out.Problems = append(out.Problems, w.problem(rule, rules))
		}
	}
	finding.Number(out.Problems)
	return out
}

func (a *Applied) count(w Waiver) {
	a.Count++
	if a.Earliest == "" || w.Expires < a.Earliest {
		a.Earliest = w.Expires
	}
	a.Latest = max(a.Latest, w.Expires)
}

// wrong is the rule against which the waiver is; empty when it counts.
func (w Waiver) wrong(rules Rules, now time.Time) string {
	today := now.UTC().Truncate(24 * time.Hour)
	last, err := time.Parse(time.DateOnly, w.Expires)
	switch {
	case rules.MaxDays == 0:
		return RuleNotAllowed
	case err != nil || last.Before(today):
		return RuleExpired
	case last.Sub(today) > time.Duration(rules.MaxDays)*24*time.Hour:
		return RuleTooLong
	case rules.NeedReason && !finding.HasWords(w.Reason):
		return RuleNoReason
	}
	return ""
}

// problem makes a finding of what is wrong. Medium is what lets nothing pass any more: the finding behind it counts by
// itself. Low is what only has to be cleaned up.
func (w Waiver) problem(rule string, rules Rules) finding.Finding {
	title, help, severity := "", "", finding.Medium
	switch rule {
	case RuleExpired:
		title = fmt.Sprintf("The waiver for %s ran out on %s", w.name(), w.Expires)
		help = "What it let pass counts again. Fix that and remove the waiver, or decide anew: give it a new day."
	case RuleTooLong:
		title = fmt.Sprintf("The waiver for %s runs until %s, longer than the %d days that the policy allows", w.name(), w.Expires, rules.MaxDays)
		help = "It lets nothing pass until its last day is nearer. Waivers are short so that someone looks again."
	case RuleNoReason:
		title = fmt.Sprintf("The waiver for %s has no reason", w.name())
		help = "The policy asks for one, so it lets nothing pass. Say why the finding is no danger here."
	case RuleNotAllowed:
		title = fmt.Sprintf("The waiver for %s does not count: the policy allows none", w.name())
		help = "Fix what it is about, or ask the platform team for waivers: {max-days: 90} in the policy."
	case RuleUnmatched:
		title, severity = fmt.Sprintf("The waiver for %s waives nothing", w.name()), finding.Low
		help = "What it was for is gone. Remove it, so that it cannot let pass what comes later."
	}
	return finding.Finding{Scanner: Scanner, Rule: rule, Title: title, Help: help, Severity: severity, Confidence: "high",
		File: FileName, Line: w.line, EndLine: w.line, Fingerprint: finding.Fingerprint(Scanner, rule, FileName, w.key())}
}

// Unspent leaves out of what was found earlier that for which a waiver by fingerprint was there already and is used now: it lets
// one finding pass. A copy would pass otherwise, where one of the two is waived and the other was there before.
func (f *File) Unspent(old, now []finding.Finding, earlier *File) []finding.Finding {
	if f == nil || earlier == nil {
		return old
	}
	for _, w := range f.Waivers {
		same := func(e Waiver) bool { return e.Fingerprint == w.Fingerprint && e.Scanner == w.Scanner }
		if w.Fingerprint == "" || !slices.ContainsFunc(earlier.Waivers, same) {
			continue
		}
		used := slices.ContainsFunc(now, func(f finding.Finding) bool {
			return f.Suppression != nil && f.Suppression.By == By && (w.matches(f) || w.follows(f))
		})
		at := slices.IndexFunc(old, w.matches)
		if at < 0 {
			at = slices.IndexFunc(old, w.follows)
		}
		if used && at >= 0 {
			old = slices.Delete(slices.Clone(old), at, at+1)
		}
	}
	return old
}

// MarkKnown marks the problems of waivers that were in an earlier version of the file: the change did not bring them. A
// waiver that waives nothing any more may well be the change's doing.
func MarkKnown(problems []finding.Finding, earlier *File) {
	if earlier == nil {
		return
	}
	for i := range problems {
		p := &problems[i]
		for _, w := range earlier.Waivers {
			if p.Rule != RuleUnmatched && finding.SameContext(p.Fingerprint, finding.Fingerprint(Scanner, p.Rule, FileName, w.key())) {
				p.Known = true
			}
		}
	}
}
