// Package app is the program: the ordered registry of actions, the wiring of each to the live world, and exit codes. With
// cmd it is the only place that reads the environment, the clock and the process's own state.
package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/ui"
)

// World is what the program sees of the machine that it runs on.
type World struct {
	Getenv         func(string) string
	Environ        []string // as os.Environ gives it
	Stdout, Stderr io.Writer
	Terminal       bool // Stdout is a terminal
	Width          int  // of that terminal, in columns
	Now            func() time.Time
	Program        string // path of this program, which supervises local services

	runner *runner.Runner // of Getenv and Stdout; nil: Run makes it
}

// errInterrupted is the cause of a context that a signal cancelled.
type errInterrupted struct{ signal os.Signal }

// errAlone is the cause of a context whose step has ended: see lifeline.
var errAlone = fmt.Errorf("interrupted (the runner ended the step): %w", context.Canceled)

func (e errInterrupted) Error() string {
	name := "SIGINT"
	switch e.signal {
	case syscall.SIGTERM:
		name = "SIGTERM"
	case syscall.SIGHUP:
		name = "SIGHUP"
	}
	return "interrupted (" + name + ")"
}
func (e errInterrupted) Unwrap() error { return context.Canceled }

// Main runs the program on the real machine and gives its exit code: 0 passed, 1 a gate failed, 2 bad input, 3 could not
// be determined.
func Main(args []string) int {
	ctx, stop := withSignals(context.Background())
	defer stop()
	ctx = withLifeline(ctx)
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	w := World{Getenv: os.Getenv, Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now, Program: program}
	if fd := int(os.Stdout.Fd()); term.IsTerminal(fd) { // #nosec G115 -- a file descriptor is small
		w.Terminal = os.Getenv("TERM") != "dumb"
		w.Width, _, _ = term.GetSize(fd) // 0 where unknown
	}
	w.runner = runner.New(w.Getenv, w.Stdout)
	defer tame(w)()
	return Run(ctx, args, w)
}

// tame leads what libraries write to standard error, such as kustomize of fields that are out of date, to where all text
// goes that people read: it may quote the repository. What the runtime says of a crash is not among it. The end of it waits
// for the rest.
func tame(w World) (end func()) {
	in, out, err := os.Pipe()
	if err != nil {
		return func() {} // then it stays where it was
	}
	to := w.Stderr
	if w.runner.Active() {
		to = w.runner.Log()
	}
	before := os.Stderr
	os.Stderr = out
	log.SetOutput(out)
	log.SetFlags(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewReader(in)
		for {
			line, _, err := lines.ReadLine()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintln(to, ui.Clean(string(line)))
		}
	}()
	return func() {
		os.Stderr = before
		log.SetOutput(before)
		_ = out.Close()
		_ = in.SetReadDeadline(time.Now().Add(time.Second)) // what was started meanwhile may still hold the other end
		<-done
		w.runner.Close()
	}
}

// withSignals cancels the context at the first SIGINT, SIGTERM or SIGHUP, with the signal as its cause. The second one has
// its ordinary meaning again.
func withSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(errInterrupted{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { signal.Stop(signals); cancel(nil) }
}

// withLifeline cancels the context when the node part of the action is gone, which holds the other end of a pipe. Only idp
// itself is to see the variable and the pipe, not what it starts.
func withLifeline(parent context.Context) context.Context {
	fd, err := strconv.Atoi(os.Getenv("IDP_LIFELINE"))
	if err != nil {
		return parent
	}
	_ = os.Unsetenv("IDP_LIFELINE")
	file := lifeline(fd)
	if file == nil {
		return parent
	}
	ctx, cancel := context.WithCancelCause(parent)
	go func() {
		_, _ = file.Read(make([]byte, 1))
		cancel(errAlone)
	}()
	return ctx
}

// Run runs one command and gives its exit code.
func Run(ctx context.Context, args []string, w World) int {
	if len(args) == 0 {
		printHelp(w.Stderr)
		return codeBadInput
	}
	if w.runner == nil {
		w.runner = runner.New(w.Getenv, w.Stdout)
	}
	defer w.runner.Close()
	args = joined(args)
	name, args := args[0], args[1:]
	if c, ok := commandOf(name); !ok || !c.data {
		w.Stdout = w.runner.Log() // in a run, nothing that is printed for people may be a command
	}
	if name == "help" || name == "--help" || name == "-h" {
		return help(w, args)
	}
	if c, ok := commandOf(name); ok {
		err := c.run(ctx, w, args)
		if isHelp(err) {
			return help(w, []string{name})
		}
		return finish(w, err)
	}
	for _, a := range registry {
		if a.Name != name {
			continue
		}
		if a.reads == nil {
			return runAction(ctx, w, a, args)
		}
		err := a.read(ctx, w, args)
		if isHelp(err) {
			return help(w, []string{name})
		}
		return finish(w, err)
	}
	return finish(w, unknownCommand(name))
}

// joined takes the two words of an action for its name: idp catalog check is the action catalog-check. No action takes
// anything before its flags, so nothing else can be meant.
func joined(args []string) []string {
	if len(args) < 2 {
		return args
	}
	two := args[0] + "-" + args[1]
	if !slices.ContainsFunc(registry, func(a Action) bool { return a.Name == two }) {
		return args
	}
	return append([]string{two}, args[2:]...)
}

const (
	codePassed = iota
	codeFailed
	codeBadInput
	codeUndetermined
)

// codeOf gives the exit code of an error; a stage that does not apply has not failed.
func codeOf(err error) int {
	if err == nil {
		return codePassed
	}
	switch fault.KindOf(err) {
	case fault.Failed:
		return codeFailed
	case fault.BadInput:
		return codeBadInput
	case fault.Skipped:
		return codePassed
	}
	return codeUndetermined
}

// finish prints what went wrong outside of any stage.
func finish(w World, err error) int {
	code := codeOf(err)
	if err == nil {
		return code
	}
	out := w.Stderr
	if w.runner.Active() {
		out = w.runner.Log() // a line of standard error may come before a command that was written first
	}
	head := "idp: "
	if code == codeUndetermined {
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
	w.runner.Annotate([]runner.Annotation{{Title: "idp", Message: strings.Join(fault.Lines(err), "\n")}})
	return code
}
