package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	githubfake "github.com/org/idp/internal/testkit/github"
)

// withPull opens a pull request, number 1.
func withPull(p *place) {
	p.repo.Commit("feature", githubfake.Commit{Message: "Change", Author: "ada", Parents: []string{p.repo.Head("main")}})
	p.repo.PullRequest(githubfake.PullRequest{Title: "Change", Author: "ada", Head: "feature"})
}

func bodies(p *place) []string {
	var all []string
	for _, c := range p.repo.Comments(1) {
		all = append(all, c.Author+": "+c.Body)
	}
	return all
}

const marker = "<!-- idp:comment checkout/staging -->\n"

func TestOneCommentIsKept(t *testing.T) {
	t.Parallel()
	p := at(t, "pull-requests: write")
	withPull(p)
	var first Comment
	for run, body := range []string{"one", "two", "two", "three"} {
		p.become(t, "pull-requests: write") // each run has its own token, of the same bot
		got := must[Comment](t)(p.client.PutComment(t.Context(), 1, "checkout/staging", body))
		if run == 0 {
			first = got
		}
		if got != first || !strings.HasPrefix(got.URL, "https://github.com/acme/checkout/pull/1#issuecomment-") {
			t.Errorf("run %d: %+v, the first was %+v", run, got, first)
		}
		if diff := cmp.Diff([]string{"github-actions[bot]: " + marker + body}, bodies(p)); diff != "" {
			t.Error(diff)
		}
	}
	must[Comment](t)(p.client.PutComment(t.Context(), 1, "cart/staging", "of another service"))
	if n := len(bodies(p)); n != 2 {
		t.Errorf("%d comments", n)
	}
	if n := p.count()["PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}"]; n != 2 {
		t.Errorf("%d updates for two changes", n)
	}
}

func TestTheMarkerOfSomebodyElseIsNotOurs(t *testing.T) {
	t.Parallel()
	p := at(t, "pull-requests: write")
	withPull(p)
	p.repo.Comment(1, "mallory", marker+"pasted")
	p.repo.Comment(1, "github-actions", marker+"by a person of nearly that name")
	p.repo.Comment(1, "mallory", "quoted\n"+marker)
	for range 2 {
		must[Comment](t)(p.client.PutComment(t.Context(), 1, "checkout/staging", "ours"))
	}
	if diff := cmp.Diff([]string{"mallory: " + marker + "pasted", "github-actions: " + marker + "by a person of nearly that name", "mallory: quoted\n" + marker,
		"github-actions[bot]: " + marker + "ours"}, bodies(p)); diff != "" {
		t.Error(diff)
	}
}

// A person's own token works as well, and keeps that person's comment.
func TestCommentOfAPersonsToken(t *testing.T) {
	t.Parallel()
	p := at(t, "pull-requests: write")
	withPull(p)
	must[Comment](t)(p.client.PutComment(t.Context(), 1, "checkout/staging", "of the bot"))
	p.token = p.UserToken("Ada", "acme/checkout", scopes("pull-requests: write"))
	for _, body := range []string{"one", "two"} {
		p.client = p.connect(t, nil)
		must[Comment](t)(p.client.PutComment(t.Context(), 1, "checkout/staging", body))
	}
	if got := bodies(p); len(got) != 2 || !strings.HasSuffix(got[1], "two") {
		t.Errorf("%q", got)
	}
}

func TestCommentIsFoundBehindManyOthers(t *testing.T) {
	t.Parallel()
	p := at(t, "pull-requests: write")
	withPull(p)
	for i := range 250 {
		p.repo.Comment(1, "ada", fmt.Sprint("comment ", i))
	}
	for _, body := range []string{"one", "two"} {
		must[Comment](t)(p.client.PutComment(t.Context(), 1, "checkout/staging", body))
	}
	if got := bodies(p); len(got) != 251 || !strings.HasSuffix(got[250], "two") {
		t.Errorf("%d comments", len(got))
	}
	for i := range 800 {
		p.repo.Comment(1, "ada", fmt.Sprint("more ", i))
	}
	if _, err := p.client.PutComment(t.Context(), 1, "cart/staging", "one"); fault.KindOf(err) != fault.Undetermined || !strings.Contains(fmt.Sprint(err), "more than 1000 comments") {
		t.Errorf("error %v", err)
	}
}

