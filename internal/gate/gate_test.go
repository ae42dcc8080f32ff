package gate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/triage"
)

const (
	clean  = `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "ESLint", "version": "9"}}, "results": []}]}`
	bad    = `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Trivy"}}, "results": [{"ruleId": "r", "level": "error", "message": {"text": "bad"}}]}]}`
	broken = `{"version": "2.1.0", "runs": [{"invocations": [{"executionSuccessful": false}], "tool": {"driver": {"name": "Semgrep"}}, "results": []}]}`
)

func TestRun(t *testing.T) {
	t.Parallel()
	const passed = fault.Kind(-1)
	for name, c := range map[string]struct {
		files   []string
		failOn  string
		kind    fault.Kind
		text    string
		scanned int
	}{
		"clean":              {[]string{clean}, "low", passed, "", 1},
		"a finding":          {[]string{clean, bad}, "high", fault.Failed, "1 new finding", 2},
		"below":              {[]string{clean, bad}, "critical", passed, "", 2},
		"nothing matched":    {nil, "none", fault.Undetermined, "no file matches", 0},
		"the tool failed":    {[]string{clean, broken}, "none", fault.Undetermined, "Semgrep did not come to its end", 1},
		"failed and found":   {[]string{bad, broken}, "high", fault.Undetermined, "Found in what was read", 1},
		"one cannot be read": {[]string{bad, "{"}, "none", fault.Undetermined, "is not SARIF 2.1.0", 1},
		"no threshold":       {[]string{clean}, "", fault.Undetermined, "no threshold was set", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for i, text := range c.files {
				if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".sarif"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			in := Inputs{Import: []string{filepath.Join(dir, "*.sarif")}, Dir: dir}
			if c.failOn != "" {
				var err error
				if in.Triage.Rules.FailOn, err = finding.ParseThreshold(c.failOn); err != nil {
					t.Fatal(err)
				}
			}
			out, err := Run(t.Context(), in, Deps{})
			if (c.kind == passed) != (err == nil) {
				t.Fatal(err)
			}
			if err != nil && (fault.KindOf(err) != c.kind || !strings.Contains(strings.Join(fault.Lines(err), "\n"), c.text)) {
				t.Error(strings.Join(fault.Lines(err), "\n"))
			}
			if out.Evidence.Coverage.Scanned != c.scanned || out.Evidence.Gate == nil {
				t.Errorf("%+v", out.Evidence)
			}
		})
	}
	if _, err := Run(t.Context(), Inputs{Triage: triage.Desk{}}, Deps{}); fault.KindOf(err) != fault.BadInput {
		t.Error(err)
	}
}
