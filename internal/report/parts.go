package report

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// part is a piece of a text that can be cut between its items.
type part struct {
	open  string
	items []string
	end   string
	more  string // what the items are, as in "12 more findings"
	over  int    // how many more there are than items
}

// fit joins parts to at most limit bytes, if that is enough to say of each that it is left out. What comes first is kept, but
// leaves the others half of the room; where items are left out, their number is said, and where they are in full.
func fit(limit int, full string, parts ...part) string {
	var b strings.Builder
	room := limit
	for _, p := range parts {
		room -= len(p.leftOut(p.over+len(p.items), full))
	}
	for i, p := range parts {
		left := room - b.Len()
		if i < len(parts)-1 {
			left /= 2
		}
		left -= len(p.open) + len(p.end)
		var items strings.Builder
		n := 0
		for ; n < len(p.items) && items.Len()+len(p.items[n]) <= left; n++ {
			items.WriteString(p.items[n])
		}
		if n > 0 {
			b.WriteString(p.open + items.String() + p.end)
		}
		room += len(p.leftOut(p.over+len(p.items), full))
		b.WriteString(p.leftOut(p.over+len(p.items)-n, full))
	}
	return b.String()
}

// leftOut says that n items are not here.
func (p part) leftOut(n int, full string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("\n%d more %s: %s.\n", n, p.more, full)
}

// Lengths in characters of what is shown of one thing, and how many of each are.
const (
	lineLimit  = 300
	titleLimit = 200
	tabled     = 40
	detailed   = 40
	noted      = 10
	found      = 20
	explained  = 8 // stages
)

// table is the table of stages.
func table(r Report) part {
	list := rows(r)
	shown := list[:min(len(list), tabled)]
	p := part{open: "\n| stage | result |\n|:--|:--|\n", more: "stages", over: len(list) - len(shown)}
	for _, row := range shown {
		p.items = append(p.items, fmt.Sprintf("| %s&nbsp;%s | %s |\n", marks[row.outcome], text(cut(row.name, titleLimit)), text(cut(row.text, lineLimit))))
	}
	return p
}

// details say of each stage that did not pass what a person needs to act.
func details(r Report) []part {
	var list []part
	for _, s := range r.Record.Stages {
		if len(s.Detail) == 0 || s.Outcome == record.Passed || len(list) == explained || listed(r, s) {
			continue
		}
		shown := s.Detail[:min(len(s.Detail), detailed)]
		open, lines, end := block("text", shown)
		list = append(list, part{open: fmt.Sprintf("\n**%s**\n\n%s", text(cut(s.Name, titleLimit)), open),
			items: lines, end: end, more: "lines about " + text(cut(s.Name, 30)), over: len(s.Detail) - len(shown)})
	}
	return list
}

// listed tells whether what a stage says in detail is its findings, which have a list of their own.
func listed(r Report, s record.Stage) bool {
	return isScan(s) && s.Outcome == record.Failed && slices.ContainsFunc(r.Findings, finding.Finding.Counts)
}

// notes are what a person should know although it stopped nothing: what the guards warn of, what was waived, and what the
// caller adds.
func notes(r Report) []string {
	var list []string
	if r.Record.Source.Dirty {
		list = append(list, "Made from a working tree with changes that are not committed.")
	}
	for _, s := range r.Record.Stages {
		var guarded struct {
			Guards []record.Guard `json:"guards"`
			Healed []string       `json:"healed"`
		}
		if s.Name != record.StagePlan && s.Name != record.StageDeploy || json.Unmarshal(s.Evidence, &guarded) != nil {
			continue
		}
		for _, g := range guarded.Guards {
			if g.Answer != "clear" {
				list = append(list, guardNote(g))
			}
		}
		if len(guarded.Healed) > 0 {
			list = append(list, "Put in order first, because an earlier deploy was cut off: "+text(cut(strings.Join(guarded.Healed, ", "), lineLimit)))
		}
	}
	for _, s := range r.Record.Stages {
		var scan record.Scan
		if isScan(s) && json.Unmarshal(s.Evidence, &scan) == nil && scan.Gate != nil && scan.Gate.Waivers != nil {
			w := scan.Gate.Waivers
			list = append(list, fmt.Sprintf("%s: %s waived, the first until %s", text(s.Name), finding.Plural(w.Count, "finding"), text(cut(w.Earliest, 20))))
		}
	}
	said := r.Notes
	if s, ok := r.Record.Stage(record.StageGitHub); ok { // only what is rendered after it knows of it
		var shown record.GitHub
		_ = json.Unmarshal(s.Evidence, &shown) // nothing was left out where it was not begun
		said = slices.Concat(said, slices.DeleteFunc(shown.Without, func(line string) bool { return slices.Contains(r.Notes, line) }))
	}
	for _, n := range said {
		list = append(list, text(cut(n, lineLimit)))
	}
	return list
}

