package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// poll is how often a process or a service is looked at while waiting for it.
	poll = 50 * time.Millisecond
	// startLimit is how long a supervisor may take until it has said who it is.
	startLimit = 20 * time.Second
	// killLimit is how long a process may take to be gone after SIGKILL.
	killLimit = 10 * time.Second
)

// Process is a process that cannot be confused with a later one of the same number.
type Process struct {
	PID   int    `json:"pid,omitempty"`
	Start string `json:"start,omitempty"` // when it started, in the words of the system; compared, never read
}

// Alive tells whether exactly this process still runs. A zombie does not.
func (p Process) Alive() bool {
	return p.PID > 0 && p.Start != "" && startOf(p.PID) == p.Start
}

// Status is what a supervisor says about its service, in run.json.
type Status struct {
	Supervisor Process `json:"supervisor"`
	Service    Process `json:"service"`
	Port       int     `json:"port"`
	Restarts   int     `json:"restarts"`
	LastExit   *Exit   `json:"lastExit,omitempty"`
	GaveUp     string  `json:"gaveUp,omitempty"` // why the service is not started any more
}

// Exit is how a service ended.
type Exit struct {
	Code   int       `json:"code"` // -1 when a signal ended it
	Signal string    `json:"signal,omitempty"`
	At     time.Time `json:"at"`
}

// String says it as a person would.
func (e Exit) String() string {
	if e.Signal != "" {
		return "ended by signal: " + e.Signal
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

// launch is the order to run a release; taking it away is the order not to.
type launch struct {
	Port int `json:"port"`
}

// Running is a started release. It need not be healthy.
type Running struct {
	Supervisor Process
	Port       int
	URL        string
}

func running(s Status) Running {
	return Running{Supervisor: s.Supervisor, Port: s.Port, URL: "http://127.0.0.1:" + strconv.Itoa(s.Port)}
}

// Status reads what the supervisor of a release said last; zero where it was never started.
func (t *Target) Status(name string) Status {
	var s Status
	_ = readJSON(filepath.Join(t.dir(name), runFile), &s)
	return s
}

// Alive tells whether the release has a supervisor that runs.
func (t *Target) Alive(name string) bool { return t.Status(name).Supervisor.Alive() }

// Running gives the process of a release that runs.
func (t *Target) Running(name string) (Running, bool) {
	s := t.Status(name)
	return running(s), s.Supervisor.Alive()
}

// Start runs a release under a supervisor that outlives this process: program, called as "program supervise FOLDER",
// must call Supervise. It is on the port that it had before where that is free, otherwise on any free one of loopback.
// The supervisor inherits neither environment nor files, so that it holds open no pipe that a CI runner waits for.
func (t *Target) Start(ctx context.Context, r *Release, program string) (Running, error) {
	if run, ok := t.Running(r.Name); ok {
		return run, nil
	}
	// A supervisor that was killed may have left something.
	if err := t.Stop(ctx, r.Name, 0); err != nil {
		return Running{}, err
	}
	port, err := freePort(t.Status(r.Name).Port)
	if err != nil {
		return Running{}, err
	}
	if err := os.Remove(filepath.Join(r.dir, runFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Running{}, err
	}
	if err := writeJSON(filepath.Join(r.dir, launchFile), launch{Port: port}); err != nil {
		return Running{}, err
	}
	run, err := t.spawn(ctx, r, program)
	if err != nil {
		// The context may be what ended the wait, and stopping must not depend on it.
		return Running{}, errors.Join(err, t.Stop(context.WithoutCancel(ctx), r.Name, 0))
	}
	return run, nil
}

func (t *Target) spawn(ctx context.Context, r *Release, program string) (Running, error) {
	complaints, err := os.Create(filepath.Join(r.dir, "supervisor.err"))
	if err != nil {
		return Running{}, err
	}
	defer func() { _ = complaints.Close() }()
	// Not internal/proc: there a command ends with its context, and this one is to stay.
	cmd := exec.Command(program, "supervise", r.dir) // #nosec G204 -- the program is this one
	cmd.Dir, cmd.Env, cmd.Stderr = r.dir, []string{}, complaints
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return Running{}, fmt.Errorf("starting the supervisor: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	for {
		if s := t.Status(r.Name); s.Supervisor.PID == cmd.Process.Pid {
			return running(s), nil
		}
		select {
		case err := <-ended:
			if s := t.Status(r.Name); s.Supervisor.PID == cmd.Process.Pid {
				return running(s), nil // it spoke and gave up at once; whoever waits for health reads why
			}
			said, _ := os.ReadFile(complaints.Name())
			return Running{}, fmt.Errorf("the supervisor ended before it began: %v %s", err, strings.TrimSpace(string(said)))
		case <-limit.C:
			_ = cmd.Process.Kill()
			return Running{}, fmt.Errorf("the supervisor said nothing for %s", startLimit)
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			return Running{}, context.Cause(ctx)
		case <-time.After(poll):
		}
	}
}

// Stop ends a release: it takes the launch order away, asks the supervisor to end its service, and kills both when
// that takes longer than grace; with no grace it kills at once. A release that does not run is no error.
func (t *Target) Stop(ctx context.Context, name string, grace time.Duration) error {
	// The order matters: a supervisor that is only just starting first says who it is and then looks for the order. So
	// either it finds none, or it is found below.
	if err := os.Remove(filepath.Join(t.dir(name), launchFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s := t.Status(name)
	if s.Supervisor.Alive() && grace > 0 {
		terminate(s.Supervisor.PID)
		if err := waitGone(ctx, s.Supervisor, grace); err == nil {
			return nil
		}
	}
	if s.Supervisor.Alive() {
		kill(s.Supervisor.PID)
		if err := waitGone(context.WithoutCancel(ctx), s.Supervisor, killLimit); err != nil {
			return fmt.Errorf("release %s, process %d: %w", name, s.Supervisor.PID, err)
		}
	}
	// Only now can no new service appear; read again whom the supervisor left.
	s = t.Status(name)
	killOrphans(s)
	if err := waitGone(context.WithoutCancel(ctx), s.Service, killLimit); err != nil {
		return fmt.Errorf("release %s, process %d: %w", name, s.Service.PID, err)
	}
	return nil
}

// StopAll ends every release and gives the names of those that ran.
func (t *Target) StopAll(ctx context.Context) ([]string, error) {
	names, err := t.names()
	if err != nil {
		return nil, err
	}
	var stopped []string
	for _, name := range names {
		if t.Alive(name) {
			stopped = append(stopped, name)
		}
		if err := t.Stop(ctx, name, StopGrace); err != nil {
			return stopped, err
		}
	}
	return stopped, nil
}

func waitGone(ctx context.Context, p Process, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for p.Alive() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return fmt.Errorf("still there after %s", limit)
		case <-time.After(poll):
		}
	}
	return nil
}

// freePort gives wish where it is free and otherwise any free port of loopback. Another process may take it before the
// service does; Observation.Foreign and PortTaken tell. That is least likely below the ports that systems give to whoever
// asks for any, 32768 and up.
func freePort(wish int) (int, error) {
	if wish != 0 && !PortTaken(wish) {
		return wish, nil
	}
	for range 20 {
		if port := 20000 + rand.IntN(10000); !PortTaken(port) { // #nosec G404 -- not a secret
			return port, nil
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("no free port on loopback: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// PortTaken tells whether something listens on the port of loopback.
func PortTaken(port int) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return true
	}
	_ = l.Close()
	return false
}
