// Package runner speaks the GitHub runner's protocol: what started the run, outputs, job summary, annotations and masks.
// go-githubactions serves what it does safely; command files are written here, because the library's constant delimiter
// lets a crafted value set a variable for the next step (the flaw of CVE-2022-35954).
package runner

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/idp/internal/record"
)

// summaryLimit is what the runner accepts of one step's job summary; beyond it the upload is skipped without a failure.
const summaryLimit = 1 << 20

// Runner is the runner that this process is a step of, or none.
type Runner struct {
	getenv func(string) string
	gha    *githubactions.Action
}

// New looks at the environment; w takes workflow commands.
func New(getenv func(string) string, w io.Writer) *Runner {
	return &Runner{getenv: getenv, gha: githubactions.New(githubactions.WithGetenv(getenv), githubactions.WithWriter(w))}
}

// Active tells whether this process is a step of a run.
func (r *Runner) Active() bool { return r.getenv("GITHUB_ACTIONS") == "true" }

// Repository is OWNER/NAME of the repository that the run belongs to; empty outside a run.
func (r *Runner) Repository() string {
	if !r.Active() {
		return ""
	}
	return r.getenv("GITHUB_REPOSITORY")
}

// Ref is the full name of what the run was started for; empty outside a run.
func (r *Runner) Ref() string {
	if !r.Active() {
		return ""
	}
	return r.getenv("GITHUB_REF")
}

// BaseRef is the branch that a pull request asks to be merged into, without refs/heads/; empty for other events.
func (r *Runner) BaseRef() string {
	if !r.Active() {
		return ""
	}
	return r.getenv("GITHUB_BASE_REF")
}

// TempDir is the runner's temporary folder, which the steps of a job share; empty outside a run.
func (r *Runner) TempDir() string {
	if !r.Active() {
		return ""
	}
	return r.getenv("RUNNER_TEMP")
}

// Run describes the run for the record. Outside a run only the actor is known.
func (r *Runner) Run() (record.Run, error) {
	if !r.Active() {
		return record.Run{Actor: firstOf(r.getenv("USER"), r.getenv("USERNAME"))}, nil
	}
	c, err := r.gha.Context()
	if err != nil {
		return record.Run{}, fmt.Errorf("the runner's description of this run cannot be read: %w", err)
	}
	run := record.Run{ID: fmt.Sprint(c.RunID), Attempt: int(c.RunAttempt), Actor: c.Actor, Event: c.EventName}
	run.URL = fmt.Sprintf("%s/%s/actions/runs/%s/attempts/%d", firstOf(c.ServerURL, "https://github.com"), c.Repository, run.ID, run.Attempt)
	return run, nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// Output sets an output of the step. Outside a run it does nothing.
func (r *Runner) Output(name, value string) error {
	path := r.getenv("GITHUB_OUTPUT")
	if !r.Active() || path == "" {
		return nil
	}
	text, err := fileCommand(name, value)
	if err != nil {
		return err
	}
	return appendFile(path, text)
}

// fileCommand writes a value so that no part of it can end it early.
func fileCommand(name, value string) (string, error) {
	if name == "" || strings.ContainsAny(name, "\r\n=") || strings.Contains(name, "<<") {
		return "", fmt.Errorf("%q cannot be the name of an output", name)
	}
	delimiter := "idp-" + rand.Text()
	if strings.Contains(value, delimiter) {
		return "", fmt.Errorf("the value of output %s contains its own delimiter", name)
	}
	return fmt.Sprintf("%s<<%s\n%s\n%s\n", name, delimiter, value, delimiter), nil
}

// Summary appends Markdown to the job summary, cut to what the runner accepts with a word on where the rest is. Outside a
// run it does nothing.
func (r *Runner) Summary(markdown, full string) error {
	path := r.getenv("GITHUB_STEP_SUMMARY")
	if !r.Active() || path == "" {
		return nil
	}
	used := int64(0)
	if info, err := os.Stat(path); err == nil {
		used = info.Size()
	}
	return appendFile(path, cutMarkdown(markdown, int(summaryLimit-used), full))
}

// cutMarkdown cuts at the end of a line.
func cutMarkdown(markdown string, limit int, full string) string {
	if len(markdown) <= limit {
		return markdown
	}
	note := "\n\n(The rest is in " + full + ".)\n"
	if limit < len(note) {
		return ""
	}
	kept := markdown[:limit-len(note)]
	if i := strings.LastIndexByte(kept, '\n'); i >= 0 {
		kept = kept[:i]
	}
	return kept + note
}

// Mask hides a value in the log from now on. Outside a run it does nothing.
func (r *Runner) Mask(value string) {
	if r.Active() && value != "" {
		r.gha.AddMask(value)
	}
}

// Annotation is a remark on a line of the repository.
type Annotation struct {
	Error   bool // otherwise a warning
	File    string
	Line    int
	Title   string
	Message string
}

// annotationLimit is how many of each level the runner shows for a step.
const annotationLimit = 10

// Annotate writes annotations, the last of each level saying how many more there are. Outside a run it does nothing.
func (r *Runner) Annotate(list []Annotation) {
	if !r.Active() {
		return
	}
	for _, isError := range []bool{true, false} {
		var level []Annotation
		for _, a := range list {
			if a.Error == isError {
				level = append(level, a)
			}
		}
		if extra := len(level) - annotationLimit; extra > 0 {
			level = level[:annotationLimit]
			level[annotationLimit-1] = Annotation{Error: isError, Title: "idp",
				Message: fmt.Sprintf("and %d more: see the job summary", extra+1)}
		}
		for _, a := range level {
			r.annotate(a)
		}
	}
}

func (r *Runner) annotate(a Annotation) {
	fields := map[string]string{"title": a.Title}
	if a.File != "" {
		fields["file"] = a.File
	}
	if a.Line > 0 {
		fields["line"] = fmt.Sprint(a.Line)
	}
	write := r.gha.WithFieldsMap(fields).Warningf
	if a.Error {
		write = r.gha.WithFieldsMap(fields).Errorf
	}
	write("%s", a.Message)
}

func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) // #nosec G304 -- the runner names the file
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
