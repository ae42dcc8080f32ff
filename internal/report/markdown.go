package report

import (
	"encoding/json"
	"fmt"
	"io"
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
	diffLimit  = 1 << 19 // bytes
)

// Format implements Formatter.
func (Markdown) Format(w io.Writer, r Report) error {
	var b strings.Builder
	rec := r.Record
	b.WriteString("# " + strings.TrimSpace(text(rec.Service.Name)+" "+text(Verdict(rec))) + "\n\n" + subject(rec))
	b.WriteString("| | stage | time | |\n|---|---|---:|---|\n")
	for _, s := range rec.Stages {
		fmt.Fprintf(&b, "| %s | %s | %.1f s | %s |\n", outcomes[s.Outcome], text(s.Name),
			(time.Duration(s.DurationMS) * time.Millisecond).Seconds(), text(lineOf(r, s)))
	}
	b.WriteString(fit(diffLimit, "not shown", notesPart(notes(r))))
	writeDetails(&b, rec.Stages)
	b.WriteString(fit(diffLimit, "see the file", costDiff(r), diff(r)))
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

// subject says in one line what the record is about; a stage that runs alone may know little of it.
func subject(rec *record.Record) string {
	line := ""
	if rec.Source.Commit != "" {
		line = fmt.Sprintf("Commit %s of %s", code(short(rec.Source.Commit)), text(rec.Source.Repository))
		if rec.Environment != "" {
			line += fmt.Sprintf(" to **%s**", text(rec.Environment))
		}
	}
	if rec.Artifact.Digest != "" {
		line = strings.TrimPrefix(line+", image "+code(rec.Artifact.Digest), ", ")
	}
	if line == "" {
		return ""
	}
	if rec.Plan {
		line += ": a plan, nothing was changed"
	}
	return line + "\n\n"
}

var outcomes = map[record.Outcome]string{record.Passed: "✓ passed", record.Failed: "✗ failed",
	record.Error: "? error", record.Skipped: "– skipped"}

func writeDetails(b *strings.Builder, stages []record.Stage) {
	for _, s := range stages {
		if len(s.Detail) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n## %s: %s\n\n", text(s.Name), text(s.Reason))
		open, lines, end := block("text", s.Detail)
		b.WriteString(open + strings.Join(lines, "") + end)
	}
}

// writeFindings groups by rule, the gravest first: what it is and how to mend it once, then every place.
func writeFindings(b *strings.Builder, r Report) {
	rec := r.Record
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
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", f.Severity, place(f, r.Code), commitOf(f, rec), text(state(f)))
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

// writeCoverage says what the scans saw and what they left out on purpose.
func writeCoverage(b *strings.Builder, stages []record.Stage) {
	begun := false
	for _, s := range stages {
		var scan record.Scan
		if (s.Name != record.StageSAST && s.Name != record.StageSecrets && s.Name != record.StageGate) || json.Unmarshal(s.Evidence, &scan) != nil || scan.Coverage.Unit == "" {
			continue
		}
		if !begun {
			b.WriteString("\n## Coverage\n\n")
			begun = true
		}
		c := scan.Coverage
		fmt.Fprintf(b, "* %s: %d of %d %s, %d files", text(s.Name), c.Scanned, c.Expected, text(c.Unit), c.Files)
		if c.Bytes > 0 {
			fmt.Fprintf(b, ", %s", size(c.Bytes))
		}
		b.WriteString("\n")
		for _, left := range c.Left {
			fmt.Fprintf(b, "  * left out: %s\n", text(left))
		}
	}
}

// size is a number of bytes in the unit that suits it.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
