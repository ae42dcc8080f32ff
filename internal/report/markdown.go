package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// Markdown writes the job summary.
type Markdown struct{}

// findingLimit keeps the summary readable; the SARIF file has them all.
const findingLimit = 50

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
	writeFindings(&b, r.Findings)
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

func writeFindings(b *strings.Builder, findings []finding.Finding) {
	if len(findings) == 0 {
		return
	}
	b.WriteString("\n## Findings\n\n| severity | rule | place | |\n|---|---|---|---|\n")
	for i, f := range findings {
		if i == findingLimit {
			fmt.Fprintf(b, "\nand %d more: see findings.sarif\n", len(findings)-findingLimit)
			return
		}
		known := ""
		if f.Known {
			known = " (known)"
		}
		fmt.Fprintf(b, "| %s%s | %s | %s | %s |\n", f.Severity, known, code(f.Rule), code(f.Place()), text(f.Title))
	}
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
