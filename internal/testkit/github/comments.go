package githubfake

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxBody is how long a comment may be. https://github.com/orgs/community/discussions/41331
const maxBody = 65536

// Comment is one of the conversation of a pull request.
type Comment struct {
	ID               int64
	Number           int // of the pull request
	Body, Author     string
	ByActions        bool
	Created, Updated time.Time
	Reactions        []Reaction
}

// Reaction is one to a comment.
type Reaction struct {
	ID              int64
	Content, Author string
	Created         time.Time
}

// Comments are those of a pull request, oldest first.
func (r *Repository) Comments(number int) []Comment {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var all []Comment
	for _, m := range r.comments {
		if m.Number == number {
			one := *m
			one.Reactions = slices.Clone(m.Reactions)
			all = append(all, one)
		}
	}
	return all
}

// Comment is what a person writes under a pull request.
func (r *Repository) Comment(number int, author, body string) int64 {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.comment(number, author, body, false).ID
}

// EditComment is what its author does to a comment, or anyone who may write.
func (r *Repository) EditComment(id int64, body string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	m := r.commentByID(id)
	m.Body, m.Updated = body, r.s.time()
}

func (r *Repository) comment(number int, author, body string, byActions bool) *Comment {
	m := &Comment{ID: r.s.nextID(), Number: number, Body: body, Author: r.s.user(author).login, ByActions: byActions, Created: r.s.time(), Updated: r.s.time()}
	r.comments = append(r.comments, m)
	return m
}

func (r *Repository) commentByID(id int64) *Comment {
	for _, m := range r.comments {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// Every number is a pull request's here, for which either permission does.
const (
	readComments  = "pull-requests: read or issues: read"
	writeComments = "pull-requests: write or issues: write"
)

var commentRoutes = []route{
	{name: "GET /:repo/issues/{issue_number}/comments", needs: readComments, do: listComments},
	{name: "POST /:repo/issues/{issue_number}/comments", needs: writeComments, do: createComment},
	{name: "GET /:repo/issues/comments/{comment_id}", needs: readComments, do: onComment(getComment)},
	{name: "PATCH /:repo/issues/comments/{comment_id}", needs: writeComments, do: onComment(updateComment)},
	{name: "DELETE /:repo/issues/comments/{comment_id}", needs: writeComments, do: onComment(deleteComment)},
	{name: "GET /:repo/issues/comments/{comment_id}/reactions", needs: readComments, do: onComment(listReactions)},
	{name: "POST /:repo/issues/comments/{comment_id}/reactions", needs: writeComments, do: onComment(createReaction)},
	{name: "DELETE /:repo/issues/comments/{comment_id}/reactions/{reaction_id}", needs: writeComments, do: onComment(deleteReaction)},
}

// onComment finds the comment of the path.
func onComment(do func(*call, *Comment) answer) func(*call) answer {
	return func(c *call) answer {
		if m := c.repo.commentByID(c.id("comment_id")); m != nil {
			return do(c, m)
		}
		return notFound()
	}
}

func listComments(c *call) answer {
	if c.repo.pull(int(c.id("issue_number"))) == nil {
		return notFound()
	}
	since, _ := time.Parse(time.RFC3339, c.query.Get("since"))
	out := []object{}
	for _, m := range c.repo.comments {
		if m.Number == int(c.id("issue_number")) && !m.Updated.Before(since) {
			out = append(out, c.commentJSON(m))
		}
	}
	return page(out)
}

// body is what a comment is to say, or why it may not.
func (c *call) commentBody() (string, *answer) {
	in := struct{ Body string }{}
	c.read(&in)
	if strings.TrimSpace(in.Body) == "" {
		a := unfit("IssueComment", "body", "missing_field", "")
		return "", &a
	}
	return in.Body, tooLong("IssueComment", "body", in.Body, maxBody)
}

func createComment(c *call) answer {
	p := c.repo.pull(int(c.id("issue_number")))
	if p == nil {
		return notFound()
	}
	body, refused := c.commentBody()
	if refused != nil {
		return *refused
	}
	if p.Locked {
		return fail(403, "Unable to create comment because issue is locked.")
	}
	return created(c.commentJSON(c.repo.comment(p.Number, c.token.user.login, body, c.token.app)))
}

func getComment(c *call, m *Comment) answer { return ok(c.commentJSON(m)) }

func updateComment(c *call, m *Comment) answer {
	body, refused := c.commentBody()
	if refused != nil {
		return *refused
	}
	m.Body, m.Updated = body, c.time()
	return ok(c.commentJSON(m))
}

func deleteComment(c *call, m *Comment) answer {
	c.repo.comments = slices.DeleteFunc(c.repo.comments, func(o *Comment) bool { return o == m })
	return nothing()
}

func listReactions(c *call, m *Comment) answer {
	out := []object{}
	for _, r := range m.Reactions {
		if want := c.query.Get("content"); want == "" || want == r.Content {
			out = append(out, c.reactionJSON(r))
		}
	}
	return page(out)
}

// createReaction answers 200 to who has reacted so already.
func createReaction(c *call, m *Comment) answer {
	in := struct{ Content string }{}
	c.read(&in)
	for _, r := range m.Reactions {
		if r.Content == in.Content && r.Author == c.token.user.login {
			return ok(c.reactionJSON(r))
		}
	}
	r := Reaction{ID: c.nextID(), Content: in.Content, Author: c.token.user.login, Created: c.time()}
	m.Reactions = append(m.Reactions, r)
	return created(c.reactionJSON(r))
}

func deleteReaction(c *call, m *Comment) answer {
	before := len(m.Reactions)
	m.Reactions = slices.DeleteFunc(m.Reactions, func(r Reaction) bool { return r.ID == c.id("reaction_id") })
	if len(m.Reactions) == before {
		return notFound()
	}
	return nothing()
}

func (c *call) reactionJSON(r Reaction) object {
	return object{"id": r.ID, "node_id": fmt.Sprint("REA_", r.ID), "user": c.userJSON(r.Author), "content": r.Content, "created_at": stamp(r.Created)}
}

func (c *call) commentJSON(m *Comment) object {
	counts := object{"url": c.repo.api("/issues/comments/%d/reactions", m.ID), "total_count": len(m.Reactions)}
	for _, r := range m.Reactions {
		n, _ := counts[r.Content].(int)
		counts[r.Content] = n + 1
	}
	return object{"id": m.ID, "node_id": fmt.Sprint("IC_", m.ID), "url": c.repo.api("/issues/comments/%d", m.ID),
		"html_url": fmt.Sprintf("%s/pull/%d#issuecomment-%d", c.repo.html(), m.Number, m.ID), "issue_url": c.repo.api("/issues/%d", m.Number),
		"body": m.Body, "user": c.userJSON(m.Author), "author_association": c.repo.association(m.Author), "created_at": stamp(m.Created),
		"updated_at": stamp(m.Updated), "performed_via_github_app": app(m.ByActions), "reactions": counts}
}
