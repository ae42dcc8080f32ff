package github

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/fault"
	githubfake "github.com/org/idp/internal/testkit/github"
)

const readsHistory = "contents: read, pull-requests: read"

// branch opens a pull request with so many commits of an author, and merges it; it gives the SHA of the merge.
func (p *place) merged(author string, commits int) string {
	p.tick()
	name := fmt.Sprintf("%s-%s", author, p.clock.now().Format("150405"))
	p.repo.Branch(name, p.repo.Head("main"))
	for i := range commits {
		p.repo.Commit(name, githubfake.Commit{Message: fmt.Sprintf("%s %d\n\nMore.", name, i), Author: author, Files: map[string]string{author + ".go": name + fmt.Sprint(i)}})
		p.tick()
	}
	return p.repo.Merge(p.repo.PullRequest(githubfake.PullRequest{Title: name, Author: author, Head: name}))
}

func TestChangesAndTheirPullRequests(t *testing.T) {
	t.Parallel()
	p := at(t, readsHistory)
	p.merged("old", 1) // 1, before what is live
	live := p.repo.Head("main")
	since := p.clock.now()
	p.merged("ada", 2) // 2
	p.tick()
	direct := p.repo.Commit("main", githubfake.Commit{Message: "Straight to main", AuthorName: "Grace <b>"})
	p.merged("lin", 1) // 3

	before := len(p.Calls())
	h := must[Changes](t)(p.client.Changes(t.Context(), live, p.repo.Head("main")))
	var got []string
	for _, c := range h.Commits {
		got = append(got, fmt.Sprintf("%s #%d", c.Author, c.Pull))
	}
	if want := []string{"lin #3", "lin #3", "Grace <b> #0", "ada #2", "ada #2", "ada #2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if h.Ahead != 6 || h.Behind != 0 || h.Undone != nil || h.NoPulls != nil || h.Commits[2].SHA != direct || !h.Since.After(since) || strings.Contains(h.Commits[1].Title, "More") {
		t.Errorf("%+v", h)
	}
	if n := len(p.Calls()) - before; n != 3 { // compare, one list, one commit without a pull request
		t.Errorf("%d requests", n)
	}
	if h := must[Changes](t)(p.client.Changes(t.Context(), live, live)); h.Ahead != 0 || h.Commits != nil {
		t.Errorf("%+v", h)
	}
}

func TestWhatIsLiveAndWouldBeUndone(t *testing.T) {
	t.Parallel()
	p := at(t, readsHistory)
	start := p.repo.Head("main")
	p.merged("ada", 1)
	p.merged("lin", 1)
	live := p.repo.Head("main")
	p.repo.Branch("feature", start)
	p.tick()
	feature := p.repo.Commit("feature", githubfake.Commit{Message: "New", Author: "eve"})
	h := must[Changes](t)(p.client.Changes(t.Context(), live, feature))
	if h.Ahead != 1 || h.Behind != 4 || len(h.Commits) != 1 || len(h.Undone) != 4 || h.Undone[0].Pull != 2 || h.Undone[3].Pull != 1 || h.Undone[3].Author != "ada" {
		t.Errorf("%+v", h)
	}
	// Going back: nothing new, and all of it undone.
	h = must[Changes](t)(p.client.Changes(t.Context(), live, start))
	if h.Ahead != 0 || h.Behind != 4 || len(h.Undone) != 4 || !h.Since.IsZero() {
		t.Errorf("%+v", h)
	}
}

