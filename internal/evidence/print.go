package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/ui"
)

const (
	ordinary = 100 // columns where the terminal does not say
	indent   = 16  // columns before what a piece of evidence says
	longest  = 400 // characters that are shown of one text
)

// WriteText prints the chain for a person, in lines of at most width columns; 0 is unknown.
func (c *Chain) WriteText(w io.Writer, width int) error {
	if width <= 0 {
		width = ordinary
	}
	var b strings.Builder
	p := func(head, text string) { put(&b, head, text, width) }
	p("image", c.Image)
	p("digest", c.Digest)
	if c.Tag != "" {
		p("", "which is what tag "+c.Tag+" is now")
	}
	if c.Signer != "" {
		p("signer", c.Signer)
	}
	verified := 0
	for i, item := range c.Items {
		if item.Verified {
			verified++
		}
		if !item.Verified && (i == 0 || c.Items[i-1].Verified) {
			b.WriteString("\nNot verified: anyone who may write to the repository can have attached it.\n")
		}
		b.WriteByte('\n')
		for i, line := range item.lines() {
			head := ""
			if i == 0 {
				head = item.mark() + " " + item.Kind
			}
			p(head, line)
		}
	}
	fmt.Fprintf(&b, "\n%d of %s verified\n", verified, finding.Plural(len(c.Items), "statement"))
	_, err := io.WriteString(w, b.String())
	return err
}

func (i Item) mark() string {
	if i.Verified {
		return "✓"
	}
	return "?"
}

func (i Item) lines() []string {
	var lines []string
	for n, text := range i.Summary {
		if n == 0 && !i.Verified {
			text = "claims: " + text
		}
		lines = append(lines, text)
	}
	var when []string
	if i.MadeAt != nil {
		when = append(when, "made "+i.MadeAt.Format(time.RFC3339))
	}
	if i.SignedAt != nil {
		when = append(when, "signed "+i.SignedAt.Format(time.RFC3339))
	}
	if len(when) > 0 {
		lines = append(lines, strings.Join(when, ", "))
	}
	if c := i.Certificate; c != nil {
		lines = append(lines, "signed by "+c.Subject)
		if c.Run != "" {
			lines = append(lines, "in "+c.Run)
		}
	}
	if !i.Verified {
		lines = append(lines, "not verified: "+i.Reason)
	}
	return lines
}

// put writes a head and a text beside it, broken between words. A word that is longer than a line, such as a digest, is
// left whole, so that it can be copied.
func put(b *strings.Builder, head, text string, width int) {
	head, text = "  "+shorten(ui.Clean(head), indent-4), shorten(ui.Clean(text), longest)
	line := head + strings.Repeat(" ", max(1, indent-len([]rune(head))))
	empty := true
	for _, word := range strings.Fields(text) {
		if !empty && len([]rune(line))+1+len([]rune(word)) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = strings.Repeat(" ", indent), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

func shorten(text string, limit int) string {
	if r := []rune(text); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return text
}

// WriteJSON prints the chain for programs. Whatever a terminal or a log of a runner would act on is escaped.
func (c *Chain) WriteJSON(w io.Writer) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		return err
	}
	_, err := io.WriteString(w, escape(b.String()))
	return err
}

// escape writes characters of JSON that do not print as \u escapes; outside of strings JSON has none. So is the second #
// of ##[, which a runner takes for a command wherever it stands.
func escape(text string) string {
	var b strings.Builder
	var before rune
	for _, r := range text {
		switch {
		case r == '\n' || unicode.IsGraphic(r) && r != unicode.ReplacementChar && (r != '#' || before != '#'):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		before = r
	}
	return b.String()
}
