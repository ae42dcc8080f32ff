package local

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/org/idp/internal/logtext"
)

const (
	// logLimit is the size at which a log is put aside; one older part is kept.
	logLimit = 10 << 20
	// tailBytes bounds what is read of a log.
	tailBytes = 64 << 10
)

// rotatingLog appends to a file of bounded size.
type rotatingLog struct {
	mu   sync.Mutex
	path string
	file *os.File
	size int64
}

func openLog(path string) (*rotatingLog, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	l := &rotatingLog{path: path}
	return l, l.open()
}

func (l *rotatingLog) open() error {
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.size = file, info.Size()
	return nil
}

// Write never fails: a full disk loses lines of the log, and must not end the service by a broken pipe.
func (l *rotatingLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+int64(len(p)) > logLimit {
		_ = l.file.Close()
		_ = os.Rename(l.path, l.path+".1")
		if err := l.open(); err != nil {
			return len(p), nil
		}
	}
	n, _ := l.file.Write(p)
	l.size += int64(n)
	return len(p), nil
}

func (l *rotatingLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}

// Tail gives the last lines that a release wrote, at most n, fit to be shown: without control characters, and without
// the values of variables and parameters whose names say that they are secret.
func (t *Target) Tail(r *Release, n int) []string {
	var mask logtext.Mask
	for name, value := range r.Env {
		mask.Variable(name, value)
	}
	for _, kv := range r.ImageEnv {
		name, value, _ := strings.Cut(kv, "=")
		mask.Variable(name, value)
	}
	return mask.Tail(string(lastBytes(t.LogPath(r.Name))), n)
}

func lastBytes(path string) []byte {
	file, err := os.Open(path) // #nosec G304 -- a path below the target's own folder
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = file.Seek(-tailBytes, io.SeekEnd)
	}
	data, _ := io.ReadAll(io.LimitReader(file, tailBytes))
	return data
}
