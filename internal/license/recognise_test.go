package license

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/licensecheck"

	"github.com/org/idp/internal/sbom"
)

func reader(t *testing.T) *Reader {
	t.Helper()
	r, err := NewReader()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// goList is what go list prints, a line each.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	slices.Sort(lines)
	return slices.Compact(lines)
}

// TestTextsOfOthers reads the texts with which licensecheck is tested, each with what its authors say that it is. A text may be
// left undetermined, which fails closed; it is never taken for another licence.
func TestTextsOfOthers(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(goList(t, "-m", "-f", "{{.Dir}}", "github.com/google/licensecheck")[0], "testdata", "*.t*"))
	if err != nil {
		t.Fatal(err)
	}
	r := reader(t)
	expected := regexp.MustCompile(`(?m)^([A-Za-z0-9.+-]+) +[0-9]+,[0-9$]+.*$`)
	determined, different := 0, map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, text, _ := strings.Cut(string(data), "\n\n")
		var want []string
		for _, m := range expected.FindAllStringSubmatch(head, -1) {
			want = append(want, m[1])
		}
		got := r.Text([]byte(text))
		switch got.Expression {
		case "":
		case and(want):
			determined++
			different[got.Expression] = true
		default:
			t.Errorf("%s is %v by its authors, and %s here", filepath.Base(file), want, got.Expression)
		}
	}
	// Of the 672 texts, 43 are of no licence or of one that SPDX does not list; most others that are left have misspelt words.
	if determined < 550 || len(different) < 380 {
		t.Errorf("%d of %d texts, of %d licences", determined, len(files), len(different))
	}
}

// TestModules reads the licences of the modules in this program and holds each that is determined against licensecheck, whose
// engine allows for misspelt words.
func TestModules(t *testing.T) {
	t.Parallel()
	r := reader(t)
	files, left := 0, []string{}
	for _, dir := range goList(t, "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Dir}}{{end}}{{end}}", "./cmd/idp") {
		names, err := licenceFiles(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			files++
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, m := range licensecheck.Scan(data).Match {
				if !m.IsURL {
					want = append(want, m.ID)
				}
			}
			switch got := r.Text(data); {
			case got.Expression == "":
				left = append(left, filepath.Base(dir)+"/"+name+": "+got.Why)
			case got.Expression != and(want):
				t.Errorf("%s in %s is %v for licensecheck, and %s here", name, dir, want, got.Expression)
			}
		}
	}
	// 194 modules have 198 files. Of one it takes a person to read that it offers a choice.
	if files < 190 || len(left) > 3 {
		t.Errorf("%d files, of which are not determined: %q", files, left)
	}
}

