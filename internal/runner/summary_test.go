package runner

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSummaryStaysWithinTheRunnersLimit(t *testing.T) {
	s := newStep(t)
	for range 3 {
		if err := s.Summary(strings.Repeat("eine Zeile des Berichts: größer ✓\n", 20000), ".idp/summary.md"); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(s.env["GITHUB_STEP_SUMMARY"])
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 1024*1024 || !utf8.Valid(data) {
		t.Errorf("summary has %d bytes, valid %v", len(data), utf8.Valid(data))
	}
	if !strings.Contains(string(data), "\n(The rest is in .idp/summary.md.)\n") {
		t.Error("summary does not say where the rest is")
	}
}

func TestACutSummaryClosesWhatIsOpen(t *testing.T) {
	const note = "\n(The rest is in F.)\n"
	for name, test := range map[string]struct{ text, want string }{
		"text":             {"one\ntwo\n" + strings.Repeat("x", 90) + "\n", "one\ntwo\n"},
		"table":            {"| a |\n|---|\n| 1 |\n| " + strings.Repeat("x", 90) + " |\n", "| a |\n|---|\n| 1 |\n"},
		"code":             {"```text\nin\n" + strings.Repeat("x", 90) + "\n```\n", "```text\nin\n```\n"},
		"longer fence":     {"`````\n```\n" + strings.Repeat("x", 90) + "\n`````\n", "`````\n```\n`````\n"},
		"tildes":           {"~~~\n```\n" + strings.Repeat("x", 90), "~~~\n```\n~~~\n"},
		"closed before":    {"```\nin\n```\nout\n" + strings.Repeat("x", 90), "```\nin\n```\nout\n"},
		"code in a line":   {"```not a block```\n" + strings.Repeat("x", 90), "```not a block```\n"},
		"indented":         {"    ```\n" + strings.Repeat("x", 90), "    ```\n"},
		"one long line":    {strings.Repeat("ä", 200), ""},
		"fence too long":   {"a\n" + strings.Repeat("`", 50) + "\n" + strings.Repeat("x", 90), "a\n"},
		"nothing of it":    {"\n" + strings.Repeat("x", 200), "\n"},
		"closing is a row": {"```\nin\n``` not closing\n" + strings.Repeat("x", 90), "```\nin\n``` not closing\n```\n"},
	} {
		got := cutMarkdown(test.text, 80, "F")
		if got != test.want+note || len(got) > 80 {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := cutMarkdown("fits", 4, "F"); got != "fits" {
		t.Errorf("got %q", got)
	}
	if got := cutMarkdown("does not fit", 3, "F"); got != "" {
		t.Errorf("no room even for the note: %q", got)
	}
}

func FuzzACutSummaryFits(f *testing.F) {
	f.Add("```\na\nb\n```\n", 30)
	f.Add("~~~~x\n`\nb", 25)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(0, limit)
		if got := cutMarkdown(text, limit, "F"); len(got) > limit || len(text) <= limit && got != text {
			t.Errorf("limit %d: %q", limit, got)
		}
	})
}
