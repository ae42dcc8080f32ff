package sast

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/triage"
)

var update = flag.Bool("update", false, "write what is found into testdata/*.txtar")

// TestMain settles the Go version that gosec keeps for the process, whichever test runs first.
func TestMain(m *testing.M) {
	if dir := os.Getenv(scanFolder); dir != "" {
		scanForAMoment(dir)
		return
	}
	if err := pinGoVersion("1.24"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func inputs(t *testing.T, dir string) Inputs {
	t.Helper()
	high, err := finding.ParseThreshold("high")
	if err != nil {
		t.Fatal(err)
	}
	return Inputs{Dir: dir, Commit: strings.Repeat("a", 40), Triage: triage.Desk{Rules: finding.Rules{FailOn: high}}}
}

// unpack writes an archive's files, all but want, into a new folder.
func unpack(t *testing.T, archive string) (dir string, a *txtar.Archive) {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, f := range a.Files {
		if f.Name == "want" {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, a
}

// folder is what an archive has to say behind "folder: " of where the service is in it.
func folder(a *txtar.Archive) string {
	_, rest, _ := strings.Cut(string(a.Comment), "\nfolder: ")
	name, _, _ := strings.Cut(rest, "\n")
	return name
}

// TestRun scans every archive in testdata and compares all that comes out with the archive's file "want".
func TestRun(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives in testdata", err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			t.Parallel()
			dir, a := unpack(t, archive)
			out, err := Run(t.Context(), inputs(t, filepath.Join(dir, folder(a))), Deps{})
			got := describe(out, err)
			if strings.Contains(got, dir) {
				t.Errorf("the place on this machine is told:\n%s", got)
			}
			want, at := "", len(a.Files)
			for i, f := range a.Files {
				if f.Name == "want" {
					want, at = string(f.Data), i
				}
			}
			if *update {
				a.Files = append(a.Files[:at], txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(archive, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

var outcomes = map[fault.Kind]string{
	fault.Undetermined: "undetermined", fault.Failed: "failed", fault.BadInput: "bad input", fault.Skipped: "skipped",
}

// describe writes everything that a scan gives, one fact a line.
func describe(out Outputs, err error) string {
	var b strings.Builder
	c := out.Evidence.Coverage
	outcome := "passed"
	if err != nil {
		outcome = outcomes[fault.KindOf(err)]
	}
	fmt.Fprintf(&b, "outcome: %s\nsummary: %s\ncoverage: %d of %d %s, %d files\nnew: %v fail on %s\n",
		outcome, out.Summary, c.Scanned, c.Expected, c.Unit, c.Files, out.Evidence.New, out.Evidence.FailOn)
	for _, left := range c.Left {
		fmt.Fprintln(&b, "left:", left)
	}
	for _, f := range out.Findings {
		fmt.Fprintf(&b, "finding: %s %s:%d-%d %s/%s %v %s %s\n  %s\n  | %s\n", f.Rule, f.Place(), f.Column, f.EndLine,
			f.Severity, f.Confidence, f.CWE, f.HelpURI, f.Fingerprint, f.Title, f.Snippet)
		if s := f.Suppression; s != nil {
			fmt.Fprintf(&b, "  suppressed by %s: %q\n", s.By, s.Justification)
		}
	}
	if err != nil {
		for _, line := range fault.Lines(err) {
			fmt.Fprintln(&b, "error:", line)
		}
	}
	return b.String()
}
