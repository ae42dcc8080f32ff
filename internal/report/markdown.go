package report

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// Markdown writes the job summary.
type Markdown struct{}

// The limits keep the summary readable; the SARIF file has every finding.
const (
	groupLimit = 20
	placeLimit = 25
)

// Format implements Formatter.
func (Markdown) Format(w io.Writer, r Report) error {
	var b strings.Builder
	rec := r.Record
	fmt.Fprintf(&b, "# %s %s\n\n", text(rec.Service.Name), Verdict(rec))
	fmt.Fprintf(&b, "Commit %s of %s to **%s**", code(short(rec.Source.Commit)), text(rec.Source.Repository), text(rec.Environment))
	if rec.Artifact.Digest != "" {
		fmt.Fprintf(&b, ", image %s", code(rec.Artifact.Digest))
	}
	b.WriteString("\n\n| | stage | time | |\n|---|---|---:|---|\n")
	for _, s := range rec.Stages {
		fmt.Fprintf(&b, "| %s | %s | %.1f s | %s |\n", words[s.Outcome], text(s.Name),
			(time.Duration(s.DurationMS) * time.Millisecond).Seconds(), text(line(s)))
	}
	writeDetails(&b, rec.Stages)
	writeDiff(&b, r.Diff)
	writeFindings(&b, r)
	writeCoverage(&b, rec.Stages)
	if len(r.Files) > 0 {
		b.WriteString("\n## Files\n\n")
		for _, f := range r.Files {
			fmt.Fprintf(&b, "* %s: %s\n", code(f.Path), text(f.What))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var words = map[record.Outcome]string{record.Passed: "✓ passed", record.Failed: "✗ failed",
	record.Error: "? error", record.Skipped: "– skipped"}

// Verdict says in a few words what the delivery came to, such as "passed" or "failed: secrets".
func Verdict(rec *record.Record) string {
	var names []string
	for _, s := range rec.Stages {
		if s.Outcome == rec.Outcome {
			names = append(names, s.Name)
		}
	}
	switch rec.Outcome {
	case record.Passed:
		return "passed"
	case record.Failed:
		return "failed: " + strings.Join(names, ", ")
	}
	if len(names) == 0 {
		return "could not be determined"
	}
	return "could not be determined: " + strings.Join(names, ", ")
}

func line(s record.Stage) string {
	if s.Outcome == record.Passed {
		return s.Summary
	}
	return s.Reason
}

func writeDetails(b *strings.Builder, stages []record.Stage) {
	for _, s := range stages {
		if len(s.Detail) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n## %s: %s\n\n", text(s.Name), text(s.Reason))
		fence := fenceFor(s.Detail)
		fmt.Fprintf(b, "%stext\n%s\n%s\n", fence, strings.Join(s.Detail, "\n"), fence)
	}
}

// writeDiff folds what a deploy would change, so that a long one does not push all else off the page.
func writeDiff(b *strings.Builder, diff string) {
	if diff == "" {
		return
	}
	lines := strings.Split(strings.TrimRight(diff, "\n"), "\n")
	fence := fenceFor(lines)
	fmt.Fprintf(b, "\n<details><summary>What a deploy would change: %s</summary>\n\n%sdiff\n%s\n%s\n\n</details>\n", text(lines[0]), fence,
		strings.Join(lines[1:], "\n"), fence)
}

// writeFindings groups by rule, the gravest first: what it is and how to mend it once, then every place.
func writeFindings(b *strings.Builder, r Report) {
	if len(r.Findings) == 0 {
		return
	}
	b.WriteString("\n## Findings\n")
	list := groups(r.Findings)
	for i, group := range list {
		if i == groupLimit {
			fmt.Fprintf(b, "\nand %d more rules: see findings.sarif\n", len(list)-groupLimit)
			return
		}
		first := group[0]
		fmt.Fprintf(b, "\n### %s: %s\n", code(first.Rule), text(first.Title))
		if first.Help != "" {
			b.WriteString("\n" + strings.Join(textLines(first.Help), "  \n") + "\n")
		}
		b.WriteString("\n| severity | place | commit | |\n|---|---|---|---|\n")
		for k, f := range group {
			if k == placeLimit {
				fmt.Fprintf(b, "\nand %d more places: see findings.sarif\n", len(group)-placeLimit)
				break
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", f.Severity, place(f, r.Code), commitOf(f), text(state(f)))
		}
	}
}

func textLines(s string) []string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = text(lines[i])
	}
	return lines
}

// groups puts findings of one rule together, in the order of the gravest of each.
func groups(findings []finding.Finding) [][]finding.Finding {
	var list [][]finding.Finding
	index := map[string]int{}
	for _, f := range findings {
		key := f.Scanner + "\x00" + f.Rule
		i, ok := index[key]
		if !ok {
			i = len(list)
			index[key], list = i, append(list, nil)
		}
		list[i] = append(list[i], f)
	}
	return list
}

// place is FILE:LINE, as a link where it is known what to link to.
func place(f finding.Finding, base string) string {
	if base == "" {
		return code(f.Place())
	}
	link := base + (&url.URL{Path: f.File}).EscapedPath()
	if f.Line > 0 {
		link += fmt.Sprintf("#L%d", f.Line)
	}
	return "[" + code(f.Place()) + "](" + strings.NewReplacer("(", "%28", ")", "%29", "|", "%7C").Replace(link) + ")"
}

func commitOf(f finding.Finding) string {
	if f.Commit == "" {
		return ""
	}
	return code(short(f.Commit))
}

// state says why a finding does not count at the gate; empty when it does.
func state(f finding.Finding) string {
	switch s := f.Suppression; {
	case s != nil && s.Justification != "":
		return s.By + ": " + s.Justification
	case s != nil:
		return s.By
	case f.Known:
		return "known"
	}
	return ""
}

func short(commit string) string {
	if len(commit) > 7 {
		return commit[:7]
	}
	return commit
}

// text makes a string that anyone may have written mean nothing but itself in Markdown and in HTML, in a table or outside,
// and keeps a mention from calling anybody.
func text(s string) string {
	var b strings.Builder
	for _, r := range oneLine(s) {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '@':
			b.WriteString("&#64;")
		case strings.ContainsRune("\\`*_{}[]()#+!|~$", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// code shows a string verbatim in a table or outside.
func code(s string) string {
	s = strings.ReplaceAll(oneLine(s), "|", "\\|")
	run := longestRun(s, '`')
	fence := strings.Repeat("`", run+1)
	if run > 0 {
		return fence + " " + s + " " + fence
	}
	return fence + s + fence
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// fenceFor is longer than any run of backticks in the lines, so that none of them ends the block.
func fenceFor(lines []string) string {
	longest := 2
	for _, l := range lines {
		longest = max(longest, longestRun(l, '`'))
	}
	return strings.Repeat("`", longest+1)
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
