package local

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

const (
	// logLimit is the size at which a log is put aside; one older part is kept.
	logLimit = 10 << 20
	// tailBytes and lineLimit bound what is read and shown of a log.
	tailBytes = 64 << 10
	lineLimit = 300
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
	lines := bytes.Split(bytes.TrimRight(lastBytes(t.LogPath(r.Name)), "\n"), []byte("\n"))
	lines = lines[max(0, len(lines)-n):]
	shown := make([]string, 0, len(lines))
	for _, line := range lines {
		if text := r.redact(printable(string(line))); text != "" {
			shown = append(shown, text)
		}
	}
	return shown
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

// escape matches a terminal's colour and cursor sequences, whose visible rest would read as noise.
var escape = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)`)

func printable(line string) string {
	line = escape.ReplaceAllString(strings.ToValidUTF8(line, "�"), "")
	line = strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case !unicode.IsPrint(c):
			return -1
		}
		return c
	}, line)
	if runes := []rune(line); len(runes) > lineLimit {
		return string(runes[:lineLimit]) + "…"
	}
	return strings.TrimRight(line, " ")
}

var (
	secretName = regexp.MustCompile(`(?i)secret|token|passw|api_?key|private_?key|access_?key|credential|dsn`)
	// secretText matches what is a secret by its form, with what may stay in the first group.
	secretText = regexp.MustCompile(`(?i)(\b[\w.-]*(?:secret|token|passw(?:or)?d|api_?key|private_?key|access_?key|credential)[\w.-]*"?(?:=|:\s?"|:\S))[^\s"&]+` +
		`|(://[^\s:/@]*:)[^\s@/]+@|(\bBearer )\S+|()\bgh[pousr]_[A-Za-z0-9]{20,}|()\bAKIA[A-Z0-9]{16}`)
)

func (r *Release) redact(line string) string {
	hide := func(name, value string) {
		// A short value, such as "on", would take harmless text with it and protects nothing.
		if len(value) >= 4 && secretName.MatchString(name) {
			line = strings.ReplaceAll(line, value, "***")
		}
	}
	for name, value := range r.Env {
		hide(name, value)
	}
	for _, kv := range r.ImageEnv {
		name, value, _ := strings.Cut(kv, "=")
		hide(name, value)
	}
	return secretText.ReplaceAllStringFunc(line, func(match string) string {
		groups := secretText.FindStringSubmatch(match)
		kept := strings.Join(groups[1:], "") + "***"
		if strings.HasSuffix(match, "@") {
			kept += "@"
		}
		return kept
	})
}
