package report

import (
	"slices"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// Check is a check run of GitHub: docs.github.com, "Create a check run".
type Check struct {
	Name        string // the same for every change and delivery of a service to an environment, so that it can be required
	Title       string // at most 255 characters of plain text
	Summary     string // Markdown, at most 65,535 bytes
	Text        string // Markdown, at most 65,535 bytes; may be empty
	Conclusion  string // success, failure or action_required
	Annotations []Annotation
}

// Annotation is a finding beside its line of code.
type Annotation struct {
	Path               string // in the repository
	StartLine, EndLine int    // from 1
	Level              string // failure, warning or notice
	Title, Message     string // plain text
}

// Marked is a finding and the level that it is shown at.
type Marked struct {
	finding.Finding
	Level string // failure, warning or notice
}

const (
	checkLimit      = 65535 // bytes, of a summary and of a text
	checkTitle      = 255   // characters, also of an annotation's title
	annotationLimit = 500   // of one check run: ten calls of 50; code scanning and the report have all
)

// Conclusions of a check run.
const (
	Success        = "success"
	Failure        = "failure"
	ActionRequired = "action_required"
)

// NewCheck renders the check run of a delivery. Its annotations are the findings in the order in which they are given, so
// that the caller can put those first that the change touched.
func NewCheck(r Report, marked []Marked) Check {
	list := notes(r)
	c := Check{Name: CheckName(r.Record), Title: cut(clean(headline(r)), checkTitle), Conclusion: conclusion(r)}
	end := footer(r)
	c.Summary = fit(checkLimit-len(end), full(r), table(r), notesPart(list)) + end
	parts := append(details(r), findings(r), costDiff(r), diff(r))
	shown := marked[:min(len(marked), annotationLimit)]
	for _, m := range shown {
		c.Annotations = append(c.Annotations, annotation(r.Record, m))
	}
	parts = append(parts, part{more: "findings than are annotated", over: len(marked) - len(shown)})
	c.Text = fit(checkLimit, full(r), parts...)
	return c
}

// CheckName names the check run, and the status where there are no check runs, of a service and an environment. GitHub has one
// verdict for each name on a commit, and does not say whether the newest run of a name counts or all of them. So what is no change and
// delivers nothing has a name of its own: it is no answer about the delivery of the same commit.
func CheckName(rec *record.Record) string {
	name := "idp/" + cut(clean(rec.Service.Name), 63) + "/" + cut(clean(rec.Environment), 63)
	if aside(rec) {
		name += " (" + cut(clean(rec.Run.Event), 63) + ")"
	}
	return name
}

// changes are the events that a change comes with.
var changes = []string{"pull_request", "merge_group", "push"}

// aside tells whether nobody's change and no delivery that somebody asked for is what a run is about.
func aside(rec *record.Record) bool {
	return rec.Run.Event == "schedule" || rec.Plan && rec.Run.Event != "" && !slices.Contains(changes, rec.Run.Event)
}

// conclusion is success only of a delivery that passed and waits for nobody.
func conclusion(r Report) string {
	switch {
	case waits(r):
		return ActionRequired
	case r.Record.Outcome != record.Passed:
		return Failure
	}
	return Success
}

func annotation(rec *record.Record, m Marked) Annotation {
	line := max(m.Line, 1) // of a finding about the whole file
	message := m.Title
	if m.Help != "" {
		message += "\n" + m.Help
	}
	return Annotation{Path: inRepository(rec, m.File), StartLine: line, EndLine: max(m.EndLine, line), Level: m.Level,
		Title: cut(clean(m.Rule), checkTitle), Message: cut(message, 4*lineLimit)}
}
