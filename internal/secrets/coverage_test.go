package secrets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/secrets/prefilter"
)

// object is the file of a loose object.
func (r *testRepo) object(id string) string {
	return filepath.Join(r.dir, ".git", "objects", id[:2], id[2:])
}

func TestUnreadableObjectIsNoPass(t *testing.T) {
	t.Parallel()
	for what, want := range map[string]string{
		"HEAD~2:a.txt":  "2 of 4 commits readable", // it is what one commit wrote and what the next one changed
		"HEAD~2^{tree}": "of 4 commits readable",
		"HEAD~2":        "git cannot list the commits",
	} {
		for _, damage := range []string{"missing", "corrupt"} {
			t.Run(what+" "+damage, func(t *testing.T) {
				t.Parallel()
				r := newRepo(t)
				for i := range 4 {
					r.commit("a.txt", strings.Repeat("line\n", i+1))
				}
				file := r.object(r.git("rev-parse", what))
				repo := r.open()
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
				if damage == "corrupt" {
					if err := os.WriteFile(file, []byte("not an object"), 0o644); err != nil {
						t.Fatal(err)
					}
					want = strings.TrimPrefix(want, "2 ") // git dies of it, at a point that is not known
				}
				out, err := Run(context.Background(), inputs(t, repo, HistoryAll), Deps{})
				undetermined(t, err, want, "not a pass", "git fsck --full")
				if c := out.Evidence.Coverage; c.Expected > 0 && c.Scanned >= c.Expected {
					t.Errorf("coverage %+v", c)
				}
			})
		}
	}
}

// What was found is shown even when something else could not be seen.
func TestGapDoesNotHideFindings(t *testing.T) {
	t.Parallel()
	tok := token("gap")
	r := newRepo(t)
	r.commit("a.txt", "one\n")
	r.commit("b.txt", tok+"\n")
	repo := r.open()
	if err := os.Remove(r.object(r.git("rev-parse", "HEAD~1:a.txt"))); err != nil {
		t.Fatal(err)
	}
	out, err := Run(context.Background(), inputs(t, repo, HistoryAll), Deps{})
	noValues(t, out, err, []string{tok})
	undetermined(t, err, "1 of 2 commits readable", "partial clone", "It did find 1 secret", "b.txt:1")
	places(t, out, "github-pat b.txt:1")
}

func TestShallowClone(t *testing.T) {
	t.Parallel()
	origin := newRepo(t)
	for i := range 5 {
		origin.commit("a.txt", strings.Repeat("line\n", i+1))
	}
	clone := func(t *testing.T, depth int) *testRepo {
		r := newRepo(t)
		r.git("clone", "-q", "--depth", fmt.Sprint(depth), "file://"+filepath.ToSlash(origin.dir), "c")
		r.dir = filepath.Join(r.dir, "c")
		r.git("config", "user.name", "Ada")
		r.git("config", "user.email", "ada@example.com")
		return r
	}
	// away takes the remote out of reach.
	away := func(r *testRepo) {
		r.git("remote", "set-url", "origin", filepath.ToSlash(filepath.Join(origin.dir, "..", "gone")))
	}
	for what, scan := range map[string]func(r *testRepo) (Outputs, error){
		"whole history": func(r *testRepo) (Outputs, error) { return r.scan(HistoryChange) },
		"all, on a branch": func(r *testRepo) (Outputs, error) {
			r.git("checkout", "-q", "-b", "feature")
			r.commit("b.txt", "new\n")
			return r.scan(HistoryAll)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := clone(t, 2)
			refs := r.git("for-each-ref", "refs/remotes", "refs/tags")
			origin.git("update-ref", "refs/heads/main", "main") // nothing new, but a fetch would look
			out, err := scan(r)
			passed(t, out, err)
			if want := len(strings.Fields(r.git("rev-list", "HEAD"))); out.Evidence.Coverage.Expected != want || want < 5 {
				t.Errorf("coverage %+v, want %d commits", out.Evidence.Coverage, want)
			}
			if now := r.git("for-each-ref", "refs/remotes", "refs/tags"); now != refs {
				t.Errorf("the fetch changed\n%s\nto\n%s", refs, now)
			}
		})
		t.Run(what+", the remote is away", func(t *testing.T) {
			t.Parallel()
			r := clone(t, 2)
			away(r)
			_, err := scan(r)
			undetermined(t, err, "shallow", "cannot be fetched", "git fetch --unshallow origin", "fetch-depth: 0")
		})
		t.Run(what+", no remote", func(t *testing.T) {
			t.Parallel()
			r := clone(t, 2)
			r.git("config", "--remove-section", "remote.origin")
			_, err := scan(r)
			undetermined(t, err, "shallow", "no remote", "git clone without --depth")
		})
	}
	t.Run("the remote has lost the rest", func(t *testing.T) {
		t.Parallel()
		broken := newRepo(t)
		for i := range 3 {
			broken.commit("a.txt", strings.Repeat("line\n", i+1))
		}
		r := newRepo(t)
		r.git("clone", "-q", "--depth", "1", "file://"+filepath.ToSlash(broken.dir), "c")
		r.dir = filepath.Join(r.dir, "c")
		if err := os.Remove(broken.object(broken.git("rev-parse", "HEAD~2"))); err != nil {
			t.Fatal(err)
		}
		_, err := r.scan(HistoryAll)
		undetermined(t, err, "shallow", "cannot be fetched", "git fetch --unshallow origin")
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		r := clone(t, 2)
		in := inputs(t, r.open(), HistoryAll)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Run(ctx, in, Deps{Progress: func(string) { cancel() }}) // which the fetch is the first to call
		undetermined(t, err, "context canceled")
	})
	t.Run("the change is within", func(t *testing.T) {
		t.Parallel()
		r := clone(t, 1)
		r.git("checkout", "-q", "-b", "feature")
		r.commit("b.txt", "new\n")
		out, err := r.scan(HistoryChange)
		passed(t, out, err)
		if out.Evidence.Coverage.Expected != 1 {
			t.Errorf("coverage %+v", out.Evidence.Coverage)
		}
	})
	t.Run("no common commit is known", func(t *testing.T) {
		t.Parallel()
		r := clone(t, 1)
		r.git("checkout", "-q", "-b", "feature")
		r.commit("b.txt", "new\n")
		origin2 := newRepo(t)
		origin2.commit("other.txt", "other\n")
		r.git("fetch", "-q", "--depth", "1", "file://"+filepath.ToSlash(origin2.dir), "main")
		r.git("update-ref", "refs/remotes/origin/main", "FETCH_HEAD")
		away(r)
		_, err := r.scan(HistoryChange)
		undetermined(t, err, "git fetch --unshallow origin")
	})
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	for i := range 4 {
		r.commit("a.txt", strings.Repeat("line\n", i+1))
	}
	in := inputs(t, r.open(), HistoryAll)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	out, err := Run(ctx, in, Deps{Progress: func(string) { cancel(context.DeadlineExceeded) }}) // once the commits are known
	undetermined(t, err, "stopped after", "deadline exceeded")
	if c := out.Evidence.Coverage; c.Scanned >= c.Expected {
		t.Errorf("coverage %+v", c)
	}
}

