//go:build unix

package proc

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the command the leader of a process group. When its context ends, the group is asked to end with SIGINT,
// on which git and go take away their lock and temporary files; SIGTERM would leave those of go.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}

// endGroup kills what is left of the group after its leader has ended.
func endGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // an empty group is the ordinary case
	}
}
