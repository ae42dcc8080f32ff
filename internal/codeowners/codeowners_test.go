package codeowners

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	peer "github.com/hmarr/codeowners"

	"github.com/org/idp/internal/fault"
)

// documented is GitHub's example: docs.github.com, "About code owners", with its comments left out but for the one behind a rule.
const documented = `
*       @global-owner1 @global-owner2
*.js    @js-owner #This is an inline comment.
*.go docs@example.com
*.txt @octo-org/octocats
/build/logs/ @doctocat
docs/*  docs@example.com
apps/ @octocat
/docs/ @doctocat
/scripts/ @doctocat @octocat
**/logs @octocat
/apps/ @octocat
/apps/github
`

// TestDocumentedExample has what GitHub's documentation says of each line of its example.
func TestDocumentedExample(t *testing.T) {
	t.Parallel()
	f := parse(t, documented)
	for path, want := range map[string]string{
		"README.md":                "@global-owner1 @global-owner2",
		"web/deep/app.js":          "@js-owner",
		"main.go":                  "docs@example.com",
		"notes/a.txt":              "@octo-org/octocats",
		"build/logs":               "@octocat", // by **/logs
		"build/logs/today/x.log":   "@octocat",
		"scripts/build.sh":         "@doctocat @octocat",
		"scripts/logs":             "@octocat",
		"deeply/nested/logs/a":     "@octocat",
		"docs/getting-started.md":  "@doctocat",
		"docs/build-app/x.md":      "@doctocat",
		"somewhere/apps/deep/file": "@octocat",
		"apps/main.txt":            "@octocat",
		"apps/github":              "",
		"apps/github/a.txt":        "",
		"apps/githubs/a.txt":       "@octocat",
		"README.JS":                "@global-owner1 @global-owner2", // paths are case sensitive
	} {
		if got := strings.Join(f.Owners(path), " "); got != want {
			t.Errorf("%s is of %q, want %q", path, got, want)
		}
	}
	before := parse(t, strings.Join(strings.Split(documented, "\n")[:7], "\n")) // up to docs/*
	for path, want := range map[string]string{"build/logs/today/x.log": "@doctocat", "docs/getting-started.md": "docs@example.com",
		"docs/build-app/troubleshooting.md": "@global-owner1 @global-owner2"} {
		if got := strings.Join(before.Owners(path), " "); got != want {
			t.Errorf("before what follows, %s is of %q, want %q", path, got, want)
		}
	}
	if len(f.Problems) > 0 {
		t.Errorf("problems %v", f.Problems)
	}
}

// TestLines has the exceptions of the documentation, and the errors in the example of the REST API, "List CODEOWNERS errors".
func TestLines(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`\#a.txt @ada`:                 "#",
		`!a.txt @ada`:                  "negated",
		`[ab].txt @ada`:                "range",
		`[Section] @ada`:               "section",
		`^[Section][2] @ada`:           "section",
		`***/*.rb @monalisa`:           "three asterisks",
		`*.txt docs@`:                  `"docs@" is no owner`,
		`*.txt ada`:                    `"ada" is no owner`,
		`*.txt @ada @`:                 `"@" is no owner`,
		`*.txt @acme/a/b`:              "is no owner",
		`*.txt @ada,@eve`:              "is no owner",
		`a\ @ada`:                      "", // a file whose name has a space, of nobody
		`a.txt\`:                       "backslash",
		`a#b @ada`:                     "#",
		`*.txt @ada#not-a-comment`:     "is no owner",
		`*.txt ada@example.com @a/b.c`: "",
		"*.txt\t@ada\t @eve \r":        "",
		`/ü/ñ\ 1/ @ada_acme # x`:       "",
	} {
		f, err := Parse([]byte("# first\n" + line + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case want == "" && (len(f.Problems) > 0 || len(f.Rules) != 1):
			t.Errorf("%q: rules %v, problems %v", line, f.Rules, f.Problems)
		case want != "" && (len(f.Rules) > 0 || len(f.Problems) != 1 || f.Problems[0].Line != 2 || !strings.Contains(f.Problems[0].Text, want)):
			t.Errorf("%q: rules %v, problems %v, want %q", line, f.Rules, f.Problems, want)
		}
	}
}

// A wrong line counts for nothing; those around it do.
func TestWrongLineIsLeftOut(t *testing.T) {
	t.Parallel()
	f := parse(t, "\ufeff* @ada\r\n*.go nobody\r\n\r\n   # x\r\n/a\\ b/ @eve @acme/all\r\n")
	want := map[string]string{"x.go": "@ada", "a b/x.go": "@eve @acme/all", "b/x": "@ada"}
	for path, owners := range want {
		if got := strings.Join(f.Owners(path), " "); got != owners {
			t.Errorf("%s is of %q, want %q", path, got, owners)
		}
	}
	if r := f.Rule("a b/x"); r == nil || r.Line != 5 || len(f.Problems) != 1 || f.Problems[0].Line != 2 {
		t.Errorf("rule %+v, problems %v", r, f.Problems)
	}
	if r := parse(t, "").Rule("a"); r != nil {
		t.Errorf("an empty file has the rule %+v", r)
	}
}

