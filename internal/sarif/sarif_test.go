package sarif

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
)

var update = flag.Bool("update", false, "write the expected files anew")

const commit = "4f1c2ab4f1c2ab4f1c2ab4f1c2ab4f1c2ab4f1c2"

func shop() Source { return Source{Dir: "testdata/shop", Commit: commit} }

// TestScanners reads what real scanners write, and holds each file against the published schema.
func TestScanners(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.sarif")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	schema := published(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".sarif"), func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			doc, err := jsonschema.UnmarshalJSON(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Error(err)
			}
			log, err := Load(t.Context(), []string{file}, shop())
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".sarif")+".want", describe(log))
		})
	}
}

// published is the schema that gosec ships for its own tests.
func published(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/securego/gosec/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "report", "sarif", "testdata", "sarif-schema-2.1.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("mem:///sarif.json")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func describe(log *Log) string {
	var b strings.Builder
	for _, r := range log.Runs {
		fmt.Fprintf(&b, "run: %s %s, %d results\n", r.Tool, r.Version, r.Results)
	}
	for _, gap := range log.Gaps {
		fmt.Fprintln(&b, "gap:", gap)
	}
	for _, left := range log.Left {
		fmt.Fprintln(&b, "left:", left)
	}
	for _, f := range log.Findings {
		fmt.Fprintf(&b, "%s %s %s:%d-%d %s/%s %v %s\n  %s\n  %s\n", f.Scanner, f.Rule, f.Place(), f.Column, f.EndLine, f.Severity, f.Confidence, f.CWE, f.Fingerprint, f.Title, f.Help)
		if s := f.Suppression; s != nil {
			fmt.Fprintf(&b, "  suppressed by %s, in source %t: %q\n", s.By, s.InSource, s.Justification)
		}
	}
	return b.String()
}

// minimal is a run with one result, whose text may be changed.
const minimal = `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [
  {"ruleId": "r", "message": {"text": "bad"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/server.js"}, "region": {"startLine": 5}}}]}]}]}`

func load(t *testing.T, text string, src Source) (*Log, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.sarif")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(t.Context(), []string{file}, src)
}

