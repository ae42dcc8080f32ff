package license

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestModule(t *testing.T) {
	t.Parallel()
	r, many := reader(t), map[string]string{}
	for i := range maxFiles + 1 {
		many[fmt.Sprintf("LICENSE-%d", i)] = mit
	}
	for name, c := range map[string]struct {
		files               map[string]string
		packages            string // folders, "." by default
		concluded, declared string
		comment             string
	}{
		"at the root":             {files: map[string]string{"LICENSE": mit, "a/a.go": ""}, packages: ". a", concluded: "MIT", declared: "MIT", comment: "LICENSE: MIT"},
		"British":                 {files: map[string]string{"LICENCE.txt": mit}, concluded: "MIT", declared: "MIT", comment: "LICENCE.txt: MIT"},
		"COPYING":                 {files: map[string]string{"COPYING": isc}, concluded: "ISC", declared: "ISC", comment: "COPYING: ISC"},
		"named first":             {files: map[string]string{"MIT-LICENSE.md": mit}, concluded: "MIT", declared: "MIT", comment: "MIT-LICENSE.md: MIT"},
		"third parties":           {files: map[string]string{"LICENSE": mit, "THIRD_PARTY_LICENSES.txt": "See elsewhere."}, comment: "not determined: THIRD_PARTY_LICENSES.txt: it has the text of no licence on the list of SPDX"},
		"two texts in a file":     {files: map[string]string{"LICENSE": mit + isc}, concluded: "MIT AND ISC", comment: "LICENSE: MIT AND ISC"},
		"two files":               {files: map[string]string{"LICENSE-ISC": isc, "LICENSE-MIT": mit}, concluded: "ISC AND MIT", comment: "LICENSE-ISC: ISC; LICENSE-MIT: MIT"},
		"the same twice":          {files: map[string]string{"LICENSE": mit, "COPYING": mit}, concluded: "MIT", declared: "MIT", comment: "COPYING: MIT; LICENSE: MIT"},
		"a choice that is stated": {files: map[string]string{"LICENSE": "SPDX-License-Identifier: MIT OR ISC\n" + mit + isc}, concluded: "MIT OR ISC", declared: "MIT OR ISC", comment: "LICENSE: MIT OR ISC"},
		"below, compiled":         {files: map[string]string{"LICENSE": mit, "third/LICENSE": isc, "third/deep/d.go": ""}, packages: ". third/deep", concluded: "MIT AND ISC", declared: "MIT", comment: "LICENSE: MIT; third/LICENSE: ISC"},
		"below, not compiled":     {files: map[string]string{"LICENSE": mit, "third/LICENSE": isc}, concluded: "MIT", declared: "MIT", comment: "LICENSE: MIT"},
		"below only":              {files: map[string]string{"a/LICENSE": isc, "a/b/b.go": ""}, packages: "a a/b", concluded: "ISC", comment: "a/LICENSE: ISC"},
		"below one of two":        {files: map[string]string{"a/LICENSE": isc, "b/b.go": ""}, packages: "a b", comment: "not determined: no licence file is beside or above b"},
		"none":                    {files: map[string]string{"README": mit}, comment: "not determined: it has no licence file"},
		"unknown":                 {files: map[string]string{"LICENSE": "All rights reserved."}, comment: "not determined: LICENSE: it has the text of no licence on the list of SPDX"},
		"one of two is unknown":   {files: map[string]string{"LICENSE": mit, "LICENSE.enterprise": "Ask us."}, comment: "not determined: LICENSE.enterprise: it has the text of no licence on the list of SPDX"},
		"empty":                   {files: map[string]string{"LICENSE": ""}, comment: "not determined: LICENSE: it has the text of no licence on the list of SPDX"},
		"of what is not compiled": {files: map[string]string{"LICENSE": mit, "LICENSE.docs": "x", "LICENSE-LOGO": "x", "license.go": "x", "license_test.go": "x", "go.sum.license": "x", "licenses/x": "x"}, concluded: "MIT", declared: "MIT", comment: "LICENSE: MIT"},
		"huge":                    {files: map[string]string{"LICENSE": mit + strings.Repeat("\n", maxSize)}, comment: "not determined: LICENSE: it is larger than 256 KB"},
		"many":                    {files: many, comment: "not determined: it has more than 50 licence files"},
	} {
		dir := write(t, t.TempDir(), c.files)
		var packages []string
		for _, p := range strings.Fields(c.packages + strings.Repeat(".", btoi(c.packages == ""))) {
			packages = append(packages, filepath.Join(dir, p))
		}
		got, err := r.Module(t.Context(), dir, packages)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got.Concluded != c.concluded || got.Declared != c.declared || got.Comment() != c.comment {
			t.Errorf("%s: %q, %q, %q", name, got.Concluded, got.Declared, got.Comment())
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestNoRegularFile: a link may lead out of the repository, and what is no file at all may never end.
func TestNoRegularFile(t *testing.T) {
	t.Parallel()
	elsewhere := write(t, t.TempDir(), map[string]string{"LICENSE": mit})
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(elsewhere, "LICENSE"), filepath.Join(dir, "LICENSE")); err != nil {
		t.Fatal(err)
	}
	got, err := reader(t).Module(t.Context(), dir, []string{dir})
	if err != nil || got.Concluded != "" || got.Comment() != "not determined: LICENSE: it is no regular file" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNotReadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got, err := reader(t).Module(t.Context(), filepath.Join(dir, "none"), nil); err == nil {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := reader(t).Module(ctx, dir, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNear(t *testing.T) {
	t.Parallel()
	outside := write(t, t.TempDir(), map[string]string{"LICENSE": mit, "repo/services/a/a.go": "", "repo/services/b/LICENSE": mit, "other/LICENSE": mit, "other/c/c.go": ""})
	repo := filepath.Join(outside, "repo")
	for dir, want := range map[string]string{
		filepath.Join(repo, "services", "a"): filepath.Join(repo, "services", "a"), // what lies above the repository is not its licence
		filepath.Join(repo, "services", "b"): filepath.Join(repo, "services", "b"),
		filepath.Join(outside, "other", "c"): filepath.Join(outside, "other", "c"),
		filepath.Join(outside, "repository"): filepath.Join(outside, "repository"),
	} {
		if got := Near(dir, repo); got != want {
			t.Errorf("%s: %s", dir, got)
		}
	}
	write(t, repo, map[string]string{"LICENSE": mit})
	if got := Near(filepath.Join(repo, "services", "a"), repo); got != repo {
		t.Error(got)
	}
}

// Two platforms may compile other packages of a module.
func TestWith(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), map[string]string{"LICENSE": mit, "a/LICENSE": isc, "b/LICENSE": "?"})
	module := func(folders ...string) Module {
		var all []string
		for _, f := range folders {
			all = append(all, filepath.Join(dir, f))
		}
		m, err := reader(t).Module(t.Context(), dir, all)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	root, a, b := module("."), module("a"), module("b")
	for _, c := range []struct {
		one, other Module
		want       string
	}{{root, root, "MIT"}, {root, a, "MIT AND ISC"}, {a, root, "MIT AND ISC"}, {root, b, ""}, {b, root, ""}, {a, b, ""}} {
		got := c.one.With(c.other)
		if got.Concluded != c.want || (got.Why == "") != (c.want != "") || (got.Declared == "MIT") != (c.want != "") {
			t.Errorf("%+v", got)
		}
	}
	if root.Concluded != "MIT" || len(root.Files) != 1 {
		t.Errorf("it was changed: %+v", root)
	}
}

// TestHostileFile has the longest files there may be, of what takes longest to match; each still ends in milliseconds.
func TestHostileFile(t *testing.T) {
	t.Parallel()
	r := reader(t)
	var rows []string
	for p := range r.phrases {
		rows = append(rows, p)
	}
	slices.Sort(rows)
	const none = "it has the text of no licence on the list of SPDX"
	for text, want := range map[string]Text{
		"a ":  {Why: none},
		"(c)": {Why: none},
		"permission is hereby granted to any person obtaining a copy of ": {Why: none},
		"redistribution and use of ":                                      {Why: none},
		strings.Join(rows[:15], " "):                                      {Why: none},
		mit:                                                               {Expression: "MIT"},
	} {
		if got := r.Text([]byte(strings.Repeat(text, maxSize/len(text)))); got != want {
			t.Errorf("%.60s: %+v", text, got)
		}
	}
	if got := r.Text([]byte("not" + strings.Repeat(" Ж"+strings.Repeat("x", 1000), 3) + mit)); len(got.Why) > maxShown || !utf8.ValidString(got.Why) {
		t.Errorf("a reason of %d bytes: %q", len(got.Why), got.Why)
	}
}
