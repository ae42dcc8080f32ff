//go:build !unix

package proc

import "os/exec"

// ownGroup leaves the default in place: only the command itself is killed.
func ownGroup(*exec.Cmd) {}

// askGroup ends the command, which cannot be asked.
func askGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

func endGroup(*exec.Cmd) {}
