//go:build linux

package proc

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tidied, in the environment, makes this program run a tool in place of the tests, which removes that file when it is asked to end.
const tidied = "IDP_TEST_TIDIED"

func TestMain(m *testing.M) {
	file := os.Getenv(tidied)
	if file == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	_, err := Run(ctx, Command{Name: "sh", Args: []string{"-c", `trap 'rm "$0"; exit' INT; echo $$ >"$0"; while :; do sleep 0.1; done`, file}})
	fmt.Println(err)
}

// A machine that stands still takes from a tool neither the time to put its files in order nor, for that, its life.
func TestStandstillLeavesTheGrace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lock")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), tidied+"="+file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tool := 0
	until(t, func() bool {
		data, _ := os.ReadFile(file)
		text, whole := strings.CutSuffix(string(data), "\n")
		tool, _ = strconv.Atoi(text)
		return whole
	})
	send(t, -tool, syscall.SIGSTOP)
	until(t, func() bool { return status(t, tool, "State")[0] == 'T' })
	send(t, cmd.Process.Pid, syscall.SIGTERM)
	until(t, func() bool { return asked(t, tool) })
	send(t, cmd.Process.Pid, syscall.SIGSTOP)
	time.Sleep(grace + 100*time.Millisecond) // it is this long that everything stands still
	send(t, cmd.Process.Pid, syscall.SIGCONT)
	send(t, -tool, syscall.SIGCONT)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the tool was killed before it had put its files in order: %v", err)
	}
}

func until(t *testing.T, so func() bool) {
	t.Helper()
	for !so() {
		if t.Context().Err() != nil {
			t.Fatal("the test was ended")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func send(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

// asked tells whether a SIGINT waits for a process that is stopped.
func asked(t *testing.T, pid int) bool {
	t.Helper()
	pending, err := strconv.ParseUint(status(t, pid, "ShdPnd"), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pending&(1<<(syscall.SIGINT-1)) != 0
}

// status is what the kernel says of a process.
func status(t *testing.T, pid int, what string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(data), "\n"+what+":\t")
	value, _, _ := strings.Cut(after, "\n")
	return value
}
