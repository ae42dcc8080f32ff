package runner

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// readFileCommands reads a command file as the runner's FileCommandManager does (actions/runner v2.336.0,
// src/Runner.Worker/FileCommandManager.cs): per line, whichever of = and << comes first wins.
func readFileCommands(t *testing.T, text string) map[string]string {
	t.Helper()
	got := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		eq, here := strings.Index(lines[i], "="), strings.Index(lines[i], "<<")
		switch {
		case lines[i] == "":
		case eq >= 0 && (here < 0 || eq < here):
			got[lines[i][:eq]] = lines[i][eq+1:]
		case here >= 0:
			name, delimiter := lines[i][:here], lines[i][here+2:]
			var value []string
			for i++; i < len(lines) && lines[i] != delimiter; i++ {
				value = append(value, lines[i])
			}
			if i == len(lines) {
				t.Fatalf("no closing delimiter for %s", name)
			}
			got[name] = strings.Join(value, "\n")
		default:
			t.Fatalf("invalid line %q", lines[i])
		}
	}
	return got
}

func active(t *testing.T) (string, func(string) string) {
	dir := t.TempDir()
	env := map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": filepath.Join(dir, "output"),
		"GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary"), "GITHUB_REPOSITORY": "acme/checkout", "GITHUB_RUN_ID": "77",
		"GITHUB_RUN_ATTEMPT": "2", "GITHUB_ACTOR": "ada", "GITHUB_EVENT_NAME": "push", "GITHUB_SERVER_URL": "https://ghe.acme.test",
	}
	return dir, func(k string) string { return env[k] }
}

func FuzzOutputsCannotBeInjected(f *testing.F) {
	for _, v := range []string{"plain", "a=b", "x<<EOF\nBASH_ENV=/evil\nEOF", "_GitHubActionsFileCommandDelimeter_\nBASH_ENV<<X", "", "\n\n"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		dir, getenv := active(t)
		r := New(getenv, &bytes.Buffer{})
		if err := r.Output("digest", value); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "output"))
		if err != nil {
			t.Fatal(err)
		}
		got := readFileCommands(t, string(data))
		if len(got) != 1 || got["digest"] != value {
			t.Errorf("value %q became %q", value, got)
		}
	})
}

func TestOutputRefusesNamesThatAreCommands(t *testing.T) {
	_, getenv := active(t)
	r := New(getenv, &bytes.Buffer{})
	for _, name := range []string{"", "a=b", "a\nb", "a<<b"} {
		if err := r.Output(name, "x"); err == nil {
			t.Errorf("name %q was accepted", name)
		}
	}
}

func TestSummaryStaysWithinTheRunnersLimit(t *testing.T) {
	dir, getenv := active(t)
	r := New(getenv, &bytes.Buffer{})
	for range 3 {
		if err := r.Summary(strings.Repeat("a line of the report\n", 30000), ".idp/summary.md"); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "summary"))
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > summaryLimit {
		t.Errorf("summary has %d bytes", len(data))
	}
	if !strings.Contains(string(data), "The rest is in .idp/summary.md") {
		t.Error("summary does not say where the rest is")
	}
}

func TestAnnotationsSayHowManyMoreThereAre(t *testing.T) {
	_, getenv := active(t)
	var out bytes.Buffer
	r := New(getenv, &out)
	var list []Annotation
	for i := range 14 {
		list = append(list, Annotation{Level: Error, File: "a,b:c.go", Line: i + 1, Title: "G101", Message: "50% of\nit"})
	}
	r.Annotate(append(list, Annotation{Level: Warning, Message: "a warning"}))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 11 {
		t.Fatalf("%d commands, want 10 errors and a warning:\n%s", len(lines), out.String())
	}
	if want := "file=a%2Cb%3Ac.go"; !strings.Contains(lines[0], want) {
		t.Errorf("%q does not contain %q", lines[0], want)
	}
	if want := "::50%25 of%0Ait"; !strings.HasSuffix(lines[0], want) {
		t.Errorf("%q does not end in %q", lines[0], want)
	}
	if !strings.Contains(lines[9], "and 5 more") {
		t.Errorf("last error is %q", lines[9])
	}
}

func TestRunDescribesTheRun(t *testing.T) {
	_, getenv := active(t)
	run, err := New(getenv, &bytes.Buffer{}).Run()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(run), "{77 2 https://ghe.acme.test/acme/checkout/actions/runs/77/attempts/2 ada push}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOutsideARunNothingIsWritten(t *testing.T) {
	var out bytes.Buffer
	r := New(func(k string) string { return map[string]string{"USER": "ada"}[k] }, &out)
	r.Mask("x")
	r.Annotate([]Annotation{{Message: "x"}})
	run, err := r.Run()
	if err != nil || r.Output("a", "b") != nil || r.Summary("x", "y") != nil {
		t.Error("an error outside a run")
	}
	if out.Len() > 0 || run.Actor != "ada" || run.ID != "" || r.Repository() != "" {
		t.Errorf("wrote %q, run %+v", out.String(), run)
	}
}
