package secrets

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/idp/internal/finding"
)

// folderOf makes a folder that is in no repository.
func folderOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func scanFolder(t *testing.T, dir string) (Outputs, error) {
	t.Helper()
	in := inputs(t, nil, HistoryChange)
	in.Dir, in.Out = dir, filepath.Join(dir, "out")
	return Run(t.Context(), in, Deps{})
}

func TestFolderWithoutRepository(t *testing.T) {
	t.Parallel()
	tok := token("folder")
	dir := folderOf(t, map[string]string{"a b/é.txt": "one\n" + tok + "\n", "node_modules/x.js": tok, ".git/config": tok, "sub/.git/HEAD": tok, "sub/c.txt": "c\n",
		"out/findings.json": tok, "bin": "\x00" + tok, "lib.zip": "PK\x03\x04\x00"})
	if err := os.Symlink(filepath.Join(dir, "out"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	out, err := scanFolder(t, dir)
	noValues(t, out, err, []string{tok})
	places(t, out, "github-pat a b/é.txt:2")
	if err == nil || !strings.Contains(err.Error(), "1 new secret") {
		t.Errorf("error %v", err)
	}
	c := out.Evidence.Coverage
	if c.Unit != "files" || c.Scanned != c.Expected || c.Files != 5 || out.Evidence.Commit != "" {
		t.Errorf("coverage %+v", c)
	}
	for _, want := range []string{"1 file on the allowlist", "1 binary file", "1 archive", ".git: the history of a repository", "sub/.git: the history"} {
		if left := strings.Join(c.Left, "\n"); !strings.Contains(left, want) {
			t.Errorf("%q is not in what was left out:\n%s", want, left)
		}
	}
	f := out.Findings[0]
	if !strings.Contains(f.Title, "in this folder") || strings.Contains(f.Title+f.Help, "commit") || f.Commit != "" {
		t.Errorf("%+v", f)
	}
}

// Nothing that was not seen passes, whatever the threshold is.
func TestGapsOfAFolder(t *testing.T) {
	t.Parallel()
	none, err := finding.ParseThreshold(finding.None)
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat(strings.Repeat("x", 1023)+"\n", MaxFileSize>>10) + "y\n"
	for name, test := range map[string]struct {
		files map[string]string
		depth int
		want  string
	}{
		"no file":        {nil, 0, "there is no file in this folder"},
		"too large":      {map[string]string{"big.txt": big, "a.txt": "a\n"}, 0, "big.txt: a text of 32 MiB"},
		"broken archive": {map[string]string{"lib.zip": "PK\x03\x04\x00broken"}, 1, "lib.zip"},
	} {
		in := inputs(t, nil, HistoryChange)
		in.Dir, in.ArchiveDepth, in.Triage.Rules.FailOn = folderOf(t, test.files), test.depth, none
		out, err := Run(t.Context(), in, Deps{})
		undetermined(t, err, test.want)
		if c := out.Evidence.Coverage; out.Summary != "" || (c.Expected > 0 && c.Scanned >= c.Expected) {
			t.Errorf("%s: summary %q, coverage %+v", name, out.Summary, c)
		}
	}
	in := inputs(t, nil, HistoryChange)
	in.Dir = folderOf(t, map[string]string{"a.txt": "a\n"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Run(ctx, in, Deps{})
	undetermined(t, err, "stopped after", "context canceled")
}