func TestWhatIsNotSARIF(t *testing.T) {
	t.Parallel()
	if log, err := load(t, "\xef\xbb\xbf"+minimal, shop()); err != nil || len(log.Findings) != 1 || log.Complete() != nil {
		t.Fatal("the minimal file is not read", err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"empty":              {minimal, "", "it breaks off"},
		"broken off":         {`]}]}`, "", "it breaks off"},
		"not JSON":           {`{"version"`, `{version`, "line 1: not valid JSON"},
		"two documents":      {minimal, minimal + `{}`, "something follows its end"},
		"a list":             {minimal, `[]`, "which it must not be"},
		"old version":        {`2.1.0`, `2.0.0`, `its version is "2.0.0"`},
		"no version":         {`"version": "2.1.0", `, ``, `its version is ""`},
		"no run":             {minimal, `{"version": "2.1.0", "runs": []}`, "it has no run"},
		"no tool":            {`"name": "x"`, `"name": " "`, "does not name its tool"},
		"did not scan":       {`"results": [`, `"other": [`, "it did not scan"},
		"null results":       {minimal, `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": null}]}`, "it did not scan"},
		"results elsewhere":  {`"results": [`, `"externalPropertyFileReferences": {"results": [{"location": {"uri": "x.sarif-external-properties"}}]}, "results": [`, "has results in other files"},
		"rules elsewhere":    {`"results": [`, `"externalPropertyFileReferences": {"driver": {"location": {"uri": "x.sarif-external-properties"}}}, "results": [`, "has driver in other files"},
		"inline properties":  {`"runs"`, `"inlineExternalProperties": [{"results": []}], "runs"`, "inlineExternalProperties"},
		"UTF-16":             {`{"version"`, "\xff\xfe{\x00", "it is UTF-16"},
		"two rules":          {`"ruleId": "r"`, `"ruleId": "r", "ruleIndex": 0, "rule": {"index": 1}`, "rule 0 and rule 1 at once"},
		"other invocation":   {`"ruleId": "r"`, `"ruleId": "r", "provenance": {"invocationIndex": 0}`, "invocation 0 of 0"},
		"no rule":            {`"ruleId": "r", `, ``, "it names no rule"},
		"rule out of range":  {`"ruleId": "r"`, `"ruleId": "r", "ruleIndex": 7`, "rule 7 of 0"},
		"other level":        {`"ruleId": "r"`, `"ruleId": "r", "level": "fatal"`, `level "fatal"`},
		"other kind":         {`"ruleId": "r"`, `"ruleId": "r", "kind": "failed"`, `kind "failed"`},
		"other state":        {`"ruleId": "r"`, `"ruleId": "r", "baselineState": "old"`, `baselineState "old"`},
		"line as text":       {`"startLine": 5`, `"startLine": "5"`, "startLine is string"},
		"half a line":        {`"startLine": 5`, `"startLine": 5.5`, "a line of number 5.5"},
		"endless line":       {`"startLine": 5`, `"startLine": 1e300`, "a line of number 1e+300"},
		"negative line":      {`"startLine": 5`, `"startLine": -5`, "a line is negative"},
		"score is no number": {`"ruleId": "r"`, `"ruleId": "r", "properties": {"security-severity": "high"}`, `security-severity "high" is not a number`},
		"score above ten":    {`"ruleId": "r"`, `"ruleId": "r", "properties": {"security-severity": "11"}`, "is not from 0 to 10"},
		"score NaN":          {`"ruleId": "r"`, `"ruleId": "r", "properties": {"security-severity": "NaN"}`, "is not from 0 to 10"},
		"other commit":       {`"results": [`, `"versionControlProvenance": [{"revisionId": "0000000000000000000000000000000000000000"}], "results": [`, "is about commit 000000000000, not about 4f1c2ab4f1c2"},
	} {
		text := strings.Replace(minimal, c.old, c.new, 1)
		if text == minimal {
			t.Fatalf("%s changes nothing", name)
		}
		log, err := load(t, text, shop())
		if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(strings.Join(fault.Lines(err), "\n"), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if name != "other commit" && len(log.Findings) > 0 {
			t.Errorf("%s: %v", name, log.Findings)
		}
	}
}

func TestNothingMatchedIsNoPass(t *testing.T) {
	t.Parallel()
	_, err := Load(t.Context(), []string{filepath.Join(t.TempDir(), "*.sarif")}, shop())
	if fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "no file matches") {
		t.Error(err)
	}
	if _, err := Load(t.Context(), []string{"["}, shop()); fault.KindOf(err) != fault.BadInput {
		t.Error(err)
	}
}

func TestScannerThatDidNotComeToItsEnd(t *testing.T) {
	t.Parallel()
	for _, invocation := range []string{
		`{"executionSuccessful": false}`,
		`{"executionSuccessful": true, "toolExecutionNotifications": [{"level": "error", "message": {"text": "out of memory"}}]}`,
		`{"executionSuccessful": true, "toolConfigurationNotifications": [{"level": "error", "message": {"text": "no such rule"}}]}`,
		`{"executionSuccessful": true, "toolExecutionNotifications": [{"level": "fatal", "message": {"text": "not of SARIF"}}]}`,
		`{"executionSuccessful": true, "exitSignalName": "SIGKILL"}`,
		`{"executionSuccessful": true, "processStartFailureMessage": "no such file"}`,
		`{"executionSuccessful": true, "toolExecutionNotifications": [{"descriptor": {"index": 3}, "message": {"text": "of what?"}}]}`,
		`{"executionSuccessful": true, "notificationConfigurationOverrides": [{"descriptor": {"id": "lost"}, "configuration": {"level": "error"}}],
		  "toolExecutionNotifications": [{"descriptor": {"id": "lost"}, "message": {"text": "a file"}}]}`,
	} {
		log, err := load(t, strings.Replace(minimal, `"results": [`, `"invocations": [`+invocation+`], "results": [`, 1), shop())
		if err != nil || fault.KindOf(log.Complete()) != fault.Undetermined || log.Complete() == nil || log.Ended() != 0 {
			t.Errorf("%s: %v, %v", invocation, err, log.Complete())
		}
	}
}

func TestWhatCounts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		add   string
		count int
		want  finding.Severity
	}{
		"no level is a warning":    {``, 1, finding.Medium},
		"error":                    {`, "level": "error"`, 1, finding.High},
		"note":                     {`, "level": "note"`, 1, finding.Low},
		"a score outranks a level": {`, "level": "note", "properties": {"security-severity": "9.0"}`, 1, finding.Critical},
		"a score as a number":      {`, "properties": {"security-severity": 7}`, 1, finding.High},
		"a score of 0 is none":     {`, "level": "error", "properties": {"security-severity": "0.0"}`, 1, finding.High},
		"bags hold anything":       {`, "properties": {"precision": 1, "Tags": "x", "tags": ["y"], "issue_confidence": null}`, 1, finding.Medium},
		"a rank says nothing":      {`, "rank": 99.5`, 1, finding.Medium},
		"fail counts":              {`, "kind": "fail", "level": "error"`, 1, finding.High},
		"review counts":            {`, "kind": "review", "level": "none"`, 1, finding.Medium},
		"open counts":              {`, "kind": "open"`, 1, finding.Medium},
		"pass does not":            {`, "kind": "pass", "level": "none"`, 0, ""},
		"notApplicable does not":   {`, "kind": "notApplicable"`, 0, ""},
		"informational does not":   {`, "kind": "informational"`, 0, ""},
		"but a level does":         {`, "kind": "informational", "level": "error"`, 1, finding.High},
		"absent does not":          {`, "baselineState": "absent"`, 0, ""},
		"unchanged is our say":     {`, "baselineState": "unchanged"`, 1, finding.Medium},
	} {
		log, err := load(t, strings.Replace(minimal, `"ruleId": "r"`, `"ruleId": "r"`+c.add, 1), shop())
		if err != nil || len(log.Findings) != c.count {
			t.Errorf("%s: %v %v", name, log.Findings, err)
			continue
		}
		if c.count == 1 && (log.Findings[0].Severity != c.want || log.Findings[0].Known) {
			t.Errorf("%s: %s", name, log.Findings[0].Severity)
		}
		if c.count == 0 && len(log.Left) != 1 {
			t.Errorf("%s: left %q", name, log.Left)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"services/shop/src/a.js", "services/shop/lib/c.js", "services/other/b.js", "c.js"} {
		full := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	src := Source{Dir: filepath.Join(root, "services", "shop"), Root: root}
	for uri, want := range map[string]string{
		"src/a.js":                        "src/a.js", // from the service
		"services/shop/src/a.js":          "src/a.js", // from the root
		"./services/shop/src/../src/a.js": "src/a.js",
		"file://" + filepath.ToSlash(root) + "/services/shop/src/a.js": "src/a.js",
		"file:///github/workspace/services/shop/src/a.js":              "src/a.js", // another machine
		"/builds/acme/services/shop/src/a.js":                          "src/a.js",
		"services/other/b.js":                                          "", // another service's
		"c.js":                                                         "",
		"file://" + filepath.ToSlash(root) + "/c.js":                   "",
		"gone.js":                             "gone.js", // not understood is not left out
		"../../../../etc/passwd":              "etc/passwd",
		"library/alpine":                      "library/alpine",
		"https://example.com/x":               "https://example.com/x",
		"with%20space.js":                     "with space.js",
		"100%.js":                             "100%.js",
		`src\\a.js`:                           "src/a.js", // of Windows, as they are
		`D:\\a\\services\\shop\\src\\a.js`:    "src/a.js",
		`services\\other\\b.js`:               "",
		"file:///D:/a/services/shop/src/a.js": "src/a.js",
	} {
		log, err := load(t, strings.Replace(minimal, "src/server.js", uri, 1), src)
		got := ""
		if err == nil && len(log.Findings) == 1 {
			got = log.Findings[0].File
		}
		if err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", uri, got, err, want)
		}
		if want == "" && strings.Join(log.Left, "") != "1 imported result about files outside of the service folder" {
			t.Errorf("%s: left %q", uri, log.Left)
		}
	}
	// From the folder that the scanner ran in, which it names. That the root has a file of the same name is no reason to leave it out.
	for base, want := range map[string]string{
		`{"uri": "file://` + filepath.ToSlash(root) + `/services/shop/lib/"}`: "lib/c.js",
		`{"uri": "file:///github/workspace/services/shop/lib"}`:               "lib/c.js", // another machine
		`{"uri": "lib/"}`: "lib/c.js",
		`{"uri": "lib/", "uriBaseId": "TOP"}, "TOP": {"uri": "file:///github/workspace/services/shop/"}`: "lib/c.js",
		`{"uri": "file:///"}`:                               "", // Trivy calls the folder so
		`{"description": {"text": "the root of the code"}}`: "",
		`{"uri": "", "uriBaseId": "TOP"}`:                   "",
	} {
		text := strings.Replace(minimal, `"uri": "src/server.js"`, `"uri": "c.js", "uriBaseId": "TOP2"`, 1)
		text = strings.Replace(text, `"results": [`, `"originalUriBaseIds": {"TOP2": `+base+`}, "results": [`, 1)
		log, err := load(t, text, src)
		got := ""
		if err == nil && len(log.Findings) == 1 {
			got = log.Findings[0].File
		}
		if err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", base, got, err, want)
		}
	}
	// A result about several files is the service's if one of them is.
	text := strings.Replace(minimal, `"locations": [`, `"locations": [{"physicalLocation": {"artifactLocation": {"uri": "services/other/b.js"}}}, `, 1)
	if log, err := load(t, strings.Replace(text, "src/server.js", "src/a.js", 1), src); err != nil || len(log.Findings) != 1 || log.Findings[0].File != "src/a.js" || log.Findings[0].Line != 5 {
		t.Error(log.Findings, err)
	}
	if log, err := load(t, strings.Replace(minimal, `"locations"`, `"places"`, 1), src); err != nil || len(log.Findings) != 1 || log.Findings[0].File != noFile {
		t.Error(log.Findings, err)
	}
}

