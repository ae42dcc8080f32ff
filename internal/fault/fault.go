// Package fault classifies errors by what they mean for the delivery: a gate said no, a stage did not apply, the input
// was bad, or the answer could not be determined. An error that nobody classified is undetermined, so an unexpected
// failure can never read as a pass.
package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Kind is what an error means for the delivery.
type Kind int

const (
	// Undetermined is the zero value on purpose: what nobody classified was not determined. Exit code 3.
	Undetermined Kind = iota
	// Failed means that a gate was evaluated and said no. Exit code 1.
	Failed
	// BadInput means that the person who started this has to change an input or a file. Exit code 2.
	BadInput
	// Skipped means that the stage does not apply here; its text is the reason.
	Skipped
)

// Error is a classified problem, written for the person who has to act on it.
type Error struct {
	Kind Kind
	// What happened and where, in one line without the name of the stage: whoever prints it adds that.
	What string
	// Detail holds further lines, such as the findings or the last lines of a log. It may be empty.
	Detail []string
	// Next says what to do, one step a line. It may be empty.
	Next []string
	// Err leads errors.Is and errors.As to the cause; its text is part of What already.
	Err error
}

// Error gives the headline, which names the cause already where there is one.
func (e *Error) Error() string {
	return e.What
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// WithDetail adds lines below the headline and returns e.
func (e *Error) WithDetail(lines ...string) *Error {
	e.Detail = append(e.Detail, lines...)
	return e
}

// WithNext adds steps to take and returns e.
func (e *Error) WithNext(steps ...string) *Error {
	e.Next = append(e.Next, steps...)
	return e
}

// Failedf is a gate that said no.
func Failedf(format string, args ...any) *Error { return newf(Failed, format, args) }

// BadInputf is an input or file that its author has to change.
func BadInputf(format string, args ...any) *Error { return newf(BadInput, format, args) }

// Skipf says why a stage does not apply.
func Skipf(format string, args ...any) *Error { return newf(Skipped, format, args) }

// Undeterminedf is an answer that could not be had: a tool, the network or coverage failed.
func Undeterminedf(format string, args ...any) *Error { return newf(Undetermined, format, args) }

// newf keeps the cause of a %w reachable by errors.Is and errors.As; its text is part of the headline.
func newf(kind Kind, format string, args []any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, What: err.Error(), Err: err}
}

// KindOf classifies any error. A cancelled or timed-out context is undetermined whatever wraps it: the gate that was
// being evaluated never came to its answer.
func KindOf(err error) Kind {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Undetermined
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Undetermined
}

// Lines renders an error for a person: headline, detail, then what to do.
func Lines(err error) []string {
	var e *Error
	if !errors.As(err, &e) {
		return strings.Split(err.Error(), "\n")
	}
	lines := strings.Split(err.Error(), "\n")
	lines = append(lines, e.Detail...)
	return append(lines, e.Next...)
}
