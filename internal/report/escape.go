package report

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What anyone may have written becomes a part of a text on GitHub only through these functions. GitHub makes links in two
// steps: its parser of Markdown reads addresses, and over the text of the page that comes of it goes another reader, which
// knows nothing of escapes and finds mentions, issues, commits and emoji. Neither looks into code, so a word that either
// would read something into is shown as code.

// risky matches a word that GitHub would make a link, a notification or a picture of: mentions and addresses, issues such as
// #1, acme/checkout#1 and GH-1, URLs, commits, and :emoji:.
var risky = regexp.MustCompile(`(?i)@|#[0-9]|gh-[0-9]|://|www\.|:[a-z0-9_+-]+:|\b[0-9a-f]{7,}\b`)

// text makes a string mean nothing but itself in Markdown, in a table or outside, on one line. It is not for the inside of an
// HTML block: see [inHTML].
func text(s string) string {
	return opening(words(s, "`", func(s string) string { return markdownEscapes.Replace(s) }))
}

// inHTML is [text] for places that are HTML to the parser of Markdown, such as a <summary>.
func inHTML(s string) string {
	return words(s, "<code>", func(s string) string { return strings.ReplaceAll(html.EscapeString(s), "$", "<span>$</span>") })
}

// A dollar sign begins a formula; the span is what GitHub's documentation gives against that ("Writing mathematical
// expressions"). A backslash before a | would be taken for the one that keeps the | from ending a cell of a table.
var markdownEscapes = strings.NewReplacer(`\`, "&#92;", "|", "&#124;", "&", "&amp;", "<", "&lt;", ">", "&gt;", "$", "<span>$</span>",
	"`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "#", `\#`, "~", `\~`)

// number matches what begins a numbered list.
var number = regexp.MustCompile(`^([0-9]{1,9})([.)])`)

// opening keeps a text from beginning a list, a heading's underline or a block of code where it begins a line.
func opening(s string) string {
	s = strings.Trim(s, " ")
	if s != "" && strings.ContainsRune("-+=", rune(s[0])) {
		return `\` + s
	}
	return number.ReplaceAllString(s, `$1\$2`)
}

// words escapes a string word by word; a risky one is put into code.
func words(s, mark string, escape func(string) string) string {
	var b strings.Builder
	s = clean(s)
	for s != "" {
		end := strings.IndexAny(s, ` |\`)
		if end < 0 {
			end = len(s)
		}
		if word := s[:end]; risky.MatchString(word) {
			b.WriteString(riskyWord(word, mark, escape))
		} else {
			b.WriteString(escape(word))
		}
		if end < len(s) {
			b.WriteString(escape(s[end : end+1]))
			end++
		}
		s = s[end:]
	}
	return b.String()
}

// riskyWord leaves the punctuation around a word outside of the code.
func riskyWord(word, mark string, escape func(string) string) string {
	core := strings.TrimRight(strings.TrimLeft(word, `([{"'`), `)]}"',.;:!?`)
	if core == "" {
		core = word
	}
	before, after, _ := strings.Cut(word, core)
	if mark == "`" {
		return escape(before) + span(core) + escape(after)
	}
	return escape(before) + mark + escape(core) + strings.Replace(mark, "<", "</", 1) + escape(after)
}

// code shows a string verbatim, in a table or outside. A | cannot be in code in a table, so it stands between two pieces.
func code(s string) string {
	pieces := strings.Split(strings.Trim(clean(s), " "), "|")
	for i, p := range pieces {
		if p != "" {
			pieces[i] = span(p)
		}
	}
	return strings.Join(pieces, "&#124;")
}

// span is a code span, which has neither a line end nor a |.
func span(s string) string {
	run := longestRun(s, '`')
	fence := strings.Repeat("`", run+1)
	if run > 0 || strings.HasPrefix(s, " ") && strings.HasSuffix(s, " ") { // of which one on each side is not shown
		return fence + " " + s + " " + fence
	}
	return fence + s + fence
}

// block is a block of code.
func block(language string, lines []string) (open string, inside []string, end string) {
	longest := 2
	for _, l := range lines {
		l = clean(cut(l, lineLimit)) + "\n"
		longest = max(longest, longestRun(l, '`'))
		inside = append(inside, l)
	}
	fence := strings.Repeat("`", longest+1)
	return fence + language + "\n", inside, fence + "\n"
}

func longestRun(s string, of rune) int {
	longest, run := 0, 0
	for _, r := range s {
		if r == of {
			run++
			longest = max(longest, run)
		} else {
			run = 0
		}
	}
	return longest
}

// linkLimit is the length in bytes of an address that is still linked to.
const linkLimit = 2000

// link is a link with a label that is escaped already. What is not an address on the web stays without one.
func link(label, address string) string {
	if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") || len(address) > linkLimit {
		return label
	}
	var b strings.Builder
	for i := range len(address) {
		c := address[i]
		switch {
		case c == '&':
			b.WriteString("&amp;")
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~:/?#@!$'*+,;=%", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return "[" + label + "](" + b.String() + ")"
}

// marksLimit is how many marks may stand on one letter; more than any language needs paint over the lines around.
const marksLimit = 4

// clean is a string on one line in which everything can be seen: what has no form of its own, such as control characters and
// those that turn the direction of writing, is shown by its number.
func clean(s string) string {
	var b strings.Builder
	marks := 0
	for _, r := range s {
		if unicode.Is(unicode.M, r) {
			if marks++; marks > marksLimit {
				continue
			}
		} else {
			marks = 0
		}
		switch {
		case r == '\n', r == '\r', r == '\t', unicode.Is(unicode.Zs, r):
			b.WriteByte(' ')
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

// cut is at most so many characters of a string.
func cut(s string, limit int) string {
	if len(s) <= limit || utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}
