package secrets

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zricethezav/gitleaks/v8/report"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/secrets/describe"
)

// hit is a secret and where it came in; its value is not kept.
type hit struct {
	commit *commit // nil for the working tree
	rule   string
	path   string
	line   int
	column int
	end    int
	rating describe.Rating
	// allowed is the justification beside an allowMark; nil where there is no mark.
	allowed *string
}

// purpose keeps the hashes of secrets apart from any other hash of the same values.
const purpose = "idp secrets fingerprint v2"

// Fingerprint is the same for one secret in one file, whatever the commit and the line; its second half is the same in
// every file. The value cannot be looked up in a table of hashes, as the rule is hashed with it under a key of this
// program's own; someone who guesses it right can confirm the guess.
func Fingerprint(rule, path, secret string) string {
	mac := hmac.New(sha256.New, []byte(purpose))
	for _, part := range []string{rule, secret} {
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	return finding.Fingerprint(scanner, rule, path, hex.EncodeToString(mac.Sum(nil)))
}

// add keeps a secret once, at the oldest commit that brought it into the file.
func (s *scan) add(c change, f report.Finding) {
	h := hit{commit: c.commit, rule: f.RuleID, path: c.path, rating: describe.Rate(f.RuleID, f.Secret, c.path)}
	if !byName(f) {
		h.line, h.column, h.end = f.StartLine, max(f.StartColumn, 0), f.EndLine
	}
	key := Fingerprint(f.RuleID, c.path, f.Secret)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(f.Secret) >= minRedacted {
		s.secrets[f.Secret] = true
		s.secrets[printable(f.Secret)] = true
	}
	if why, marked := justification(f.Line); marked {
		h.allowed = &why
	}
	if old, ok := s.hits[key]; !ok || h.before(old) {
		s.hits[key] = h
	}
}

// justification is what stands behind an allowMark and two hyphens, to the end of the line or of the comment.
func justification(line string) (why string, marked bool) {
	_, rest, marked := strings.Cut(line, allowMark)
	rest, found := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "--")
	if !found || strings.HasPrefix(rest, ">") { // the end of an HTML comment
		return "", marked
	}
	for _, end := range []string{"\n", "*/", "-->"} {
		rest, _, _ = strings.Cut(rest, end)
	}
	return strings.TrimSpace(rest), marked
}

// before orders hits of one secret: those that no mark allows first, as one of them is enough; then the oldest commit
// first, the working tree last, then by line.
func (h hit) before(other hit) bool {
	if (h.allowed == nil) != (other.allowed == nil) {
		return h.allowed == nil
	}
	if a, b := h.age(), other.age(); a != b {
		return a > b
	}
	return h.line < other.line || (h.line == other.line && h.column < other.column)
}

func (h hit) age() int {
	if h.commit == nil {
		return -1
	}
	return h.commit.order
}

// findings renders the hits for people. Who made a commit is asked once, at the end; a failure leaves that empty.
func (s *scan) findings(ctx context.Context) []finding.Finding {
	makers := s.makers(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []finding.Finding
	for key, h := range s.hits {
		r := describe.Of(h.rule)
		f := finding.Finding{Scanner: scanner, Rule: printable(h.rule), Severity: r.Severity, Confidence: h.rating.Confidence, CWE: []string{"CWE-798"},
			File: s.redact(printable(relative(s.repo.Path, h.path))), Line: h.line, Column: h.column, EndLine: h.end, Fingerprint: key}
		where, reader, remedy := "in the working tree", "Once committed, anyone who can read the repository has it.", "Take it out of the file before it is committed."
		switch {
		case h.commit != nil:
			m := makers[h.commit.id]
			f.Commit, f.Author, f.Date = h.commit.id, s.redact(printable(m.author)), m.date
			where, reader, remedy = "in this commit", "Anyone who can read the repository has it.", "Take it out of the commit: git rebase -i "+parentOf(h.commit.id, m)
		case s.repo.Commit == "":
			where, reader, remedy = "in this folder", "Anyone who can read the folder has it.", "Take it out of the file."
		}
		f.Title = fmt.Sprintf("%s is %s. %s", printable(r.What), where, reader)
		if h.rating.Why != "" {
			f.Title += " " + h.rating.Why
		}
		f.Help = "1. " + r.Revoke + "\n2. " + remedy
		f.HelpURI = r.URL
		if h.allowed != nil {
			f.Suppression = &finding.Suppression{By: allowMark, InSource: true, Justification: s.redact(printable(*h.allowed))}
		}
		list = append(list, f)
	}
	finding.Sort(list)
	return list
}

// parentOf names where a rebase that is to change the commit starts.
func parentOf(id string, m maker) string {
	if m.root {
		return "--root"
	}
	return id[:7] + "^"
}

// maker is who made a commit, and when (RFC 3339).
type maker struct {
	author, date string
	root         bool // it has no parent
}

func (s *scan) makers(ctx context.Context) map[string]maker {
	args := []string{"rev-list", "--no-walk=unsorted", "--encoding=UTF-8", "--format=%H%x00%P%x00%aI%x00%an"}
	known := map[string]maker{}
	for _, h := range s.hits {
		if h.commit != nil && len(known) < 500 { // what fits on every system's command line
			if _, ok := known[h.commit.id]; !ok {
				known[h.commit.id] = maker{}
				args = append(args, h.commit.id)
			}
		}
	}
	if len(known) == 0 {
		return known
	}
	out, err := runGit(ctx, s.repo.Root, append(args, "--")...)
	if err != nil {
		return known
	}
	for line := range strings.Lines(out) {
		if f := strings.SplitN(strings.TrimRight(line, "\n"), "\x00", 4); len(f) == 4 {
			known[f[0]] = maker{root: f[1] == "", date: f[2], author: f[3]}
		}
	}
	return known
}

// relative gives a path of the repository as seen from the service's folder.
func relative(service, name string) string {
	if service == "" {
		return name
	}
	from, to := strings.Split(path.Clean(service), "/"), strings.Split(name, "/")
	for len(from) > 0 && len(to) > 1 && from[0] == to[0] {
		from, to = from[1:], to[1:]
	}
	return strings.Repeat("../", len(from)) + strings.Join(to, "/")
}

// printable writes what a terminal or a log could take for a command, and what is not UTF-8, as an escape.
func printable(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && r != utf8.RuneError && unicode.IsPrint(r)
	}
	if clean {
		return s
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

const (
	// minRedacted is the length from which a value is looked for in names: shorter ones would match anything.
	minRedacted = 6
	redacted    = "[secret]"
)

// redact takes values out of a text, such as the name of a file called after a token: those that were found, the longest
// first, so that no part of one is left, and what the rules see in the text itself. The workers have ended, or the caller
// holds the lock.
func (s *scan) redact(text string) (clean string) {
	defer func() {
		if recover() != nil { // a rule crashed on it
			clean = redacted
		}
	}()
	if len(s.longest) != len(s.secrets) {
		s.longest = slices.SortedFunc(maps.Keys(s.secrets), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	}
	for _, value := range s.longest {
		text = strings.ReplaceAll(text, value, redacted)
	}
	filter := s.rules.filter.Sieve()
	v := filter.Look(context.Background(), []byte(text), nil)
	if v.Nothing() {
		return text
	}
	found, err := s.detect(context.Background(), change{}, filter.Detector(v, s.rules.Detector), text, 1)
	if err != nil {
		return redacted
	}
	for _, f := range found {
		if f.Secret != "" {
			text = strings.ReplaceAll(text, f.Secret, redacted)
		}
	}
	return text
}
