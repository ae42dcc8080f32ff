package strictyaml_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/strictyaml"
)

type thing struct {
	Name   string            `yaml:"name" jsonschema:"required,minLength=1"`
	On     bool              `yaml:"on"`
	Color  string            `yaml:"color" jsonschema:"enum=red,enum=green"`
	Code   string            `yaml:"code" jsonschema:"pattern=^[a-z]{1\\,3}$"`
	Count  int               `yaml:"count" jsonschema:"maximum=9"`
	Ratio  float64           `yaml:"ratio"`
	Tags   []string          `yaml:"tags" jsonschema:"enum=a,enum=b"`
	Parts  []part            `yaml:"parts"`
	Env    map[string]string `yaml:"env" keys:"^[A-Z]+$" keyswant:"capitals"`
	Free   map[string]any    `yaml:"free"`
	Maybe  *part             `yaml:"maybe"`
	Hidden string            `yaml:"-"`
}

type part struct {
	Size int `yaml:"size"`
}

func TestParseFillsEveryType(t *testing.T) {
	t.Parallel()
	var have thing
	err := strictyaml.Decode("x.yaml", []byte(`
name: n
on: false
color: green
code: abc
count: 9
ratio: 1e-1
tags: [a, b]
parts: [{size: 1}, {}]
env: {A: "1"}
free: {i: 1, f: 1.5, b: true, n: null, d: 2026-01-31, l: [x, {y: z}]}
maybe: {size: 2}
`), &have)
	if err != nil {
		t.Fatal(err)
	}
	want := thing{Name: "n", Color: "green", Code: "abc", Count: 9, Ratio: 0.1, Tags: []string{"a", "b"},
		Parts: []part{{Size: 1}, {}}, Env: map[string]string{"A": "1"}, Maybe: &part{Size: 2},
		Free: map[string]any{"i": 1, "f": 1.5, "b": true, "n": nil, "d": "2026-01-31", "l": []any{"x", map[string]any{"y": "z"}}}}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func TestProblemsCarryTheirPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ yaml, want string }{
		"bool":          {"name: n\non: maybe\n", `x.yaml:2:5: on: want true or false, got text "maybe"`},
		"enum":          {"name: n\ncolor: blue\n", `x.yaml:2:8: color "blue": one of red, green`},
		"enum in list":  {"name: n\ntags:\n  - a\n  - c\n", `x.yaml:4:5: tags[1] "c": one of a, b`},
		"pattern":       {"name: n\ncode: abcd\n", `x.yaml:2:7: code "abcd": does not match ^[a-z]{1,3}$`},
		"maximum":       {"name: n\ncount: 10\n", `x.yaml:2:8: count 10: want at most 9`},
		"huge":          {"name: n\ncount: -99999999999999999999\n", `x.yaml:2:8: count: want a whole number, got number -99999999999999999999`},
		"required":      {"on: true\n", `x.yaml:1:1: required key "name" is missing`},
		"empty":         {"name: ''\n", `x.yaml:1:7: name "": must not be empty`},
		"hidden":        {"name: n\nhidden: x\n", `x.yaml:2:1: unknown key "hidden"`},
		"key":           {"name: n\nenv: {a: b}\n", `x.yaml:2:7: key "a" in env: capitals`},
		"nested":        {"name: n\nparts:\n  - siez: 1\n", `x.yaml:3:5: unknown key "siez" in parts[0], did you mean "size"?`},
		"pointer":       {"name: n\nmaybe: [1]\n", `x.yaml:2:8: maybe: want a mapping, got a list`},
		"null in list":  {"name: n\nparts: [~]\n", `x.yaml:2:9: parts[0]: want a mapping, got nothing (write {} for an empty one)`},
		"odd key":       {"name: n\nfree: {a: {\"b c\": .nan}}\n", `x.yaml:2:19: free.a["b c"]: want a finite number, got ".nan"`},
		"anchored key":  {"name: n\n&a on: true\n", `x.yaml:2:1: a key is plain text, without anchor, alias, tag or structure`},
		"only null":     {"~\n", `x.yaml:1:1: the file is empty`},
		"only comments": {"# nothing\n---\n# here\n", `x.yaml:1:1: the file is empty`},
		"alias at top":  {"*x\n", `x.yaml:1:1: not valid YAML: unknown anchor 'x' referenced`},
		"tagged top":    {"!!map {name: n}\n", `x.yaml:1:1: tags (!!map) are not supported: leave it out`},
		"late syntax":   {"name: n\n---\nname: @\n", `x.yaml:3:1: not valid YAML: a text that begins with @ needs quotes`},
		"tab":           {"name: n\nenv:\n\tA: b\n", `x.yaml:3:1: not valid YAML: the line is indented with a tab: YAML takes spaces`},
		"at in a list":  {"name: n\ntags:\n  - @a\n", `x.yaml:3:1: not valid YAML: a text that begins with @ needs quotes`},
		"percent":       {"name: n\nenv: {A: b, B: %c}\n", `x.yaml:2:1: not valid YAML: a text that begins with % needs quotes`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := strictyaml.Decode("x.yaml", []byte(test.yaml), &thing{})
			if err == nil || err.Error() != test.want || fault.KindOf(err) != fault.BadInput {
				t.Errorf("have %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestLaterProblemsAreSortedIn(t *testing.T) {
	t.Parallel()
	var v thing
	d := strictyaml.Parse("x.yaml", []byte("name: n\ncount: x\ncode: ab\nenv: {A: b}\nparts:\n  - size: 3\n"), &v, strictyaml.Next("Read the manual."))
	d.Elsewhere(strictyaml.Problem{File: "a.yaml", Line: 1, Column: 2, Message: "differs"})
	d.Wrong(strictyaml.Path{"parts", 0, "size"}, "want an even number")
	d.WrongKey(strictyaml.Path{"env", "A"}, "is taken")
	d.Problem(strictyaml.Path{"parts", 1, "size"}, "the second part is missing")
	d.Problem(strictyaml.Path{"count"}, "never shown: count is wrong already")
	d.Wrong(strictyaml.Path{"code"}, "want three letters")
	want := []string{
		"6 problems in x.yaml and a.yaml",
		`x.yaml:2:8: count: want a whole number, got text "x"`,
		`x.yaml:3:7: code "ab": want three letters`,
		`x.yaml:4:7: key "A" in env: is taken`,
		`x.yaml:6:3: the second part is missing`,
		`x.yaml:6:11: parts[0].size 3: want an even number`,
		`a.yaml:1:2: differs`,
		"Read the manual.",
	}
	if diff := cmp.Diff(want, fault.Lines(d.Err())); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	var ps strictyaml.Problems
	if !errors.As(d.Err(), &ps) || len(ps) != 6 || ps[0].Line != 2 {
		t.Errorf("the problems cannot be had one by one: %v", ps)
	}
	if !d.Has(strictyaml.Path{"env", "A"}) || d.Has(strictyaml.Path{"env", "B"}) || d.Has(strictyaml.Path{"parts", 7}) {
		t.Error("Has is wrong")
	}
	if line, column, ok := d.Position(strictyaml.Path{"parts", 0}); !ok || line != 6 || column != 5 {
		t.Errorf("Position: %d:%d %v", line, column, ok)
	}
}

func TestSupplied(t *testing.T) {
	t.Parallel()
	if err := strictyaml.Parse("x.yaml", []byte("on: true\n"), &thing{}, strictyaml.Supplied("name")).Err(); err != nil {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ yaml, want string }{
		"size":     {"name: n\n" + strings.Repeat("# padding\n", 1<<17), "x.yaml:1:1: the file is larger than 1 MiB"},
		"flow":     {strings.Repeat("[", 200_000), "x.yaml:1:1: not valid YAML: exceeded max depth of 10000"},
		"depth":    {"free: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "x.yaml:1:38: nested more than 32 levels deep"},
		"problems": {"name: n\n" + numbered(5000), "5000 problems in x.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := strictyaml.Decode("x.yaml", []byte(test.yaml), &thing{})
			if err == nil || err.Error() != test.want {
				t.Fatalf("have %v\nwant %s", err, test.want)
			}
			if lines := fault.Lines(err); len(lines) > 102 {
				t.Errorf("%d lines", len(lines))
			}
		})
	}
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "unknown%d: 1\n", i)
	}
	return b.String()
}

// The documents of an attack by entity expansion: read as values it has 9^9 elements.
func TestExpansionIsRefusedUnread(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("name: n\nfree:\n  a0: &a0 [x]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	err := strictyaml.Decode("x.yaml", []byte(b.String()), &thing{})
	if err == nil || err.Error() != "91 problems in x.yaml" {
		t.Error(err)
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := strictyaml.ReadFile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := strictyaml.ReadFile(dir); fault.KindOf(err) != fault.BadInput || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder: %v", err)
	}
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := strictyaml.ReadFile(big); err != nil || len(data) != 1<<20+1 {
		t.Errorf("big file: %d bytes, %v", len(data), err)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	keys := []string{"port", "env", "evidence-max-age", "size"}
	for word, want := range map[string]string{"prot": "port", "Port": "port", "evn": "env", "evidenceMaxAge": "evidence-max-age",
		"evidence_max_age": "evidence-max-age", "sizes": "size", "xyz": "", "": "", "a": "", strings.Repeat("e", 1000): ""} {
		have, ok := strictyaml.Nearest(word, keys)
		if ok != (want != "") || ok && have != want {
			t.Errorf("Nearest(%q) = %q, %v; want %q", word, have, ok, want)
		}
	}
}

// Whatever a file holds: no panic, bad input or success, and lines that are short and harmless to print.
func FuzzDecode(f *testing.F) {
	for _, folder := range []string{"good", "bad"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "service", folder, "*.yaml"))
		if err != nil || len(files) == 0 {
			f.Fatalf("no corpus: %v", err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("name: n\nfree: {a: &a [*a]}\nparts: [{size: 0x1F}, {size: 1_000}]\nmaybe: &b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		err := strictyaml.Decode("x.yaml", data, &thing{})
		if err == nil {
			return
		}
		if fault.KindOf(err) != fault.BadInput {
			t.Errorf("kind %v of %v", fault.KindOf(err), err)
		}
		for _, line := range fault.Lines(err) {
			if len(line) > 1000 || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("line %q", line)
			}
		}
	})
}
