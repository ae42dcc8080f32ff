// Package proc runs the tools that stages need, such as git and go, so that none outlives its context: a command is its
// own process group, and cancelling ends the whole group: first it is asked to, then it is killed.
package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/org/idp/internal/awake"
)

// grace is how long a cancelled command may take to put its files in order. A GitHub runner gives a cancelled step 7.5 s
// before its next signal, and what cancelled this command has more to do in that time.
const grace = 2 * time.Second

// Command is one call of a tool. Name, Args and Dir never hold a secret: they are shown in errors.
type Command struct {
	Dir    string
	Env    []string // the whole environment; nil inherits
	Name   string
	Args   []string
	Stdin  io.Reader
	Stdout io.Writer // nil collects it for Run's result
}

// Error is a tool that ended with a code other than 0, or did not start.
type Error struct {
	Command string // name and first argument
	Code    int    // exit code; -1 when it did not start or was killed
	Stderr  string // the last 4 KiB
	Err     error
}

func (e *Error) Error() string {
	text := strings.TrimSpace(e.Stderr)
	if text == "" {
		text = e.Err.Error()
	}
	return fmt.Sprintf("%s: %s", e.Command, text)
}

func (e *Error) Unwrap() error { return e.Err }

// Run runs the command to its end and gives what it wrote to standard output. The error is the context's when that was
// cancelled, otherwise *Error.
func Run(ctx context.Context, c Command) ([]byte, error) {
	var out bytes.Buffer
	stderr := &tail{limit: 4 << 10}
	late, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	cmd := exec.CommandContext(late, c.Name, c.Args...) // #nosec G204 -- callers pass fixed tools
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Env, c.Stdin, c.Stdout, stderr
	if c.Stdout == nil {
		cmd.Stdout = &out
	}
	ownGroup(cmd)
	cmd.WaitDelay = grace // for who holds its output and is not of the group
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := cmd.Start(); err != nil {
		return nil, newError(c, "", err)
	}
	stop := context.AfterFunc(ctx, func() {
		askGroup(cmd)
		allowed, done := awake.WithTimeout(late, grace)
		defer done()
		<-allowed.Done()
		kill()
	})
	err := cmd.Wait()
	switch cancelled := !stop(); {
	case cancelled:
		endGroup(cmd)
		return out.Bytes(), context.Cause(ctx)
	case err == nil:
		return out.Bytes(), nil
	}
	return out.Bytes(), newError(c, stderr.String(), err)
}

func newError(c Command, stderr string, err error) *Error {
	e := &Error{Command: c.Name, Code: -1, Stderr: stderr, Err: err}
	if len(c.Args) > 0 {
		e.Command += " " + c.Args[0]
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		e.Code = exit.ExitCode()
	}
	return e
}

// tail keeps the last limit bytes written to it.
type tail struct {
	limit int
	buf   []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if extra := len(t.buf) - t.limit; extra > 0 {
		t.buf = t.buf[extra:]
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.buf) }
