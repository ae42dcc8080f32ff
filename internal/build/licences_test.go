package build_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/build"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// The texts of licences, as SPDX lists them.
const (
	mit = `MIT License

Copyright (c) 2024 Acme

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files
(the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify,
merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished
to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE
FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`
	isc = `Copyright (c) 2024 Acme

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided
that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED
WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR
CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT,
NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
`
)

// licensed is a service whose modules lie in every way that there is, with licences.
func licensed(t *testing.T) (dir string, env []string) {
	t.Helper()
	mod := func(path string) string { return "module " + path + "\n\ngo 1.26\n" }
	env = proxy(t, map[string]map[string]string{
		"example.org/one@v1.0.0":     {"go.mod": mod("example.org/one"), "LICENSE": mit, "o.go": "package one\n\nconst X = 1\n"},
		"example.org/Two@v1.0.0":     {"go.mod": mod("example.org/Two"), "LICENSE-MIT": mit, "LICENSE.ISC": isc, "LICENSE.docs": "x", "t.go": "package two\n\nconst X = 1\n"},
		"example.org/none@v1.0.0":    {"go.mod": mod("example.org/none"), "n.go": "package none\n\nconst X = 1\n"},
		"example.org/below@v1.0.0":   {"go.mod": mod("example.org/below"), "a/LICENSE": isc, "a/b/b.go": "package b\n\nconst X = 1\n"},
		"example.org/beside@v1.0.0":  {"go.mod": mod("example.org/beside"), "a/LICENSE": isc, "a/a.go": "package a\n", "b.go": "package beside\n\nconst X = 1\n"},
		"example.org/british@v1.0.0": {"go.mod": mod("example.org/british"), "LICENCE": mit, "b.go": "package british\n\nconst X = 1\n"},
		"example.org/fork@v1.1.0":    {"go.mod": mod("example.org/fork"), "LICENSE": isc, "f.go": "package old\n\nconst X = 1\n"},
		"example.org/strange@v1.0.0": {"go.mod": mod("example.org/strange"), "LICENSE": mit + "\nNot for commercial use.\n", "s.go": "package strange\n\nconst X = 1\n"},
	})
	var requires, imports, uses strings.Builder
	for name, path := range map[string]string{"one": "one", "two": "Two", "none": "none", "b": "below/a/b", "beside": "beside", "british": "british", "strange": "strange"} {
		requires.WriteString("require example.org/" + strings.Split(path, "/")[0] + " v1.0.0\n")
		imports.WriteString("\t\"example.org/" + path + "\"\n")
		uses.WriteString(name + ".X + ")
	}
	dir = write(t, t.TempDir(), map[string]string{
		"go.mod": mod("example.com/plain") + requires.String() + "require (\n\texample.org/near v0.0.0\n\texample.org/old v1.0.0\n)\n" +
			"replace example.org/near => ./near\nreplace example.org/old => example.org/fork v1.1.0\n",
		"main.go":      "package main\n\nimport (\n\t\"fmt\"\n" + imports.String() + "\t\"example.org/near\"\n\t\"example.org/old\"\n)\n\nfunc main() { fmt.Println(" + uses.String() + "near.X + old.X) }\n",
		"LICENSE":      mit,
		"near/go.mod":  mod("example.org/near"),
		"near/near.go": "package near\n\nconst X = 1\n",
		"near/COPYING": isc,
	})
	run(t, dir, env, "mod", "tidy")
	return dir, env
}

// said is what both SBOMs say of the licences: concluded, declared, and where from.
func said(t *testing.T, b record.Build) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, p := range readSPDX(t, b.SPDX).Packages[1:] {
		all[p.PackageName] = p.PackageLicenseConcluded + ", " + p.PackageLicenseDeclared
		if p.PackageName != "stdlib" {
			all[p.PackageName] += ", " + p.PackageLicenseComments
		}
	}
	for _, c := range *decoded(t, b.SBOM).Components {
		concluded := "NOASSERTION"
		if c.Licenses != nil {
			one := (*c.Licenses)[0]
			switch {
			case one.License != nil && one.License.Acknowledgement == "concluded":
				concluded = one.License.ID
			case one.License == nil && *one.Acknowledgement == "concluded":
				concluded = one.Expression
			}
		}
		if spdx, _, _ := strings.Cut(all[c.Name], ","); spdx != concluded {
			t.Errorf("%s is %s in CycloneDX and %s in SPDX", c.Name, concluded, spdx)
		}
	}
	return all
}

// standard is the licence of the standard library; what Debian installs has none in it.
func standard(t *testing.T) string {
	t.Helper()
	if !record.Exists(filepath.Join(goTool(t, "env", "GOROOT"), "LICENSE")) {
		return "NOASSERTION, NOASSERTION"
	}
	return "BSD-3-Clause, BSD-3-Clause"
}

