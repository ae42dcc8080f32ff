//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// up leaves a cluster running that down stops. Where it runs already, that is said.
func (o options) up(ctx context.Context) error {
	if !inUse(o.stays) {
		// Done here already, so that a person sees what takes long.
		if _, err := prepare(ctx); err != nil {
			return err
		}
		if _, err := binaries(ctx, o.cache, o.source); err != nil {
			return err
		}
		if err := o.leave(ctx); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(o.stays, "environment"))
	if err != nil {
		return fmt.Errorf("the cluster in %s is just starting or stopping: %w", o.stays, err)
	}
	fmt.Print(string(text))
	return nil
}

// leave starts this program again, detached, and waits until its cluster is ready.
func (o options) leave(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "stay", "-cache", o.cache, "-source", o.source) // #nosec G204 -- this program itself
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	log, err := os.Create(o.stays + ".log")
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if _, err := os.Stat(filepath.Join(o.stays, "environment")); err == nil && inUse(o.stays) {
			return nil
		}
		select {
		case err := <-ended:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("the cluster did not start: %w\n%s", err, text)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), cmd.Process.Signal(syscall.SIGTERM))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stay runs a cluster until it is told to end.
func (o options) stay(ctx context.Context) (err error) {
	c, err := o.start(ctx, o.stays)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	if err := os.WriteFile(c.path("pid"), fmt.Append(nil, os.Getpid()), 0o600); err != nil {
		return err
	}
	var text strings.Builder
	for _, line := range c.environ() {
		name, value, _ := strings.Cut(line, "=")
		if name == "PATH" {
			value = c.Bin + ":$PATH"
		}
		_, _ = fmt.Fprintf(&text, "export %s=%q\n", name, value)
	}
	partial := c.path("environment.partial")
	if err := os.WriteFile(partial, []byte(text.String()), 0o600); err != nil {
		return err
	}
	if err := os.Rename(partial, c.path("environment")); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-c.ended:
		return errors.New("the cluster ended")
	}
}

// down stops the cluster that up started.
func (o options) down(ctx context.Context) error {
	if !inUse(o.stays) {
		say("none runs")
		return nil
	}
	text, err := os.ReadFile(filepath.Join(o.stays, "pid"))
	if err != nil {
		return fmt.Errorf("the cluster in %s is just starting or stopping: %w", o.stays, err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	for inUse(o.stays) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}
