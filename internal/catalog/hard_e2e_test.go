//go:build e2e

package catalog

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// TestPublisherHelper is no test: it is the process that TestPublisherKilled kills.
func TestPublisherHelper(t *testing.T) {
	url := os.Getenv("IDP_TEST_CATALOGUE")
	if url == "" {
		return
	}
	if _, err := Run(t.Context(), inputs(t, url), testDeps()); err != nil {
		t.Fatal(errors.Join(err))
	}
}

// TestPublisherKilled kills a publisher by kill -9 before and after each of its calls of git. The next run completes the delivery,
// once, and the one after it changes nothing.
func TestPublisherKilled(t *testing.T) {
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"before", "after"} {
		for n := 1; ; n++ {
			in := inputs(t, bare(t))
			other := in
			other.Service = &service.Service{Name: "cart", Owner: "team-cart"}
			other.Record = delivered(t, other.Service, "1", commitA, digestA, record.Passed)
			mustRun(t, other) // so that there is something to read
			bin := t.TempDir()
			script := fmt.Sprintf(`#!/bin/sh
me=1 # some calls are side by side
while ! mkdir %[1]s/call.$me 2>/dev/null; do me=$((me + 1)); done
[ "$me" -eq %[2]d ] && [ %[3]s = before ] && { kill -9 $PPID; exit 1; }
%[4]s "$@"
code=$?
[ "$me" -eq %[2]d ] && kill -9 $PPID
exit $code
`, bin, n, when, real)
			if err := os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "-test.run", "^TestPublisherHelper$")
			cmd.Env = append(os.Environ(), "IDP_TEST_CATALOGUE="+in.URL, "PATH="+bin+":"+os.Getenv("PATH"), "TMPDIR="+t.TempDir())
			if err := cmd.Run(); err == nil {
				if n < 10 {
					t.Fatalf("a publisher calls git %d times only", n-1)
				}
				t.Logf("%s: killed at each of %d calls", when, n-1)
				break
			}
			mustRun(t, in)
			if out := mustRun(t, in); out.Evidence.Changed || out.Evidence.Delivery != 1 {
				t.Errorf("%s call %d: %+v", when, n, out.Evidence)
			}
			if lines := logLines(t, in.URL, "deliveries/checkout"); len(lines) != 1 || commits(t, in.URL) != 2 {
				t.Errorf("%s call %d: %d lines in %d commits", when, n, len(lines), commits(t, in.URL))
			}
		}
	}
}
