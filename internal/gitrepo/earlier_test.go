package gitrepo_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitrepo"
)

func TestExport(t *testing.T) {
	t.Parallel()
	dir, repo := repository(t, map[string]string{
		"a.go": "package a\n", "sub/b.txt": "b\n", ".gitattributes": "sub export-ignore\n*.txt export-subst\n", "with space.txt": "$Format:%H$\n",
	})
	base := repo.Commit
	write(t, dir, "a.go", "package changed\n")
	git(t, dir, "rm", "-q", "sub/b.txt")
	git(t, dir, "commit", "-q", "-a", "-m", "next")
	to := t.TempDir()
	if err := repo.Export(t.Context(), base, to); err != nil {
		t.Fatal(err)
	}
	// What git archive would have left out or written anew is as it was committed.
	for name, want := range map[string]string{"a.go": "package a\n", "sub/b.txt": "b\n", "with space.txt": "$Format:%H$\n"} {
		if got, err := os.ReadFile(filepath.Join(to, filepath.FromSlash(name))); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	if changed, err := repo.Dirty(t.Context(), "."); err != nil || len(changed) > 0 {
		t.Errorf("exporting changed the working tree or the index: %q %v", changed, err)
	}
	if err := repo.Export(t.Context(), strings.Repeat("0", 40), t.TempDir()); fault.KindOf(err) != fault.Undetermined || err == nil {
		t.Errorf("a commit that is not there: %v", err)
	}
}

func TestExportOfSubmodules(t *testing.T) {
	t.Parallel()
	lib, _ := repository(t, map[string]string{"lib.go": "package lib\n"})
	dir, _ := repository(t, map[string]string{"a.go": "package a\n"})
	git(t, dir, "submodule", "-q", "add", lib, "third party/lib")
	git(t, dir, "commit", "-qm", "lib")
	write(t, lib, "lib.go", "package lib // newer\n")
	git(t, lib, "commit", "-qam", "newer")
	git(t, filepath.Join(dir, "third party", "lib"), "pull", "-q")
	git(t, dir, "commit", "-qam", "newer lib")
	repo, err := gitrepo.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for commit, want := range map[string]string{repo.Commit: "package lib // newer\n", repo.Commit + "^": "package lib\n"} {
		to := t.TempDir()
		if err := repo.Export(t.Context(), commit, to); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(to, "third party", "lib", "lib.go")); err != nil || string(got) != want {
			t.Errorf("%s: %q %v, want %q", commit, got, err, want)
		}
	}
	// One that is not checked out is left out, as it is from the working tree.
	git(t, dir, "submodule", "-q", "deinit", "--all", "--force")
	to := t.TempDir()
	if err := repo.Export(t.Context(), repo.Commit, to); err != nil {
		t.Error(err)
	}
}

func TestExportOfDamagedRepository(t *testing.T) {
	t.Parallel()
	dir, repo := repository(t, map[string]string{"a.txt": "precious\n", "b.txt": "b\n"})
	id := strings.TrimSpace(read(t, dir, "rev-parse", "HEAD:a.txt"))
	if err := os.Remove(filepath.Join(dir, ".git", "objects", id[:2], id[2:])); err != nil {
		t.Fatal(err)
	}
	if err := repo.Export(t.Context(), repo.Commit, t.TempDir()); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("a blob is missing: %v", err)
	}
	if _, err := repo.File(t.Context(), repo.Commit, "a.txt"); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("a blob is missing: %v", err)
	}
}

