package app_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	cataloguetest "github.com/org/idp/internal/testkit/catalogue"
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
			"idp": runIDP, "service": newService, "commit": commitAll, "running": running, "valid": valid, "catalogue": catalogue,
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

// catalogue is: catalogue FOLDER. Each file of the catalogue is of the schema that is in there, and each schema was needed.
func catalogue(ts *testscript.TestScript, _ bool, args []string) {
	held, err := cataloguetest.Check(os.DirFS(ts.MkAbs(args[0])))
	if err != nil || len(held) != 4 {
		ts.Fatalf("%s: %v, %v", args[0], held, err)
	}
}

// valid is: valid SCHEMA FILE. The file is what `idp schema SCHEMA` says, by another implementation of JSON Schema.
func valid(ts *testscript.TestScript, neg bool, args []string) {
	text, err := exec.Command(program, "schema", args[0]).Output()
	ts.Check(err)
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	ts.Check(err)
	c := jsonschema.NewCompiler()
	ts.Check(c.AddResource("mem:///schema.json", schema))
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile(args[1])))
	ts.Check(err)
	if err := c.MustCompile("mem:///schema.json").Validate(doc); (err != nil) != neg {
		ts.Fatalf("%s: %v", args[1], err)
	}
}
