package ui

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/record"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func TestBoardInALogPrintsEachStageOnce(t *testing.T) {
	var out bytes.Buffer
	c := &clock{time.Unix(0, 0)}
	b := New(&out, Options{Now: c.now})
	b.Say("idp path  checkout")
	b.Start("sast")
	b.Update("sast", "loading packages")
	b.Done(record.Stage{Name: "sast", Outcome: record.Passed, DurationMS: 812, Summary: "14 packages"})
	b.Done(record.Stage{Name: "secrets", Outcome: record.Failed, DurationMS: 300, Reason: "1 new secret", Detail: []string{"github-pat", "", "revoke it"}})
	b.Done(record.Stage{Name: "build", Outcome: record.Error, DurationMS: 123456, Reason: "could not be determined: no go"})
	b.Done(record.Stage{Name: "sign", Outcome: record.Skipped, Reason: "secrets failed"})
	b.Close()
	want := `idp path  checkout
  ✓ sast       0.8s   14 packages
  ✗ secrets    0.3s   1 new secret

    github-pat

    revoke it

  ? build      123s   could not be determined: no go
  – sign       0.0s   secrets failed
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestBoardOnATerminalErasesWhatItDrew(t *testing.T) {
	var out bytes.Buffer
	c := &clock{time.Unix(0, 0)}
	b := New(&out, Options{Now: c.now, Terminal: true, Width: 30})
	b.Start("sast")
	b.Start("build")
	c.t = c.t.Add(2 * time.Second)
	b.Update("build", "compiling a very long name of a package")
	b.Done(record.Stage{Name: "sast", Outcome: record.Passed})
	b.Close()
	screen := render(out.String())
	if want := "  ✓ sast       0.0s   \n"; screen != want {
		t.Errorf("screen is %q, want %q", screen, want)
	}
	for _, l := range strings.Split(out.String(), "\n") {
		if n := len([]rune(l)); strings.Contains(l, "…") && n > 30+len("\x1b[2A\x1b[J") {
			t.Errorf("a live line of %d columns wraps: %q", n, l)
		}
	}
}

// render plays the two escape sequences that the board uses.
func render(s string) string {
	var lines []string
	cur := ""
	for len(s) > 0 {
		switch {
		case s[0] == '\n':
			lines, cur, s = append(lines, cur), "", s[1:]
		case strings.HasPrefix(s, "\x1b["):
			end := strings.IndexAny(s, "AJ")
			if s[end] == 'A' {
				n := int(s[2] - '0')
				lines = lines[:len(lines)-n]
			}
			s = s[end+1:]
		default:
			cur, s = cur+s[:1], s[1:]
		}
	}
	return strings.Join(append(lines, cur), "\n")
}

func TestBoardSaysThatALongStageStillRuns(t *testing.T) {
	var out bytes.Buffer
	c := &clock{time.Unix(0, 0)}
	b := New(&out, Options{Now: c.now})
	b.Start("build")
	b.Update("build", "compiling")
	b.mu.Lock()
	c.t = c.t.Add(11 * time.Second)
	b.refresh()
	b.refresh()
	b.mu.Unlock()
	b.Close()
	if got, want := out.String(), "  … build     11.0s   compiling\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestQuietShowsOnlyWhatDidNotPass(t *testing.T) {
	var out bytes.Buffer
	b := New(&out, Options{Now: time.Now, Quiet: true})
	b.Say("header")
	b.Done(record.Stage{Name: "sast", Outcome: record.Passed})
	b.Done(record.Stage{Name: "secrets", Outcome: record.Failed, Reason: "1 new secret"})
	b.Verdict("failed: secrets")
	b.Close()
	if got, want := out.String(), "  ✗ secrets    0.0s   1 new secret\nfailed: secrets\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCleanTakesMeaningFromHostileText(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                   "plain",
		"a\x1b[2Jb":               "a[2Jb",
		"one\ntwo":                "one two",
		"right\u202eleft":         "rightleft",
		"c1 \u009b31m":            "c1 31m",
		"umlauts ä and ✓ survive": "umlauts ä and ✓ survive",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}
