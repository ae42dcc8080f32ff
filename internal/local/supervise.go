package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const (
	// maxRestarts in restartWindow is how often a crashing service is started again before it is given up.
	maxRestarts   = 5
	restartWindow = time.Minute
	// firstBackoff doubles with each restart in the window: 0.1 s to 1.6 s, so that a service that dies at once is given up
	// after about 3 s rather than at the end of the deploy's patience.
	firstBackoff = 100 * time.Millisecond
	// termGrace is how long a service may take to end after SIGTERM.
	termGrace = 10 * time.Second
	// drainLimit is how long the rest of the log is read after the service's end.
	drainLimit = time.Second

	// StopGrace is the grace for Stop that leaves the supervisor time for its own.
	StopGrace = termGrace + 2*time.Second
)

// Supervise runs the release in dir until ctx is cancelled or SIGTERM or SIGINT arrives, and starts it again when it
// ends by itself. It is what the process that Start makes must call, and it returns when nothing of the service is left.
// The error says why it gave up; the same is in run.json.
//
// Should this process be killed, Linux kills the service with it. On other systems an orphan is left, which the next
// deploy, or Stop, ends.
func Supervise(ctx context.Context, dir string, now func() time.Time) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// Linux ties the service's life to the thread that started it, not to the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	s, err := newSupervisor(dir, now)
	if err != nil || s == nil {
		return err
	}
	defer func() { _ = s.log.Close() }()
	for {
		if err := s.once(ctx); err != nil {
			return s.giveUp(err)
		}
		if ctx.Err() != nil {
			return nil
		}
		wait, err := s.backoff()
		if err != nil {
			return s.giveUp(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

type supervisor struct {
	release *Release
	log     *rotatingLog
	now     func() time.Time
	status  Status
	starts  []time.Time // of restarts in the window
}

// newSupervisor says who it is, then looks whether it is still wanted; it is nil where it is not. See Stop for the order.
func newSupervisor(dir string, now func() time.Time) (*supervisor, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	r, err := readRelease(dir)
	if err != nil {
		return nil, err
	}
	s := &supervisor{release: r, now: now}
	pid := os.Getpid()
	s.status.Supervisor = Process{PID: pid, Start: startOf(pid)}
	var order launch
	if err := readJSON(filepath.Join(dir, launchFile), &order); err != nil {
		return nil, unlessGone(err)
	}
	s.status.Port = order.Port
	if err := s.save(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, launchFile)); err != nil {
		return nil, unlessGone(err)
	}
	s.log, err = openLog(logPath(dir))
	return s, err
}

func unlessGone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// once runs the service to its end. An error means that it could not be started, and never will.
func (s *supervisor) once(ctx context.Context) error {
	cmd, err := s.release.command()
	if err != nil {
		return err
	}
	output, input, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = output.Close() }()
	cmd.Env, cmd.Stdout, cmd.Stderr = s.release.environment(s.status.Port), input, input
	bind(cmd)
	err = cmd.Start()
	_ = input.Close()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEntrypoint, err)
	}
	s.status.Service = Process{PID: cmd.Process.Pid, Start: startOf(cmd.Process.Pid)}
	if err := s.save(); err != nil {
		killGroup(cmd.Process.Pid)
		_ = cmd.Wait()
		return err
	}
	drained := make(chan struct{})
	go func() { _, _ = io.Copy(s.log, output); close(drained) }()
	s.wait(ctx, cmd)
	select {
	case <-drained:
	case <-time.After(drainLimit): // someone outside the group still holds the pipe
	}
	s.status.LastExit = exitOf(cmd.ProcessState, s.now())
	return nil
}

// wait returns when the service and all of its group are gone.
func (s *supervisor) wait(ctx context.Context, cmd *exec.Cmd) {
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // how it ended is in its ProcessState
	select {
	case <-ended:
	case <-ctx.Done():
		terminate(cmd.Process.Pid)
		select {
		case <-ended:
		case <-time.After(termGrace):
		}
	}
	killGroup(cmd.Process.Pid)
	<-ended
}

// backoff counts a restart and gives the wait before it.
func (s *supervisor) backoff() (time.Duration, error) {
	now := s.now()
	recent := s.starts[:0]
	for _, at := range s.starts {
		if now.Sub(at) < restartWindow {
			recent = append(recent, at)
		}
	}
	s.starts = recent
	if len(recent) >= maxRestarts {
		return 0, fmt.Errorf("%d restarts within %s, last %s", maxRestarts, restartWindow, s.status.LastExit)
	}
	s.starts = append(s.starts, now)
	s.status.Restarts++
	return firstBackoff << len(recent), s.save()
}

func (s *supervisor) giveUp(why error) error {
	s.status.GaveUp = why.Error()
	return errors.Join(why, s.save())
}

func (s *supervisor) save() error {
	return writeJSON(filepath.Join(s.release.dir, runFile), s.status)
}
