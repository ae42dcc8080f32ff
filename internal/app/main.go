// Package app is the program: the ordered registry of actions, the golden path through them, and the commands beside them. The
// packages below it join each stage to a delivery. With cmd they are the only place that reads the environment, the clock and the
// process's own state.
package app

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/ui"
)

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
	w := cli.World{Getenv: os.Getenv, Environ: os.Environ(), Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now, Program: program}
	if fd := int(os.Stdout.Fd()); term.IsTerminal(fd) { // #nosec G115 -- a file descriptor is small
		w.Terminal = os.Getenv("TERM") != "dumb"
		w.Width, _, _ = term.GetSize(fd) // 0 where unknown
	}
	w.Runner = runner.New(w.Getenv, w.Stdout)
	defer tame(w)()
	return Run(ctx, args, w)
}

// tame leads what libraries write to standard error, such as kustomize of fields that are out of date, to where all text
// goes that people read: it may quote the repository. What the runtime says of a crash is not among it. The end of it waits
// for the rest.
func tame(w cli.World) (end func()) {
	in, out, err := os.Pipe()
	if err != nil {
		return func() {} // then it stays where it was
	}
	to := w.Stderr
	if w.Runner.Active() {
		to = w.Runner.Log()
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
		w.Runner.Close()
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
func Run(ctx context.Context, args []string, w cli.World) int {
	if len(args) == 0 {
		printHelp(w.Stderr)
		return cli.BadInput
	}
	if w.Runner == nil {
		w.Runner = runner.New(w.Getenv, w.Stdout)
	}
	defer w.Runner.Close()
	args = joined(args)
	name, args := args[0], args[1:]
	if c, ok := commandOf(name); !ok || !c.data {
		w.Stdout = w.Runner.Log() // in a run, nothing that is printed for people may be a command
	}
	if name == "help" || name == "--help" || name == "-h" {
		return help(w, args)
	}
	if c, ok := commandOf(name); ok {
		err := c.run(ctx, w, args)
		if cli.IsHelp(err) {
			return help(w, []string{name})
		}
		return cli.Exit(w, err)
	}
	for _, a := range registry {
		if a.Name != name {
			continue
		}
		if a.Reads == nil {
			return runAction(ctx, w, a, args)
		}
		err := a.Read(ctx, w, args)
		if cli.IsHelp(err) {
			return help(w, []string{name})
		}
		return cli.Exit(w, err)
	}
	return cli.Exit(w, unknownCommand(name))
}

// joined takes the two words of an action for its name: idp catalog check is the action catalog-check. No action takes
// anything before its flags, so nothing else can be meant.
func joined(args []string) []string {
	if len(args) < 2 {
		return args
	}
	two := args[0] + "-" + args[1]
	if !slices.ContainsFunc(registry, func(a delivery.Action) bool { return a.Name == two }) {
		return args
	}
	return append([]string{two}, args[2:]...)
}