// 5.0 is a whole number in JSON.
func TestWholeNumberWithAPoint(t *testing.T) {
	t.Parallel()
	log, err := load(t, strings.Replace(minimal, `"startLine": 5`, `"startLine": 5.0, "endLine": 6e0`, 1), shop())
	if err != nil || len(log.Findings) != 1 || log.Findings[0].Line != 5 || log.Findings[0].EndLine != 6 {
		t.Error(log.Findings, err)
	}
}

// A scanner writes other lines, columns and formatting on every run; the fingerprint stays.
func TestFingerprintsStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "a.js"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(line int, more string) string {
		text := strings.Replace(minimal, "src/server.js", "a.js", 1)
		text = strings.Replace(text, `"ruleId": "r"`, `"ruleId": "r"`+more, 1)
		log, err := load(t, strings.Replace(text, `"startLine": 5`, fmt.Sprintf(`"startLine": %d`, line), 1), Source{Dir: dir})
		if err != nil || len(log.Findings) != 1 {
			t.Fatal(err)
		}
		return log.Findings[0].Fingerprint
	}
	write("eval(name + 1)\n")
	before, partial := at(1, ""), at(1, `, "partialFingerprints": {"primaryLocationLineHash": "abc:1"}`)
	if before == partial {
		t.Error("the scanner's own fingerprint does not count")
	}
	write("// moved\n\n    eval( name+1 )\n")
	if at(3, "") != before {
		t.Error("lines and spaces change the fingerprint")
	}
	if at(2, `, "partialFingerprints": {"primaryLocationLineHash": "abc:2"}`) != partial {
		t.Error("the scanner's own fingerprint does not count alone")
	}
	// "requires login" is the same for everything, and says nothing.
	if at(3, `, "fingerprints": {"matchBasedId/v1": "requires login"}`) != before {
		t.Error("fingerprints are read")
	}
	write("eval(name + 2)\n")
	if at(1, "") == before {
		t.Error("other code has the same fingerprint")
	}
}
