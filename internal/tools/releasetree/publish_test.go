//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// forge is a repository with a commit to release, its remote, and the tree of a release.
type forge struct {
	t                    *testing.T
	source, remote, tree string
}

func newForge(t *testing.T) *forge {
	t.Helper()
	dir := t.TempDir()
	f := &forge{t: t, source: filepath.Join(dir, "source"), remote: filepath.Join(dir, "remote.git"), tree: filepath.Join(dir, "tree")}
	f.write(f.source, ".github/workflows/ci.yml", "on: push\n")
	f.write(f.source, ".github/workflows/golden-path.yml", "on: workflow_call\n")
	f.write(f.source, "main.go", "package main\n")
	f.git("init", "-q", "-b", "main")
	f.git("init", "-q", "--bare", f.remote)
	f.git("remote", "add", "origin", f.remote)
	f.commit()
	tr := tree{dir: f.tree}
	f.write(f.tree, ".github/workflows/golden-path.yml", "on: workflow_call\n")
	f.write(f.tree, ".gitignore", "*\n") // nothing of the tree may be left out
	f.write(f.tree, "action.yml", "name: idp path\n")
	f.write(f.tree, "dist/idp-linux-amd64", "program\n")
	if err := os.Chmod(filepath.Join(f.tree, "dist", "idp-linux-amd64"), 0o755); err != nil { // #nosec G302
		t.Fatal(err)
	}
	if err := tr.sum(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *forge) write(dir, name, text string) {
	f.t.Helper()
	if err := (tree{dir: dir}).write(name, []byte(text)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *forge) env() []string {
	return append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull, "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
}

func (f *forge) git(args ...string) string {
	f.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", f.source}, args...)...)
	cmd.Env = f.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (f *forge) commit() {
	f.t.Helper()
	f.git("add", "-A")
	f.git("commit", "-q", "--allow-empty", "-m", "change")
	f.git("push", "-q", "origin", "main")
}

func (f *forge) publish(version string) (string, error) {
	f.t.Helper()
	script, err := filepath.Abs(filepath.Join(source, ".ci", "publish"))
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.Command(script, f.tree, version)
	cmd.Dir, cmd.Env = f.source, f.env()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (f *forge) mustPublish(version string) {
	f.t.Helper()
	if out, err := f.publish(version); err != nil {
		f.t.Fatalf("%s: %v\n%s", version, err, out)
	}
}

// at is what a ref of the remote points at.
func (f *forge) at(ref string) string {
	f.t.Helper()
	return f.git("--git-dir", f.remote, "rev-parse", ref)
}

func TestPublish(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	released := f.git("rev-parse", "HEAD")
	f.mustPublish("v1.2.3")
	first := f.at("refs/tags/v1.2.3")
	if f.at("refs/tags/v1") != first || f.at("refs/heads/release") != first || f.at(first+"^") != released {
		t.Error("v1, release or the parent is another commit")
	}
	// The source's workflows are there as they were: a token of a run may not change any.
	want := "100644 .github/workflows/ci.yml\n100644 .github/workflows/golden-path.yml\n100644 .gitignore\n100644 action.yml\n" +
		"100644 dist/checksums.txt\n100755 dist/idp-linux-amd64"
	if got := f.git("--git-dir", f.remote, "ls-tree", "-r", "--format=%(objectmode) %(path)", first); got != want {
		t.Errorf("files\n%s\nwant\n%s", got, want)
	}
	if f.git("status", "--porcelain") != "" || f.git("rev-parse", "HEAD") != released {
		t.Error("the checkout was changed")
	}

	f.commit()
	f.mustPublish("v1.3.0")
	second := f.at("refs/tags/v1.3.0")
	if f.at("refs/tags/v1") != second || f.at(second+"^1") != first || f.at(second+"^2") != f.git("rev-parse", "HEAD") {
		t.Error("v1 did not move, or the parents are not the release before and the source")
	}

	for _, version := range []string{"v1.2.4", "v1.4.0-rc.1"} {
		f.mustPublish(version)
		if f.at("refs/tags/v1") != second || f.at("refs/tags/"+version) == second {
			t.Errorf("%s moved v1, or has no commit of its own", version)
		}
	}
	f.mustPublish("v2.0.0")
	if f.at("refs/tags/v1") != second || f.at("refs/tags/v2") != f.at("refs/tags/v2.0.0") {
		t.Error("v2.0.0 moved v1, or did not make v2")
	}
	f.mustPublish("v1.10.0")
	if f.at("refs/tags/v1") != f.at("refs/tags/v1.10.0") {
		t.Error("v1 is not the latest by number")
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	f.mustPublish("v1.2.3")
	before := f.git("ls-remote", "origin")
	refused := func(version, why string) {
		t.Helper()
		out, err := f.publish(version)
		if err == nil || !strings.Contains(out, why) {
			t.Errorf("%s: %v, not said %q:\n%s", version, err, why, out)
		}
		if f.git("ls-remote", "origin") != before {
			t.Errorf("%s: something was pushed", version)
		}
	}
	refused("v1.2.3", "published already")
	refused("1.2.4", "not of the form")
	refused("v1.2.4;x", "not of the form")

	f.write(f.source, ".github/workflows/golden-path.yml", "on: workflow_call # changed\n")
	f.git("add", "-A")
	f.git("commit", "-q", "-m", "change")
	refused("v1.2.4", "of another commit")
	f.git("reset", "-q", "--hard", "HEAD^")
	f.write(f.tree, "action.yml", "name: changed\n")
	refused("v1.2.4", "action.yml: FAILED")
}
