package app_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// program is the real binary, built once for all tests of this package.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "idp-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "idp")
	build := exec.Command("go", "build", "-o", program, "../../cmd/idp")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building idp:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// TestScripts runs every file in testdata/script: what a person types, and what they must see.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "script"),
		RequireExplicitExec: true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"idp": runIDP, "service": newService, "commit": commitAll, "running": running, "interrupt": interrupt,
		},
	})
}

// setup gives a script the program, the caches of this machine, and a git that no configuration of the machine changes.
func setup(env *testscript.Env) error {
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS", "GOTOOLCHAIN"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			return err
		}
		env.Setenv(name, strings.TrimSpace(string(out)))
	}
	env.Setenv("PATH", filepath.Dir(program)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	env.Setenv("HOME", env.WorkDir)
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		env.Setenv("GIT_"+who+"_NAME", "Ada")
		env.Setenv("GIT_"+who+"_EMAIL", "ada@example.com")
	}
	env.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	env.Setenv("GIT_CONFIG_SYSTEM", os.DevNull)
	return nil
}

// runIDP is: idp CODE ARGS… The exit code must be exactly CODE.
func runIDP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: idp CODE ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(program, args[1:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// newService is: service [DIR]. A repository with the smallest service, committed on main.
func newService(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs("svc")
	if len(args) > 0 {
		dir = ts.MkAbs(args[0])
	}
	ts.Check(os.CopyFS(dir, os.DirFS(filepath.Join(repoRoot(ts), "testdata", "services", "plain"))))
	git(ts, dir, "init", "-q", "-b", "main")
	commitAll(ts, false, []string{dir})
}

// commitAll is: commit DIR.
func commitAll(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	git(ts, dir, "add", "-A")
	git(ts, dir, "commit", "-q", "-m", "change")
}

func git(ts *testscript.TestScript, dir string, args ...string) {
	ts.Check(ts.Exec("git", append([]string{"-C", dir}, args...)...))
}

func repoRoot(ts *testscript.TestScript) string {
	wd, err := os.Getwd()
	ts.Check(err)
	return filepath.Join(wd, "..", "..")
}

// running is: running N. Exactly N supervisors run below the script's folder.
func running(ts *testscript.TestScript, neg bool, args []string) {
	out, err := exec.Command("ps", "-eo", "args").Output()
	ts.Check(err)
	n := 0
	for _, line := range strings.Split(string(out), "\n") {
		if strings.Contains(line, "supervise") && strings.Contains(line, ts.Getenv("WORK")) {
			n++
		}
	}
	if want, err := strconv.Atoi(args[0]); err != nil || n != want {
		ts.Fatalf("%d supervisors run, want %s", n, args[0])
	}
}

// interrupt is: interrupt SIGNAL TEXT CODE ARGS… It runs idp, sends the signal when its output contains the text, and
// wants the exit code.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	sig := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[args[0]]
	want, err := strconv.Atoi(args[2])
	ts.Check(err)
	cmd := exec.Command(program, args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS", "PATH", "HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	watch := &watcher{text: args[1], found: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = watch, watch
	ts.Check(cmd.Start())
	select {
	case <-watch.found:
		ts.Check(cmd.Process.Signal(sig))
	case <-time.After(2 * time.Minute):
		_ = cmd.Process.Kill()
		ts.Fatalf("%q was not printed in two minutes:\n%s", args[1], watch.all)
	}
	_ = cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("interrupted.txt"), watch.all, 0o600))
	if code := cmd.ProcessState.ExitCode(); code != want {
		ts.Fatalf("exit code %d, want %d:\n%s", code, want, watch.all)
	}
}

// watcher tells when a text has been printed.
type watcher struct {
	text  string
	all   []byte
	found chan struct{}
	once  bool
}

func (w *watcher) Write(p []byte) (int, error) {
	w.all = append(w.all, p...)
	if !w.once && strings.Contains(string(w.all), w.text) {
		w.once = true
		close(w.found)
	}
	return len(p), nil
}
