package secrets

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/sources"

	"github.com/org/idp/internal/secrets/prefilter"
)

// Nothing that a user or a repository may configure changes what is seen.
func TestConfigurationHidesNothing(t *testing.T) {
	t.Parallel()
	tok := token("config")
	r := newRepo(t)
	r.commit(".gitattributes", "* -diff -text binary diff=hide filter=hide\n*.env -diff\n")
	r.commit("a.env", "one\n")
	r.commit("a.env", "one\n"+tok+"\n")
	r.commit("a.env", "one\n")
	for _, kv := range []string{"diff.external=false", "diff.hide.textconv=true", "diff.hide.command=false", "diff.noprefix=true",
		"diff.mnemonicPrefix=true", "color.ui=always", "color.diff=always", "log.showSignature=true", "log.showRoot=false",
		"diff.renames=copies", "core.quotePath=true", "diff.ignoreSubmodules=all", "log.diffMerges=off", "core.bigFileThreshold=1",
		"diff.context=0", "diff.relative=true", "log.follow=true", "core.fsmonitor=false-program", "diff.orderFile=nowhere",
		"core.attributesFile=" + filepath.ToSlash(filepath.Join(r.dir, ".gitattributes"))} {
		k, v, _ := strings.Cut(kv, "=")
		r.git("config", k, v)
	}
	if err := os.WriteFile(filepath.Join(r.dir, ".git", "info", "attributes"), []byte("* -diff\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := r.scan(HistoryAll, tok)
	found(t, out, err, "github-pat a.env:2")
	if out.Evidence.Coverage.Scanned != 4 {
		t.Errorf("coverage %+v", out.Evidence.Coverage)
	}
}

// A replaced object must not stand in for the one that gets pushed.
func TestReplacedObjectHidesNothing(t *testing.T) {
	t.Parallel()
	tok := token("replace")
	r := newRepo(t)
	r.commit("b.txt", "clean\n")
	r.commit("a.txt", tok+"\n")
	r.git("replace", r.git("rev-parse", "HEAD:a.txt"), r.git("rev-parse", "HEAD:b.txt"))
	out, err := r.scan(HistoryAll, tok)
	found(t, out, err, "github-pat a.txt:1")
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	tok := token("names")
	names := []string{"with space", "tab\there", "quo\"te", "line\nbreak", "raw\xff\xfebytes", ":100644 100644", "a -> b", "ünï", "-rf", "esc\x1b[31m", tok}
	if runtime.GOOS != "linux" {
		names = []string{"with space", "ünï", "-rf", tok} // other file systems refuse the rest
	}
	r := newRepo(t)
	for i, name := range names {
		r.write("d/"+name, fmt.Sprintf("\n%s\n", token(fmt.Sprint(i))))
	}
	r.commitAll("names")
	r.git("rm", "-q", "-r", "--cached", ".") // and once more as untracked files
	out, err := r.scan(HistoryAll, tok)
	if len(out.Findings) != len(names) || err == nil {
		t.Fatalf("%d findings, want %d: %+v", len(out.Findings), len(names), out.Findings)
	}
	for _, f := range out.Findings {
		if f.Line != 2 || f.Commit == "" || strings.ContainsAny(f.File, "\n\x1b\t") {
			t.Errorf("finding %+v", f)
		}
	}
}

func TestContentOfAnyForm(t *testing.T) {
	t.Parallel()
	tok := token("form")
	for name, c := range map[string]struct {
		content string
		line    int
	}{
		"CRLF":            {"a\r\nb\r\n" + tok + "\r\nc\r\n", 3},
		"no last newline": {"a\n" + tok, 2},
		"like a patch":    {"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n+" + tok + "\n", 5},
		"not UTF-8":       {"\xff\xfd\xfa\n" + tok + "\n", 2},
		"a huge line":     {"x\n" + strings.Repeat("lorem ipsum ", 1<<16) + tok + "\n", 2},
		"many pieces":     {strings.Repeat("lorem ipsum dolor\n", 40000) + tok + "\n", 40001},
		"old Mac":         {"a\rb\r" + tok + "\r", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.commit("a.txt", c.content)
			out, err := r.scan(HistoryAll, tok)
			found(t, out, err, fmt.Sprintf("github-pat a.txt:%d", c.line))
		})
	}
}

func TestOddEntries(t *testing.T) {
	t.Parallel()
	tok := token("odd")
	r := newRepo(t)
	r.commit("a.txt", "one\n")
	r.commit("gone.txt", "two\n")
	sub := newRepo(t)
	sub.commit("x.txt", token("sub")+"\n")
	r.git("-c", "protocol.file.allow=always", "submodule", "-q", "add", filepath.ToSlash(sub.dir), "sub")
	if err := os.Symlink("/nowhere/"+tok, filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(sub.dir, "x.txt"), filepath.Join(r.dir, "out")); err != nil {
		t.Fatal(err)
	}
	r.git("add", "-A")
	r.git("update-index", "--chmod=+x", "a.txt")
	r.git("rm", "-q", "gone.txt")
	r.git("commit", "-q", "-m", "odd")
	r.git("init", "-q", "nested")
	r.write("nested/y.txt", token("nested")+"\n")
	out, err := r.scan(HistoryAll, tok)
	found(t, out, err, "github-pat link:1")
	left := strings.Join(out.Evidence.Coverage.Left, "\n")
	for _, want := range []string{"nested/: a repository of its own", "the submodule sub"} {
		if !strings.Contains(left, want) {
			t.Errorf("left out %q, without %q", left, want)
		}
	}
}

func TestUnresolvedConflict(t *testing.T) {
	t.Parallel()
	tok := token("conflict")
	r := newRepo(t)
	r.commit("a.txt", "one\n")
	r.git("checkout", "-q", "-b", "side")
	r.commit("a.txt", "side\n")
	r.git("checkout", "-q", "main")
	r.commit("a.txt", "main\n")
	if out := r.tryGit("merge", "-q", "side"); !strings.Contains(out, "CONFLICT") {
		t.Fatalf("no conflict: %s", out)
	}
	r.write("a.txt", "<<<<<<< HEAD\n"+tok+"\n")
	out, err := r.scan(HistoryAll, tok)
	found(t, out, err, "github-pat a.txt:2")
}

// A file that is a secret by its name is found although its content is binary.
func TestSecretByName(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit("keys/server.p12", "\x00\x01\x02")
	r.commit("keys/server.p12", "\x00\x01\x03")
	out, err := r.scan(HistoryAll)
	found(t, out, err, "pkcs12-file keys/server.p12")
}

func TestOwnRulesExtendTheBuiltIn(t *testing.T) {
	t.Parallel()
	tok := token("own")
	r := newRepo(t)
	r.write("allowed/b.txt", tok+"\n")
	r.write("c.txt", tok+"\nACME-1234\n")
	r.commit(".gitleaks.toml", "[extend]\nuseDefault = true\n[[rules]]\nid = \"acme\"\nregex = '''ACME-\\d+'''\nkeywords = [\"acme\"]\n[[allowlists]]\npaths = ['''^allowed/''']\n")
	for range 3 { // gitleaks itself leaves the built-in rules out from the third time on
		out, err := r.scan(HistoryAll, tok, "ACME-1234")
		found(t, out, err, "github-pat c.txt:1", "acme c.txt:2")
		if left := strings.Join(out.Evidence.Coverage.Left, "\n"); !strings.Contains(left, ".gitleaks.toml") {
			t.Errorf("left out %q", left)
		}
	}
	other := newRepo(t)
	other.commit(".gitleaks.toml", "[extend]\nuseDefault = true\n")
	_, err := other.scan(HistoryAll)
	undetermined(t, err, "one repository a process")
}

// Whatever is committed in whatever order, gitleaks' own reading of the history finds nothing that this one does not, and
// no value gets out.
func TestFindsAllThatGitleaksFinds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 7))
			r := newRepo(t)
			var values []string
			for i := range 12 {
				values = append(values, randomEdit(r, rnd, i)...)
			}
			out, _ := r.scan(HistoryAll, values...)
			ours := map[string]bool{}
			for _, f := range out.Findings {
				ours[f.Fingerprint] = true
			}
			theirs := gitleaks(t, r.dir)
			for what, fp := range theirs {
				if !ours[fp] {
					t.Errorf("not found: %s", what)
				}
			}
			if len(theirs) < 3 {
				t.Errorf("gitleaks finds %d only: the test shows nothing", len(theirs))
			}
		})
	}
}

