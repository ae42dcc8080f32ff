package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/record"
)

// golden holds what was rendered against a file; -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "report", name)
	if *update {
		if err := record.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

func TestGoldenComments(t *testing.T) {
	t.Parallel()
	for name, r := range cases() {
		golden(t, "comment/"+name+".md", render(t, Comment{}, r))
	}
}

// A key stays in the comment of HTML that it is put into, and two services never share one.
func TestCommentKey(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, s := range append([]string{"a--b", "a-%2Db", "a-b", "a/b", "a---b", "a-"}, hostile...) {
		r := delivery(s, passed("sast", "", 1, nil))
		key := CommentKey(r.Record)
		if other, ok := seen[key]; ok || strings.Contains(key, "--") || strings.ContainsAny(key, "\n\r<> ") || len(key) > 1500 {
			t.Errorf("the key of %q is %q; it is that of %q, too", s, key, other)
		}
		seen[key] = s
	}
	if got := CommentKey(planCase().Record); got != "checkout/staging" {
		t.Errorf("got %q", got)
	}
}

// onGitHub is all that is rendered for GitHub besides the comment.
type onGitHub struct {
	Check       Check
	Status      Status
	Description string
	Payload     Payload
}

func TestGoldenChecks(t *testing.T) {
	t.Parallel()
	for name, r := range cases() {
		var marked []Marked
		for _, f := range r.Findings {
			marked = append(marked, Marked{f, "failure"})
		}
		got := onGitHub{NewCheck(r, marked), NewStatus(r), DeploymentDescription(r), NewPayload(r.Record)}
		within(t, name, got)
		if name == "huge" {
			continue // its comment is golden; what matters here is that all of it is within the limits
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(got); err != nil {
			t.Fatal(err)
		}
		golden(t, "check/"+name+".json", b.String())
	}
}

// TestEveryGoldenFileIsOfACase finds files that nothing writes any more.
func TestEveryGoldenFileIsOfACase(t *testing.T) {
	t.Parallel()
	for dir, missing := range map[string]int{"comment": 0, "check": 1} {
		files, err := os.ReadDir(filepath.Join("..", "..", "testdata", "report", dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if _, ok := cases()[strings.TrimSuffix(f.Name(), filepath.Ext(f.Name()))]; !ok {
				t.Errorf("%s/%s is of no case", dir, f.Name())
			}
		}
		if len(files) != len(cases())-missing {
			t.Errorf("%d files in %s of %d cases", len(files), dir, len(cases()))
		}
	}
}
