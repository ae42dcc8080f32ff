package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	gh "github.com/google/go-github/v60/github"

	"github.com/org/idp/internal/fault"
)

const (
	// CommentLimit is the most characters of a comment's body, with the line that marks it; a longer one is refused here.
	CommentLimit = 65536
	// commentPages of 100 comments each are searched.
	commentPages = 10
)

// CommentMarker is the first line of the comment that belongs to a key, such as SERVICE/ENVIRONMENT. It is not shown.
func CommentMarker(key string) string { return "<!-- idp:comment " + key + " -->" }

// OrderMarker begins the body of a comment that a run writes about a commit. GitHub numbers runs in the order in which they are
// started. It is not shown.
func OrderMarker(run int64, commit string) string {
	return fmt.Sprintf("<!-- idp:run %d %s -->\n", run, commit)
}

var orderMarker = regexp.MustCompile(`^<!-- idp:comment [^\n]* -->\r?\n<!-- idp:run ([0-9]{1,18}) ([0-9a-f]{40}) -->\r?\n`)

// newer is the run that wrote a comment about another commit than body is about, if it was started later; else 0.
func newer(has, body string) int64 {
	theirs, ours := orderMarker.FindStringSubmatch(has), orderMarker.FindStringSubmatch(body)
	if theirs == nil || ours == nil || theirs[2] == ours[2] {
		return 0
	}
	a, _ := strconv.ParseInt(theirs[1], 10, 64) // 18 digits fit
	b, _ := strconv.ParseInt(ours[1], 10, 64)
	if a > b {
		return a
	}
	return 0
}

// Comment is the sticky comment as it is on GitHub.
type Comment struct {
	ID    int64
	URL   string
	Newer int64 // the run whose comment it is, which was started later and is about another commit; 0 where it was kept up to date
}

// PutComment keeps one comment for a key in a pull request: it is found by its first line and its author, who is the owner of
// the token, so that a person who pastes the marker gets nothing; updated in place; and created where there is none. Two
// runs that create it at once end with one. Where both bodies have an OrderMarker, that of a run of a later commit is left.
// 3 requests are usual, 4 the first time, and 9 more in a discussion of 1,000 comments.
func (c *Client) PutComment(ctx context.Context, number int, key, body string) (Comment, error) {
	body = CommentMarker(key) + "\n" + body
	if strings.ContainsAny(key, "\n<>") || strings.Contains(key, "--") || number < 1 {
		return Comment{}, fault.BadInputf("no comment can be kept for %q", key)
	}
	if n := utf8.RuneCountInString(body); n > CommentLimit {
		return Comment{}, fault.BadInputf("a comment of %d characters is longer than the %d that GitHub takes", n, CommentLimit)
	}
	has, err := c.comments(ctx, number, key)
	if err == nil && len(has) == 0 {
		has, err = c.createComment(ctx, number, key, body)
	}
	if err != nil {
		return Comment{}, c.judge(ctx, Comments, err)
	}
	kept := commentOf(has[0])
	if kept.Newer = newer(has[0].GetBody(), body); kept.Newer == 0 && has[0].GetBody() != body {
		err = c.write(ctx, Comments, func() error {
			_, _, err := c.api.Issues.EditComment(ctx, c.owner, c.name, has[0].GetID(), &gh.IssueComment{Body: &body})
			return err
		}, never)
	}
	for _, double := range has[1:] {
		err = errors.Join(err, c.write(ctx, Comments, func() error {
			_, err := c.api.Issues.DeleteComment(ctx, c.owner, c.name, double.GetID())
			if status(err) == http.StatusNotFound { // whoever made it did so already
				return nil
			}
			return err
		}, never))
	}
	return kept, err
}

// createComment looks again after it wrote: another run may have written at the same time, and then both keep the first.
func (c *Client) createComment(ctx context.Context, number int, key, body string) ([]*gh.IssueComment, error) {
	var made *gh.IssueComment
	err := c.write(ctx, Comments, func() (err error) {
		made, _, err = c.api.Issues.CreateComment(ctx, c.owner, c.name, number, &gh.IssueComment{Body: &body})
		return err
	}, func() (bool, error) {
		has, err := c.comments(ctx, number, key)
		if len(has) > 0 {
			made = has[0]
		}
		return len(has) > 0, err
	})
	if err == nil && made.GetID() == 0 {
		err = fault.Undeterminedf("GitHub's answer names no comment")
	}
	if err != nil {
		return nil, err
	}
	has, err := c.comments(ctx, number, key)
	if err == nil && len(has) == 0 { // it is not to be seen at once
		has = []*gh.IssueComment{made}
	}
	return has, err
}

func commentOf(c *gh.IssueComment) Comment { return Comment{ID: c.GetID(), URL: c.GetHTMLURL()} }

// comments finds the token's own comments for a key, the oldest first. There is more than one after two runs wrote at once.
func (c *Client) comments(ctx context.Context, number int, key string) (own []*gh.IssueComment, err error) {
	me, err := c.viewer(ctx)
	if err != nil {
		return nil, err
	}
	o := &gh.IssueListCommentsOptions{ListOptions: gh.ListOptions{PerPage: 100}}
	for range commentPages {
		list, res, err := c.api.Issues.ListComments(ctx, c.owner, c.name, number, o)
		if err != nil {
			return nil, err
		}
		for _, has := range list {
			first, _, _ := strings.Cut(has.GetBody(), "\n")
			if strings.TrimSuffix(first, "\r") == CommentMarker(key) && strings.EqualFold(has.GetUser().GetLogin(), me) {
				own = append(own, has)
			}
		}
		if res.NextPage == 0 {
			return own, nil
		}
		o.Page = res.NextPage
	}
	if len(own) > 0 {
		return own, nil
	}
	return nil, fault.Undeterminedf("pull request %d has more than %d comments; whether one is ours is not known", number, commentPages*100)
}

// viewer is the token's own login, with [bot] at the end of an app's. REST answers GET /user only to people, GraphQL to apps too, GITHUB_TOKEN included.
func (c *Client) viewer(ctx context.Context) (string, error) {
	c.asking.Lock()
	defer c.asking.Unlock()
	if c.login != "" {
		return c.login, nil
	}
	path := "graphql"
	if strings.HasSuffix(c.api.BaseURL.Path, "/v3/") {
		path = "../graphql" // https://HOST/api/graphql of an Enterprise Server
	}
	var answer struct {
		Data   struct{ Viewer gh.User }
		Errors []struct{ Message string }
	}
	ask := func() error {
		req, err := c.api.NewRequest("POST", path, map[string]string{"query": "{viewer{login}}"})
		if err != nil {
			return err
		}
		_, err = c.api.Do(ctx, req, &answer)
		return err
	}
	if err := c.write(ctx, Comments, ask, never); err != nil {
		return "", err
	}
	if c.login = answer.Data.Viewer.GetLogin(); c.login != "" {
		return c.login, nil
	}
	why := ""
	for _, e := range answer.Errors[:min(1, len(answer.Errors))] {
		why = ": " + c.transport.clean(e.Message)
	}
	return "", fault.Undeterminedf("GitHub does not say whose the token is%s", why)
}
