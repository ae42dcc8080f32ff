package triage

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/waiver"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func level(t *testing.T, s string) finding.Threshold {
	t.Helper()
	at, err := finding.ParseThreshold(s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func found(file string, severity finding.Severity) finding.Finding {
	return finding.Finding{Scanner: "gosec", Rule: "G1", File: file, Line: 1, Severity: severity, Title: "Bad", Fingerprint: finding.Fingerprint("gosec", "G1", file, "x")}
}

// before answers with findings, and counts how often it is asked.
func before(asked *int, list ...finding.Finding) func(context.Context, []finding.Finding) (*Before, error) {
	return func(context.Context, []finding.Finding) (*Before, error) {
		*asked++
		return &Before{Commit: "abc", Findings: list}, nil
	}
}

func all(list ...finding.Finding) Scan {
	return Scan{Findings: list, Scanners: []string{"gosec"}, Complete: true, Whole: true}
}

func TestZeroDeskDecidesNothing(t *testing.T) {
	t.Parallel()
	_, err := Desk{}.Settle(t.Context(), all())
	if err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Error(err)
	}
}

func TestComparing(t *testing.T) {
	t.Parallel()
	high, low := found("a.go", finding.High), found("b.go", finding.Low)
	for name, c := range map[string]struct {
		newOnly  bool
		compares string
		scan     Scan
		old      []finding.Finding
		kind     fault.Kind // -1: passes
		asked    int
		known    int
		summary  string
	}{
		"nothing found":             {true, "gosec", all(), nil, -1, 0, 0, "0 new, 0 known"},
		"nothing that would fail":   {true, "gosec", all(low), []finding.Finding{low}, -1, 0, 0, "0 new, 0 known, 1 below the threshold"},
		"known":                     {true, "gosec", all(high, low), []finding.Finding{high, low}, -1, 1, 2, "0 new, 2 known"},
		"new":                       {true, "gosec", all(high, low), []finding.Finding{low}, fault.Failed, 1, 1, "1 new, 1 known"},
		"nothing before":            {true, "gosec", all(high), nil, fault.Failed, 1, 0, "1 new, 0 known"},
		"everything counts":         {false, "gosec", all(high), []finding.Finding{high}, fault.Failed, 0, 0, "1 new, 0 known"},
		"another scanner's":         {true, "gitleaks", all(high), []finding.Finding{high}, fault.Failed, 0, 0, "1 new, 0 known"},
		"not everything was seen":   {true, "gosec", Scan{Findings: []finding.Finding{high}, Scanners: []string{"gosec"}}, []finding.Finding{high}, fault.Failed, 0, 0, "1 new, 0 known"},
		"more of the same than old": {true, "gosec", all(high, found("c.go", finding.High)), []finding.Finding{high}, fault.Failed, 1, 1, "1 new, 1 known"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			d := Desk{Rules: finding.Rules{FailOn: level(t, "high"), NewOnly: c.newOnly}, Before: before(&asked, c.old...), Compares: []string{c.compares}}
			out, err := d.Settle(t.Context(), c.scan)
			if (c.kind == -1) != (err == nil) || err != nil && fault.KindOf(err) != c.kind {
				t.Errorf("gate: %v", err)
			}
			var e record.Scan
			out.Evidence(&e)
			if asked != c.asked || finding.Counts(e.Known).Total() != c.known || out.Summary("") != c.summary {
				t.Errorf("asked %d times, %d known, %q", asked, finding.Counts(e.Known).Total(), out.Summary(""))
			}
			if e.Gate == nil || e.Gate.NewOnly != c.newOnly || (e.Gate.Base == "abc") != (c.asked == 1) || e.FailOn != "high" {
				t.Errorf("evidence: %+v", e.Gate)
			}
		})
	}
}