func guardNote(g record.Guard) string {
	note := text(cut(g.Text, lineLimit))
	if g.Reason != "" {
		note += "; overridden: " + text(cut(g.Reason, lineLimit))
	}
	if len(g.Commits) > 0 {
		note += "\n"
	}
	for i, c := range g.Commits {
		if i == noted {
			note += fmt.Sprintf("\n* and %d more", len(g.Commits)-noted)
			break
		}
		note += "\n* " + text(cut(c, titleLimit))
	}
	return note
}

func notesPart(list []string) part {
	shown := list[:min(len(list), noted)]
	p := part{more: "notes", over: len(list) - len(shown)}
	for _, n := range shown {
		p.items = append(p.items, "\n⚠ "+n+"\n")
	}
	return p
}

// findings lists what is new, the gravest first, with links to the lines at the commit.
func findings(r Report) part {
	p := part{open: "\n**New findings**\n\n", more: "new findings"}
	for _, f := range r.Findings {
		if !f.Counts() {
			continue
		}
		if len(p.items) == found {
			p.over++
			continue
		}
		p.items = append(p.items, findingItem(r, f))
	}
	return p
}

func findingItem(r Report, f finding.Finding) string {
	item := fmt.Sprintf("* **%s** %s %s, %s", text(string(f.Severity)), text(cut(f.Title, titleLimit)), code(cut(f.Rule, titleLimit)), place(f, r.Code))
	if f.Commit != "" {
		item += ", commit " + commitOf(f, r.Record)
	}
	if f.Help != "" {
		item += "  \n  " + text(cut(f.Help, 2*lineLimit))
	}
	if f.Fingerprint != "" {
		item += "  \n  False alarm? " + code("idp waive "+finding.Short(f.Fingerprint, r.Findings)+` --reason "…" --expires 30d`)
	}
	return item + "\n"
}

// diff folds what a deploy would change, so that a long one does not push all else off the page.
func diff(r Report) part {
	if r.Diff == "" {
		return part{}
	}
	head, rest, _ := strings.Cut(strings.TrimRight(r.Diff, "\n"), "\n")
	rest = strings.Trim(rest, "\n")
	if rest == "" {
		return part{}
	}
	open, lines, end := block("diff", strings.Split(rest, "\n"))
	return part{open: "\n<details><summary>What a deploy would change: " + inHTML(cut(head, titleLimit)) + "</summary>\n\n" + open,
		items: lines, end: end + "\n</details>\n", more: "lines of what a deploy would change"}
}

// place is FILE:LINE, as a link where it is known what to link to.
func place(f finding.Finding, base string) string {
	label := code(cut(f.Place(), lineLimit))
	if base == "" || f.File == "" {
		return label
	}
	address := base + (&url.URL{Path: f.File}).EscapedPath()
	if f.Line > 0 {
		address += fmt.Sprintf("#L%d", f.Line)
	}
	return link(label, address)
}

func commitOf(f finding.Finding, rec *record.Record) string {
	if f.Commit == "" {
		return ""
	}
	return commitLink(f.Commit, rec)
}

func commitLink(commit string, rec *record.Record) string {
	if repository := repositoryURL(rec); repository != "" {
		return link(code(short(commit)), repository+"/commit/"+url.PathEscape(commit))
	}
	return code(short(commit))
}

// repositoryURL is where the code can be read; empty outside a run.
func repositoryURL(rec *record.Record) string {
	repository, _, ok := strings.Cut(rec.Run.URL, "/actions/runs/")
	if !ok {
		return ""
	}
	return repository
}

// inRepository names a file of the service as the repository does.
func inRepository(rec *record.Record, file string) string { return path.Join(rec.Source.Path, file) }
