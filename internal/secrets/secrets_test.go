package secrets

import (
	"encoding/base64"
	"encoding/binary"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
)

func TestVersionIsThatOfTheModule(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`github.com/zricethezav/gitleaks/v8 v(\S+)`).FindSubmatch(mod)
	if m == nil || string(m[1]) != Version {
		t.Fatalf("go.mod has %q, Version is %s", m, Version)
	}
}

func TestCleanRepositoryPasses(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit("main.go", "package main\n\nfunc main() {}\n")
	r.commit("README.md", "hello\n")
	out, err := r.scan(HistoryChange)
	passed(t, out, err)
	if want := "2 commits, 2 files, working tree · none"; out.Summary != want {
		t.Errorf("summary %q, want %q", out.Summary, want)
	}
	if out.Evidence.FailOn != "low" || out.Evidence.Commit != r.git("rev-parse", "HEAD") || out.Tool.Name != "gitleaks" {
		t.Errorf("evidence %+v, tool %+v", out.Evidence, out.Tool)
	}
}

// A token that was committed and taken out again is still in the history, but not in a change that began later.
func TestOldTokenIsInTheHistoryOnly(t *testing.T) {
	t.Parallel()
	tok := token("old")
	r := newRepo(t)
	r.commit("a.txt", "one\n")
	bad := r.commit("config.go", "package config\n\nvar t = \""+tok+"\"\n")
	r.commit("config.go", "package config\n")
	r.branch()
	r.commit("a.txt", "one\ntwo\n")

	out, err := r.scan(HistoryChange, tok)
	passed(t, out, err)
	if c := out.Evidence.Coverage; c.Expected != 1 {
		t.Errorf("coverage %+v, want the one commit of the change", c)
	}

	out, err = r.scan(HistoryAll, tok)
	found(t, out, err, "github-pat config.go:3")
	f := out.Findings[0]
	if f.Commit != bad || f.Author != "Ada" || f.Date == "" || f.Severity != finding.Critical || f.CWE[0] != "CWE-798" {
		t.Errorf("finding %+v", f)
	}
	text := strings.Join(fault.Lines(err), "\n")
	for _, want := range []string{"1 new secret", "github-pat", "A GitHub token is in this commit. Anyone who can read the repository has it.",
		"1. Revoke it: https://github.com/settings/tokens", "2. Take it out of the commit: git rebase -i " + bad[:7] + "^"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if want := "4 commits, 2 files, working tree · 1 new secret"; out.Summary != want {
		t.Errorf("summary %q, want %q", out.Summary, want)
	}
}

// On the default branch itself there is no change to tell apart, so all of it is scanned.
func TestDefaultBranchScansAllHistory(t *testing.T) {
	t.Parallel()
	tok := token("main")
	r := newRepo(t)
	r.commit("a.env", "T="+tok+"\n")
	r.commit("a.env", "\n")
	r.branch()
	r.git("checkout", "-q", "main")
	out, err := r.scan(HistoryChange, tok)
	found(t, out, err, "github-pat a.env:1")
	if !strings.Contains(out.Findings[0].Help, "git rebase -i --root") {
		t.Errorf("help %q: the first commit has no parent", out.Findings[0].Help)
	}
}

func TestWorkingTree(t *testing.T) {
	t.Parallel()
	tok := token("tree")
	for name, change := range map[string]func(*testRepo){
		"changed":   func(r *testRepo) { r.write("a.txt", "one\n"+tok+"\nthree\n") },
		"untracked": func(r *testRepo) { r.write("new/b.txt", "\n"+tok) },
		"hidden from git": func(r *testRepo) {
			r.git("update-index", "--assume-unchanged", "a.txt")
			r.write("a.txt", "one\n"+tok+"\nthree\n")
		},
		"skipped": func(r *testRepo) {
			r.git("update-index", "--skip-worktree", "a.txt")
			r.write("a.txt", "one\n"+tok+"\nthree\n")
		},
		"staged, then taken out": func(r *testRepo) {
			r.write("a.txt", "one\n"+tok+"\n")
			r.git("add", "a.txt")
			r.write("a.txt", "one\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.commit("a.txt", "one\nthree\n")
			r.branch()
			r.commit("c.txt", "change\n")
			change(r)
			out, err := r.scan(HistoryChange, tok)
			if fault.KindOf(err) != fault.Failed || len(out.Findings) != 1 {
				t.Fatalf("error %v, findings %+v", err, out.Findings)
			}
			if f := out.Findings[0]; f.Commit != "" || f.Line != 2 || !strings.Contains(f.Title, "working tree") {
				t.Errorf("finding %+v", f)
			}
		})
	}
}

func TestIgnoredFileIsLeftOut(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit(".gitignore", ".env\n")
	r.write(".env", token("ignored")+"\n")
	out, err := r.scan(HistoryChange)
	passed(t, out, err)
}

// What only the resolution of a merge brought in is in no parent's patch.
func TestMergeResolution(t *testing.T) {
	t.Parallel()
	tok := token("merge")
	for _, file := range []string{"a.txt", "evil.txt"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.commit(".gitattributes", "*.txt -diff binary\n")
			r.commit("a.txt", "one\n")
			r.git("checkout", "-q", "-b", "side")
			r.commit("a.txt", "side\n")
			r.git("checkout", "-q", "main")
			r.commit("a.txt", "main\n")
			r.git("merge", "-q", "--no-commit", "-s", "ours", "side")
			r.write("a.txt", "main\nside\n")
			r.write(file, "main\n"+tok+"\nside\n")
			merge := r.commitAll("merge")
			r.commit(file, "clean\n")
			out, err := r.scan(HistoryAll, tok)
			found(t, out, err, "github-pat "+file+":2")
			if out.Findings[0].Commit != merge {
				t.Errorf("commit %s, want the merge %s", out.Findings[0].Commit, merge)
			}
		})
	}
}