func TestBaseThatCannotBeScanned(t *testing.T) {
	t.Parallel()
	d := Desk{Rules: finding.Rules{FailOn: level(t, "high"), NewOnly: true}, Compares: []string{"gosec"},
		Before: func(context.Context, []finding.Finding) (*Before, error) {
			return nil, fault.Undeterminedf("the module does not compile").WithDetail("a.go:1: no").WithNext("go build ./...")
		}}
	_, err := d.Settle(t.Context(), all(found("a.go", finding.High)))
	text := strings.Join(fault.Lines(err), "\n")
	if fault.KindOf(err) != fault.Undetermined {
		t.Fatal(err)
	}
	for _, want := range []string{"whether the change brought 1 finding cannot be told: the module does not compile", "a.go:1: no", "G1  a.go:1", "go build ./...", "--baseline REF"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	d.Before = func(context.Context, []finding.Finding) (*Before, error) { return nil, nil }
	if _, err := d.Settle(t.Context(), all(found("a.go", finding.High))); fault.KindOf(err) != fault.Failed {
		t.Errorf("without anything to compare with: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.Before = func(ctx context.Context, _ []finding.Finding) (*Before, error) { return nil, context.Cause(ctx) }
	if _, err := d.Settle(ctx, all(found("a.go", finding.High))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestBaseline(t *testing.T) {
	t.Parallel()
	high, gone := found("a.go", finding.High), found("gone.go", finding.High)
	gone.Fingerprint = finding.Fingerprint("gosec", "G1", "gone.go", "y")
	b := finding.NewBaseline([]finding.Finding{high, gone})
	d := Desk{Rules: finding.Rules{FailOn: level(t, "high"), NewOnly: true}, Baseline: &b, BaselineShown: "b"}
	out, err := d.Settle(t.Context(), all(high))
	if err != nil || out.Stale != 1 || out.Summary("secret") != "none, 1 known, 1 gone from the baseline (idp baseline --prune)" || out.Gate.Baseline != "b" {
		t.Error(err, out.Stale, out.Summary("secret"))
	}
	part := all(high)
	part.Whole = false
	if out, _ := d.Settle(t.Context(), part); out.Stale != 0 {
		t.Error("what was not looked for is said to be gone")
	}
	d.Rules.NewOnly = false
	if _, err := d.Settle(t.Context(), all(high)); fault.KindOf(err) != fault.Failed {
		t.Errorf("a policy that counts everything takes a baseline: %v", err)
	}
}

func TestSuppressions(t *testing.T) {
	t.Parallel()
	plain, why := found("a.go", finding.High), found("b.go", finding.High)
	if (finding.Rules{Suppressions: finding.NeedJustification}).Accepts(&finding.Suppression{Justification: "\u200b -"}) {
		t.Error("a justification without a word is accepted")
	}
	plain.Suppression, why.Suppression = &finding.Suppression{By: "nosec", InSource: true}, &finding.Suppression{By: "nosec", InSource: true, Justification: "a die"}
	for rule, want := range map[string]int{"": 0, finding.Allow: 0, finding.NeedJustification: 1, finding.Refuse: 2, "odd": 2} {
		asked := 0
		// What was suppressed before does not make known what is not suppressed any more.
		d := Desk{Rules: finding.Rules{FailOn: level(t, "high"), Suppressions: rule, NewOnly: true}, Before: before(&asked), Compares: []string{"gosec"}}
		out, err := d.Settle(t.Context(), all(plain, why))
		if failing := len(d.Rules.Failing(out.Findings)); failing != want || (err == nil) != (want == 0) {
			t.Errorf("%q: %d fail, %v", rule, failing, err)
		}
	}
	bare := plain
	bare.Suppression = nil
	asked := 0
	d := Desk{Rules: finding.Rules{FailOn: level(t, "high"), NewOnly: true}, Before: before(&asked, plain), Compares: []string{"gosec"}}
	if _, err := d.Settle(t.Context(), all(bare)); fault.KindOf(err) != fault.Failed {
		t.Errorf("a suppression was taken away, and the finding is called old: %v", err)
	}
}

// A change that suppresses what was there and puts the same beside it brings the other.
func TestSuppressedIsTheOldOne(t *testing.T) {
	t.Parallel()
	list := []finding.Finding{found("a.go", finding.High), found("a.go", finding.High)}
	list[1].Line, list[1].Suppression = 9, &finding.Suppression{By: "nosec", InSource: true}
	finding.Number(list)
	asked := 0
	d := Desk{Rules: finding.Rules{FailOn: level(t, "high"), NewOnly: true}, Before: before(&asked, found("a.go", finding.High)), Compares: []string{"gosec"}}
	if out, err := d.Settle(t.Context(), all(list...)); fault.KindOf(err) != fault.Failed || asked != 1 {
		t.Error(err, out.Findings)
	}
}

func TestWaiversAreCountedAndSaid(t *testing.T) {
	t.Parallel()
	high := found("a.go", finding.High)
	file := &waiver.File{Waivers: []waiver.Waiver{{Fingerprint: high.Fingerprint, Scanner: "gosec", Reason: "r", Owner: "o", Expires: "2026-03-20"}}}
	d := Desk{Rules: finding.Rules{FailOn: level(t, "high")}, Waivers: waiver.Rules{MaxDays: 90, NeedReason: true}, File: file, Now: now}
	out, err := d.Settle(t.Context(), all(high))
	var e record.Scan
	out.Evidence(&e)
	want := &record.Waived{Count: 1, Earliest: "2026-03-20", Latest: "2026-03-20", NeedReason: true}
	if err != nil || !cmp.Equal(e.Gate.Waivers, want) || !cmp.Equal(e.Suppressed, map[string]int{"high": 1}) || out.Summary("") != "0 new, 0 known, 1 waived" {
		t.Error(err, e.Gate.Waivers, out.Summary(""))
	}
	d.Now = now.AddDate(0, 1, 0)
	out, err = d.Settle(t.Context(), all(high))
	if text := strings.Join(fault.Lines(err), "\n"); fault.KindOf(err) != fault.Failed || !strings.Contains(text, "ran out on 2026-03-20") ||
		!strings.Contains(text, "False alarm? idp waive "+high.Fingerprint[:6]) {
		t.Error(text)
	}
	if len(out.Findings) != 2 || out.Findings[1].Rule != waiver.RuleExpired {
		t.Error(out.Findings)
	}
}