// TestPatternsAsAPeer holds the answers of every pattern that can be made of these names against those of another reader of
// CODEOWNERS.
func TestPatternsAsAPeer(t *testing.T) {
	t.Parallel()
	names := []string{"foo", "bar", "*", "**", "f*", "*r", "b?r", `f\*o`}
	var patterns []string
	for _, a := range names {
		patterns = append(patterns, a)
		for _, b := range names {
			patterns = append(patterns, a+"/"+b)
			for _, c := range names {
				patterns = append(patterns, a+"/"+b+"/"+c)
			}
		}
	}
	parts := []string{"foo", "bar", "far", "f*o", "baz"}
	var paths []string
	for _, a := range parts {
		paths = append(paths, a)
		for _, b := range parts {
			paths = append(paths, a+"/"+b)
			for _, c := range parts {
				paths = append(paths, a+"/"+b+"/"+c, a+"/"+b+"/"+c+"/bar")
			}
		}
	}
	compared := 0
	for _, p := range patterns {
		for _, p := range []string{p, "/" + p, p + "/", "/" + p + "/"} {
			mine := parse(t, p+" @ada")
			other, err := peer.ParseFile(strings.NewReader(p + " @ada"))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range paths {
				rule, err := other.Match(path)
				if err != nil {
					t.Fatal(err)
				}
				compared++
				if got := mine.Rule(path) != nil; got != (rule != nil) {
					t.Errorf("%s matches %s: %v, and not as the peer says", p, path, got)
				}
			}
		}
	}
	if compared < 100000 {
		t.Errorf("only %d were compared", compared)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	has := map[string]string{"CODEOWNERS": "* @root", "docs/CODEOWNERS": "* @docs"}
	read := func(path string) ([]byte, bool, error) {
		data, ok := has[path]
		return []byte(data), ok, nil
	}
	found := func() string {
		f, err := Find(read)
		if err != nil {
			t.Fatal(err)
		}
		return f.Path + " " + strings.Join(f.Owners("x"), " ")
	}
	if got := found(); got != "CODEOWNERS @root" {
		t.Errorf("got %q", got)
	}
	has[".github/CODEOWNERS"] = "" // an empty one is one
	if got := found(); got != ".github/CODEOWNERS " {
		t.Errorf("got %q", got)
	}
	has = nil
	if got := found(); got != " " {
		t.Errorf("without one: %q", got)
	}
	has = map[string]string{".github/CODEOWNERS": strings.Repeat("#", 3<<20), "CODEOWNERS": "* @root"}
	if _, err := Find(read); fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), ".github/CODEOWNERS") {
		t.Errorf("of a file that GitHub does not load: %v", err)
	}
	broken := errors.New("the connection was cut")
	if _, err := Find(func(string) ([]byte, bool, error) { return nil, false, broken }); fault.KindOf(err) != fault.Undetermined || !errors.Is(err, broken) {
		t.Errorf("of a file that cannot be read: %v", err)
	}
}

// A file just under the limit is read whole, its last line like its first, however long its lines are.
func TestBigFile(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("/long/ " + strings.Repeat("@ada ", 30000) + "\n")
	for i := 0; b.Len() < 3<<20-200; i++ {
		fmt.Fprintf(&b, "/services/%d/**/*.go @team-%d\n", i, i)
	}
	b.WriteString("/last @eve\n")
	f := parse(t, b.String())
	if got := f.Owners("last"); !slices.Equal(got, []string{"@eve"}) {
		t.Errorf("the last is of %v", got)
	}
	if got := f.Owners("services/7/a/b.go"); !slices.Equal(got, []string{"@team-7"}) {
		t.Errorf("it is of %v", got)
	}
	if got := len(f.Owners("long/x")); got != 30000 {
		t.Errorf("it is of %d", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(documented, "apps/github/a")
	f.Add("a\\ b\\", "a b")
	f.Fuzz(func(t *testing.T, data, path string) {
		file, err := Parse([]byte(data))
		if err != nil {
			return
		}
		rule := file.Rule(path)
		if (rule == nil) != (file.Rule(path) == nil) {
			t.Error("it says so only once")
		}
		if lines := strings.Count(data, "\n") + 1; len(file.Rules)+len(file.Problems) > lines {
			t.Errorf("%d rules and %d problems of %d lines", len(file.Rules), len(file.Problems), lines)
		}
		if rule != nil {
			if diff := cmp.Diff(rule.Owners, file.Owners(path)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func parse(t *testing.T, text string) File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}