// Whatever is damaged in a pack, the answer is never that all was seen. (Git itself checks less than fsck does: the sum at
// the end of the pack is not looked at when objects are read.)
func TestDamagedPackIsNoPass(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 8 {
		var text strings.Builder
		for range 200 {
			fmt.Fprintf(&text, "line %x\n", rnd.Uint32())
		}
		r.commit("a.txt", text.String())
	}
	r.git("repack", "-adq")
	repo := r.open()
	packs, err := filepath.Glob(filepath.Join(r.dir, ".git", "objects", "pack", "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("packs %v, error %v", packs, err)
	}
	whole, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(packs[0], 0o644); err != nil {
		t.Fatal(err)
	}
	const sum = 20 // bytes at the end
	for i := range 8 {
		at := 12 + (len(whole)-12-sum)*i/8 // the objects begin behind 12 bytes
		zeroed := slices.Concat(whole[:at], make([]byte, min(64, len(whole)-at)), whole[min(at+64, len(whole)):])
		for what, content := range map[string][]byte{"truncated": whole[:at], "zeroed": zeroed} {
			if err := os.WriteFile(packs[0], content, 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := Run(t.Context(), inputs(t, repo, HistoryAll), Deps{})
			if err == nil || fault.KindOf(err) != fault.Undetermined || out.Summary != "" {
				t.Errorf("%s at %d of %d: error %v, coverage %+v", what, at, len(whole), err, out.Evidence.Coverage)
			}
		}
	}
}

// A rule that crashes is a gap that names the file; everything else is still found.
func TestCrashOfARule(t *testing.T) {
	t.Parallel()
	tok := token("crash")
	r := newRepo(t)
	r.commit("a.txt", tok+"\n")
	r.commit("b.txt", "boom-1234\n")
	r.commit("c.txt", token("crash2")+"\n")
	builtIn, err := loadRules(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	cfg := builtIn.Config
	cfg.Rules, cfg.Keywords = maps.Clone(cfg.Rules), maps.Clone(cfg.Keywords)
	cfg.Rules["boom"] = config.Rule{RuleID: "boom", Regex: regexp.MustCompile(`boom-\d+`), Keywords: []string{"boom"}, Allowlists: []*config.Allowlist{nil}}
	cfg.Keywords["boom"] = struct{}{}
	repo := r.open()
	s := newScan(repo, rules{Detector: detect.NewDetector(cfg), filter: prefilter.New(&cfg)}, nil)
	gap := s.run(t.Context(), commitsOf(t.Context(), repo, HistoryAll, nil))
	if gap == nil {
		t.Fatal("a crash passed")
	}
	undetermined(t, gap, "2 of 3 commits readable", "b.txt in commit", "the rules crashed on it")
	if found := s.findings(t.Context()); len(found) != 2 {
		t.Errorf("findings %+v", found)
	}
}

func TestGitMissing(t *testing.T) {
	r := newRepo(t)
	r.commit("a.txt", "one\n")
	repo := r.open()
	t.Setenv("PATH", t.TempDir())
	_, err := Run(context.Background(), inputs(t, repo, HistoryAll), Deps{})
	undetermined(t, err, "git does not run", "Install git")
}

// fakeGit is a git that is killed, with all that it started, in the middle of the given command's answer, and otherwise the
// real one.
func fakeGit(t *testing.T, command string, bytes int) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return // its programs are no scripts; the behaviour is tested on the others
	}
	real, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nfor a; do if [ \"$a\" = %s ]; then\n%q \"$@\" | { dd bs=1 count=%d 2>/dev/null; kill -9 0; }\nfi; done\nexec %q \"$@\"\n",
		command, real, bytes, real)
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func TestGitDiesHalfWay(t *testing.T) {
	r := newRepo(t)
	for i := range 4 {
		r.commit("a.txt", strings.Repeat("line\n", i+1))
	}
	r.write("a.txt", "changed\n")
	r.write("new.txt", "new\n")
	repo := r.open()
	for _, command := range []string{"rev-list", "diff-tree", "cat-file", "diff-index", "diff-files", "ls-files"} {
		// An end at the border of a line or a record must be no different from one within.
		for _, bytes := range []int{0, 40, 41, 82, 100, 140} {
			t.Run(fmt.Sprint(command, " ", bytes), func(t *testing.T) {
				fakeGit(t, command, bytes)
				out, err := Run(context.Background(), inputs(t, repo, HistoryAll), Deps{})
				undetermined(t, err)
				if out.Summary != "" {
					t.Errorf("summary %q", out.Summary)
				}
			})
		}
	}
}

func TestCancelledScanIsNoPass(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	for i := range 4 {
		r.commit("a.txt", strings.Repeat("line\n", i+1))
	}
	in := inputs(t, r.open(), HistoryAll)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Run(ctx, in, Deps{Progress: func(string) { cancel() }}) // as soon as the commits are known
	undetermined(t, err, "stopped after", "context canceled")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not lead to the cause", err)
	}
	_, err = Run(ctx, in, Deps{})
	undetermined(t, err, "stopped before")
}

func TestTooLargeTextIsAGap(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit("a.txt", "one\n")
	r.write("big.txt", strings.Repeat(strings.Repeat("x", 1023)+"\n", MaxFileSize>>10)+"y\n")
	_, err := r.scan(HistoryAll)
	undetermined(t, err, "1 file of the working tree not scanned", "big.txt in the working tree: a text of 32 MiB", "allowlist")
	in := inputs(t, r.open(), HistoryAll)
	in.Triage.Rules.Suppressions = finding.Refuse
	_, err = Run(t.Context(), in, Deps{})
	undetermined(t, err, "Take the file out of the repository")
	if strings.Contains(strings.Join(fault.Lines(err), "\n"), "allowlist") {
		t.Errorf("it tells to do what would not count: %v", fault.Lines(err))
	}
	r.commitAll("big")
	_, err = r.scan(HistoryAll)
	undetermined(t, err, "1 of 2 commits readable", "big.txt in commit", "allowlist")
	if strings.Contains(strings.Join(fault.Lines(err), "\n"), "fsck") {
		t.Errorf("it tells of damage where there is none: %v", fault.Lines(err))
	}
	r.write("big.txt", "\x00"+strings.Repeat("x", MaxFileSize))
	r.git("add", "-A")
	r.git("commit", "-q", "--amend", "-m", "binary")
	out, err := r.scan(HistoryAll)
	passed(t, out, err)
	if left := strings.Join(out.Evidence.Coverage.Left, "\n"); !strings.Contains(left, "1 binary file") {
		t.Errorf("left out %q", left)
	}
}

func TestUnreadableFileOfTheWorkingTree(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		// Permissions bind no superuser; a file in the place of a folder gives another error that everybody gets.
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := readFile(dir, "a/b"); err == nil || errors.Is(err, errGone) {
			t.Errorf("error %v", err)
		}
		return
	}
	r := newRepo(t)
	r.commit("a.txt", "one\n")
	r.write("secret.txt", "x\n")
	if err := os.Chmod(filepath.Join(r.dir, "secret.txt"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := r.scan(HistoryAll)
	undetermined(t, err, "secret.txt in the working tree: permission denied")
}

// It is not parallel, so that it comes before the one test that may extend the built-in rules.
func TestBadRepositoryConfig(t *testing.T) {
	for content, want := range map[string]string{
		"[[rules]]\nid = \"x\"\nregex = '''(a'''\n": "missing closing )",
		"[[rules\n":                         "toml",
		" \n":                               "is empty",
		"title = \"nothing\"\n":             "no rule",
		"[extend]\npath = \"/etc/hosts\"\n": "extend.path",
		"[[rules]]\nid = \"x\"\n":           "regex",
	} {
		t.Run(want, func(t *testing.T) {
			r := newRepo(t)
			r.commit(".gitleaks.toml", content)
			_, err := r.scan(HistoryAll)
			if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ".gitleaks.toml") {
				t.Fatalf("error %v, want undetermined with %q", err, want)
			}
		})
	}
}
