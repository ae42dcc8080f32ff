package gitstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=ann", "-c", "user.email=ann@example.com"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func bare(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "catalog.git")
	if err := CreateBare(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, url string) *Store {
	t.Helper()
	to, err := ParseRemote(url)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Remote: to, Branch: "main", Temp: t.TempDir(), Author: Person{"idp", "idp@localhost"}, Now: time.Now,
		Sleep: func(context.Context, time.Duration) error { return nil }, Progress: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// publish writes files as a delivery would, after it has read the paths that it writes.
func publish(t *testing.T, s *Store, files map[string]string) {
	t.Helper()
	_, pushed, err := s.Publish(t.Context(), func(ctx context.Context, tip *Tip) (Change, error) {
		c := Change{Files: map[string][]byte{}, Message: "files\n"}
		for path, text := range files {
			c.Files[path] = []byte(text)
		}
		_, err := tip.Read(ctx, slices.Collect(maps.Keys(files))...)
		return c, err
	})
	if err != nil || !pushed {
		t.Fatal(pushed, err)
	}
}

// Folders are what git itself makes of the same files, in an order in which it sorts names that bytes would sort otherwise.
func TestFoldersAreThoseOfGit(t *testing.T) {
	t.Parallel()
	url, work := bare(t), t.TempDir()
	git(t, work, "init", "--quiet")
	s := open(t, url)
	for round, paths := range [][]string{
		{"a.b", "a/b", "a-b", "a0", "README.md"},
		{"a/b", "a/c/d", "a.b", "é", "a /x"},
		{"b/c/d/e/f", "a/c/e", "a/b", "Z"},
	} {
		files := map[string]string{}
		for _, path := range paths {
			files[path] = fmt.Sprintf("%s in round %d\n", path, round)
			git(t, work, "update-index", "--add", "--cacheinfo", "100644,"+stored(t, work, files[path])+","+path)
		}
		publish(t, s, files)
		if got, want := git(t, url, "rev-parse", "main^{tree}"), git(t, work, "write-tree"); got != want {
			t.Errorf("round %d: folder %s, git makes %s\n%s", round, got, want, git(t, url, "ls-tree", "-r", "main"))
		}
	}
	if said := git(t, url, "fsck", "--strict"); strings.Contains(said, "error") || strings.Contains(said, "warning") {
		t.Error(said)
	}
}

// stored writes a blob and gives its id.
func stored(t *testing.T, dir, text string) string {
	t.Helper()
	cmd := exec.Command("git", "hash-object", "-w", "--stdin")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestReadingFetchesWhatIsAskedForOnly(t *testing.T) {
	t.Parallel()
	url := bare(t)
	publish(t, open(t, url), map[string]string{"a/b/c/1": "one", "a/b/c/2": "two", "a/b/d/3": "three", "a/x": "x", "e/y": "y", "z": "z"})
	s := open(t, url)
	_, _, err := s.Publish(t.Context(), func(ctx context.Context, tip *Tip) (Change, error) {
		files, err := tip.Read(ctx, "a/b/c/", "a/x", "none", "a/none/", "z/") // the last is a file
		var path *PathError
		if !errors.As(err, &path) || path.Path != "z" {
			t.Errorf("%v, %v", files, err)
		}
		files, err = tip.Read(ctx, "a/b/c/", "a/x", "none", "a/none/")
		if err != nil || len(files) != 3 || string(files["a/b/c/1"]) != "one" || string(files["a/b/c/2"]) != "two" || string(files["a/x"]) != "x" {
			t.Errorf("%v, %v", files, err)
		}
		return Change{}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"a/b/c/1": true, "a/b/d": true, "a/b/d/3": false, "e": false, "z": false} {
		_, err := s.objects.get(strings.TrimSpace(git(t, url, "rev-parse", "main:"+path)))
		if (err == nil) != want || (err != nil && !errors.Is(err, errAbsent)) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestDamagedFolders(t *testing.T) {
	t.Parallel()
	whole := "100644 a\x00" + strings.Repeat("i", idBytes) + "40000 b\x00" + strings.Repeat("j", idBytes)
	for n := range len(whole) {
		if got := wellFormed([]byte(whole[:n])); got != (n == 0 || n == 9+idBytes) {
			t.Errorf("the first %d bytes: %v", n, got)
		}
	}
	if !wellFormed([]byte(whole)) {
		t.Error("the whole is not well formed")
	}
}

// A folder that is empty after a file went is none, as in git.
func TestFilesAreTakenAway(t *testing.T) {
	t.Parallel()
	url, work := bare(t), t.TempDir()
	git(t, work, "init", "--quiet")
	paths := []string{"a/b/c", "a/b/d", "a/e", "f/g/h", "i"}
	files := map[string]string{}
	for _, path := range paths {
		files[path] = path
		git(t, work, "update-index", "--add", "--cacheinfo", "100644,"+stored(t, work, path)+","+path)
	}
	publish(t, open(t, url), files)
	gone := []string{"a/b/c", "f/g/h", "a/none/x"}
	_, _, err := open(t, url).Publish(t.Context(), func(ctx context.Context, tip *Tip) (Change, error) {
		c := Change{Files: map[string][]byte{}, Message: "gone\n"}
		for _, path := range gone {
			c.Files[path] = nil
		}
		_, err := tip.Read(ctx, gone...)
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	git(t, work, append([]string{"update-index", "--force-remove"}, gone...)...)
	if got, want := git(t, url, "rev-parse", "main^{tree}"), git(t, work, "write-tree"); got != want {
		t.Errorf("folder %s, git makes %s\n%s", got, want, git(t, url, "ls-tree", "-r", "main"))
	}
}

func TestAllOfAFolder(t *testing.T) {
	t.Parallel()
	url := bare(t)
	publish(t, open(t, url), map[string]string{"a/1": "one", "a/b/c/2": "two", "d/3": "three", "e": "e"})
	s := open(t, url)
	_, _, err := s.Publish(t.Context(), func(ctx context.Context, tip *Tip) (Change, error) {
		if _, err := tip.Read(ctx, "a/1"); err != nil { // what is there already is no obstacle
			return Change{}, err
		}
		for folder, want := range map[string]string{"a": "map[a/1:one a/b/c/2:two]", "none": "map[]", "e": "map[]"} {
			files, err := tip.All(ctx, folder)
			got := map[string]string{}
			for path, data := range files {
				got[path] = string(data)
			}
			if err != nil || fmt.Sprint(got) != want {
				t.Errorf("%s: %v, %v", folder, got, err)
			}
		}
		return Change{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.objects.get(strings.TrimSpace(git(t, url, "rev-parse", "main:d/3"))); !errors.Is(err, errAbsent) {
		t.Errorf("a file of another folder was fetched: %v", err)
	}
}
