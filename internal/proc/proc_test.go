//go:build unix

package proc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	t.Parallel()
	out, err := Run(t.Context(), Command{Name: "sh", Args: []string{"-c", "cat; echo $X >&2"}, Stdin: strings.NewReader("in"), Env: []string{"X=y", "PATH=" + os.Getenv("PATH")}})
	if err != nil || string(out) != "in" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestErrorsNameTheToolAndItsLastWords(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Command{Name: "sh", Args: []string{"-c", "echo first; echo reason >&2; exit 7"}})
	var e *Error
	if !errors.As(err, &e) || e.Code != 7 || e.Error() != "sh -c: reason" {
		t.Errorf("%v", err)
	}
	_, err = Run(t.Context(), Command{Name: "no-such-tool-anywhere"})
	if !errors.As(err, &e) || e.Code != -1 {
		t.Errorf("%v", err)
	}
	_, err = Run(t.Context(), Command{Name: "sh", Args: []string{"-c", "kill -9 $$"}})
	if !errors.As(err, &e) || e.Code != -1 {
		t.Errorf("%v", err)
	}
}

func TestStderrIsBounded(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Command{Name: "sh", Args: []string{"-c", "yes | head -c 100000 >&2; echo end >&2; exit 1"}})
	var e *Error
	if !errors.As(err, &e) || len(e.Stderr) > 4<<10 || !strings.HasSuffix(e.Stderr, "end\n") {
		t.Errorf("%d bytes, %v", len(e.Stderr), err)
	}
}

// TestCancellingEndsTheWholeGroup starts a grandchild that would outlive its parent.
func TestCancellingEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	go func() {
		for {
			if data, err := os.ReadFile(file); err == nil && strings.HasSuffix(string(data), "\n") {
				cancel(cause)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := Run(ctx, Command{Name: "sh", Args: []string{"-c", `sleep 600 & echo $! > "$0"; wait`, file}})
	if !errors.Is(err, cause) {
		t.Errorf("error %v, want the cause of the context", err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	for looks := range 2000 { // counted, since a machine that stands still takes no look away
		if gone(pid) {
			return
		}
		if looks == 1999 {
			t.Fatalf("grandchild %d still runs", pid)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// gone takes a zombie that nobody has reaped yet for ended.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err == nil {
		fields := strings.Fields(string(stat)[strings.LastIndex(string(stat), ")")+1:])
		return fields[0] == "Z"
	}
	return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
