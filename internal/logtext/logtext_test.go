package logtext_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/logtext"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                          "plain",
		"a\tb":                           "a b",
		"\x1b[31mred\x1b[0m":             "red",
		"\x1b]0;title\x07text":           "text",
		"one\rtwo":                       "onetwo",
		"right\u202eleft":                "rightleft",
		"not utf-8 \xff":                 "not utf-8 �",
		"trailing   ":                    "trailing",
		strings.Repeat("x", 300) + "xyz": strings.Repeat("x", 300) + "…",
	} {
		if got := logtext.Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMaskHides(t *testing.T) {
	var mask logtext.Mask
	mask.Variable("LOG_LEVEL", "debug")
	mask.Variable("DB_PASSWORD", "hunter22")
	mask.Variable("API_TOKEN", "on")
	mask.Secret("hunter22-and-more")
	mask.Secret("first line\nsecond line")
	for in, want := range map[string]string{
		"level debug":                      "level debug",
		"it is on":                         "it is on",
		"with hunter22":                    "with ***",
		"with hunter22-and-more":           "with ***",
		"second line of it":                "*** of it",
		"password=abcdef next":             "password=*** next",
		"postgres://app:abcdef@db/app":     "postgres://app:***@db/app",
		"Authorization: Bearer abcdef.ghi": "Authorization: Bearer ***",
	} {
		if got := mask.Line(in); got != want {
			t.Errorf("Line(%q) = %q, want %q", in, got, want)
		}
	}
}

// Where a line is cut, the beginning of a secret must not stay.
func TestMaskHidesBeforeItCuts(t *testing.T) {
	var mask logtext.Mask
	mask.Secret("hunter22")
	if got := mask.Line(strings.Repeat("x", 296) + "hunter22"); strings.Contains(got, "hun") {
		t.Errorf("the line ends in %q", got[290:])
	}
}

func TestTailIsTheEnd(t *testing.T) {
	var mask logtext.Mask
	got := mask.Tail("one\n\ntwo\n\x1b[0m\nthree\n", 2)
	if diff := cmp.Diff([]string{"two", "three"}, got); diff != "" {
		t.Error(diff)
	}
	if got := mask.Tail("", 2); len(got) != 0 {
		t.Errorf("an empty log gives %q", got)
	}
}
