package testrun_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/testrun"
)

// counts is what a reader of the files counts by hand.
type counts struct{ Passed, Flaky, Skipped, Failed int }

func of(r record.Tests) counts { return counts{r.Passed, r.Flaky, r.Skipped, r.Failed} }

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// runner runs a real test runner, which may well fail, and gives what it wrote.
func runner(t *testing.T, files map[string]string, env []string, command ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out
}

var module = map[string]string{
	"go.mod":         "module example.com/shop\n\ngo 1.26\n",
	"cart/cart.go":   "package cart\n\nfunc Add(a, b int) int { return a + b }\n",
	"none/none.go":   "package none\n",
	"cart/a_test.go": "package cart\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestAdd(t *testing.T) {\n\tt.Run(\"secret=hunter2\", func(t *testing.T) {\n\t\tif os.Getenv(\"BREAK\") == \"test\" {\n\t\t\tt.Fatal(\"no\")\n\t\t}\n\t})\n\tif os.Getenv(\"BREAK\") == \"panic\" {\n\t\tpanic(\"no\")\n\t}\n\tif os.Getenv(\"BREAK\") == \"exit\" {\n\t\tos.Exit(1)\n\t}\n}\n\nfunc TestSkipped(t *testing.T) { t.Skip(\"later\") }\n\nfunc BenchmarkAdd(b *testing.B) {\n\tfor b.Loop() {\n\t\tAdd(1, 2)\n\t}\n}\n",
	"pay/p_test.go":  "package pay\n\nimport \"testing\"\n\nfunc TestPay(t *testing.T) {}\n",
}

func goTest(t *testing.T, env string, more ...string) []byte {
	return runner(t, module, []string{"GOTOOLCHAIN=local", "GOFLAGS=", env}, append([]string{"go", "test", "-json"}, append(more, "./...")...)...)
}

func TestGoTest(t *testing.T) {
	t.Parallel()
	whole := goTest(t, "BREAK=")
	got, err := testrun.Load(t.Context(), []string{file(t, "test.json", string(whole))})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(counts{Passed: 3, Skipped: 1}, of(got)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"example.com/shop/cart", "example.com/shop/pay"}, got.PassedSuites); d != "" {
		t.Error(d)
	}
	if got.Files[0].Form != "go test -json" || got.Files[0].Name != "test.json" || got.Files[0].Tests != 4 || time.Since(got.FinishedAt) > time.Hour {
		t.Errorf("%+v", got)
	}
	for _, how := range []string{"test", "panic", "exit"} {
		got, err := testrun.Load(t.Context(), []string{file(t, "test.json", string(goTest(t, "BREAK="+how)))})
		if err != nil || got.Failed == 0 || got.PassedSuites[0] != "example.com/shop/pay" || len(got.PassedSuites) != 1 {
			t.Errorf("%s: %v %+v", how, err, got)
		}
	}
	if got, err := testrun.Load(t.Context(), []string{file(t, "b.json", string(goTest(t, "BREAK=", "-bench=.", "-benchtime=1x")))}); err != nil || got.Failed != 0 {
		t.Errorf("with a benchmark: %v %+v", err, got)
	}
	// Cut off after any event, it is not known how the tests ended. Only between two packages that cannot be told: the events do
	// not say how many there are.
	lines := bytes.SplitAfter(bytes.TrimSpace(whole), []byte("\n"))
	cuts := 0
	for n := range lines {
		cut := bytes.Join(lines[:n], nil)
		got, err := testrun.Load(t.Context(), []string{file(t, "cut.json", string(cut))})
		if err == nil && bytes.Count(cut, []byte(`"Action":"start"`)) > ended(lines[:n]) {
			t.Errorf("cut off after %d of %d events it is %+v", n, len(lines), got)
		} else if err != nil {
			cuts++
		}
	}
	if cuts < len(lines)-4 {
		t.Errorf("only %d of %d cuts are found", cuts, len(lines))
	}
}

