//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Lock keeps every other deploy off this target until unlock is called or this process ends, however it ends. While
// another one holds it, waiting is told who that is, once. The error is the context's when that ends first.
func (t *Target) Lock(ctx context.Context, waiting func(holder string)) (unlock func(), err error) {
	if err := os.MkdirAll(t.root, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(t.root, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	told := false
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", file.Name(), err), file.Close())
		}
		if !told && waiting != nil {
			waiting(holder(file))
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), file.Close())
		case <-time.After(poll):
		}
	}
	// Only for the message to those who wait; the lock itself is the kernel's.
	_ = file.Truncate(0)
	_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return func() { _ = file.Close() }, nil
}

func holder(file *os.File) string {
	pid, _ := io.ReadAll(io.NewSectionReader(file, 0, 32))
	if len(pid) == 0 {
		return "another process"
	}
	return "process " + strings.TrimSpace(string(pid))
}
