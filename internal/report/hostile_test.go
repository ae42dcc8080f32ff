package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// places are where somebody outside of the platform can write to; each is given a text of its own.
func places(s string) (Report, []string) {
	var texts []string
	at := func() string {
		texts = append(texts, fmt.Sprintf("f%d%s", len(texts), s))
		return texts[len(texts)-1]
	}
	stages := []record.Stage{
		stopped(record.Failed, at(), at(), 812, nil, at(), at()),
		passed("build", at(), 10, nil),
		passed("deploy", "summary", 10, record.Deploy{Healed: []string{at()}, Guards: []record.Guard{{Answer: "overridden", Text: at(), Reason: at(), Commits: []string{at(), at()}}}}),
		passed("cost", at(), 20, costOf(34.2, 34.2, 3)),
	}
	r := delivery("env"+s+"\n"+s, append(stages, skipped(at(), "smoke", "catalog")...)...)
	before := costOf(22.8, 22.8, 2)
	before.Containers[0].Workload, r.CostBefore = at(), &before
	r.Record.Service.Name = at()
	r.Record.Source.Path = at()
	r.Findings = []finding.Finding{{Scanner: "gosec", Rule: at(), Title: at(), Severity: finding.High, File: at(), Line: 3, Help: at(), Fingerprint: "f" + s, Commit: commitNow},
		{Scanner: "gosec", Rule: "G1", Title: at(), Severity: finding.Low, File: at()}}
	r.Diff = at() + "\n" + at() + "\n" + at()
	r.Notes = []string{at(), at()}
	return r, texts
}

// shows holds the comment with a string in every place against that with a harmless one: no element more or less, and all
// that was written is there to read.
func shows(t testing.TB, s string) {
	t.Helper()
	r, texts := places(s)
	plain, _ := places("harmless")
	page := harmless(t, render(t, Comment{}, r), render(t, Comment{}, plain))
	for _, text := range texts {
		if want := strings.Join(strings.Fields(cut(clean(text), 190)), " "); !strings.Contains(page.text, strings.TrimSuffix(want, "…")) && len(s) < 60 {
			t.Errorf("%q is not to be read in\n%s", want, page.text)
		}
	}
}

// Why a cost is not known may quote a manifest. It stands where the difference would.
func TestHostileReasonsMeanNothingButThemselves(t *testing.T) {
	t.Parallel()
	of := func(s string) Report {
		r, _ := places("harmless")
		r.CostBefore, r.CostUnknown = nil, s
		return r
	}
	for _, s := range hostile {
		page := harmless(t, render(t, Comment{}, of(s)), render(t, Comment{}, of("harmless")))
		if want := strings.Join(strings.Fields(clean("not known: "+s)), " "); len(s) < 60 && !strings.Contains(page.text, strings.TrimSuffix(want, "…")) {
			t.Errorf("%q is not to be read in\n%s", want, page.text)
		}
	}
}

func TestHostileStringsMeanNothingButThemselves(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		for _, s := range []string{s, " " + s, "x " + s + " y"} {
			shows(t, s)
		}
	}
	for _, a := range hostile { // side by side, one can complete the other
		shows(t, a+hostile[len(a)*7%len(hostile)])
	}
}

// At the beginning of a text there is nothing before a string.
func TestTextAtTheBeginning(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		for name, form := range map[string]func(string) string{"text": text, "code": code} {
			got := opened(t, form(s))
			want := "html\n head\n body\n  p\n"
			if strings.Trim(clean(s), " ") == "" {
				want = "html\n head\n body\n"
			}
			if got.skeleton != want || len(got.linked) > 0 {
				t.Errorf("%s(%q) is %q, elements\n%s", name, s, form(s), got.skeleton)
			}
		}
		if got := opened(t, "<details><summary>"+inHTML(s)+"</summary>\n\nx\n\n</details>"); got.skeleton != "html\n head\n body\n  details\n   summary\n   p\n" || len(got.linked) > 0 {
			t.Errorf("inHTML(%q) is %q, elements\n%s", s, inHTML(s), got.skeleton)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"a\nb\tc\rd": "a b c d", "\x1b[31mx\x00": `\u001b[31mx\u0000`, "\u202egnp.exe": `\u202egnp.exe`, "a\u200bb": `a\u200bb`, "\xff": "\ufffd",
		"a\u00a0b\u3000c": "a b c", "e" + strings.Repeat("\u0301", 9): "e" + strings.Repeat("\u0301", 4), "\U000e0041": `\U000e0041`, "ü👍": "ü👍", "\u2028": `\u2028`,
	} {
		if got := clean(s); got != want {
			t.Errorf("clean(%q) is %q, want %q", s, got, want)
		}
	}
}

// What does not look like anything to GitHub stays easy to read in the source.
func TestTextStaysReadable(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"9d0c…e1 replaces 77aa…03 · healthy after 0.9s (budget 300)": "9d0c…e1 replaces 77aa…03 · healthy after 0.9s (budget 300)",
		"thanks, @ada!": "thanks, `@ada`!", "(#412)": "(`#412`)", "$5": "<span>$</span>5", "a|b": "a&#124;b", "a_b": `a\_b`, "- x": `\- x`, "1. x": `1\. x`,
	} {
		if got := text(s); got != want {
			t.Errorf("text(%q) is %q, want %q", s, got, want)
		}
	}
}

func FuzzComment(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { shows(t, cut(s, 100)) })
}
