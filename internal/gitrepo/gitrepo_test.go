package gitrepo

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/fault"
)

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	git(t, dir, "init", "-q", "-b", "main")
	write(t, filepath.Join(dir, "services", "a b", "idp.yaml"), "name: a\n")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "first")
	return dir
}

func TestOpenFindsTheServiceInItsRepository(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	r, err := Open(t.Context(), filepath.Join(dir, "services", "a b"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Root != dir || r.Path != "services/a b" || r.Commit != git(t, dir, "rev-parse", "HEAD") || r.Ref != "refs/heads/main" || r.Shallow ||
		r.Dir() != filepath.Join(dir, "services", "a b") || r.Time.IsZero() {
		t.Errorf("%+v", r)
	}
	if root, err := Open(t.Context(), dir); err != nil || root.Path != "" || root.Name() != filepath.Base(dir) {
		t.Errorf("%+v, %v", root, err)
	}
	git(t, dir, "checkout", "-q", "--detach")
	if r, err := Open(t.Context(), dir); err != nil || r.Ref != "" {
		t.Errorf("detached: %+v, %v", r, err)
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	git(t, empty, "init", "-q")
	broken := repository(t)
	write(t, filepath.Join(broken, ".git", "refs", "heads", "main"), strings.Repeat("1", 40)+"\n")
	for name, test := range map[string]struct {
		dir  string
		kind fault.Kind
		want string
	}{
		"no repository": {t.TempDir(), fault.BadInput, "not in a git repository"},
		"no commit":     {empty, fault.BadInput, "no commit yet"},
		"no folder":     {filepath.Join(empty, "nowhere"), fault.BadInput, "nowhere"},
		"broken HEAD":   {broken, fault.Undetermined, "git cannot read"},
	} {
		_, err := Open(t.Context(), test.dir)
		if err == nil || fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: kind %d: %v", name, fault.KindOf(err), err)
		}
	}
}

func TestDirtyListsChangesBelowTheFolders(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	r, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Dirty(t.Context(), "services"); err != nil || len(got) > 0 {
		t.Errorf("a clean tree: %q, %v", got, err)
	}
	write(t, filepath.Join(dir, ".gitignore"), "*.log\n")
	write(t, filepath.Join(dir, "services", "new.txt"), "x")
	write(t, filepath.Join(dir, "services", "x.log"), "x")
	write(t, filepath.Join(dir, "services", "a b", "idp.yaml"), "name: b\n")
	got, err := r.Dirty(t.Context(), "services")
	if want := []string{` M "services/a b/idp.yaml"`, "?? services/new.txt"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, want %q, %v", got, want, err)
	}
	r.Root = t.TempDir()
	if _, err := r.Dirty(t.Context(), "."); fault.KindOf(err) != fault.Undetermined || err == nil {
		t.Errorf("without a repository: %v", err)
	}
}

func TestMergeBase(t *testing.T) {
	t.Parallel()
	origin := repository(t)
	base := git(t, origin, "rev-parse", "HEAD")
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, origin, "clone", "-q", origin, dir)
	open := func() *Repo {
		t.Helper()
		r, err := Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if got, err := open().MergeBase(t.Context()); err != nil || got != "" {
		t.Errorf("on the default branch: %q, %v", got, err)
	}
	git(t, dir, "checkout", "-q", "-b", "feature")
	write(t, filepath.Join(dir, "x"), "x")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", "second")
	if got, err := open().MergeBase(t.Context()); err != nil || got != base {
		t.Errorf("on a branch: %q, want %q, %v", got, base, err)
	}
	git(t, dir, "checkout", "-q", "--orphan", "alone")
	git(t, dir, "commit", "-q", "-m", "no history")
	if got, err := open().MergeBase(t.Context()); err != nil || got != "" {
		t.Errorf("without common history: %q, %v", got, err)
	}
	r := open()
	r.Upstream = "refs/remotes/origin/absent"
	if _, err := r.MergeBase(t.Context()); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("an absent branch: %v", err)
	}
}

func TestShallow(t *testing.T) {
	t.Parallel()
	origin := repository(t)
	write(t, filepath.Join(origin, "x"), "x")
	git(t, origin, "add", "-A")
	git(t, origin, "commit", "-q", "-m", "second")
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, origin, "clone", "-q", "--depth", "1", "file://"+origin, dir)
	if r, err := Open(t.Context(), dir); err != nil || !r.Shallow {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestNameComesFromTheRemote(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"https://github.com/acme/checkout.git":       "acme/checkout",
		"https://user:pw@ghe.example/acme/checkout/": "acme/checkout",
		"git@github.com:acme/checkout.git":           "acme/checkout",
		"ssh://git@host:22/group/sub/checkout.git":   "sub/checkout",
		"/srv/git/checkout.git":                      "root",
		`C:\code\checkout`:                           "root",
		"":                                           "root",
	} {
		r := Repo{Root: filepath.Join("some", "root"), Origin: remote}
		if got := r.Name(); got != want {
			t.Errorf("%q: %s, want %s", remote, got, want)
		}
	}
}

func TestCredentialsAreCutFromTheRemote(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	git(t, dir, "remote", "add", "origin", "https://user:hunter2@example.com/acme/x.git")
	r, err := Open(t.Context(), dir)
	if err != nil || r.Origin != "https://example.com/acme/x.git" {
		t.Errorf("%+v, %v", r, err)
	}
}
