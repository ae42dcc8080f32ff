// Package logtext makes what a program has written fit to be shown to people: one safe line each, and without the secrets
// that it was given.
package logtext

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const (
	// lineLimit is the characters of a line that are shown.
	lineLimit = 300
	// shortest is the length below which a value is not looked for: "on" would take harmless text with it and protects
	// nothing.
	shortest = 4
)

// escape matches a terminal's colour and cursor sequences, whose visible rest would read as noise.
var escape = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)`)

// Printable makes one line of text harmless for a terminal, and bounded.
func Printable(line string) string { return cut(strip(line)) }

func strip(line string) string {
	line = escape.ReplaceAllString(strings.ToValidUTF8(line, "�"), "")
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case !unicode.IsPrint(c):
			return -1
		}
		return c
	}, line)
}

func cut(line string) string {
	if runes := []rune(line); len(runes) > lineLimit {
		return string(runes[:lineLimit]) + "…"
	}
	return strings.TrimRight(line, " ")
}

var (
	secretName = regexp.MustCompile(`(?i)secret|token|passw|api_?key|private_?key|access_?key|credential|dsn`)
	// secretText matches what is a secret by its form, with what may stay in the first group.
	secretText = regexp.MustCompile(`(?i)(\b[\w.-]*(?:secret|token|passw(?:or)?d|api_?key|private_?key|access_?key|credential)[\w.-]*"?(?:=|:\s?"|:\S))[^\s"&]+` +
		`|(://[^\s:/@]*:)[^\s@/]+@|(\bBearer )\S+|()\bgh[pousr]_[A-Za-z0-9]{20,}|()\bAKIA[A-Z0-9]{16}`)
)

// Mask knows values that must not be shown. The zero Mask hides what is a secret by its form.
type Mask struct{ values []string }

// Secret hides a value, and each of its lines where it has several.
func (m *Mask) Secret(value string) {
	for _, line := range append(strings.Split(value, "\n"), value) {
		if line = strings.TrimSpace(line); len(line) >= shortest && !slices.Contains(m.values, line) {
			m.values = append(m.values, line)
		}
	}
	// A value that is a part of another one must not be replaced first.
	slices.SortStableFunc(m.values, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

// Variable hides the value of a variable whose name says that it is a secret.
func (m *Mask) Variable(name, value string) {
	if secretName.MatchString(name) {
		m.Secret(value)
	}
}

// Hide puts *** in the place of secrets.
func (m *Mask) Hide(text string) string {
	for _, value := range m.values {
		text = strings.ReplaceAll(text, value, "***")
	}
	return secretText.ReplaceAllStringFunc(text, func(match string) string {
		groups := secretText.FindStringSubmatch(match)
		kept := strings.Join(groups[1:], "") + "***"
		if strings.HasSuffix(match, "@") {
			kept += "@"
		}
		return kept
	})
}

// Line is one line of text without secrets, harmless for a terminal, and bounded. Secrets are hidden before it is cut, or
// the first half of one would stay.
func (m *Mask) Line(line string) string { return cut(m.Hide(strip(line))) }

// Tail gives the last lines of a log that are not empty, at most n, fit to be shown.
func (m *Mask) Tail(log string, n int) []string {
	var shown []string
	for line := range strings.SplitSeq(log, "\n") {
		if text := m.Line(line); text != "" {
			shown = append(shown, text)
		}
	}
	return shown[max(0, len(shown)-n):]
}
