package gitrepo_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitrepo"
)

// git runs git with nothing of this machine's configuration.
func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main",
		"-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// repository commits the files and opens what came of it.
func repository(t *testing.T, files map[string]string) (string, *gitrepo.Repo) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	git(t, dir, "init", "-q")
	for name, text := range files {
		write(t, dir, name, text)
	}
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-qm", "one")
	repo, err := gitrepo.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, repo
}

func TestUncommitted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(t *testing.T, dir string)
		files  []string // a.go when empty
		want   []string
	}{
		"as committed":     {change: func(*testing.T, string) {}, files: []string{"a.go", "sub/b.go"}},
		"touched only":     {change: func(t *testing.T, dir string) { write(t, dir, "a.go", "a\n") }},
		"changed":          {change: func(t *testing.T, dir string) { write(t, dir, "a.go", "b\n") }, want: []string{"a.go (changed)"}},
		"changed in index": {change: func(t *testing.T, dir string) { write(t, dir, "a.go", "b\n"); git(t, dir, "add", "a.go") }, want: []string{"a.go (changed)"}},
		"untracked":        {change: func(t *testing.T, dir string) { write(t, dir, "c.go", "c\n") }, files: []string{"c.go"}, want: []string{"c.go (not in the commit)"}},
		"ignored": {change: func(t *testing.T, dir string) {
			write(t, dir, "c.go", "c\n")
			write(t, dir, ".git/info/exclude", "c.go\n")
		}, files: []string{"c.go"}, want: []string{"c.go (not in the commit)"}},
		"assumed unchanged": {change: func(t *testing.T, dir string) {
			git(t, dir, "update-index", "--assume-unchanged", "a.go")
			write(t, dir, "a.go", "b\n")
		}, want: []string{"a.go (changed)"}},
		"skipped": {change: func(t *testing.T, dir string) {
			git(t, dir, "update-index", "--skip-worktree", "a.go")
			write(t, dir, "a.go", "b\n")
		}, want: []string{"a.go (changed)"}},
		"line ends converted on checkout": {change: func(t *testing.T, dir string) {
			git(t, dir, "config", "core.autocrlf", "true")
			write(t, dir, "a.go", "a\r\n")
		}},
		"spaces and quotes": {change: func(*testing.T, string) {}, files: []string{"an 'odd' name.txt"}},
		"outside":           {change: func(*testing.T, string) {}, files: []string{"../out.go"}, want: []string{"OUT/out.go (outside of the repository)"}},
		"gone":              {change: func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "sub", "b.go"))) }, want: []string{"sub/b.go (not there)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, repo := repository(t, map[string]string{"a.go": "a\n", "sub/b.go": "b\n", "an 'odd' name.txt": "x\n", "other/deep/c.go": "c\n"})
			test.change(t, dir)
			files := test.files
			if files == nil {
				files = []string{"a.go"}
			}
			var full []string
			for _, f := range files {
				full = append(full, filepath.Join(dir, f))
			}
			got, err := repo.Uncommitted(t.Context(), full, map[string]bool{filepath.Join(dir, "sub"): false})
			if err != nil {
				t.Fatal(err)
			}
			for i := range got {
				got[i] = strings.Replace(filepath.ToSlash(got[i]), filepath.ToSlash(filepath.Dir(dir)), "OUT", 1)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUncommittedFollowsLinks(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // links need a privilege there
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	git(t, dir, "init", "-q")
	write(t, dir, "real/a.go", "a\n")
	must(t, os.Symlink("real/a.go", filepath.Join(dir, "a.go")))
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-qm", "one")
	repo, err := gitrepo.Open(t.Context(), dir)
	must(t, err)
	check := func(want ...string) {
		t.Helper()
		got, err := repo.Uncommitted(t.Context(), []string{filepath.Join(dir, "a.go")}, nil)
		must(t, err)
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check()
	write(t, dir, "real/a.go", "b\n")
	check("real/a.go (changed)")
	must(t, os.Remove(filepath.Join(dir, "a.go")))
	must(t, os.Symlink(filepath.Join(dir, "real", "a.go"), filepath.Join(dir, "a.go")))
	check("a.go (changed)", "real/a.go (changed)")
}

// A submodule's files follow from the commit as long as they are those of the commit that it is pinned to.
func TestUncommittedInSubmodule(t *testing.T) {
	t.Parallel()
	lib, _ := repository(t, map[string]string{"lib.go": "lib\n"})
	dir, _ := repository(t, map[string]string{"a.go": "a\n"})
	git(t, dir, "submodule", "add", "-q", lib, "third/lib")
	git(t, dir, "commit", "-qm", "two")
	repo, err := gitrepo.Open(t.Context(), dir)
	must(t, err)
	files := []string{filepath.Join(dir, "third", "lib", "lib.go")}
	got, err := repo.Uncommitted(t.Context(), files, nil)
	if err != nil || len(got) > 0 {
		t.Fatalf("%v %v", got, err)
	}
	write(t, filepath.Join(dir, "third", "lib"), "lib.go", "changed\n")
	if got, err = repo.Uncommitted(t.Context(), files, nil); err != nil || !slices.Equal(got, []string{"third/lib/lib.go (changed)"}) {
		t.Errorf("%v %v", got, err)
	}
	if dirty, err := repo.Dirty(t.Context(), "."); err != nil || len(dirty) != 1 {
		t.Errorf("%v %v", dirty, err)
	}
}

func TestDirty(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(t *testing.T, dir string)
		want   []string
	}{
		"clean":     {change: func(*testing.T, string) {}},
		"changed":   {change: func(t *testing.T, dir string) { write(t, dir, "s[v]c/a.go", "b\n") }, want: []string{" M s[v]c/a.go"}},
		"elsewhere": {change: func(t *testing.T, dir string) { write(t, dir, "svc/a.go", "b\n") }},
		"ignored": {change: func(t *testing.T, dir string) {
			write(t, dir, ".git/info/exclude", "x\n")
			write(t, dir, "s[v]c/x", "x\n")
		}},
		"assumed unchanged": {change: func(t *testing.T, dir string) {
			git(t, dir, "--literal-pathspecs", "update-index", "--assume-unchanged", "s[v]c/a.go")
			write(t, dir, "s[v]c/a.go", "b\n")
		}, want: []string{" M s[v]c/a.go (changed)"}},
		"assumed unchanged, and so it is": {change: func(t *testing.T, dir string) {
			git(t, dir, "update-index", "--assume-unchanged", "s[v]c/a.go")
		}},
		"left out of a sparse checkout": {change: func(t *testing.T, dir string) {
			git(t, dir, "sparse-checkout", "set", "--no-cone", "/s*/*", "!/s*/b.go")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, repo := repository(t, map[string]string{"s[v]c/a.go": "a\n", "s[v]c/b.go": "b\n", "svc/a.go": "a\n"})
			test.change(t, dir)
			got, err := repo.Dirty(t.Context(), "s[v]c")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Git sets these for its hooks; what is asked about is the folder all the same.
func TestOpenIgnoresWhereGitWasLed(t *testing.T) {
	other, _ := repository(t, map[string]string{"other": "o\n"})
	dir, want := repository(t, map[string]string{"a": "a\n"})
	t.Setenv("GIT_DIR", filepath.Join(other, ".git"))
	t.Setenv("GIT_INDEX_FILE", filepath.Join(other, ".git", "index"))
	got, err := gitrepo.Open(t.Context(), dir)
	if err != nil || got.Commit != want.Commit || got.Root != want.Root {
		t.Fatalf("%+v %v", got, err)
	}
	if dirty, err := got.Dirty(t.Context(), "."); err != nil || dirty != nil {
		t.Errorf("%v %v", dirty, err)
	}
}

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"https://ada:secret@example.com/a/b.git": "https://example.com/a/b.git",
		"https://ada:se#cret@example.com/a/b":    "https://example.com/a/b",
		"https://ada:se/cret@example.com/a/b":    "https://example.com/a/b",
		"https://ada:50%@example.com/a/b":        "https://example.com/a/b",
		"git@example.com:a/b.git":                "git@example.com:a/b.git",
		"/srv/git/a.git":                         "/srv/git/a.git",
	} {
		if got := gitrepo.WithoutCredentials(remote); got != want {
			t.Errorf("%s: got %s, want %s", remote, got, want)
		}
	}
}

func TestSparseCheckout(t *testing.T) {
	t.Parallel()
	origin, _ := repository(t, map[string]string{"svc/a/a.go": "package a\n", "svc/b/b.go": "package b\n", "c/c.go": "package c\n", "go.mod": "module m\n"})
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, origin, "clone", "-q", "--sparse", "file://"+origin, dir)
	git(t, dir, "sparse-checkout", "set", "svc/a")
	for folder, want := range map[string][]string{".": {"c/c.go", "svc/b/b.go"}, "svc": {"b/b.go"}, "svc/a": nil} {
		repo, err := gitrepo.Open(t.Context(), filepath.Join(dir, folder))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := repo.Absent(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q %v, want %q", folder, got, err, want)
		}
		to := t.TempDir()
		if err := repo.Export(t.Context(), repo.Commit, to); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(to, "svc", "b", "b.go")); err != nil {
			t.Errorf("the files of a commit do not depend on what is checked out: %v", err)
		}
	}
}

// A signature that git shows beside each commit is no part of what it was asked for.
func TestOpenWhereSignaturesAreShown(t *testing.T) {
	t.Parallel()
	dir, repo := repository(t, map[string]string{"a.go": "a\n"})
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range [][]string{{"gpg.format", "ssh"}, {"user.signingkey", key}, {"log.showSignature", "true"}} {
		git(t, dir, append([]string{"config"}, c...)...)
	}
	git(t, dir, "commit", "-q", "-S", "--allow-empty", "-m", "signed")
	signed, err := gitrepo.Open(t.Context(), dir)
	if err != nil || signed.Commit == repo.Commit {
		t.Error(signed, err)
	}
}

// Below the root of a repository of another user, it is the root that has to be allowed.
func TestOpenOfAnotherUser(t *testing.T) {
	dir, _ := repository(t, map[string]string{"svc/a.go": "a\n"})
	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
	t.Chdir(filepath.Join(dir, "svc"))
	_, err := gitrepo.Open(t.Context(), ".")
	root := dir
	if strings.Trim(dir, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+,-./:=@_^") != "" { // as git quotes it
		root = "'" + dir + "'"
	}
	if text := strings.Join(fault.Lines(err), "\n"); fault.KindOf(err) != fault.BadInput || !strings.HasSuffix(text, "safe.directory "+root) || strings.Contains(text, dir+"/svc") {
		t.Error(text)
	}
}

// A worktree or a submodule whose repository is elsewhere now has a history that cannot be seen. It is not a folder without one.
func TestOpenOfARepositoryThatIsGone(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(dir string) error{
		"file": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, ".git"), []byte("gitdir: /nowhere\n"), 0o600)
		},
		"folder": func(dir string) error { return os.Mkdir(filepath.Join(dir, ".git"), 0o755) },
	} {
		dir := t.TempDir()
		inside := filepath.Join(dir, "service")
		if err := errors.Join(os.Mkdir(inside, 0o755), breakIt(dir)); err != nil {
			t.Fatal(err)
		}
		_, err := gitrepo.Open(t.Context(), inside)
		if err == nil || fault.KindOf(err) != fault.BadInput || errors.Is(err, gitrepo.ErrNone) || !strings.Contains(err.Error(), "leads to no repository") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := gitrepo.Open(t.Context(), t.TempDir()); !errors.Is(err, gitrepo.ErrNone) {
		t.Error(err)
	}
}
