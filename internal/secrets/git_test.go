package secrets

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/triage"
)

// token gives a GitHub token that no one has, in pieces, so that none is in this file.
func token(seed string) string {
	const letters = "x7Kq2mZ9vB4nL8wR3tY6pD1sF5gH0jCaEuQi"
	shift := 0
	for _, r := range seed {
		shift += int(r)
	}
	shift %= len(letters)
	return "gh" + "p_" + letters[shift:] + letters[:shift]
}

// testRepo is a real repository.
type testRepo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T) *testRepo {
	t.Helper()
	r := &testRepo{t: t, dir: filepath.Join(t.TempDir(), "shop")}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("init", "-q", "-b", "main")
	r.git("config", "user.name", "Ada")
	r.git("config", "user.email", "ada@example.com")
	r.git("config", "commit.gpgsign", "false")
	return r
}

func (r *testRepo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *testRepo) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// tryGit runs git and gives what it wrote, whatever its exit code.
func (r *testRepo) tryGit(args ...string) string {
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// commit writes name and commits everything.
func (r *testRepo) commit(name, content string) string {
	r.t.Helper()
	r.write(name, content)
	return r.commitAll("change " + filepath.Base(name))
}

func (r *testRepo) commitAll(message string) string {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", message)
	return r.git("rev-parse", "HEAD")
}

// branch leaves the default branch, which a remote knows as origin/main.
func (r *testRepo) branch() {
	r.t.Helper()
	r.git("update-ref", "refs/remotes/origin/main", "HEAD")
	r.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
	r.git("checkout", "-q", "-b", "feature")
}

func (r *testRepo) open() *gitrepo.Repo {
	r.t.Helper()
	repo, err := gitrepo.Open(context.Background(), r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	return repo
}

// scan runs the stage, and holds every output of it against the values that must not be in any.
func (r *testRepo) scan(history string, values ...string) (Outputs, error) {
	r.t.Helper()
	out, err := Run(context.Background(), inputs(r.t, r.open(), history), Deps{})
	noValues(r.t, out, err, values)
	return out, err
}

func inputs(t *testing.T, repo *gitrepo.Repo, history string) Inputs {
	t.Helper()
	low, err := finding.ParseThreshold("low")
	if err != nil {
		t.Fatal(err)
	}
	return Inputs{History: history, Repo: repo, Triage: triage.Desk{Rules: finding.Rules{FailOn: low}}}
}

func noValues(t *testing.T, out Outputs, err error, values []string) {
	t.Helper()
	text, jsonErr := json.Marshal(out)
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	all := string(text)
	if err != nil {
		all += err.Error() + strings.Join(fault.Lines(err), "\n")
		for cause := err; cause != nil; {
			all += cause.Error()
			u, ok := cause.(interface{ Unwrap() error })
			if !ok {
				break
			}
			cause = u.Unwrap()
		}
	}
	for _, v := range values {
		if strings.Contains(all, v) {
			t.Errorf("the value %q is in the output:\n%s", v, all)
		}
	}
}

// passed demands a scan that saw everything and found nothing.
func passed(t *testing.T, out Outputs, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("error %s", strings.Join(fault.Lines(err), "\n"))
	}
	if len(out.Findings) != 0 {
		t.Fatalf("findings %+v", out.Findings)
	}
	if c := out.Evidence.Coverage; c.Expected == 0 || c.Expected != c.Scanned {
		t.Fatalf("coverage %+v", c)
	}
}

// found demands exactly these findings, as RULE FILE:LINE, and that the gate said no.
func found(t *testing.T, out Outputs, err error, want ...string) {
	t.Helper()
	if fault.KindOf(err) != fault.Failed || err == nil {
		t.Fatalf("error %v, want the gate's no", err)
	}
	places(t, out, want...)
}

func places(t *testing.T, out Outputs, want ...string) {
	t.Helper()
	var got []string
	for _, f := range out.Findings {
		got = append(got, f.Rule+" "+f.Place())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// undetermined demands that no answer was given, and these words.
func undetermined(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Fatalf("error %v, want undetermined", err)
	}
	text := strings.Join(fault.Lines(err), "\n")
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in:\n%s", w, text)
		}
	}
}