// ended counts the packages that came to their end.
func ended(lines [][]byte) (n int) {
	for _, line := range lines {
		if bytes.Contains(line, []byte(`"Elapsed"`)) && !bytes.Contains(line, []byte(`"Test"`)) {
			n++
		}
	}
	return n
}

func TestGoThatDoesNotCompile(t *testing.T) {
	t.Parallel()
	out := runner(t, map[string]string{"go.mod": "module example.com/x\n\ngo 1.26\n", "a_test.go": "package x\n\nfunc TestX(\n"}, []string{"GOTOOLCHAIN=local"}, "go", "test", "-json", "./...")
	got, err := testrun.Load(t.Context(), []string{file(t, "test.json", string(out))})
	if err != nil || of(got) != (counts{Failed: 1}) {
		t.Errorf("%v %+v", err, got)
	}
}

const nodeTest = `import {test, describe, it} from 'node:test'; import assert from 'node:assert';
describe('cart', () => { it('adds', () => {}); it('skips', {skip: true}, () => {}); });
test('top', () => { if (process.env.BREAK) assert.equal(1, 2); });
`

func TestNode(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]counts{"BREAK=": {Passed: 2, Skipped: 1}, "BREAK=1": {Passed: 1, Skipped: 1, Failed: 1}} {
		out := runner(t, map[string]string{"a.test.mjs": nodeTest}, []string{env}, "node", "--test", "--test-reporter=junit", "a.test.mjs")
		got, err := testrun.Load(t.Context(), []string{file(t, "junit.xml", string(out))})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, of(got)); d != "" {
			t.Errorf("%s: %s", env, d)
		}
	}
}