func TestCommentOnAnEnterpriseServer(t *testing.T) {
	t.Parallel()
	p := at(t, "pull-requests: write")
	withPull(p)
	c, err := New(Options{API: p.EnterpriseAPI(), Token: p.token, Repository: "acme/checkout", Now: p.clock.now, Sleep: p.clock.sleep})
	if err != nil {
		t.Fatal(err)
	}
	must[Comment](t)(c.PutComment(t.Context(), 1, "checkout/staging", "one"))
	if got := bodies(p); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestCommentCutAnywhere(t *testing.T) {
	t.Parallel()
	for _, before := range [][]string{nil, {"earlier"}} {
		everywhere(t, "pull-requests: write", func(p *place) {
			withPull(p)
			for _, body := range before {
				must[Comment](t)(p.client.PutComment(t.Context(), 1, "checkout/staging", body))
			}
			p.become(t, "pull-requests: write")
		}, func(ctx context.Context, p *place) error {
			_, err := p.client.PutComment(ctx, 1, "checkout/staging", "now")
			return err
		}, func(t *testing.T, p *place) {
			if got := bodies(p); !slices.Equal(got, []string{"github-actions[bot]: " + marker + "now"}) {
				t.Errorf("%q", got)
			}
		})
	}
}

// intruder lets another run write its comment just before this one's first write.
type intruder struct{ write func() }

func (i *intruder) RoundTrip(r *http.Request) (*http.Response, error) {
	if write := i.write; write != nil && strings.HasSuffix(r.URL.Path, "/comments") && r.Method == http.MethodPost {
		i.write = nil
		write()
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestTwoRunsThatWriteAtOnceKeepOneComment(t *testing.T) {
	t.Parallel()
	p := at(t, "pull-requests: write")
	withPull(p)
	other := p.client
	p.client = p.connect(t, &intruder{func() { must[Comment](t)(other.PutComment(t.Context(), 1, "checkout/staging", "other")) }})
	got := must[Comment](t)(p.client.PutComment(t.Context(), 1, "checkout/staging", "ours"))
	all := p.repo.Comments(1)
	if len(all) != 1 || all[0].ID != got.ID || all[0].Body != marker+"ours" {
		t.Errorf("%+v, kept %+v", all, got)
	}
}

// GraphQL says 200 to a question that it does not answer.
func TestWhoseTheTokenIsCannotBeTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers []http.HandlerFunc
		want    string
	}{
		"an error": {[]http.HandlerFunc{say(200, `{"data": null, "errors": [{"message": "Something went wrong\nwhile executing your query."}]}`)},
			"GitHub does not say whose the token is: Something went wrong while executing your query."},
		"nothing": {[]http.HandlerFunc{say(200, `{"data": {"viewer": null}}`)}, "GitHub does not say whose the token is"},
	} {
		client, _ := scripted(t, test.answers...)
		if _, err := client.viewer(t.Context()); fault.KindOf(err) != fault.Undetermined || err.Error() != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// It says 200 to a question too many, too.
func TestGraphQLHasItsRateLimits(t *testing.T) {
	t.Parallel()
	const primary = `{"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded for installation ID 7."}]}`
	const secondary = `{"errors": [{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}]}`
	reset := fmt.Sprint(noon.Add(9 * time.Second).Unix())
	client, clock := scripted(t, say(200, primary, "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", reset), say(200, secondary, "Retry-After", "20"),
		say(200, `{"data": {"viewer": {"login": "github-actions[bot]"}}}`))
	if login, err := client.viewer(t.Context()); err != nil || login != "github-actions[bot]" {
		t.Errorf("%q, %v", login, err)
	}
	if want := []time.Duration{10 * time.Second, 20 * time.Second}; !slices.Equal(clock.pauses, want) {
		t.Errorf("paused %v, want %v", clock.pauses, want)
	}
}

// Runs of two commits that are pushed shortly after each other end in any order: the comment is the later one's.
func TestAnEarlierRunLeavesTheCommentOfALaterOne(t *testing.T) {
	t.Parallel()
	p := at(t, "pull-requests: write")
	withPull(p)
	one, two := strings.Repeat("1", 40), strings.Repeat("2", 40)
	for _, run := range []struct {
		id          int64
		commit, say string
		newer       int64
		want        string
	}{
		{8, two, "new", 0, "new"},
		{7, one, "old", 8, "new"},
		{7, two, "of the same commit", 0, "of the same commit"},
		{10, one, "put back by a push", 0, "put back by a push"},
		{9, two, "late", 10, "put back by a push"},
		{10, one, "again", 0, "again"},
	} {
		p.become(t, "pull-requests: write")
		got := must[Comment](t)(p.client.PutComment(t.Context(), 1, "checkout/staging", OrderMarker(run.id, run.commit)+run.say))
		if has := bodies(p); got.Newer != run.newer || len(has) != 1 || !strings.HasSuffix(has[0], " -->\n"+run.want) {
			t.Errorf("%+v: %+v, %q", run, got, has)
		}
	}
}

func TestCommentsWithoutPermission(t *testing.T) {
	t.Parallel()
	for _, has := range []string{"checks: write", "pull-requests: read"} {
		refused(t, Comments, has, withPull, func(ctx context.Context, p *place) error {
			_, err := p.client.PutComment(ctx, 1, "checkout/staging", "one")
			return err
		})
	}
}

func TestCommentsThatCannotBe(t *testing.T) {
	t.Parallel()
	p := at(t, "pull-requests: write")
	withPull(p)
	fits := CommentLimit - len(marker)
	must[Comment](t)(p.client.PutComment(t.Context(), 1, "checkout/staging", strings.Repeat("ü", fits)))
	for name, err := range map[string]error{
		"long":   second(p.client.PutComment(t.Context(), 1, "checkout/staging", strings.Repeat("a", fits+1))),
		"key":    second(p.client.PutComment(t.Context(), 1, "checkout --> <b>", "x")),
		"lines":  second(p.client.PutComment(t.Context(), 1, "checkout\nstaging", "x")),
		"number": second(p.client.PutComment(t.Context(), 0, "checkout/staging", "x")),
	} {
		if fault.KindOf(err) != fault.BadInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second(_ Comment, err error) error { return err }
