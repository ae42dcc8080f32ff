package waiver

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
)

var now = time.Date(2026, 3, 2, 23, 30, 0, 0, time.UTC)

func found(rule, file, context string) finding.Finding {
	return finding.Finding{Scanner: "gosec", Rule: rule, File: file, Severity: finding.High, Title: "Bad",
		Fingerprint: finding.Fingerprint("gosec", rule, file, context)}
}

func scan(list ...finding.Finding) Scan {
	return Scan{Findings: list, Scanners: []string{"gosec"}, Whole: true}
}

func TestApply(t *testing.T) {
	t.Parallel()
	f := found("G402", "internal/tls.go", "x")
	fine := Waiver{Fingerprint: f.Fingerprint, Scanner: "gosec", Rule: "G402", Path: f.File, Reason: "pinned", Owner: "team", Expires: "2026-03-20"}
	with := func(change func(*Waiver)) Waiver { w := fine; change(&w); return w }
	moved, copied := found("G402", "internal/crypt.go", "x"), found("G402", "elsewhere/other.go", "x")
	for name, c := range map[string]struct {
		w        Waiver
		scan     Scan
		rules    Rules
		waived   string
		problems string
	}{
		"by fingerprint":        {fine, scan(f), Rules{90, true}, "internal/tls.go", ""},
		"on its last day":       {with(func(w *Waiver) { w.Expires = "2026-03-02" }), scan(f), Rules{90, true}, "internal/tls.go", ""},
		"ran out":               {with(func(w *Waiver) { w.Expires = "2026-03-01" }), scan(f), Rules{90, true}, "", RuleExpired},
		"at the limit":          {fine, scan(f), Rules{18, true}, "internal/tls.go", ""},
		"too long":              {fine, scan(f), Rules{17, true}, "", RuleTooLong},
		"without a reason":      {with(func(w *Waiver) { w.Reason = " " }), scan(f), Rules{90, true}, "", RuleNoReason},
		"with no word":          {with(func(w *Waiver) { w.Reason = "\u200b - ." }), scan(f), Rules{90, true}, "", RuleNoReason},
		"none needed":           {with(func(w *Waiver) { w.Reason = "" }), scan(f), Rules{90, false}, "internal/tls.go", ""},
		"none allowed":          {fine, scan(f), Rules{}, "", RuleNotAllowed},
		"another rule":          {with(func(w *Waiver) { w.Rule = "G401" }), scan(f), Rules{90, true}, "", RuleUnmatched},
		"another scanner":       {with(func(w *Waiver) { w.Scanner = "CodeQL" }), scan(f), Rules{90, true}, "", ""},
		"nothing found":         {fine, scan(), Rules{90, true}, "", RuleUnmatched},
		"ran out, nothing left": {with(func(w *Waiver) { w.Expires = "2026-03-01" }), scan(), Rules{90, true}, "", RuleUnmatched},
		"not all was seen":      {fine, Scan{Scanners: []string{"gosec"}}, Rules{90, true}, "", ""},
		"the file was renamed":  {fine, scan(moved), Rules{90, true}, "internal/crypt.go", ""},
		"a copy beside it":      {fine, scan(f, moved), Rules{90, true}, "internal/tls.go", ""},
		"a copy, it was not looked at": {fine, Scan{Findings: []finding.Finding{moved}, Scanners: []string{"gosec"}, Gone: func(string) bool { return false }},
			Rules{90, true}, "", ""},
		"renamed, of a part": {fine, Scan{Findings: []finding.Finding{moved}, Scanners: []string{"gosec"}, Gone: func(name string) bool { return name == f.File }},
			Rules{90, true}, "internal/crypt.go", ""},
		"a copy elsewhere": {fine, scan(copied), Rules{90, true}, "", RuleUnmatched},
		"by rule and path": {Waiver{Scanner: "gosec", Rule: "G402", Path: "internal/**", Reason: "r", Expires: "2026-03-20"}, scan(f, moved, copied), Rules{90, true}, "internal/tls.go internal/crypt.go", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := append([]finding.Finding{}, c.scan.Findings...)
			c.scan.Findings = list
			got := (&File{Waivers: []Waiver{c.w}}).Apply(c.scan, c.rules, now)
			var waived, problems []string
			for _, f := range list {
				if f.Suppression != nil {
					waived = append(waived, f.File)
				}
			}
			for _, p := range got.Problems {
				problems = append(problems, p.Rule)
			}
			if strings.Join(waived, " ") != c.waived || strings.Join(problems, " ") != c.problems || got.Count != len(waived) {
				t.Errorf("waived %q, problems %q, count %d", waived, problems, got.Count)
			}
		})
	}
	if got := (*File)(nil).Apply(scan(f), Rules{90, true}, now); got.Count != 0 {
		t.Error("a file that is not there waives")
	}
}

