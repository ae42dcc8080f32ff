package apply

import (
	"fmt"
	"strings"
	"unicode"
)

// safe makes a text one line of at most limit runes, with every character that does not print written out.
func safe(text string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > limit {
			b.WriteRune('…')
			break
		}
		switch {
		case r == '\t':
			b.WriteString("  ")
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}
