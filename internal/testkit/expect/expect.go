// Package expect ends a test over an error that it did not expect.
package expect

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// NoError ends the test when there is one.
func NoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Error ends the test when there is none, or one that does not say part.
func Error(t testing.TB, err error, part string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, expected one with %q", part)
	}
	if !strings.Contains(err.Error(), part) {
		t.Fatalf("error %q, expected one with %q", err, part)
	}
}

// Program writes a file that is run. No process is started meanwhile, as other tests do side by side: it would have the file open for
// writing for a moment, in which Linux does not run it (https://go.dev/issue/22315).
func Program(t testing.TB, path, text string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	NoError(t, os.WriteFile(path, []byte(text), 0o755)) // #nosec G306 -- it is run
}
