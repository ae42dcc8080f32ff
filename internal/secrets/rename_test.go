package secrets

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
)

// lines are n lines of a file, with a secret in the middle.
func lines(n int, secret string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d of the file\n", i)
		if i == n/2 {
			fmt.Fprintf(&b, "T=%s\n", secret)
		}
	}
	return b.String()
}

// A file that is renamed and edited at once is the same file, as long as git finds it like enough: in a commit, in a merge and in
// the index.
func TestFileThatIsRenamedAndEdited(t *testing.T) {
	t.Parallel()
	tok := token("renamed")
	before := lines(20, tok)
	edited := strings.Replace(before, "line 3 ", "row three ", 1)
	t.Run("commit", func(t *testing.T) {
		t.Parallel()
		r := newRepo(t)
		r.commit("a.txt", before)
		r.branch()
		r.git("mv", "a.txt", "sub b.txt")
		r.commit("sub b.txt", edited)
		out, err := r.scan(HistoryChange, tok)
		passed(t, out, err)
		// Over the whole history it is one finding, where it came in. So what a baseline has of it stays known.
		out, err = r.scan(HistoryAll, tok)
		found(t, out, err, "github-pat a.txt:12")
	})
	t.Run("index", func(t *testing.T) {
		t.Parallel()
		r := newRepo(t)
		r.commit("a.txt", before)
		r.branch()
		r.commit("other.txt", "x\n")
		r.git("mv", "a.txt", "b.txt")
		r.write("b.txt", edited)
		r.git("add", "-A")
		out, err := r.scan(HistoryChange, tok)
		passed(t, out, err)
	})
	t.Run("merge", func(t *testing.T) {
		t.Parallel()
		r := newRepo(t)
		without := strings.Replace(before, "T="+tok+"\n", "", 1)
		r.commit("a.txt", without)
		r.branch()
		r.git("mv", "a.txt", "b.txt")
		r.commit("b.txt", strings.Replace(without, "line 3 ", "row three ", 1))
		r.git("checkout", "-q", "main")
		r.commit("a.txt", before)
		r.git("update-ref", "refs/remotes/origin/main", "HEAD")
		r.git("checkout", "-q", "feature")
		r.git("merge", "-q", "--no-edit", "main")
		if !strings.Contains(r.git("show", "HEAD:b.txt"), tok) {
			t.Fatal("the merge did not follow the rename")
		}
		out, err := r.scan(HistoryChange, tok)
		passed(t, out, err)
	})
}

// What a rename cannot explain is new.
func TestRenameHidesNothing(t *testing.T) {
	t.Parallel()
	tok, other := token("renamed"), token("brought along")
	for name, c := range map[string]struct {
		old, now, text string
		keep           bool
		want           string
	}{
		"another secret":         {"a.txt", "b.txt", lines(20, tok) + "U=" + other + "\n", false, "github-pat b.txt:22"},
		"too unlike":             {"a.txt", "b.txt", "T=" + tok + "\n", false, "github-pat b.txt:1"},
		"a copy":                 {"a.txt", "b.txt", lines(20, tok), true, "github-pat b.txt:12"},
		"from an allowed path":   {"node_modules/a.txt", "src/b.txt", lines(20, tok), false, "github-pat src/b.txt:12"},
		"from there, and edited": {"node_modules/a.txt", "src/b.txt", lines(21, tok), false, "github-pat src/b.txt:12"},
		"from a file of tests":   {"testdata/a.txt", "src/b.txt", lines(21, tok), false, "github-pat src/b.txt:12"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.commit(c.old, lines(20, tok))
			r.branch()
			if !c.keep {
				r.git("rm", "-q", c.old)
			}
			r.commit(c.now, c.text)
			out, err := r.scan(HistoryChange, tok, other)
			found(t, out, err, c.want)
		})
	}
}

// A rule of one's own may skip a path, or look at nothing else.
func TestPathsThatRulesSeeOtherwise(t *testing.T) {
	t.Parallel()
	own := func(rule config.Rule) rules {
		return rules{Detector: detect.NewDetector(config.Config{Rules: map[string]config.Rule{"own": rule}})}
	}
	docs := regexp.MustCompile("^docs/")
	for name, c := range map[string]struct {
		rules rules
		alike bool
	}{
		"any path":   {own(config.Rule{}), true},
		"its path":   {own(config.Rule{Path: docs}), false},
		"skips path": {own(config.Rule{Allowlists: []*config.Allowlist{{Paths: []*regexp.Regexp{docs}}}}), false},
	} {
		if got := c.rules.alike("docs/a.txt", "src/a.txt"); got != c.alike {
			t.Errorf("%s: %t", name, got)
		}
		if !c.rules.alike("docs/a.txt", "docs/b.txt") {
			t.Errorf("%s: in one folder", name)
		}
	}
}