// randomEdit changes a file at a random place and commits; it gives the values that it added.
func randomEdit(r *testRepo, rnd *rand.Rand, i int) []string {
	name := fmt.Sprintf("f%d.conf", rnd.IntN(3))
	old, _ := os.ReadFile(filepath.Join(r.dir, name))
	lines := strings.SplitAfter(string(old), "\n")
	tok := token(fmt.Sprint("edit", i, rnd.Int()))
	generic := fmt.Sprintf("%016x%016x", rnd.Uint64(), rnd.Uint64())
	added := [][]string{{"github = " + tok + "\n"}, {"\n", "}\n", "name: x\n"}, {"api_key:\n", "  \"" + generic + "\"\n"}, {"password = \"" + generic + "\";\n", "}\n"}}[rnd.IntN(4)]
	at := rnd.IntN(len(lines))
	if cut := rnd.IntN(4); cut > 0 && at+cut < len(lines) {
		lines = append(lines[:at], lines[at+cut:]...)
	}
	lines = append(lines[:at], append(added, lines[at:]...)...)
	if _, err := os.Lstat(filepath.Join(r.dir, name+"x")); err != nil && rnd.IntN(4) == 0 && len(old) > 0 {
		r.git("mv", name, name+"x")
		name += "x"
	}
	r.commit(name, strings.Join(lines, ""))
	return []string{tok, generic}
}

// gitleaks scans with its own git source, and gives its findings with our fingerprints.
func gitleaks(t *testing.T, dir string) map[string]string {
	t.Helper()
	builtIn, err := loadRules(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	d := detect.NewDetector(builtIn.Config)
	d.MaxDecodeDepth = prefilter.DecodeDepth
	cmd, err := sources.NewGitLogCmd(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	found, err := d.DetectSource(t.Context(), &sources.Git{Cmd: cmd, Config: &d.Config, Remote: &sources.RemoteInfo{}, Sema: d.Sema})
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]string{}
	for _, f := range found {
		list[fmt.Sprintf("%s %s:%d in %.7s", f.RuleID, f.File, f.StartLine, f.Commit)] = Fingerprint(f.RuleID, f.File, f.Secret)
	}
	return list
}