func TestLicences(t *testing.T) {
	t.Parallel()
	dir, env := licensed(t)
	var held []string
	d := deps(env...)
	d.Uncommitted = func(_ context.Context, files []string, _ map[string]bool) ([]string, error) {
		held = files
		return nil, nil
	}
	out, err := build.Run(t.Context(), inputs(t, dir), d)
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	want := map[string]string{
		"example.com/plain":   "MIT, MIT, LICENSE: MIT",
		"example.org/one":     "MIT, MIT, LICENSE: MIT",
		"example.org/Two":     "MIT AND ISC, NOASSERTION, LICENSE-MIT: MIT; LICENSE.ISC: ISC",
		"example.org/none":    "NOASSERTION, NOASSERTION, not determined: it has no licence file",
		"example.org/below":   "ISC, NOASSERTION, a/LICENSE: ISC",
		"example.org/beside":  "NOASSERTION, NOASSERTION, not determined: it has no licence file",
		"example.org/british": "MIT, MIT, LICENCE: MIT",
		"example.org/near":    "ISC, ISC, COPYING: ISC",
		"example.org/fork":    "ISC, ISC, LICENSE: ISC",
		"example.org/strange": "NOASSERTION, NOASSERTION, not determined: LICENSE: beside MIT it has words that may change it: …not for commercial use…",
		"stdlib":              standard(t),
	}
	if diff := cmp.Diff(want, said(t, out.Evidence)); diff != "" {
		t.Error(diff)
	}
	// What the SBOM says follows from the commit, so the licences that are in the repository must be those of the commit.
	var licences []string
	for _, f := range held {
		if rel, err := filepath.Rel(dir, f); err == nil && !strings.HasSuffix(f, ".go") && !strings.Contains(rel, "go.") {
			licences = append(licences, filepath.ToSlash(rel))
		}
	}
	if diff := cmp.Diff([]string{"LICENSE", "near/COPYING"}, licences); diff != "" {
		t.Errorf("held: %s", diff)
	}

	run(t, dir, env, "mod", "vendor")
	out, err = build.Run(t.Context(), inputs(t, dir), deps("GOPROXY=off", "GOSUMDB=off", "GOFLAGS=-modcacherw", "GOMODCACHE="+t.TempDir()))
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	if diff := cmp.Diff(want, said(t, out.Evidence)); diff != "" {
		t.Errorf("vendored: %s", diff)
	}
}

// TestLicenceOfTheRepository is that of a module in it which has none of its own, and of no folder above the repository.
func TestLicenceOfTheRepository(t *testing.T) {
	t.Parallel()
	outside := write(t, t.TempDir(), map[string]string{
		"LICENSE":                   isc,
		"repo/services/a/go.mod":    "module example.com/a\n\ngo 1.26\n",
		"repo/services/a/main.go":   "package main\n\nfunc main() {}\n",
		"repo/services/a/README.md": "x",
	})
	in := inputs(t, filepath.Join(outside, "repo", "services", "a"))
	in.Path = "services/a"
	for _, want := range []string{"NOASSERTION, NOASSERTION, not determined: it has no licence file", "MIT, MIT, LICENSE: MIT"} {
		out, err := build.Run(t.Context(), in, deps())
		if err != nil {
			t.Fatal(strings.Join(fault.Lines(err), "\n"))
		}
		if got := said(t, out.Evidence)["example.com/a"]; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		write(t, outside, map[string]string{"repo/LICENSE": mit})
	}
}

// TestLicencesOfPlatforms has a package that only one of two platforms compiles; the index has both.
func TestLicencesOfPlatforms(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), map[string]string{
		"go.mod": "module example.com/plain\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() {}\n", "w_windows.go": "package main\n\nimport _ \"example.com/plain/w\"\n",
		"w/w.go": "package w\n", "w/LICENSE": isc, "LICENSE": mit,
	})
	in := inputs(t, dir)
	in.Platform = "linux/amd64,windows/amd64"
	out, err := build.Run(t.Context(), in, deps())
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	if got, want := said(t, out.Evidence)["example.com/plain"], "MIT AND ISC, MIT, LICENSE: MIT; w/LICENSE: ISC"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for i, want := range []string{"MIT, MIT, LICENSE: MIT", "MIT AND ISC, MIT, LICENSE: MIT; w/LICENSE: ISC"} {
		one := record.Build{SBOM: out.Evidence.Images[i].SBOM, SPDX: out.Evidence.Images[i].SPDX}
		if got := said(t, one)["example.com/plain"]; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
