package finding

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// place makes findings of the lines that end in // RULE, as a scanner would.
func place(t *testing.T, files map[string]string) []Finding {
	t.Helper()
	dir := t.TempDir()
	var list []Finding
	src := NewSources(dir)
	for name, text := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(text, "\n") {
			if _, rule, ok := strings.Cut(line, "// G"); ok {
				f := Finding{Scanner: "gosec", Rule: "G" + rule, File: name, Line: i + 1, Severity: High}
				f.Fingerprint = Fingerprint(f.Scanner, f.Rule, f.File, src.Place(&f, false))
				list = append(list, f)
			}
		}
	}
	Number(list)
	return list
}

const (
	opens   = "package p\n\nfunc read(name string) {\n\tlog.Printf(\"reading %s\", name)\n\tf, _ := os.Open(name) // G304\n\tuse(f)\n}\n"
	another = "package p\n\nfunc other(name string) {\n\tf, _ := os.Open(name) // G304\n\tprint(f)\n}\n"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, now map[string]string
		renamed  map[string]string
		known    string // lines of now, as FILE:LINE
	}{
		"the same":                        {map[string]string{"a.go": opens}, map[string]string{"a.go": opens}, nil, "a.go:5"},
		"nothing before":                  {nil, map[string]string{"a.go": opens}, nil, ""},
		"copied to a file":                {map[string]string{"a.go": opens}, map[string]string{"a.go": opens, "b.go": opens}, nil, "a.go:5"},
		"copied above in the file":        {map[string]string{"a.go": opens}, map[string]string{"a.go": another + opens[len("package p\n"):]}, nil, "a.go:10"},
		"renamed as git says":             {map[string]string{"a.go": opens}, map[string]string{"x/b.go": opens}, map[string]string{"x/b.go": "a.go"}, "x/b.go:5"},
		"moved to a file of its folder":   {map[string]string{"a.go": opens}, map[string]string{"b.go": opens}, nil, "b.go:5"},
		"moved to another folder":         {map[string]string{"x/a.go": opens}, map[string]string{"y/b.go": opens}, nil, "y/b.go:5"},
		"gone here, new there":            {map[string]string{"x/a.go": opens}, map[string]string{"y/b.go": another}, nil, ""},
		"gone here, new in the folder":    {map[string]string{"a.go": opens}, map[string]string{"b.go": another}, nil, ""},
		"names changed":                   {map[string]string{"a.go": opens}, map[string]string{"a.go": strings.ReplaceAll(opens, "name", "path")}, nil, "a.go:5"},
		"another name than the one given": {map[string]string{"a.go": opens}, map[string]string{"a.go": strings.Replace(opens, "Open(name)", "Open(secret)", 1)}, nil, ""},
		"another rule":                    {map[string]string{"a.go": opens}, map[string]string{"a.go": strings.Replace(opens, "G304", "G703", 1)}, nil, ""},
		"formatted anew": {map[string]string{"a.go": "package p\n\nfunc q() {\n\tx(interface{}(y), `a`, 0X1F) // G1\n}\n"},
			map[string]string{"a.go": "package p\n\nfunc q() {\n\n\tx( // G1\n\t\tany(y),\n\t\t\"a\", // why\n\t\t0x1f,\n\t)\n}\n"}, nil, "a.go:5"},
		"another text": {map[string]string{"a.go": "package p\n\nfunc q() {\n\tx(`a`) // G1\n}\n"},
			map[string]string{"a.go": "package p\n\nfunc q() {\n\tx(`b`) // G1\n}\n"}, nil, ""},
		"a literal's other field": {map[string]string{"a.go": "package p\n\nvar c = T{\n\tA: 1,\n\tBad: true, // G1\n}\n"},
			map[string]string{"a.go": "package p\n\nvar c = T{\n\tA: 2, B: 3,\n\n\tBad: true, // G1\n}\n"}, nil, "a.go:6"},
		"not Go": {map[string]string{"a.py": "eval(x)  // G1\n"}, map[string]string{"a.py": "\n\n  eval( x )   // G1\n"}, nil, "a.py:3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, now := place(t, c.old), place(t, c.now)
			if len(now) == 0 {
				t.Fatal("nothing is found")
			}
			again := Matcher{Renamed: c.renamed}.MarkKnown(now, old)
			var known []string
			for _, f := range now {
				if f.Known {
					known = append(known, f.Place())
				}
			}
			if diff := cmp.Diff(c.known, strings.Join(known, " ")); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			n := 0
			for _, is := range again {
				if is {
					n++
				}
			}
			if n != len(known) {
				t.Errorf("%d of old found again, %d of now known", n, len(known))
			}
		})
	}
}

// The value of a secret is itself wherever it goes, but only as often as it was there.
func TestMatchAnywhere(t *testing.T) {
	t.Parallel()
	secret := func(file string) Finding {
		return Finding{Scanner: "gitleaks", Rule: "token", File: file, Fingerprint: Fingerprint("gitleaks", "token", file, "hash of the value")}
	}
	now := []Finding{secret("x/a.txt"), secret("y/b.txt")}
	if got := (Matcher{Anywhere: true}).Match(now, []Finding{secret("gone.txt")}); !cmp.Equal(got, []int{0, -1}) {
		t.Error(got)
	}
	if got := (Matcher{}).Match(now, []Finding{secret("z/gone.txt")}); !cmp.Equal(got, []int{-1, -1}) {
		t.Error(got)
	}
}

