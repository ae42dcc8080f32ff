package local

import (
	"os/exec"
	"testing"
)

// A service that has ended listens nowhere, which is known: whoever answers on its port is another process.
func TestListeningOfAnEndedService(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("true")
	bind(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "end of true", func() bool { return startOf(cmd.Process.Pid) == "" }) // and nobody has waited for it
	if ports, known := listening(Process{PID: cmd.Process.Pid}); len(ports) != 0 || !known {
		t.Errorf("%v, known %v", ports, known)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if ports, known := listening(Process{PID: cmd.Process.Pid}); len(ports) != 0 || !known {
		t.Errorf("when it is gone: %v, known %v", ports, known)
	}
}
