// Command gotest is `go test -v` whose output ends with what the failed tests said: of some hundred tests that print what
// programs did, in parallel, the one line that matters is otherwise hard to find.
//
//	gotest [flags and packages of go test]
//
// It prints what go test prints, line by line, and exits as that does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode()) // of go test, which has said why
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	// #nosec G204 -- the arguments are those of whoever started this
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-v"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go test then ends the tests
	cmd.Stdin, cmd.Stderr = os.Stdin, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failures, readErr := follow(out, os.Stdout)
	err = errors.Join(readErr, cmd.Wait())
	_, writeErr := os.Stdout.WriteString(failures)
	return errors.Join(err, writeErr)
}
