//go:build !linux

package main

import "os/exec"

// Elsewhere a kill of this program leaves its services behind, and two builds at once disturb each other.

func endWithUs(*exec.Cmd) {}

func lock(string) (unlock func(), err error) { return func() {}, nil }
