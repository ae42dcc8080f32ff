// Package codeowners reads CODEOWNERS as GitHub does: docs.github.com, "About code owners".
package codeowners

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/org/idp/internal/fault"
)

// Locations are where the file is looked for, from the root of the repository; only the first one that is there counts.
func Locations() []string {
	return []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}
}

// sizeLimit is GitHub's: it loads only files under 3 MB.
const sizeLimit = 3 << 20

// File is a CODEOWNERS file.
type File struct {
	Path     string // of the file in the repository; empty where there is none
	Rules    []Rule
	Problems []Problem
}

// Rule says whose the files are that a pattern matches.
type Rule struct {
	Line    int // from 1
	Pattern string
	Owners  []string // @USER, @ORGANISATION/TEAM or an e-mail address, as written; empty: nobody's
	matches *regexp.Regexp
}

// Problem is a line that counts for nothing, as it does at GitHub.
type Problem struct {
	Line int // from 1
	Text string
}

// Find reads the file of a repository, of which read gives a file, or no error and false where it is not there. A repository
// without one has no owners. A file that cannot be read, or that GitHub would not load, is undetermined.
func Find(read func(path string) (data []byte, found bool, err error)) (File, error) {
	for _, path := range Locations() {
		data, found, err := read(path)
		if err != nil {
			return File{}, fault.Undeterminedf("%s cannot be read, so whose the code is is not known: %w", path, err)
		}
		if !found {
			continue
		}
		f, err := Parse(data)
		if err != nil {
			return File{}, fmt.Errorf("%s: %w", path, err)
		}
		f.Path = path
		return f, nil
	}
	return File{}, nil
}

// Parse reads what is in the file. Lines that are wrong are left out and listed; a file of 3 MB or more is undetermined,
// because GitHub does not load it.
func Parse(data []byte) (File, error) {
	var f File
	if len(data) >= sizeLimit {
		return f, fault.Undeterminedf("the file has %d bytes; GitHub loads only files under 3 MB", len(data)).
			WithNext("Make one pattern with wildcards of several, such as /services/*/.")
	}
	for i, line := range strings.Split(string(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))), "\n") {
		words := split(line)
		if len(words) == 0 {
			continue
		}
		rule := Rule{Line: i + 1, Pattern: words[0], Owners: words[1:]}
		if text := rule.wrong(); text != "" {
			f.Problems = append(f.Problems, Problem{i + 1, text})
			continue
		}
		rule.matches = regexp.MustCompile(expression(rule.Pattern))
		f.Rules = append(f.Rules, rule)
	}
	return f, nil
}

// Rule is the one that a file falls under, by its path from the root of the repository: the last that matches. It is nil
// where none does.
func (f File) Rule(path string) *Rule {
	for i := range slices.Backward(f.Rules) {
		if f.Rules[i].matches.MatchString(path) {
			return &f.Rules[i]
		}
	}
	return nil
}

// Owners are whose a file is; empty where it is nobody's.
func (f File) Owners(path string) []string {
	if r := f.Rule(path); r != nil {
		return r.Owners
	}
	return nil
}

// split gives the words of a line: a pattern, in which a backslash keeps a space, and owners. A word that begins with # and
// all after it is a comment.
func split(line string) []string {
	var words []string
	var word strings.Builder
	escaped := false
	end := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
		}
		word.Reset()
	}
	for _, c := range strings.Trim(line, " \t\r") {
		switch {
		case !escaped && (c == ' ' || c == '\t' || c == '\r'):
			end()
			continue
		case c == '#' && word.Len() == 0:
			return words
		}
		word.WriteRune(c)
		escaped = c == '\\' && !escaped && len(words) == 0
	}
	end()
	return words
}

var owner = regexp.MustCompile(`^(@[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?|[^@\s]+@[^@\s.]+(\.[^@\s.]+)+)$`)

// wrong says why a rule cannot count, in words for people; empty where it can.
func (r Rule) wrong() string {
	switch p := r.Pattern; {
	case strings.HasPrefix(p, "!"):
		return "a pattern cannot be negated with !"
	case strings.HasPrefix(p, `\#`), strings.Contains(p, "#"):
		return "a pattern cannot contain #"
	case strings.ContainsAny(p, "[]"):
		return "a pattern cannot have a range in [ ], and there are no sections"
	case strings.Contains(p, "***"):
		return "a pattern cannot have three asterisks; ** is any number of folders"
	case strings.HasSuffix(strings.ReplaceAll(p, `\\`, ""), `\`):
		return "a pattern cannot end with a backslash"
	}
	for _, o := range r.Owners {
		if !owner.MatchString(o) {
			return fmt.Sprintf("%q is no owner; one is @USER, @ORGANISATION/TEAM or an e-mail address", o)
		}
	}
	return ""
}

// expression is a pattern as a regular expression: gitignore's rules, but for files only. A pattern without a slash, but at its
// end, matches in every folder. One that ends in a name matches all below it, too; one that ends in a lone * does not.
func expression(pattern string) string {
	if pattern == "/" {
		return `\A\z` // there is no file of that name
	}
	segments := strings.Split(pattern, "/")
	switch {
	case segments[0] == "":
		segments = segments[1:]
	case segments[0] != "**" && (len(segments) == 1 || len(segments) == 2 && segments[1] == ""):
		segments = append([]string{"**"}, segments...)
	}
	last := len(segments) - 1
	if segments[last] == "" {
		segments[last] = "**"
	}
	var e strings.Builder
	slash := "" // due before the next segment
	for i, s := range segments {
		switch {
		case s == "**" && last == 0:
			e.WriteString(".+")
		case s == "**" && i == 0:
			e.WriteString("(.+/)?")
		case s == "**" && i == last:
			e.WriteString("/.+")
		case s == "**":
			e.WriteString("(/.+)?")
			slash = "/"
		case s == "*":
			e.WriteString(slash + "[^/]+")
			slash = "/"
		default:
			e.WriteString(slash + name(s))
			slash = "/"
			if i == last {
				e.WriteString("(/.+)?")
			}
		}
	}
	return `(?s)\A` + e.String() + `\z`
}

// name is the expression of one name in a pattern.
func name(segment string) string {
	var e strings.Builder
	escaped := false
	for _, c := range segment {
		switch {
		case !escaped && c == '\\':
			escaped = true
			continue
		case !escaped && c == '*':
			e.WriteString("[^/]*")
		case !escaped && c == '?':
			e.WriteString("[^/]")
		default:
			e.WriteString(regexp.QuoteMeta(string(c)))
		}
		escaped = false
	}
	return e.String()
}
