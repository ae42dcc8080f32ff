//go:build unix

package proc

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the command the leader of a process group, all of which is killed with it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// askGroup asks the group to end with SIGINT, on which git and go take away their lock and temporary files; SIGTERM would leave those
// of go.
func askGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }

// endGroup kills what is left of the group after its leader has ended.
func endGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // an empty group is the ordinary case
}
