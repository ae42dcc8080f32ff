//go:build linux

package awake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const limit = 2 * time.Second

// stands, in the environment, makes this program stand still in place of the tests, in the middle of a limit, until it is woken.
const stands = "IDP_TEST_STANDS"

func TestMain(m *testing.M) {
	if os.Getenv(stands) == "" {
		os.Exit(m.Run())
	}
	begun := time.Now()
	ctx, cancel := WithTimeout(context.Background(), limit)
	defer cancel()
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err != nil {
		panic(err)
	}
	<-ctx.Done()
	fmt.Println(time.Since(begun))
}

func TestStandstillIsNotCounted(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), stands+"=1")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for still := false; !still; time.Sleep(time.Millisecond) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		still = bytes.Contains(status, []byte("\nState:\tT"))
	}
	time.Sleep(limit) // which it would be over with
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	took, err := time.ParseDuration(strings.TrimSpace(out.String()))
	if err != nil || took < limit+limit-limit/20 {
		t.Errorf("%s in all, of which it stood still for %s at least: %v", took, limit, err)
	}
}

func TestTimeout(t *testing.T) {
	for _, d := range []time.Duration{-1, 0, 1, time.Millisecond, 70 * time.Millisecond, time.Minute, 61*time.Second + 1} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			ctx, cancel := WithTimeout(t.Context(), d)
			defer cancel()
			child, stop := context.WithTimeout(ctx, time.Hour)
			defer stop()
			<-child.Done()
			if took := time.Since(begun); took != max(d, 0) || ctx.Err() != context.DeadlineExceeded || context.Cause(ctx) != context.DeadlineExceeded || context.Cause(child) != context.DeadlineExceeded {
				t.Errorf("%s took %s: %v", d, took, ctx.Err())
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("interrupted")
		parent, end := context.WithCancelCause(t.Context())
		ctx, cancel := WithTimeout(parent, time.Minute)
		defer cancel()
		if ctx.Err() != nil {
			t.Error(ctx.Err())
		}
		end(why)
		if ctx.Err() != context.Canceled || context.Cause(ctx) != why {
			t.Errorf("%v, %v", ctx.Err(), context.Cause(ctx))
		}
		own, cancel := WithTimeout(t.Context(), time.Minute)
		cancel()
		if own.Err() != context.Canceled {
			t.Error(own.Err())
		}
	})
}
