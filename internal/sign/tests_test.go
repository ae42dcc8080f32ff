package sign_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/testkit/expect"
)

const (
	goodTests = `{"Time":"2026-03-02T08:59:00.5Z","Action":"start","Package":"example.com/cart"}
{"Time":"2026-03-02T08:59:01Z","Action":"run","Package":"example.com/cart","Test":"TestToken/token=hunter2"}
{"Time":"2026-03-02T08:59:02Z","Action":"output","Package":"example.com/cart","Test":"TestToken/token=hunter2","Output":"hunter3"}
{"Time":"2026-03-02T08:59:02Z","Action":"pass","Package":"example.com/cart","Test":"TestToken/token=hunter2","Elapsed":1}
{"Time":"2026-03-02T08:59:03.7Z","Action":"pass","Package":"example.com/cart","Elapsed":3}
`
	badTests = `<testsuite name="pay"><testcase name="refunds"><failure>3 != 4</failure></testcase><testcase name="charges"/></testsuite>`
)

func (w *world) test(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), name)
	expect.NoError(w.t, os.WriteFile(path, []byte(text), 0o600))
	w.inputs.Tests = append(w.inputs.Tests, path)
}

func TestTestsAreSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.inputs.CommitTime = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	w.test("test.json", goodTests)
	out, err := w.run()
	expect.NoError(t, err)
	if out.Evidence.Tests.Passed != 1 || !strings.Contains(out.Summary, "scans, tests") {
		t.Errorf("%+v, %q", out.Evidence.Tests, out.Summary)
	}
	var got map[string]any
	for _, s := range w.served() {
		if strings.Contains(string(s.Predicate), "hunter") {
			t.Errorf("the name or the output of a test is in %s", s.Predicate)
		}
		if strings.Contains(string(s.Predicate), "idpTests") {
			published(t, s.Predicate, &testresult.TestResult{}, "idpTests")
			expect.NoError(t, json.Unmarshal(s.Predicate, &got))
		}
	}
	// sha256sum of the text above
	want := map[string]any{
		"result": "PASSED", "passedTests": []any{"example.com/cart"},
		"configuration": []any{map[string]any{"name": "test.json", "annotations": map[string]any{"form": "go test -json", "tests": 1.0},
			"digest": map[string]any{"sha256": "652c0a191e75c5c850e5a1f73ce7cb3fefa3f4d78159d2c9801e8b7f77899d69"}}},
		"idpTests": map[string]any{"commit": commit, "passed": 1.0, "flaky": 0.0, "skipped": 0.0, "failed": 0.0, "finishedOn": "2026-03-02T08:59:03Z"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := w.run(); err != nil || len(w.served()) != 7 {
		t.Errorf("a second run adds to it: %v, %d statements", err, len(w.served()))
	}
}

func TestFlakyTestsAreWarnedOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.test("junit.xml", `<testsuite name="T"><testcase name="a"><flakyFailure/></testcase></testsuite>`)
	_, err := w.run()
	expect.NoError(t, err)
	for _, s := range w.served() {
		var r attest.TestResult
		if s.PredicateType == attest.PredicateTestResult {
			expect.NoError(t, json.Unmarshal(s.Predicate, &r))
		}
		if r.Tests != nil && (r.Result != "WARNED" || len(r.PassedTests) != 0 || r.WarnedTests[0] != "T") {
			t.Errorf("%s", s.Predicate)
		}
	}
}

func TestNothingIsPushedWithoutGoodTests(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*world)
		kind  fault.Kind
		want  string
	}{
		"failed":     {func(w *world) { w.test("junit.xml", badTests) }, fault.Failed, "1 of 2 tests failed: nothing was pushed or signed\npay refunds"},
		"one failed": {func(w *world) { w.test("test.json", goodTests); w.test("junit.xml", badTests) }, fault.Failed, "1 of 3 tests failed"},
		"no file":    {func(w *world) { w.inputs.Tests = []string{filepath.Join(w.t.TempDir(), "*.xml")} }, fault.Undetermined, "no file matches"},
		"no tests":   {func(w *world) { w.test("junit.xml", "<testsuites/>") }, fault.Undetermined, "no test ran"},
		"cut off":    {func(w *world) { w.test("test.json", goodTests[:strings.LastIndex(goodTests, "{")]) }, fault.Undetermined, "did not end"},
		"too old": {func(w *world) {
			w.test("test.json", goodTests)
			w.inputs.CommitTime = time.Date(2026, 3, 2, 9, 4, 4, 0, time.UTC)
		}, fault.Undetermined, "are of 2026-03-02T08:59:03Z, before commit 4f1c2ab was made"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			tc.spoil(w)
			_, err := w.run()
			if err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(strings.Join(fault.Lines(err), "\n"), tc.want) {
				t.Errorf("gives %v, expected kind %v with %q", strings.Join(fault.Lines(err), "\n"), tc.kind, tc.want)
			}
			if len(w.puts) > 0 {
				t.Errorf("the registry got %v", w.puts)
			}
		})
	}
}
