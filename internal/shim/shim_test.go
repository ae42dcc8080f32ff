//go:build unix

// Package shim holds idp.js, the node part of every action, against programs that are handed its work.
package shim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/org/idp/internal/testkit/expect"
)

// tree is a folder as dist/ of a release: the shim, the two files of the action deploy, and a program for this machine
// unless script is empty.
func tree(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	source, err := os.ReadFile("idp.js")
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "idp.js", string(source), 0o644)
	write(t, dir, "deploy.js", "require('./idp.js').main('deploy');\n", 0o644)
	write(t, dir, "deploy-post.js", "require('./idp.js').post('deploy');\n", 0o644)
	if script != "" {
		expect.Program(t, filepath.Join(dir, "idp-"+runtime.GOOS+"-"+runtime.GOARCH), script)
	}
	return dir
}

func write(t *testing.T, dir, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// run runs one file of the tree under node and gives its standard output and exit code.
func run(t *testing.T, dir, file string, env ...string) (string, int) {
	t.Helper()
	cmd := exec.Command("node", filepath.Join(dir, file))
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = t.TempDir()
	cmd.Stdin = strings.NewReader("from the runner")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if stderr.Len() > 0 {
		t.Logf("stderr: %s", stderr.String())
	}
	return stdout.String(), cmd.ProcessState.ExitCode()
}

// tells is a program that writes what it was given as JSON.
const tells = `#!/usr/bin/env node
console.log(JSON.stringify({
  args: process.argv.slice(2), env: process.env, cwd: process.cwd(), stdin: require('fs').readFileSync(0, 'utf8') }));
`

func TestEverythingIsHandedOn(t *testing.T) {
	t.Parallel()
	dir := tree(t, tells)
	for file, args := range map[string]string{"deploy.js": "deploy", "deploy-post.js": "post deploy"} {
		out, code := run(t, dir, file, "INPUT_FAIL-ON=high", "INPUT_LIST=a\nb", "STATE_local=/somewhere", "EMPTY=")
		if code != 0 {
			t.Fatalf("%s: exit code %d: %s", file, code, out)
		}
		var got struct {
			Args       []string
			Env        map[string]string
			Cwd, Stdin string
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%s: %v in %q", file, err, out)
		}
		if strings.Join(got.Args, " ") != args {
			t.Errorf("%s: arguments %q, want %q", file, got.Args, args)
		}
		for name, want := range map[string]string{"INPUT_FAIL-ON": "high", "INPUT_LIST": "a\nb", "STATE_local": "/somewhere", "EMPTY": ""} {
			if value, ok := got.Env[name]; !ok || value != want {
				t.Errorf("%s: %s is %q, %t", file, name, value, ok)
			}
		}
		if got.Stdin != "from the runner" || got.Cwd == dir {
			t.Errorf("%s: stdin %q, working directory %s", file, got.Stdin, got.Cwd)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{
		"exit 0": 0, "exit 1": 1, "exit 2": 2, "exit 3": 3, "exit 42": 42,
		"kill -KILL $$": 128 + 9, "kill -TERM $$": 128 + 15,
	} {
		dir := tree(t, "#!/bin/sh\necho before; echo aside >&2\n"+script+"\n")
		out, code := run(t, dir, "deploy.js")
		if code != want || out != "before\n" {
			t.Errorf("%s: exit code %d, want %d; output %q", script, code, want, out)
		}
	}
}

func TestSignalsReachTheProgramWhichDecides(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP} {
		dir := tree(t, "#!/bin/sh\ntrap 'echo cleaned up after "+name+"; exit 7' "+name+"\necho ready\nfor i in $(seq 1200); do sleep 0.05; done\n")
		cmd := exec.Command("node", filepath.Join(dir, "deploy.js"))
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		out := bufio.NewReader(pipe)
		if line, err := out.ReadString('\n'); line != "ready\n" {
			t.Fatalf("%s: first line %q, %v", name, line, err)
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 7 || string(rest) != "cleaned up after "+name+"\n" {
			t.Errorf("%s: exit code %d, then %q", name, code, rest)
		}
	}
}

// A runner that has lost its patience kills the shim alone.
func TestTheProgramLearnsOfTheShimsEnd(t *testing.T) {
	t.Parallel()
	dir := tree(t, "#!/bin/sh\necho ready\nread -r nothing <&$IDP_LIFELINE\necho alone\n")
	cmd := exec.Command("node", filepath.Join(dir, "deploy.js"))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("first line %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(out); string(rest) != "alone\n" {
		t.Errorf("then %q, %v", rest, err)
	}
	_ = cmd.Wait()
}

func TestLostExecutableBitIsSetAgain(t *testing.T) {
	t.Parallel()
	dir := tree(t, "#!/bin/sh\necho ran\n")
	program := filepath.Join(dir, "idp-"+runtime.GOOS+"-"+runtime.GOARCH)
	if err := os.Chmod(program, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, code := run(t, dir, "deploy.js"); code != 0 || out != "ran\n" {
		t.Errorf("exit code %d, output %q", code, out)
	}
}

func TestMissingPlatformSaysWhatToDo(t *testing.T) {
	t.Parallel()
	dir := tree(t, "")
	write(t, dir, "idp-plan9-mips", "", 0o755)
	write(t, dir, "idp-windows-amd64.exe", "", 0o755)
	out, code := run(t, dir, "deploy.js")
	want := "::error title=idp::This release of idp has no program for " + runtime.GOOS + "-" + runtime.GOARCH +
		", only for plan9-mips, windows-amd64. Run the job on one of these"
	if code != 3 || !strings.HasPrefix(out, want) || strings.Count(out, "\n") != 1 {
		t.Errorf("exit code %d, output %q", code, out)
	}
	if out, code := run(t, dir, "deploy-post.js"); code != 0 || out != "" {
		t.Errorf("post: exit code %d, output %q", code, out)
	}
}

func TestProgramThatDoesNotStartIsUndetermined(t *testing.T) {
	t.Parallel()
	dir := tree(t, "#!/no/such/interpreter 100%\n")
	out, code := run(t, dir, "deploy.js")
	if code != 3 || !strings.HasPrefix(out, "::error title=idp::") || !strings.Contains(out, "cannot be run") {
		t.Errorf("exit code %d, output %q", code, out)
	}
}
