//go:build unix

package local

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

func supported() error { return nil }

// detach makes the supervisor the leader of its own session, so that neither the terminal's signals nor its end reach it.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func terminate(pid int) { _ = syscall.Kill(pid, syscall.SIGTERM) }
func kill(pid int)      { _ = syscall.Kill(pid, syscall.SIGKILL) }
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

func exitOf(p *os.ProcessState, at time.Time) *Exit {
	e := &Exit{Code: p.ExitCode(), At: at.UTC()}
	if status, ok := p.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = status.Signal().String()
	}
	return e
}
