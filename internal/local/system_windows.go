package local

import (
	"context"
	"os"
	"os/exec"
	"time"

	"github.com/org/idp/internal/fault"
)

// supported refuses: Windows has neither process groups nor SIGTERM, and a service that cannot be asked to end cannot be
// replaced gracefully. The rest of this file only lets the package compile; nothing of it is reached.
func supported() error {
	return fault.BadInputf("the local target does not work on Windows").WithNext("Run it in WSL, or deploy to another target.")
}

// Lock is never reached: Open refuses.
func (t *Target) Lock(context.Context, func(string)) (func(), error) { return nil, supported() }

func detach(*exec.Cmd)                            {}
func bind(*exec.Cmd)                              {}
func terminate(int)                               {}
func kill(int)                                    {}
func killGroup(int)                               {}
func killOrphans(Status)                          {}
func startOf(int) string                          { return "" }
func listening(Process) (ports []int, known bool) { return nil, false }
func exitOf(p *os.ProcessState, at time.Time) *Exit {
	return &Exit{Code: p.ExitCode(), At: at.UTC()}
}
