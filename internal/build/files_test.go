package build_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/build"
	"github.com/org/idp/internal/fault"
)

// everything is a program of all that may be in one: a folder that replaces a module, a workspace, embedded files,
// assembly, and files that are there without being compiled.
func everything() map[string]string {
	return map[string]string{
		"go.work":                "go 1.26\n\nuse ./svc\nuse ./shared\n",
		"svc/go.mod":             "module example.com/svc\n\ngo 1.26\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../lib\n",
		"svc/main.go":            "package main\n\nimport (\n\t_ \"embed\"\n\t\"example.com/lib\"\n\t\"example.com/shared\"\n)\n\n//go:embed static/page.txt\nvar page string\n\nfunc main() { println(page, lib.X, shared.X) }\n",
		"svc/main_test.go":       "package main\n",
		"svc/other_windows.go":   "package main\n",
		"svc/default.pgo":        "",
		"svc/static/page.txt":    "page\n",
		"svc/static/left.txt":    "left\n",
		"svc/internal/dead/d.go": "package dead\n",
		"lib/go.mod":             "module example.com/lib\n\ngo 1.26\n",
		"lib/lib.go":             "package lib\n\nvar X = f()\n\nfunc f() string\n",
		"lib/f.s":                "TEXT ·f(SB), 4, $0-16\n\tRET\n",
		"shared/go.mod":          "module example.com/shared\n\ngo 1.26\n",
		"shared/shared.go":       "package shared\n\nvar X = 1\n",
	}
}

func TestNamesAllThatWasCompiled(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(write(t, t.TempDir(), everything()))
	if err != nil {
		t.Fatal(err)
	}
	in := inputs(t, filepath.Join(root, "svc"))
	in.Path = "svc"
	d := deps()
	var got, folders []string
	d.Uncommitted = func(_ context.Context, files []string, within map[string]bool) ([]string, error) {
		for _, f := range files {
			got = append(got, rel(t, root, f))
		}
		for f, deep := range within {
			folders = append(folders, rel(t, root, f)+map[bool]string{true: "/…"}[deep])
		}
		return nil, nil
	}
	if _, err := build.Run(t.Context(), in, d); err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	slices.Sort(got)
	slices.Sort(folders)
	want := []string{"go.work", "lib/f.s", "lib/go.mod", "lib/lib.go", "shared/go.mod", "shared/shared.go", "svc/default.pgo", "svc/go.mod",
		"svc/main.go", "svc/static/page.txt"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"lib", "shared", "svc/…"}, folders); diff != "" {
		t.Error(diff)
	}
}

func rel(t *testing.T, root, file string) string {
	t.Helper()
	name, err := filepath.Rel(root, file)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.ToSlash(name)
}

func TestRefusesWhatTheCommitDoesNotHave(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), plain())
	answer := func(wrong []string, err error) build.Deps {
		d := deps()
		d.Uncommitted = func(context.Context, []string, map[string]bool) ([]string, error) { return wrong, err }
		return d
	}
	in := inputs(t, dir)
	_, err := build.Run(t.Context(), in, answer([]string{"main.go (changed)"}, nil))
	fails(t, in, err, fault.BadInput, "would not be that of commit 4f1c2ab: 1 file of it is not as in the commit", "main.go (changed)", "Commit")
	_, err = build.Run(t.Context(), in, answer(nil, fault.Undeterminedf("git died")))
	fails(t, in, err, fault.Undetermined, "git died")
	_, err = build.Run(t.Context(), in, build.Deps{Environ: deps().Environ})
	fails(t, in, err, fault.Undetermined, "cannot be told")
	in.Dirty = true // the record says so, and verify refuses it
	if _, err := build.Run(t.Context(), in, answer([]string{"main.go (changed)"}, nil)); err != nil {
		t.Error(err)
	}
}

func TestRefusesFlagsThatChangeTheCode(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), plain())
	for _, flags := range []string{"-overlay=/tmp/o.json", "-tags=x --overlay=/tmp/o.json", "'-toolexec=sh -c x'", "-modfile=other.mod", "-pgo=/tmp/p"} {
		in := inputs(t, dir)
		_, err := build.Run(t.Context(), in, deps("GOFLAGS="+flags))
		fails(t, in, err, fault.BadInput, "GOFLAGS has -", "not made of the commit alone")
	}
	if _, err := build.Run(t.Context(), inputs(t, dir), deps("GOFLAGS=-tags=x -trimpath -p=1")); err != nil {
		t.Error(err)
	}
}
