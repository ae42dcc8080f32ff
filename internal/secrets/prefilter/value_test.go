package prefilter

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/regexp"
)

// Assignments of all kinds, near each other: the values are at the limits of what counts, by length, by the number of
// different letters and by what the allowlists let pass.
func TestValuesLoseNothing(t *testing.T) {
	t.Parallel()
	r := load(t)
	known := 0
	for _, v := range r.filter.values {
		if v != nil {
			known++
		}
	}
	if known < 90 {
		t.Errorf("the form of %d rules is known", known)
	}
	w := writer{rand.New(rand.NewPCG(5, 5))}
	pick := func(list ...string) string { return list[w.IntN(len(list))] }
	s := r.filter.Sieve()
	fires := 0
	for range 3000 {
		var text strings.Builder
		for range 1 + w.IntN(4) {
			text.WriteString(pick("", "my_", "x.", "\n") + pick("key", "Api", "TOKEN", "password", "auth", "secret", "adafruit", "dropbox_api"))
			text.WriteString(pick("", " ", "-id", "\n", "'") + pick("=", ":", " := ", "=>", "||", " = \"", ",\n", "=\n"))
			alphabet := pick("abcdefghijk", "abcdefghijkl", "abcdefghijkl0", "ABCdefGHI0123456789", "0123456789abcdef", "abc_-.=+/xyz012345")
			for range 8 + w.IntN(30) {
				text.WriteByte(alphabet[w.IntN(len(alphabet))])
			}
			text.WriteString(pick("\"", ";", "\n", "\n", "\\n", " ", "", "==\n", "\n\n", "("))
		}
		fires += len(sameAsGitleaks(t, r, s, "a.txt", text.String()))
	}
	if fires < 500 {
		t.Errorf("only %d findings: the test shows little", fires)
	}
}

// Where a second match within the first could fail, what is the secret is not known, and so there is no such short cut.
func TestValueOf(t *testing.T) {
	t.Parallel()
	const end = `(?:[\x60'"\s;]|\\[nr]|$)`
	for expr, known := range map[string]bool{
		`key=([a-z]{10})` + end:               true,
		`(?i)key\s*=([a-z]{10}|\d{12})` + end: true,
		`key=([a-z]{10})`:                     false, // a line end may be part of it
		`key=([a-z\n]{10})` + end:             false,
		`\s*key=([a-z]{10})` + end:            false,
		`\bkey=([a-z]{10})` + end:             false,
		`key=([a-z]*)` + end:                  false,
		`key=(.{10})` + end:                   false,
		`key=([a-z]{10})?` + end:              false,
		`key=(a)([a-z]{10})` + end:            false,
		`key=([a-z]{10})(?:\s+|$)`:            false,
		`key=([a-z]{10})(?:;\n|$)`:            false,
		`(?m)key=([a-z]{10})(?:;|$)`:          false,
		`key=([a-z]{10})(?:;|\s)`:             false,
	} {
		v := valueOf(&config.Rule{Regex: regexp.MustCompile(expr), Entropy: 3})
		if (v != nil) != known {
			t.Errorf("%s: %+v", expr, v)
		}
		if v != nil && (v.min != 10 || v.distinct != 8) {
			t.Errorf("%s: at least %d bytes, %d different ones", expr, v.min, v.distinct)
		}
	}
	letters := &config.Allowlist{Regexes: []*regexp.Regexp{regexp.MustCompile(`^[a-z.]+$`), regexp.MustCompile(`^x+$`), regexp.MustCompile(`[0-9]+`)}}
	v := valueOf(&config.Rule{Regex: regexp.MustCompile(`key=([\w.]{4,20})` + end), Allowlists: []*config.Allowlist{letters, nil,
		{RegexTarget: "match", Regexes: letters.Regexes}, {MatchCondition: config.AllowlistMatchAnd, Regexes: letters.Regexes}}})
	for text, want := range map[string]bool{"abcd": false, "ab.cd": false, "abc1": true, "abc": false, "(abc) (def)": false, "": false, "--abcdE--": true} {
		if got := v.mayBeIn([]byte(text)); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
	if len(v.allowed) != 1 {
		t.Errorf("%d allowlists", len(v.allowed))
	}
}
