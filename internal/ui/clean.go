package ui

import (
	"strings"
	"unicode"
)

// Clean makes one line of text safe to print: control and format characters, with which a hostile name could move the
// cursor, hide text or reverse it, become spaces or vanish.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text)
}