func TestChangesSince(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a line that is the same\n", 20)
	dir, repo := repository(t, map[string]string{"gone.txt": "gone\n", "old/name.go": long, "kept.txt": "kept\n", "changed.txt": "one\n"})
	base := repo.Commit
	git(t, dir, "mv", "old/name.go", "näme two.go")
	git(t, dir, "rm", "-q", "gone.txt")
	write(t, dir, "näme two.go", long+"and one more\n")
	write(t, dir, "changed.txt", "two\n")
	write(t, dir, "new.txt", "new\n")
	write(t, dir, "untracked.txt", "x\n")
	git(t, dir, "add", "new.txt")
	changes, err := repo.ChangesSince(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	blob := func(name string) string { return strings.TrimSpace(read(t, dir, "rev-parse", base+":"+name)) }
	want := []gitrepo.Change{
		{Old: "changed.txt", New: "changed.txt", Blob: blob("changed.txt")},
		{Old: "gone.txt", Blob: blob("gone.txt")},
		{New: "new.txt"},
		{Old: "old/name.go", New: "näme two.go", Blob: blob("old/name.go")},
	}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if _, err := repo.ChangesSince(t.Context(), strings.Repeat("0", 40)); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Error(err)
	}
}

func TestResolveSinceAndFile(t *testing.T) {
	t.Parallel()
	dir, repo := repository(t, map[string]string{"a/b.txt": "one\n"})
	base := repo.Commit
	git(t, dir, "tag", "-a", "v1", "-m", "v1")
	write(t, dir, "a/b.txt", "two\n")
	git(t, dir, "commit", "-q", "-a", "-m", "next")
	repo, err := gitrepo.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"v1", base, base[:10], "HEAD~1"} {
		if got, err := repo.Resolve(t.Context(), name); err != nil || got != base {
			t.Errorf("%s: %s %v", name, got, err)
		}
	}
	for _, name := range []string{"nowhere", "--all", "", "HEAD:a"} {
		if got, err := repo.Resolve(t.Context(), name); fault.KindOf(err) != fault.BadInput {
			t.Errorf("%q: %s %v", name, got, err)
		}
	}
	since, err := repo.Since(t.Context(), base)
	if err != nil || !cmp.Equal(since, map[string]bool{repo.Commit: true}) {
		t.Error(since, err)
	}
	if data, err := repo.File(t.Context(), base, "a/b.txt"); err != nil || string(data) != "one\n" {
		t.Errorf("%q %v", data, err)
	}
	if data, err := repo.File(t.Context(), base, "a/none.txt"); err != nil || data != nil {
		t.Errorf("%q %v", data, err)
	}
}

// read gives what git says.
func read(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestLinesSince(t *testing.T) {
	t.Parallel()
	var long strings.Builder
	for i := range 30 {
		fmt.Fprintf(&long, "line %d\n", i+1)
	}
	hostile := "@@ -1 +1 @@\n"
	dir, repo := repository(t, map[string]string{"old.txt": long.String(), "b.txt": "one\ntwo\nthree\n"})
	base := repo.Commit
	git(t, dir, "mv", "old.txt", "new name.txt")
	write(t, dir, "new name.txt", "first\n"+strings.Replace(long.String(), "line 10\n", hostile+hostile, 1))
	write(t, dir, "b.txt", "one\nthree\n")
	write(t, dir, "c.txt", "c\nc\n")
	git(t, dir, "add", "c.txt")
	changes, err := repo.ChangesSince(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]gitrepo.Lines{}
	for _, c := range changes {
		if got[c.New], err = repo.LinesSince(t.Context(), base, c); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]gitrepo.Lines{"new name.txt": {{1, 1}, {11, 12}}, "b.txt": nil, "c.txt": {{1, 2}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	lines := gitrepo.Lines{{3, 5}, {9, 9}}
	for place, want := range map[[2]int]bool{{2, 0}: false, {2, 3}: true, {3, 0}: true, {5, 7}: true, {6, 8}: false, {9, 9}: true, {0, 0}: true} {
		if lines.Have(place[0], place[1]) != want {
			t.Errorf("%v: %t", place, !want)
		}
	}
	if gitrepo.Lines(nil).Have(0, 0) {
		t.Error("a file in which no line was touched has some")
	}
	if _, err := repo.LinesSince(t.Context(), strings.Repeat("0", 40), changes[0]); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Error(err)
	}
}
