package apply

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// hidden stands for a value that may be a secret.
const hidden = "(secret)"

// sensitive are names whose value is likely a secret, wherever it is.
var sensitive = regexp.MustCompile(`(?i)passw|passphrase|secret|token|credential|api[-_]?key|private[-_]?key|access[-_]?key|connection[-_]?string|dsn$`)

// masked tells whether what is at a path may be a secret: the content of Secrets, and what is named like one among the
// things that people name: variables, keys of a ConfigMap, annotations.
func (w *writer) masked(path string) bool {
	if w.secret && strings.HasPrefix(path, "data") {
		return true
	}
	named := strings.HasPrefix(path, "data") || strings.Contains(path, "metadata.annotations") ||
		strings.Contains(path, ".env[") && strings.HasSuffix(path, "].value")
	return named && sensitive.MatchString(path)
}

// value is a value in one line, or a word for it where it is a secret.
func (w *writer) value(path string, v any) string {
	if w.masked(path) {
		return hidden
	}
	switch v := v.(type) {
	case string:
		return scalar(v)
	case []any:
		return words(v)
	case map[string]any:
		return "{…}"
	}
	return safe(fmt.Sprint(v), valueRunes)
}

// ambiguous are strings that would read as another type.
var ambiguous = regexp.MustCompile(`^([-+]?[0-9][0-9_.eE+-]*|true|false|null|~|yes|no|on|off)$`)

// isKey knows a private key in PEM.
func isKey(text string) bool { return strings.Contains(text, "PRIVATE KEY-----") }

func scalar(v string) string {
	if isKey(v) {
		return hidden
	}
	if v = masked(v); v == "" || strings.TrimSpace(v) != v || ambiguous.MatchString(v) {
		v = fmt.Sprintf("%q", v)
	}
	return safe(v, valueRunes)
}

// words are the items of a list, such as a command. What follows --password is a secret.
func words(list []any) string {
	parts := make([]string, len(list))
	for i, item := range list {
		text, ok := item.(string)
		before, _ := list[max(i-1, 0)].(string)
		switch {
		case !ok:
			parts[i] = safe(fmt.Sprint(item), valueRunes)
		case i > 0 && strings.HasPrefix(before, "-") && !strings.Contains(before, "=") && sensitive.MatchString(before):
			parts[i] = hidden
		default:
			parts[i] = scalar(text)
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

var (
	// assignment is a name and a value, as in a line of settings or an argument.
	assignment = regexp.MustCompile(`^\s*["']?([\w.-]+)["']?\s*[=:]\s*(\S.*)`)
	// inURL is a password in a URL (RFC 3986, 3.2.1).
	inURL = regexp.MustCompile(`(://[^\s/:@]*):[^\s/@]+@`)
)

// masked is a line without the value of a name that is sensitive, and without passwords in URLs.
func masked(line string) string {
	if m := assignment.FindStringSubmatchIndex(line); m != nil && sensitive.MatchString(line[m[2]:m[3]]) {
		line = line[:m[4]] + hidden
	}
	return inURL.ReplaceAllString(line, "$1:"+hidden+"@")
}

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