func TestSuppressedBesideTheCodeIsNotWaived(t *testing.T) {
	t.Parallel()
	f := found("G402", "a.go", "x")
	f.Suppression = &finding.Suppression{By: "nosec", InSource: true}
	list := []finding.Finding{f}
	got := (&File{Waivers: []Waiver{{Fingerprint: f.Fingerprint, Scanner: "gosec", Reason: "r", Expires: "2026-03-20"}}}).Apply(Scan{Findings: list, Scanners: []string{"gosec"}, Whole: true}, Rules{90, true}, now)
	if got.Count != 0 || len(got.Problems) != 0 || list[0].Suppression.By != "nosec" {
		t.Errorf("%+v %+v", got, list[0].Suppression)
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a.go", "a.go", true}, {"*.go", "a.go", true}, {"*.go", "x/a.go", false}, {"**/*.go", "a.go", true}, {"**/*.go", "x/y/a.go", true},
		{"x/**", "x/y/a.go", true}, {"x/**", "y/a.go", false}, {"x/**/a.go", "x/a.go", true}, {"x/*/a.go", "x/a.go", false}, {"**", "x", true}, {"", "x", false},
	} {
		if Glob(c.pattern, c.name) != c.want {
			t.Errorf("%s matches %s: %t", c.pattern, c.name, !c.want)
		}
	}
}

func TestAdd(t *testing.T) {
	t.Parallel()
	w := Waiver{Fingerprint: strings.Repeat("0123456789abcdef", 2), Scanner: "gosec", Rule: "G402", Path: "a b.go", Reason: "it's \"so\": #1\n\x01", Owner: "team", Expires: "2026-03-20"}
	for name, before := range map[string]string{
		"no file":          "",
		"empty list":       "# why\nwaivers: [] # none\n",
		"list in column 1": "waivers:\n- {scanner: s, rule: r, path: p, owner: o, expires: 2026-01-01} # first\n# last\n",
		"list indented":    "waivers:\n    # one\n    - scanner: s\n      rule: r\n      path: p\n      owner: o\n      expires: 2026-01-01\n\n\n",
		"no last newline":  "waivers:\n  - {scanner: s, rule: r, path: p, owner: o, expires: 2026-01-01}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after, err := Add("w.yaml", []byte(before), w)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Parse("w.yaml", after)
			if err != nil {
				t.Fatalf("%v\n%s", err, after)
			}
			got := f.Waivers[len(f.Waivers)-1]
			got.line = 0
			if got != w {
				t.Errorf("read back as %+v", got)
			}
			for line := range strings.Lines(before) {
				if line = strings.TrimSpace(line); strings.Contains(line, "#") && !strings.Contains(string(after), line[strings.Index(line, "#"):]) {
					t.Errorf("%q is gone:\n%s", line, after)
				}
			}
			if _, err := Add("w.yaml", after, w); fault.KindOf(err) != fault.BadInput {
				t.Errorf("added twice: %v", err)
			}
		})
	}
	if _, err := Add("w.yaml", []byte("waivers: [{scanner: s, rule: r, path: p, owner: o, expires: 2026-01-01}]\n"), w); fault.KindOf(err) != fault.BadInput {
		t.Error(err)
	}
	if _, err := Add("w.yaml", []byte("waiver: []\n"), w); fault.KindOf(err) != fault.BadInput {
		t.Error(err)
	}
}

func TestParseReportsEverything(t *testing.T) {
	t.Parallel()
	_, err := Parse("idp-waivers.yaml", []byte(`waivers:
  - fingerprint: 8c1f09
    scanner: gosec
    owner: team
    expires: tomorrow
  - scanner: gosec
    rule: G402
    path: "[a"
    owner: ""
    expires: 2026-02-30
  - {scanner: gosec, rule: G402, owner: team, expires: 2026-02-03, because: x}
`))
	want := []string{
		"7 problems in idp-waivers.yaml",
		`idp-waivers.yaml:2:18: waivers[0].fingerprint "8c1f09": want the 32 digits of a finding, as in findings.json`,
		`idp-waivers.yaml:5:14: waivers[0].expires "tomorrow": want a day, such as 2027-01-31`,
		`idp-waivers.yaml:8:11: waivers[1].path "[a": not a pattern that can be read`,
		`idp-waivers.yaml:9:12: waivers[1].owner "": must not be empty`,
		`idp-waivers.yaml:10:14: waivers[1].expires "2026-02-30": there is no such day`,
		`idp-waivers.yaml:11:5: waivers[2]: want a fingerprint, or a rule and a path`,
		`idp-waivers.yaml:11:68: unknown key "because" in waivers[2]`,
		"docs/findings.md says how findings are waived.",
	}
	if fault.KindOf(err) != fault.BadInput {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, fault.Lines(err)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What ran out before the change is not the change's doing; a waiver that the change made needless is.
func TestMarkKnown(t *testing.T) {
	t.Parallel()
	old := Waiver{Scanner: "gosec", Rule: "G402", Path: "a.go", Reason: "r", Owner: "o", Expires: "2026-03-01"}
	file := &File{Waivers: []Waiver{old}}
	expired := file.Apply(scan(found("G402", "a.go", "x")), Rules{90, true}, now).Problems
	needless := file.Apply(scan(), Rules{90, true}, now).Problems
	MarkKnown(expired, file)
	MarkKnown(needless, file)
	if !expired[0].Known || needless[0].Known {
		t.Error(expired, needless)
	}
	MarkKnown(needless, nil)
}
