// Package expect ends a test over an error that it did not expect.
package expect

import (
	"strings"
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