func TestFingerprintHalves(t *testing.T) {
	t.Parallel()
	a, b := Fingerprint("s", "r", "a.go", "x"), Fingerprint("s", "r", "b.go", "x")
	if !IsFingerprint(a) || a == b || !SameContext(a, b) || SameContext(a, Fingerprint("s", "r", "a.go", "y")) {
		t.Error(a, b)
	}
	list := []Finding{{File: "a.go", Line: 1, Fingerprint: a}, {File: "a.go", Line: 2, Fingerprint: a}}
	Number(list)
	if list[0].Fingerprint == list[1].Fingerprint || !SameContext(list[0].Fingerprint, list[1].Fingerprint) {
		t.Error(list)
	}
	all := []Finding{{Fingerprint: "aaaaaaaa11111111bbbbbbbbbbbbbbbb"}, {Fingerprint: "aaaaaaaa22222222bbbbbbbbbbbbbbbb"}}
	if got := Short(all[0].Fingerprint, all); got != "aaaaaaaa1" {
		t.Error(got)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	level := func(s string) Threshold {
		at, err := ParseThreshold(s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	rules := Rules{FailOn: level("high"), MinConfidence: "medium", CWE: map[string]Threshold{"CWE-798": level("low"), "CWE-22": level("none")}}
	for name, c := range map[string]struct {
		f    Finding
		want bool
	}{
		"high":                      {Finding{Severity: High, Confidence: "high"}, true},
		"medium":                    {Finding{Severity: Medium, Confidence: "high"}, false},
		"low confidence":            {Finding{Severity: Critical, Confidence: "low"}, false},
		"unknown confidence":        {Finding{Severity: High}, true},
		"odd confidence":            {Finding{Severity: High, Confidence: "certain"}, true},
		"weakness listed as low":    {Finding{Severity: Low, CWE: []string{"CWE-798"}}, true},
		"weakness listed as none":   {Finding{Severity: Critical, CWE: []string{"CWE-22"}}, false},
		"the lower of two":          {Finding{Severity: Low, CWE: []string{"CWE-22", "CWE-798"}}, true},
		"none and one not listed":   {Finding{Severity: High, CWE: []string{"CWE-22", "CWE-79"}}, true},
		"not listed and not graver": {Finding{Severity: Medium, CWE: []string{"CWE-22", "CWE-79"}}, false},
		"odd severity":              {Finding{Severity: "odd"}, true},
	} {
		if got := rules.Reaches(c.f); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestWeaker(t *testing.T) {
	t.Parallel()
	level := func(s string) Threshold { at, _ := ParseThreshold(s); return at }
	cwe := func(name, s string) map[string]Threshold { return map[string]Threshold{name: level(s)} }
	today := Rules{FailOn: level("high"), CWE: cwe("CWE-1", "low"), MinConfidence: "medium"}
	same := today
	for name, c := range map[string]struct {
		then       func(*Rules)
		known, sup int
		want       string
	}{
		"the same":                 {func(*Rules) {}, 5, 5, ""},
		"stricter":                 {func(r *Rules) { r.FailOn, r.MinConfidence = level("low"), "" }, 0, 0, ""},
		"laxer":                    {func(r *Rules) { r.FailOn = level("critical") }, 0, 0, "fail-on critical, the policy asks for high"},
		"less for a weakness":      {func(r *Rules) { r.CWE = nil }, 0, 0, "high for CWE-1, the policy asks for low"},
		"none for another":         {func(r *Rules) { r.CWE = map[string]Threshold{"CWE-1": level("low"), "CWE-2": level("none")} }, 0, 0, "none for CWE-2"},
		"only what is sure":        {func(r *Rules) { r.MinConfidence = "high" }, 0, 0, "min-confidence high, the policy asks for medium"},
		"new only, some known":     {func(r *Rules) { r.NewOnly = true }, 2, 0, "2 findings passed as known"},
		"new only, none known":     {func(r *Rules) { r.NewOnly = true }, 0, 0, ""},
		"no threshold for a gate?": {func(r *Rules) { r.FailOn = Threshold{} }, 0, 0, ""}, // ParseThreshold refuses such evidence before
	} {
		then := same
		c.then(&then)
		err := then.Weaker(today, c.known, c.sup)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	strict := today
	strict.Suppressions = Refuse
	if err := today.Weaker(strict, 0, 1); err == nil {
		t.Error("suppressed findings pass where none is accepted")
	}
	if err := today.Weaker(strict, 0, 0); err != nil {
		t.Error(err)
	}
}

func TestBaselineIsStrict(t *testing.T) {
	t.Parallel()
	b := NewBaseline(place(t, map[string]string{"b.go": another, "a.go": opens + "// <&>"}))
	data, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseBaseline("x", data)
	if err != nil || !cmp.Equal(*again, b) || b.Findings[0].Path != "a.go" {
		t.Errorf("%v\n%s", err, data)
	}
	if strings.Contains(string(data), "os.Open") {
		t.Error("the baseline holds code")
	}
	empty, err := NewBaseline(nil).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := ParseBaseline("x", empty); err != nil || len(b.Findings) != 0 {
		t.Error(err)
	}
	text := string(data)
	for name, bad := range map[string]string{
		"empty": "", "another schema": strings.Replace(text, "v1", "v2", 1), "another key": strings.Replace(text, `"findings"`, `"finding"`, 1),
		"no rule": strings.Replace(text, `"rule":"G304"`, `"rule":""`, 1), "a short fingerprint": strings.Replace(text, b.Findings[0].Fingerprint, "8c1f09", 1),
		"more behind": text + "{}", "null": "null", "a list": "[]",
	} {
		if _, err := ParseBaseline("x", []byte(bad)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
