package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Level is how grave an annotation is. The zero value is an error.
type Level string

// The levels that the runner knows.
const (
	Error   Level = "error"
	Warning Level = "warning"
	Notice  Level = "notice"
)

// Annotation is a remark on a line of the repository.
type Annotation struct {
	Level   Level
	File    string // in the repository, with slashes; empty where it is about none
	Line    int    // from 1; 0 where it is about the whole file
	Title   string
	Message string
}

// What the runner and GitHub take; the rest is dropped without a word.
const (
	perLevel      = 10   // of a step
	perJob        = 50   // of all its steps
	messageLength = 4096 // UTF-16 code units: _maxIssueMessageLength in the runner's ExecutionContext
	titleLength   = 255  // of a check run's annotation
)

// Annotate writes annotations, the last of each level saying how many more there are, and tells whether any was left out.
// Outside a run it does nothing.
func (r *Runner) Annotate(list []Annotation) (cut bool) {
	if !r.Active() {
		return false
	}
	left := perJob - r.annotated()
	for _, level := range []Level{Error, Warning, Notice} {
		of := slices.Clone(list)
		of = slices.DeleteFunc(of, func(a Annotation) bool { return firstOf(string(a.Level), string(Error)) != string(level) })
		limit := max(1, min(perLevel, left)) // a step never fails without a word
		if extra := len(of) - limit; extra > 0 {
			cut = true
			of = append(of[:limit-1:limit-1], Annotation{Level: level, Title: "idp",
				Message: fmt.Sprintf("and %d more: see the job summary and the end of this step's log", extra+1)})
		}
		for _, a := range of {
			r.annotate(level, a)
		}
		left -= len(of)
	}
	r.setAnnotated(perJob - left)
	return cut
}

func (r *Runner) annotate(level Level, a Annotation) {
	fields := map[string]string{"title": shorten(a.Title, titleLength)}
	if a.File != "" {
		fields["file"] = a.File
	}
	if a.Line > 0 {
		fields["line"] = strconv.Itoa(a.Line)
	}
	to := r.gha.WithFieldsMap(fields)
	write := map[Level]func(string, ...any){Error: to.Errorf, Warning: to.Warningf, Notice: to.Noticef}[level]
	write("%s", shorten(a.Message, messageLength))
}

// shorten cuts text to a number of UTF-16 code units, in which the runner counts.
func shorten(text string, limit int) string {
	units := 0
	for i, c := range text {
		if units+utf16.RuneLen(c) > limit-1 {
			if len(utf16.Encode([]rune(text[i:]))) <= limit-units {
				return text
			}
			return text[:i] + "…"
		}
		units += utf16.RuneLen(c)
	}
	return text
}

// countFile is where the steps of a job count their annotations together.
func (r *Runner) countFile() string { return filepath.Join(r.TempDir(), "idp", "annotations") }

// annotated is how many annotations the steps before this one wrote. A file that cannot be read counts nothing: the worst
// that follows is that GitHub drops what is too many.
func (r *Runner) annotated() int {
	data, err := os.ReadFile(r.countFile())
	if err != nil || r.TempDir() == "" {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || n < 0 {
		return 0
	}
	return min(n, perJob)
}

func (r *Runner) setAnnotated(n int) {
	if r.TempDir() == "" || n == 0 || os.MkdirAll(filepath.Dir(r.countFile()), 0o755) != nil { // #nosec G301 -- the record beside it is for all steps
		return
	}
	_ = os.WriteFile(r.countFile(), []byte(strconv.Itoa(n)), 0o600) // see annotated
}
