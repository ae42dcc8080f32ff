package gitrepo_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/gitrepo"
)

func TestBetween(t *testing.T) {
	t.Parallel()
	dir, repo := repository(t, map[string]string{"svc/idp.yaml": "name: a\n", "other.txt": "1\n"})
	base := repo.Commit
	var made []string
	for _, f := range []string{"svc/a.txt", "other.txt", "svc/idp.yaml"} {
		write(t, dir, f, "changed\n")
		git(t, dir, "add", ".")
		git(t, dir, "commit", "-q", "-m", f)
		made = append(made, strings.TrimSpace(read(t, dir, "rev-parse", "HEAD")))
	}
	open := func(folder string) *gitrepo.Repo {
		r, err := gitrepo.Open(t.Context(), folder)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range []struct {
		folder string
		limit  int
		want   []string // the newest first
		more   int
	}{
		{dir, 10, []string{made[2], made[1], made[0]}, 0},
		{dir, 1, []string{made[2]}, 2},
		{dir + "/svc", 10, []string{made[2], made[0]}, 0},
	} {
		list, more, known, err := open(c.folder).Between(t.Context(), base, c.limit)
		var got []string
		for _, d := range list {
			got = append(got, d.ID)
			if since := time.Since(d.Time); since < 0 || since > time.Hour {
				t.Errorf("dated %s", d.Time)
			}
		}
		if err != nil || !known || more != c.more || strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s: %v, %d more, known %v, %v; want %v", c.folder, got, more, known, err, c.want)
		}
	}
	for _, unknown := range []string{"", strings.Repeat("0", 40), "--output=x"} {
		if _, _, known, err := open(dir).Between(t.Context(), unknown, 10); known || err != nil {
			t.Errorf("%q: known %v, %v", unknown, known, err)
		}
	}
	if list, _, known, err := open(dir).Between(t.Context(), made[2], 10); err != nil || !known || len(list) != 0 {
		t.Errorf("nothing lies between: %v %v %v", list, known, err)
	}
}

// TestAdded takes the first of several commits that brought a file.
func TestAdded(t *testing.T) {
	t.Parallel()
	dir, _ := repository(t, map[string]string{"a.txt": "a\n"})
	for n, date := range []string{"2026-01-02T03:04:05Z", "2026-02-02T03:04:05Z"} {
		write(t, dir, "idp.yaml", "name: "+date+"\n")
		git(t, dir, "add", ".")
		git(t, dir, "-c", "user.name=a", "commit", "-q", "-m", "bring", "--date", date)
		if n == 0 {
			git(t, dir, "rm", "-q", "idp.yaml")
			git(t, dir, "commit", "-q", "-m", "remove")
		}
	}
	first := strings.TrimSpace(read(t, dir, "log", "--reverse", "--format=%cI", "--diff-filter=A", "--", "idp.yaml"))
	want, err := time.Parse(time.RFC3339, strings.Fields(first)[0])
	if err != nil {
		t.Fatal(err)
	}
	repo, err := gitrepo.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := repo.Added(t.Context(), "idp.yaml"); err != nil || !got.Equal(want) {
		t.Errorf("%s %v, want %s", got, err, want)
	}
	if got, err := repo.Added(t.Context(), "never.yaml"); err != nil || !got.IsZero() {
		t.Errorf("a file that is not there: %s %v", got, err)
	}
}

// A clone of depth 1, as actions/checkout makes it, has none of the parents.
func TestParentsOfAShallowClone(t *testing.T) {
	t.Parallel()
	dir, first := repository(t, map[string]string{"a": "1"})
	if list, err := first.Parents(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("of the first commit: %q, %v", list, err)
	}
	git(t, dir, "checkout", "-qb", "feature")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "two\n\nparent of nothing")
	feature, err := gitrepo.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	git(t, dir, "checkout", "-q", "-")
	git(t, dir, "merge", "-q", "--no-ff", "-m", "merge", "feature")
	shallow := filepath.Join(t.TempDir(), "shallow")
	git(t, dir, "clone", "-q", "--depth", "1", "file://"+dir, shallow)
	merge, err := gitrepo.Open(t.Context(), shallow)
	if err != nil || !merge.Shallow {
		t.Fatalf("%+v, %v", merge, err)
	}
	if list, err := merge.Parents(t.Context()); err != nil || !slices.Equal(list, []string{first.Commit, feature.Commit}) {
		t.Errorf("of a merge: %q, %v", list, err)
	}
}
