package apply

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/kubernetes"
)

var update = flag.Bool("update", false, "write what the diffs are now")

// saved reads an object as a real cluster had it; nil where the case has none.
func saved(t *testing.T, file string) *kubernetes.Object {
	t.Helper()
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var o kubernetes.Object
	if err := json.Unmarshal(data, &o.Object); err != nil {
		t.Fatal(err)
	}
	return &o
}

// saveds are the changes of testdata/diff: before.json as API server 1.34.4 had it, after.json as its dry run of an apply
// of given.json gave it.
func saveds(t *testing.T) map[string]Change {
	t.Helper()
	dirs, err := filepath.Glob("testdata/diff/*")
	if err != nil || len(dirs) < 9 {
		t.Fatalf("%d cases (%v)", len(dirs), err)
	}
	changes := map[string]Change{}
	for _, dir := range dirs {
		c := Change{Before: saved(t, dir+"/before.json"), After: saved(t, dir+"/after.json"), given: saved(t, dir+"/given.json"), Action: Update}
		switch {
		case c.Before == nil:
			c.Action = Create
		case c.After == nil:
			c.Action = Pruned
		}
		if c.Before != nil {
			c.Ref = kubernetes.RefOf(c.Before)
		} else {
			c.Ref = kubernetes.RefOf(c.After)
		}
		changes[filepath.Base(dir)] = c
	}
	return changes
}

func TestDiffs(t *testing.T) {
	for name, c := range saveds(t) {
		file, got := "testdata/diff/"+name+"/want.txt", Diff([]Change{c})
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestNoDiffHoldsASecret(t *testing.T) {
	for name, c := range saveds(t) {
		if text := Diff([]Change{c}); strings.Contains(text, "hunter") || strings.Contains(text, "aHVudGVy") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// A line of a fence of Markdown ends it when it begins, after at most three spaces, with three backticks or tildes
// (CommonMark 0.31, 4.5).
func TestNoLineOfADiffEndsAFenceOrMovesTheCursor(t *testing.T) {
	for name, c := range saveds(t) {
		c.Conflicts = []kubernetes.Conflict{{Manager: "\n```\n\x1b[2J", Field: "\n~~~"}}
		c.Adopted, c.Unchecked, c.Refused, c.Ref.Name = []string{"\n```"}, "\n```", "\n```\x1b[A", "x\n```"
		for _, line := range strings.Split(Diff([]Change{c}), "\n") {
			trimmed := strings.TrimLeft(line, " ")
			if len(line)-len(trimmed) < 4 && (strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~")) {
				t.Errorf("%s: the line %q ends a fence", name, line)
			}
			for _, r := range line {
				if !unicode.IsPrint(r) {
					t.Errorf("%s: %q in %q", name, r, line)
				}
			}
		}
	}
}

func TestDiffIsBounded(t *testing.T) {
	c := saveds(t)["deployment"]
	data := map[string]any{}
	for i := range 500 {
		data["k"+strconv.Itoa(i)] = strings.Repeat("x", 1000)
	}
	large := Change{Ref: kubernetes.Ref{Kind: "ConfigMap", Name: "large"}, Action: Create, After: &kubernetes.Object{Object: map[string]any{"data": data}}}
	text := Diff([]Change{large})
	if lines := strings.Count(text, "\n"); lines > diffLines+5 || !strings.Contains(text, "… 440 more lines") {
		t.Errorf("one object has %d lines", lines)
	}
	var many []Change
	for range 1000 {
		many = append(many, c, large)
	}
	text = Diff(many)
	if len(text) > diffBytes+200 {
		t.Errorf("%d bytes", len(text))
	}
	if first := strings.SplitN(text, "\n", 2)[0]; first != "1000 to create, 1000 to update" {
		t.Errorf("it begins with %q", first)
	}
	if !strings.Contains(text, "The diff is cut here. Not shown: ") {
		t.Error("it does not say that it is cut")
	}
}

func TestNothingToDoIsSaid(t *testing.T) {
	if got := Diff(nil); got != "nothing to do\n" {
		t.Errorf("it is %q", got)
	}
	if got := Diff([]Change{{Action: Unchanged}}); got != "1 unchanged\n" {
		t.Errorf("it is %q", got)
	}
}
