// Package cli is what every command of the program stands on: what it sees of the machine, its flags, and its exit codes.
package cli

import (
	"io"
	"time"

	"github.com/org/idp/internal/runner"
)

// World is what the program sees of the machine that it runs on.
type World struct {
	Getenv         func(string) string
	Environ        []string // as os.Environ gives it
	Stdout, Stderr io.Writer
	Terminal       bool // Stdout is a terminal
	Width          int  // of that terminal, in columns
	Now            func() time.Time
	Program        string // path of this program, which supervises local services

	Runner *runner.Runner // of Getenv and Stdout; nil: Run makes it
}
