//go:build e2e

package report

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// run runs a script in testdata/e2e/comment on a value. `make e2e-comment` installs what it needs.
func run(t *testing.T, script string, value any, args ...string) {
	t.Helper()
	dir := os.Getenv("IDP_E2E_COMMENT")
	if dir == "" {
		t.Fatal("IDP_E2E_COMMENT is not set: run make e2e-comment")
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "value.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		if a == "" {
			args[i] = file
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", append([]string{filepath.Join(dir, script)}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%.20000s", script, err, out)
	}
	t.Logf("%s", out)
}

// TestGitHubShowsNothingButText holds what GitHub's parser makes of every hostile string in every place, in the comment, in
// a check run and in the summary of a run, against what it makes of harmless ones.
func TestGitHubShowsNothingButText(t *testing.T) {
	type pair struct {
		Name   string `json:"name"`
		Got    string `json:"got"`
		Benign string `json:"benign"`
	}
	var pairs []pair
	plain, _ := places("harmless")
	add := func(s string) {
		r, _ := places(s)
		oneLine, _ := places(strings.ReplaceAll(s, "\n", "\r")) // the summary keeps the lines of a finding's help
		got, benign := NewCheck(r, nil), NewCheck(plain, nil)
		pairs = append(pairs, pair{s, render(t, Comment{}, r), render(t, Comment{}, plain)}, pair{s, render(t, Markdown{}, oneLine), render(t, Markdown{}, plain)},
			pair{s, got.Summary, benign.Summary}, pair{s, got.Text, benign.Text})
	}
	for i, s := range hostile {
		add(s)
		add("x " + s + hostile[(i*31+7)%len(hostile)])
	}
	run(t, "dom.mjs", pairs, "")
}

// TestCommentsInABrowser opens the golden comments in a browser and takes pictures of them.
func TestCommentsInABrowser(t *testing.T) {
	browser, folder := os.Getenv("IDP_E2E_BROWSER"), os.Getenv("IDP_E2E_SCREENSHOTS")
	if browser == "" || folder == "" {
		t.Fatal("IDP_E2E_BROWSER and IDP_E2E_SCREENSHOTS are not set: run make e2e-comment")
	}
	comments := map[string]string{}
	for name, r := range cases() {
		comments[name] = render(t, Comment{}, r)
	}
	run(t, "shots.mjs", comments, browser, "", folder)
	for name := range comments {
		for _, screen := range []string{"desktop", "phone"} {
			for _, scheme := range []string{"light", "dark"} {
				if info, err := os.Stat(filepath.Join(folder, name+"-"+screen+"-"+scheme+".png")); err != nil || info.Size() < 5000 {
					t.Errorf("no picture of %s on a %s, %s: %v", name, screen, scheme, err)
				}
			}
		}
	}
}
