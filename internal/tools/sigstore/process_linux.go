package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// endWithUs has the kernel kill the process when the thread that starts it ends, also by kill -9. A process group of its own
// keeps the terminal's Ctrl-C from it, so that the command ends before what it uses.
func endWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// lock waits for a file's lock; the kernel releases it when this process ends, however it does.
func lock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600) // #nosec G304 -- callers pass fixed names
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
