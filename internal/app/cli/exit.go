package cli

import (
	"fmt"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/ui"
)

// The exit codes of the program.
const (
	Passed = iota
	Failed
	BadInput
	Undetermined
)

// Code gives the exit code of an error; a stage that does not apply has not failed.
func Code(err error) int {
	if err == nil {
		return Passed
	}
	switch fault.KindOf(err) {
	case fault.Failed:
		return Failed
	case fault.BadInput:
		return BadInput
	case fault.Skipped:
		return Passed
	}
	return Undetermined
}

// Exit prints what went wrong outside of any stage.
func Exit(w World, err error) int {
	code := Code(err)
	if err == nil {
		return code
	}
	out := w.Stderr
	if w.Runner.Active() {
		out = w.Runner.Log() // a line of standard error may come before a command that was written first
	}
	head := "idp: "
	if code == Undetermined {
		head = "idp: could not be determined: "
	}
	for i, line := range fault.Lines(err) {
		if i == 0 {
			line = head + line
		} else if line != "" {
			line = "  " + line
		}
		_, _ = fmt.Fprintln(out, ui.Clean(line))
	}
	w.Runner.Annotate([]runner.Annotation{{Title: "idp", Message: strings.Join(fault.Lines(err), "\n")}})
	return code
}