// What both sides already had is not the merge's.
func TestMergeIsNotBlamedForItsParents(t *testing.T) {
	t.Parallel()
	tok := token("parents")
	r := newRepo(t)
	r.commit("a.txt", "one\n")
	r.git("checkout", "-q", "-b", "side")
	bad := r.commit("b.txt", tok+"\n")
	r.git("checkout", "-q", "main")
	r.commit("a.txt", "two\n")
	r.git("merge", "-q", "--no-ff", "-m", "merge", "side")
	out, err := r.scan(HistoryAll, tok)
	found(t, out, err, "github-pat b.txt:1")
	if out.Findings[0].Commit != bad {
		t.Errorf("commit %s, want %s", out.Findings[0].Commit, bad)
	}
}

func TestOneSecretIsOneFinding(t *testing.T) {
	t.Parallel()
	tok := token("often")
	r := newRepo(t)
	first := r.commit("a.txt", "T="+tok+"\n")
	r.commit("a.txt", "# comment\n\nT="+tok+" # why\n")
	r.commit("a.txt", "gone\n")
	r.commit("a.txt", "again\nT="+tok+"\n"+tok+"\n")
	r.write("a.txt", "more\nT="+tok+" #\n")
	out, err := r.scan(HistoryAll, tok)
	found(t, out, err, "github-pat a.txt:1")
	if f := out.Findings[0]; f.Commit != first || len(f.Fingerprint) != 32 {
		t.Errorf("finding %+v, want commit %s", f, first)
	}
	again, _ := r.scan(HistoryAll, tok)
	if again.Findings[0].Fingerprint != out.Findings[0].Fingerprint {
		t.Error("the fingerprint is not stable")
	}
}

// A change around a secret that was there before is not a new secret.
func TestKnownSecretOfATouchedFileIsNotNew(t *testing.T) {
	t.Parallel()
	tok := token("known")
	r := newRepo(t)
	r.commit("a.txt", "one\nT="+tok+"\ntwo\n")
	r.branch()
	r.commit("a.txt", "one\nnew\n  T="+tok+"\nnew\r\n") // moved, indented, its neighbours changed
	r.git("mv", "a.txt", "b.txt")
	r.commitAll("rename")
	out, err := r.scan(HistoryChange, tok)
	passed(t, out, err)
}

func TestEncodedSecret(t *testing.T) {
	t.Parallel()
	tok := token("encoded")
	encoded := base64.StdEncoding.EncodeToString([]byte("token=" + tok))
	r := newRepo(t)
	r.commit("a.yaml", "x: 1\ndata: "+encoded+"\n")
	out, err := r.scan(HistoryChange, tok, encoded)
	found(t, out, err, "github-pat a.yaml:2")
}