// The forms that other runners document.
func TestJUnit(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want counts
		bad  string
	}{
		"pytest":         {`<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" errors="0" failures="1" skipped="1" tests="3" time="0.02" timestamp="2026-03-01T11:30:00.1"><testcase classname="test_a" name="test_ok" time="0.001"/><testcase classname="test_a" name="test_no"><failure message="assert 1 == 2">def test_no(): ...</failure></testcase><testcase classname="test_a" name="test_skip"><skipped type="pytest.skip" message="x"/></testcase></testsuite></testsuites>`, counts{Passed: 1, Skipped: 1, Failed: 1}, ""},
		"surefire flaky": {`<testsuite name="com.acme.CartTest" tests="2" errors="0" failures="0" skipped="0"><testcase name="a" classname="com.acme.CartTest"><flakyFailure message="x" type="y"><stackTrace/></flakyFailure></testcase><testcase name="b" classname="com.acme.CartTest"/></testsuite>`, counts{Passed: 2, Flaky: 1}, ""},
		"surefire rerun": {`<testsuite name="T" tests="1" failures="1"><testcase name="a"><failure/><rerunFailure/></testcase></testsuite>`, counts{Failed: 1}, ""},
		"phpunit nested": {`<testsuites><testsuite name="all" tests="2" failures="0" errors="1"><testsuite name="Cart" tests="2" errors="1"><testcase name="a"/><testcase name="b"><error type="E">x</error></testcase></testsuite></testsuite></testsuites>`, counts{Passed: 1, Failed: 1}, ""},
		"set-up fails":   {`<testsuite name="T" tests="1" errors="1"><testcase name="a"/></testsuite>`, counts{Passed: 1, Failed: 1}, ""},
		"suite fails":    {`<testsuite name="T"><testcase name="a"/><error>no</error></testsuite>`, counts{Passed: 1, Failed: 1}, ""},
		"many failures":  {`<testsuite name="T" failures="2147483646"><testcase name="a"/></testsuite>`, counts{Passed: 1, Failed: 1}, ""},
		"byte order":     {"\xef\xbb\xbf\n <testsuite name='T'><testcase name='a'/></testsuite>", counts{Passed: 1}, ""},

		"all skipped":      {`<testsuite name="T" tests="1"><testcase name="a"><skipped/></testcase></testsuite>`, counts{}, "no test ran"},
		"no tests":         {`<testsuites/>`, counts{}, "no test ran"},
		"fewer than said":  {`<testsuite name="T" tests="3"><testcase name="a"/></testsuite>`, counts{}, "announces 3 tests and has 1"},
		"fewer in all":     {`<testsuites tests="3"><testsuite name="T"><testcase name="a"/></testsuite></testsuites>`, counts{}, "announces 3 tests and has 1"},
		"cut off":          {`<testsuite name="T" tests="1"><testcase name="a"/>`, counts{}, "it is not XML"},
		"two documents":    {`<testsuite name="T"><testcase name="a"/></testsuite><x/>`, counts{Passed: 1}, ""},
		"other XML":        {`<html/>`, counts{}, `with "html" at its root`},
		"no number":        {`<testsuite tests="many"/>`, counts{}, `tests="many"`},
		"negative":         {`<testsuite tests="-1"/>`, counts{}, `tests="-1"`},
		"case in a case":   {`<testsuite><testcase name="a"><testcase name="b"/></testcase></testsuite>`, counts{}, "not in a suite"},
		"suite in a case":  {`<testsuite><testcase name="a"><testsuite/></testcase></testsuite>`, counts{}, "where none can be"},
		"external entity":  {`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><testsuite name="T"><testcase name="&e;"/></testsuite>`, counts{}, "it is not XML"},
		"deep":             {strings.Repeat(`<testsuite name="T">`, 300), counts{}, "where none can be"},
		"other characters": {"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><testsuite name='\xe9'/>", counts{}, "it is not XML"},
		"empty":            {"", counts{}, "it is empty"},
		"blank":            {" \n", counts{}, "it is empty"},
		"text":             {"ok  \texample.com/x\t0.1s\n", counts{}, "neither JUnit XML nor"},
		"other JSON":       {`{"results": []}`, counts{}, "no package that came to its end"},
		"mixed with text":  {`{"Action":"start","Package":"x"}` + "\nFAIL\n", counts{}, "it is no event"},
		"no packages":      {`{"Action":"run","Package":"x","Test":"T"}{"Action":"pass","Package":"x","Test":"T"}`, counts{}, "no package that came to its end"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := testrun.Load(t.Context(), []string{file(t, "results", tc.text)})
			if tc.bad == "" {
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(tc.want, of(got)); d != "" {
					t.Error(d)
				}
				return
			}
			if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), tc.bad) {
				t.Errorf("gives %v, %+v, expected %q and undetermined", err, got, tc.bad)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"a.xml": `<testsuite name="A"><testcase name="x"/></testsuite>`, "b.xml": `<testsuite name="B"><testcase name="x"/></testsuite>`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := testrun.Load(t.Context(), []string{filepath.Join(dir, "*.xml"), filepath.Join(dir, "a.xml")})
	if err != nil || of(got) != (counts{Passed: 2}) || len(got.Files) != 2 {
		t.Errorf("%v %+v", err, got)
	}
	_, err = testrun.Load(t.Context(), []string{filepath.Join(dir, "*.xml"), filepath.Join(dir, "*.json")})
	if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "no file matches") {
		t.Errorf("nothing matches: %v", err)
	}
	if _, err = testrun.Load(t.Context(), []string{"["}); fault.KindOf(err) != fault.BadInput {
		t.Errorf("no pattern: %v", err)
	}
	if _, err = testrun.Load(t.Context(), []string{dir}); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("a folder: %v", err)
	}
}

// FuzzLoad: whatever the file, it is read in bounded time, and what it counts adds up.
func FuzzLoad(f *testing.F) {
	f.Add(`{"Action":"start","Package":"x"}{"Action":"run","Package":"x","Test":"T"}{"Action":"pass","Package":"x","Test":"T"}{"Action":"pass","Package":"x"}`)
	f.Add(`<testsuites tests="1"><testsuite name="T" failures="1"><testcase name="a"><failure/></testcase></testsuite></testsuites>`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := testrun.Load(t.Context(), []string{file(t, "results", text)})
		if err == nil && (got.Passed+got.Failed == 0 || got.Files[0].Tests != got.Passed+got.Skipped+got.Failed || got.Failed != len(got.Failures)) {
			t.Errorf("%+v", got)
		}
	})
}
