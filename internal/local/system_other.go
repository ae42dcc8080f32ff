//go:build unix && !linux

package local

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/org/idp/internal/proc"
)

// bind puts the service in its own process group. The kernel has no way to tie its life to the supervisor's.
func bind(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// startOf is empty for a process that is gone or a zombie.
func startOf(pid int) string {
	out, err := proc.Run(context.Background(), proc.Command{Name: "/bin/ps", Env: []string{"LC_ALL=C", "TZ=UTC"},
		Args: []string{"-o", "stat=,lstart=", "-p", strconv.Itoa(pid)}})
	state, start, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || strings.HasPrefix(state, "Z") {
		return ""
	}
	return strings.TrimSpace(start)
}

// killOrphans ends the service that a killed supervisor left.
func killOrphans(s Status) {
	if s.Service.Alive() {
		killGroup(s.Service.PID)
	}
}

// listening is not known here.
func listening(Process) (ports []int, known bool) { return nil, false }