func TestRequestsForManyCommits(t *testing.T) {
	t.Parallel()
	for commits, most := range map[int]int{1: 3, 100: 7, 1000: 12} {
		p := at(t, readsHistory)
		live := p.repo.Head("main")
		for range 310 { // closed pull requests of long ago
			p.repo.Merge(p.repo.PullRequest(githubfake.PullRequest{Title: "old", Author: "old", Head: "main", Base: p.aside(live)}))
		}
		p.clock.pass(1e9 * 3600)
		for i := range commits {
			p.tick()
			p.repo.Commit("main", githubfake.Commit{Message: fmt.Sprint("commit ", i), Author: "ada"})
		}
		before := len(p.Calls())
		h := must[Changes](t)(p.client.Changes(t.Context(), live, p.repo.Head("main")))
		if n := len(p.Calls()) - before; n > most {
			t.Errorf("%d requests for %d commits, want at most %d", n, commits, most)
		}
		if h.Ahead != commits || len(h.Commits) < min(commits, 200) || h.Commits[0].Title != fmt.Sprint("commit ", commits-1) || h.Since.Sub(noon).Hours() > 1.1 {
			t.Errorf("%d commits: ahead %d, %d listed, the first %q, since %s", commits, h.Ahead, len(h.Commits), h.Commits[0].Title, h.Since)
		}
	}
}

// aside is a branch that is not looked at.
func (p *place) aside(sha string) string {
	p.repo.Branch("aside", sha)
	return "aside"
}

func TestReverts(t *testing.T) {
	t.Parallel()
	c := &Client{owner: "acme", name: "checkout"}
	for message, want := range map[string]string{
		"Revert \"x\"\n\nThis reverts commit 0123456789abcdef0123456789abcdef01234567.": "0123456789abcdef0123456789abcdef01234567",
		"Revert \"x (#412)\" (#415)\n\nReverts acme/checkout#412":                       "#412",
		"Revert \"x\" (#415)\n\nReverts Acme/Checkout#412":                              "#412",
		"Revert\n\nReverts #7":      "#7",
		"x\n\nReverts acme/other#7": "",
		"Reapply \"x\"\n\nThis reverts commit aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, and\nThis reverts commit bbbbbbb.": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbb",
		"Revert the colours":            "",
		"See what Reverts #7 is about":  "",
		"This reverts commit <b>hello":  "",
		"Reverts #99999999999999999999": "",
	} {
		if got := strings.Join(c.reverts(message), " "); got != want {
			t.Errorf("%q reverts %q, want %q", message, got, want)
		}
	}
}

func TestHistoryThatCannotBeHad(t *testing.T) {
	t.Parallel()
	p := at(t, readsHistory)
	_, err := p.client.Changes(t.Context(), strings.Repeat("0", 40), p.repo.Head("main"))
	var denied *Denied
	if errors.As(err, &denied) || fault.KindOf(err) != fault.Undetermined || !strings.Contains(fmt.Sprint(err), "is not in the repository any more") {
		t.Errorf("a commit that is gone: %v", err)
	}
	refused(t, History, "pull-requests: read", func(*place) {}, func(ctx context.Context, p *place) error {
		_, err := p.client.Changes(ctx, p.repo.Head("main"), p.repo.Head("main"))
		return err
	})
	p = at(t, "contents: read")
	live := p.repo.Head("main")
	p.merged("ada", 1)
	h := must[Changes](t)(p.client.Changes(t.Context(), live, p.repo.Head("main")))
	if !errors.As(h.NoPulls, &denied) || denied.Feature != PullRequests || len(h.Commits) != 2 || h.Commits[0].Pull != 0 {
		t.Errorf("%+v", h)
	}
}

func TestHistoryCutAnywhere(t *testing.T) {
	t.Parallel()
	var live string
	var got Changes
	everywhere(t, readsHistory, func(p *place) {
		live = p.repo.Head("main")
		p.merged("ada", 1)
		p.repo.Commit("main", githubfake.Commit{Message: "Straight to main", Author: "lin"})
	}, func(ctx context.Context, p *place) (err error) {
		got, err = p.client.Changes(ctx, live, p.repo.Head("main"))
		return err
	}, func(t *testing.T, _ *place) {
		if len(got.Commits) != 3 || got.NoPulls != nil || got.Commits[1].Pull != 1 {
			t.Errorf("%+v", got)
		}
	})
}
