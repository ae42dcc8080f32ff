package sast

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/securego/gosec/v2/issue"

	"github.com/org/idp/internal/finding"
)

const (
	scanner     = "gosec"
	credentials = "G101"
	nonce       = "G407"
)

// builder turns gosec's issues into findings.
type builder struct {
	root   string
	issues []*issue.Issue
	gaps   []string
}

func (b *builder) add(issues []*issue.Issue) { b.issues = append(b.issues, issues...) }

// finish gives the findings in order, those that a #nosec suppresses too.
func (b *builder) finish() []finding.Finding {
	src := sources{Sources: finding.NewSources(b.root), secret: map[string]bool{}}
	var placed []finding.Finding
	for _, i := range b.issues {
		f, err := b.place(i)
		if err != nil {
			b.gaps = append(b.gaps, err.Error())
			continue
		}
		if f.Rule == credentials {
			src.hide(f)
		}
		f.Suppression = suppression(i)
		placed = append(placed, f)
	}
	for i := range placed {
		f := &placed[i]
		f.Fingerprint = finding.Fingerprint(scanner, f.Rule, f.File, src.Place(f, src.hidden(*f)))
		f.Snippet = src.snippet(*f)
	}
	finding.Number(placed)
	return placed
}

// suppression is nil for an issue that no #nosec is for.
func suppression(i *issue.Issue) *finding.Suppression {
	if len(i.Suppressions) == 0 {
		return nil
	}
	s := &finding.Suppression{By: "nosec", InSource: true}
	for _, one := range i.Suppressions {
		if s.Justification == "" {
			s.Justification = strings.TrimSpace(one.Justification)
		}
	}
	return s
}

// place makes a finding of an issue, all but what is taken from the source.
func (b *builder) place(i *issue.Issue) (finding.Finding, error) {
	if i.RuleID == "" || i.File == "" {
		return finding.Finding{}, fmt.Errorf("gosec found something that it cannot place (%q)", i.RuleID)
	}
	rel, err := filepath.Rel(b.root, i.File)
	if err != nil || !filepath.IsLocal(rel) {
		return finding.Finding{}, fmt.Errorf("%s found outside of the service folder, in %s", i.RuleID, filepath.Base(i.File))
	}
	help, err := helps()
	if err != nil {
		return finding.Finding{}, err
	}
	f := finding.Finding{
		Scanner: scanner, Rule: i.RuleID, Title: title(i), Help: help[i.RuleID], HelpURI: uri(i),
		Severity: severity(i.Severity), Confidence: strings.ToLower(i.Confidence.String()),
		File: filepath.ToSlash(rel),
	}
	if i.Cwe != nil {
		f.CWE = []string{i.Cwe.SprintID()}
	}
	first, last, isRange := strings.Cut(i.Line, "-")
	f.Line, err = strconv.Atoi(first)
	if err != nil {
		return f, fmt.Errorf("%s found in %s, in line %q", i.RuleID, f.File, i.Line)
	}
	f.EndLine = f.Line
	if isRange {
		if f.EndLine, err = strconv.Atoi(last); err != nil {
			return f, fmt.Errorf("%s found in %s, in lines %q", i.RuleID, f.File, i.Line)
		}
	}
	f.Column, _ = strconv.Atoi(i.Col) // a column is a courtesy
	return f, nil
}

// severity never makes an unknown score harmless.
func severity(s issue.Score) finding.Severity {
	switch s {
	case issue.Low:
		return finding.Low
	case issue.Medium:
		return finding.Medium
	}
	return finding.High
}

// title is gosec's description, but not for credentials, where it names what matched.
func title(i *issue.Issue) string {
	if i.RuleID == credentials {
		return "Potential hardcoded credentials"
	}
	what := strings.TrimRight(strings.Join(strings.Fields(i.What), " "), ".")
	if what == "" {
		return i.RuleID
	}
	if word, _, _ := strings.Cut(what, " "); strings.ContainsAny(word, ".(") {
		return what // begins with a name of Go's
	}
	first, size := utf8.DecodeRuneInString(what)
	return string(unicode.ToUpper(first)) + what[size:]
}

// sources reads the code that findings are about, and knows where it must not be shown.
type sources struct {
	*finding.Sources
	secret map[string]bool // FILE:LINE of lines that hold a credential
}

// hide marks the lines of a hardcoded credential, whatever else is found in them.
func (s sources) hide(f finding.Finding) {
	for n := f.Line; n <= f.EndLine; n++ {
		s.secret[fmt.Sprintf("%s:%d", f.File, n)] = true
	}
}

// hidden tells whether one of the finding's lines holds a credential, so that not even a hash of its text goes out.
func (s sources) hidden(f finding.Finding) bool {
	for n := f.Line; n <= f.EndLine; n++ {
		if s.secret[fmt.Sprintf("%s:%d", f.File, n)] {
			return true
		}
	}
	return false
}

// snippet is the first line, cut at a length that a report can bear; none where it may hold a secret.
func (s sources) snippet(f finding.Finding) string {
	if s.hidden(f) || f.Rule == nonce {
		return ""
	}
	const most = 200
	line := []rune(strings.ToValidUTF8(s.Line(f.File, f.Line), "?"))
	if len(line) > most {
		return string(line[:most]) + "…"
	}
	return string(line)
}
