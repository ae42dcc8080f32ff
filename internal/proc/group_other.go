//go:build !unix

package proc

import "os/exec"

// ownGroup leaves the default in place: only the command itself is killed.
func ownGroup(*exec.Cmd) {}

func endGroup(*exec.Cmd) {}