// The text of MIT, from https://spdx.org/licenses/MIT.html.
const mit = `Copyright (c) 2024 Acme

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

// The text of ISC, from https://spdx.org/licenses/ISC.html.
const isc = `Copyright (c) 2004-2010 by Internet Systems Consortium, Inc. ("ISC")
Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided
that the above copyright notice and this permission notice appear in all copies.
THE SOFTWARE IS PROVIDED "AS IS" AND ISC DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL ISC BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY
DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS
ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
`

// TestText has what people write around licences. What it means is for a person to say; here it says what may be claimed.
func TestText(t *testing.T) {
	t.Parallel()
	r := reader(t)
	for name, c := range map[string]struct{ text, want, why string }{
		"as it is":               {mit, "MIT", ""},
		"a title":                {"# The MIT License (MIT)\n\n" + mit, "MIT", ""},
		"comment signs":          {"// " + strings.ReplaceAll(mit, "\n", "\r\n// "), "MIT", ""},
		"case and spelling":      {strings.ToUpper(strings.ReplaceAll(mit, "sublicense", "sublicence")), "MIT", ""},
		"all rights reserved":    {"Acme\nAll rights reserved.\n" + mit, "MIT", ""},
		"two, one after other":   {mit + "\nParts are by others:\n\n" + isc, "MIT AND ISC", ""},
		"twice":                  {mit + mit, "MIT", ""},
		"empty":                  {"", "", "no licence"},
		"a name":                 {"MIT", "", "no licence"},
		"a link":                 {"See https://opensource.org/licenses/MIT", "", "no licence"},
		"binary":                 {mit + "\x00", "", "no text"},
		"a word is changed":      {strings.Replace(mit, "is hereby granted", "is hereby not granted", 1), "", "no licence"},
		"a part is missing":      {mit[:strings.Index(mit, "THE SOFTWARE IS")], "", "no licence"},
		"no commerce":            {mit + "Commercial use is prohibited.", "", "beside MIT"},
		"no commerce, before":    {"Not for the military.\n" + mit, "", "beside MIT"},
		"no commerce, copyright": {"Copyright 2024 Acme, free in schools only.\n" + mit, "", "beside MIT"},
		"a choice":               {"Choose either of these, at your option.\n" + mit + isc, "", "beside MIT"},
		"another by name":        {"Under the GPL. Parts are by others:\n" + mit, "", "under the gpl"},
		"a story":                {strings.Repeat("It was a dark night and a gopher came along. ", 20) + mit, "", "% is needed"},
		"stated":                 {"SPDX-License-Identifier: MIT OR ISC\n\n" + mit + isc, "MIT OR ISC", ""},
		"stated, no text":        {"// SPDX-License-Identifier: Apache-2.0\n", "Apache-2.0", ""},
		"stated in Markdown":     {"`SPDX-License-Identifier: BSD-3-Clause AND MPL-2.0`\n\nOne or both may apply.", "BSD-3-Clause AND MPL-2.0", ""},
		"stated, other text":     {"SPDX-License-Identifier: ISC\n\n" + mit, "", "has the text of MIT"},
		"stated in XML":          {"<!-- SPDX-License-Identifier: mit or \tISC -->\n" + mit, "mit OR ISC", ""},
		"stated twice":           {"SPDX-License-Identifier: MIT\nSPDX-License-Identifier: ISC\n", "", "more than one"},
		"stated, no list":        {"SPDX-License-Identifier: LicenseRef-acme\n", "", "not on the list"},
		"stated, nothing":        {"SPDX-License-Identifier: \n", "", "a licence is expected"},
		"stated, GNU":            {"SPDX-License-Identifier: GPL-2.0-or-later WITH Classpath-exception-2.0\n", "GPL-2.0-or-later WITH Classpath-exception-2.0", ""},
	} {
		got := r.Text([]byte(c.text))
		if got.Expression != c.want || !strings.Contains(got.Why, c.why) || (got.Why == "") != (c.why == "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What is said of the whole of several files.
func TestAnd(t *testing.T) {
	t.Parallel()
	for _, c := range [][]string{
		{"MIT", "MIT"}, {"MIT", "MIT", "MIT"}, {"MIT AND ISC", "MIT", "ISC"}, {"MIT AND ISC", "MIT AND ISC", "ISC"},
		{"(MIT OR ISC) AND ISC", "MIT OR ISC", "ISC"}, {"MIT OR ISC", "MIT OR ISC", "MIT OR ISC"}, {"((MIT OR ISC) AND 0BSD) AND ISC", "(MIT OR ISC) AND 0BSD", "ISC"},
		{"(GPL-2.0-only WITH Classpath-exception-2.0) AND ISC", "GPL-2.0-only WITH Classpath-exception-2.0", "ISC"}, {"(MIT OR ISC AND 0BSD) AND ISC", "MIT OR ISC AND 0BSD", "ISC"},
	} {
		if got := and(c[1:]); got != c[0] {
			t.Errorf("%q: %s", c[1:], got)
		}
	}
}

// TestManyLicences bounds the work: a file with everything in it is not searched for everything.
func TestManyLicences(t *testing.T) {
	t.Parallel()
	r := reader(t)
	var all []string
	for p := range r.phrases {
		all = append(all, p)
	}
	slices.Sort(all)
	if got := r.Text([]byte(strings.Join(all, "\n"))); !strings.Contains(got.Why, "up to 20 are looked for") {
		t.Errorf("%+v", got)
	}
	if len(r.compiled) > 0 {
		t.Errorf("%d patterns were compiled", len(r.compiled))
	}
}

// FuzzText: any bytes end in an expression of SPDX or a reason.
func FuzzText(f *testing.F) {
	for _, text := range []string{mit, isc + mit, "SPDX-License-Identifier: MIT OR (ISC AND 0BSD)", "Copyright © 2024\n" + mit[60:], "((__1__||))??"} {
		f.Add([]byte(text))
	}
	r, err := NewReader()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := r.Text(data)
		if (got.Expression == "") == (got.Why == "") {
			t.Fatalf("%+v", got)
		}
		if got.Expression != "" {
			if _, err := sbom.Licenses(got.Expression); err != nil {
				t.Error(err)
			}
		}
	})
}
