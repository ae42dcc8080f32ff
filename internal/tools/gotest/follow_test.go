package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const suite = `package suite

import (
	"strings"
	"testing"
	"time"
)

func TestGood(t *testing.T) { t.Log("all is well") }

func TestParts(t *testing.T) {
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range 3 {
				t.Log(name, "is at", i)
				time.Sleep(time.Millisecond)
			}
			if name == "two" {
				t.Error("two is wrong,\nin two lines")
			}
		})
	}
}

func TestLong(t *testing.T) {
	for range 9 {
		t.Log("first\n" + strings.Repeat("line\n", 30) + "last")
	}
	println("not said by the test")
	t.Fatal("the end")
}

func TestSkipped(t *testing.T) { t.Skip("not here") }
`

const panics = `package panics

import "testing"

func TestPanics(t *testing.T) { panic("on purpose") }
`

// What go test says of a suite is followed as it is, on a suite that fails in every way.
func TestFollow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/suite\n\ngo 1.26\n", "suite_test.go": suite, "panics/panics_test.go": panics,
		"broken/broken_test.go": "package broken\n\nvar x int = \"no number\"\n"} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", "-json", "-v", "./...")
	cmd.Dir = dir
	events, _ := cmd.Output()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("go test: %s\n%s", cmd.ProcessState, events)
	}
	var out strings.Builder
	failures, err := follow(bytes.NewReader(events), &out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"--- PASS: TestGood", "    suite_test.go:9: all is well\n", "    --- PASS: TestParts/one", "    --- FAIL: TestParts/two", "--- SKIP: TestSkipped",
		"cannot use \"no number\"", "FAIL\texample.com/suite/broken [build failed]", "goroutine "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output has no %q:\n%s", want, out.String())
		}
	}
	t.Log(failures)
	want := "\nTestParts/two failed, in example.com/suite\n    suite_test.go:16: two is at 0\n    suite_test.go:16: two is at 1\n    suite_test.go:16: two is at 2\n" +
		"    suite_test.go:20: two is wrong,\n        in two lines\n\nTestLong failed, in example.com/suite\n    … 6 more before\n" +
		strings.Repeat("    suite_test.go:28: first\n        line\n        line\n        … 20 lines\n"+strings.Repeat("        line\n", 8)+"        last\n", 3) +
		"    suite_test.go:31: the end\n"
	if !strings.Contains(failures, want) {
		t.Errorf("want\n%s", want)
	}
	if !strings.Contains(failures, "\nTestPanics failed, in example.com/suite/panics\npanic: on purpose") || strings.Count(failures, " failed, in ") != 3 {
		t.Error("TestPanics is not told of as it is, or another one is")
	}
}

func TestFollowWhatDidNotEnd(t *testing.T) {
	t.Parallel()
	const events = `{"Action":"run","Package":"p","Test":"TestHangs"}` + "\n" +
		`{"Action":"output","Package":"p","Test":"TestHangs","Output":"    hangs_test.go:7: waiting\n"}` + "\n" + "signal: killed\n"
	var out strings.Builder
	failures, err := follow(strings.NewReader(events), &out)
	if err != nil || !strings.Contains(failures, "TestHangs did not end, in p\n    hangs_test.go:7: waiting\n") || !strings.HasSuffix(out.String(), "signal: killed\n") {
		t.Errorf("%s, %v\n%s", failures, err, out.String())
	}
	if failures, err := follow(strings.NewReader(`{"Action":"pass","Package":"p","Test":"TestGood"}`), &out); err != nil || failures != "" {
		t.Errorf("%q, %v", failures, err)
	}
}