func TestUTF16IsText(t *testing.T) {
	t.Parallel()
	tok := token("utf16")
	var content strings.Builder
	content.WriteString("\xff\xfe")
	for _, b := range []byte("a\r\nT=" + tok + "\r\n") {
		content.WriteByte(b)
		content.WriteByte(0)
	}
	r := newRepo(t)
	r.commit("a.env", content.String())
	out, err := r.scan(HistoryChange, tok)
	found(t, out, err, "github-pat a.env:2")
}

func TestUTF32IsText(t *testing.T) {
	t.Parallel()
	tok := token("utf32")
	for name, order := range map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian} {
		var content []byte
		for _, r := range "\ufeffa\nT=" + tok + "\n" {
			content = order.AppendUint32(content, uint32(r))
		}
		r := newRepo(t)
		r.commit(name+".env", string(content))
		out, err := r.scan(HistoryChange, tok)
		found(t, out, err, "github-pat "+name+".env:2")
	}
}

func TestAllowMarkIsHonouredAndCounted(t *testing.T) {
	t.Parallel()
	tok := token("allow")
	r := newRepo(t)
	r.commit("a.txt", "T="+tok+" # gitleaks:"+"allow -- a fixture of the vendor, "+tok+"\n")
	out, err := r.scan(HistoryChange, tok)
	if err != nil || !strings.HasSuffix(out.Summary, "none, 1 suppressed") {
		t.Fatal(out.Summary, err)
	}
	want := finding.Suppression{By: "gitleaks:allow", InSource: true, Justification: "a fixture of the vendor, [secret]"}
	if len(out.Findings) != 1 || *out.Findings[0].Suppression != want {
		t.Errorf("findings: %+v", out.Findings)
	}
	if diff := cmp.Diff(map[string]int{"critical": 1}, out.Evidence.Suppressed); diff != "" {
		t.Error(diff)
	}
}

// One place without the mark is enough.
func TestAllowMarkIsForItsOwnLine(t *testing.T) {
	t.Parallel()
	tok := token("allow")
	r := newRepo(t)
	r.commit("a.txt", "T="+tok+" # gitleaks:"+"allow\nU="+tok+"\n")
	out, err := r.scan(HistoryChange, tok)
	found(t, out, err, "github-pat a.txt:2")
}

func TestFilesAreNamedFromTheService(t *testing.T) {
	t.Parallel()
	tok := token("mono")
	r := newRepo(t)
	r.commit("services/pay/a.txt", tok+"\n")
	r.commit("services/other/b.txt", tok+"\n")
	r.commit("c.txt", tok+"\n")
	r.dir += "/services/pay"
	out, err := r.scan(HistoryChange, tok)
	found(t, out, err, "github-pat ../../c.txt:1", "github-pat ../other/b.txt:1", "github-pat a.txt:1")
}

func TestThresholds(t *testing.T) {
	t.Parallel()
	tok := token("none")
	r := newRepo(t)
	r.commit("a.txt", tok+"\n")
	in := inputs(t, r.open(), HistoryChange)
	in.Triage.Rules.FailOn, _ = finding.ParseThreshold(finding.None)
	out, err := Run(t.Context(), in, Deps{})
	if err != nil || out.Evidence.New["critical"] != 1 {
		t.Errorf("error %v, evidence %+v", err, out.Evidence)
	}
	in.Triage.Rules.FailOn = finding.Threshold{}
	if _, err = Run(t.Context(), in, Deps{}); err == nil {
		t.Error("a gate without a threshold passed")
	}
	in.History = "some"
	if _, err = Run(t.Context(), in, Deps{}); fault.KindOf(err) != fault.BadInput {
		t.Errorf("history some: %v", err)
	}
}

// What is said of a secret never has its value, and reaches the finding.
func TestConfidenceIsShown(t *testing.T) {
	t.Parallel()
	live := "gh" + "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ" + "0mLq17"
	r := newRepo(t)
	r.commit("a.txt", live+"\n")
	out, err := r.scan(HistoryAll, live)
	found(t, out, err, "github-pat a.txt:1")
	if f := out.Findings[0]; f.Confidence != "high" || !strings.Contains(f.Title, "Its checksum is right, so GitHub has issued it.") {
		t.Errorf("finding %+v", f)
	}
}
