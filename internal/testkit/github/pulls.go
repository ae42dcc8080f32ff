package githubfake

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// PullRequest is what a test says of one.
type PullRequest struct {
	Title, Body, Author string
	Head                string // branch
	HeadRepo            string // OWNER/NAME of a fork; empty for the same repository
	Base                string // branch; the default one where empty
	Draft, Locked       bool
	Labels              []string
}

type pull struct {
	PullRequest
	Number   int
	id       int64
	repo     *Repository
	head     string // SHA, where the branch is gone or in a fork
	base     string // SHA that it was merged onto
	State    string // open or closed
	mergedAs string // SHA of the merge
	Created  time.Time
	Updated  time.Time
	Merged   time.Time
	reviews  []Review
}

// Review is one of a pull request.
type Review struct {
	ID            int64
	Author, State string // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED
	SHA, Body     string
	Submitted     time.Time
}

// PullRequest opens one, and gives its number.
func (r *Repository) PullRequest(p PullRequest) int {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if p.Base == "" {
		p.Base = r.DefaultBranch
	}
	n := &pull{PullRequest: p, Number: len(r.pulls) + 1, id: r.s.nextID(), repo: r, State: "open", Created: r.s.time(), Updated: r.s.time()}
	if n.headSHA() == "" || r.branches[p.Base] == "" {
		r.s.t.Fatalf("pull request of %q into %q: there is no such branch", p.Head, p.Base)
	}
	r.pulls = append(r.pulls, n)
	return n.Number
}

// Merge merges a pull request by a merge commit, whose SHA it gives.
func (r *Repository) Merge(number int) string {
	p := r.pull(number)
	base, head := r.Head(p.Base), p.headSHA()
	sha := r.Commit(p.Base, Commit{Message: fmt.Sprintf("Merge pull request #%d\n\n%s", number, p.Title), Author: p.Author,
		Parents: []string{base, head}, Files: r.changed(r.mergeBase(base, head), head)})
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	p.base, p.head, p.State, p.mergedAs, p.Merged, p.Updated = base, head, "closed", sha, r.s.time(), r.s.time()
	return sha
}

// Review adds a review of the pull request's head.
func (r *Repository) Review(number int, author, state, body string) int64 {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	p := r.pull(number)
	p.reviews = append(p.reviews, Review{ID: r.s.nextID(), Author: r.s.user(author).login, State: state, SHA: p.headSHA(), Body: body, Submitted: r.s.time()})
	return p.reviews[len(p.reviews)-1].ID
}

// pull is the pull request with a number; nil where there is none.
func (r *Repository) pull(number int) *pull {
	if number < 1 || number > len(r.pulls) {
		return nil
	}
	return r.pulls[number-1]
}

func (p *pull) from() *Repository {
	if fork := p.repo.s.repos[strings.ToLower(p.HeadRepo)]; fork != nil {
		return fork
	}
	return p.repo
}

func (p *pull) headSHA() string {
	if p.head != "" {
		return p.head
	}
	return p.from().branches[p.Head]
}

// baseSHA is the head of the base branch; of a merged pull request, as it was before.
func (p *pull) baseSHA() string {
	if p.base != "" {
		return p.base
	}
	return p.repo.branches[p.Base]
}

var pullRoutes = []route{
	{name: "GET /:repo/pulls", needs: "pull-requests: read", do: listPulls},
	{name: "GET /:repo/pulls/{pull_number}", needs: "pull-requests: read", do: onPull(getPull)},
	{name: "GET /:repo/pulls/{pull_number}/files", needs: "pull-requests: read", do: onPull(listPullFiles)},
	{name: "GET /:repo/pulls/{pull_number}/commits", needs: "pull-requests: read", do: onPull(listPullCommits)},
	{name: "GET /:repo/pulls/{pull_number}/reviews", needs: "pull-requests: read", do: onPull(listReviews)},
	{name: "GET /:repo/commits/{commit_sha}/pulls", needs: "pull-requests: read", do: listPullsOfCommit},
}

func onPull(do func(*call, *pull) answer) func(*call) answer {
	return func(c *call) answer {
		if p := c.repo.pull(int(c.id("pull_number"))); p != nil {
			return do(c, p)
		}
		return notFound()
	}
}

func listPulls(c *call) answer {
	state, out := c.query.Get("state"), []object{}
	if state == "" {
		state = "open"
	}
	for _, p := range slices.Backward(c.repo.pulls) {
		head := p.from().owner() + ":" + p.Head
		if (state == "all" || state == p.State) && (c.query.Get("base") == "" || c.query.Get("base") == p.Base) &&
			(c.query.Get("head") == "" || strings.EqualFold(c.query.Get("head"), head)) {
			out = append(out, c.pullJSON(p))
		}
	}
	if c.query.Get("direction") == "asc" {
		slices.Reverse(out)
	}
	return page(out)
}

func getPull(c *call, p *pull) answer {
	out := c.pullJSON(p)
	base := c.repo.mergeBase(c.repo.branches[p.Base], p.headSHA())
	out["merged"], out["mergeable"], out["mergeable_state"] = !p.Merged.IsZero(), true, "clean"
	out["commits"] = len(c.pullCommits(p))
	out["changed_files"] = len(c.repo.diff(p.from(), base, p.headSHA()))
	return ok(out)
}

// maxPullFiles is how many files GitHub lists of a pull request, however many there are.
const maxPullFiles = 3000

func listPullFiles(c *call, p *pull) answer {
	base := c.repo.mergeBase(c.repo.branches[p.Base], p.headSHA())
	if !p.Merged.IsZero() {
		base = c.repo.mergeBase(c.repo.commits[p.mergedAs].Parents[0], p.headSHA())
	}
	files := c.repo.diff(p.from(), base, p.headSHA())
	return page(files[:min(len(files), maxPullFiles)])
}

// pullCommits are oldest first, 250 at most.
func (c *call) pullCommits(p *pull) []*commit {
	base := c.repo.branches[p.Base]
	if !p.Merged.IsZero() {
		base = c.repo.commits[p.mergedAs].Parents[0]
	}
	list := p.from().between(base, p.headSHA())
	slices.Reverse(list)
	return list[:min(len(list), 250)]
}

func listPullCommits(c *call, p *pull) answer {
	out := []object{}
	for _, k := range c.pullCommits(p) {
		out = append(out, c.commitJSON(k))
	}
	return page(out)
}

func listReviews(c *call, p *pull) answer {
	out := []object{}
	for _, v := range p.reviews {
		out = append(out, object{"id": v.ID, "node_id": fmt.Sprint("PRR_", v.ID), "user": c.userJSON(v.Author), "body": v.Body, "state": v.State,
			"html_url": fmt.Sprintf("%s/pull/%d#pullrequestreview-%d", c.repo.html(), p.Number, v.ID), "pull_request_url": c.repo.api("/pulls/%d", p.Number),
			"submitted_at": stamp(v.Submitted), "commit_id": orNull(v.SHA), "author_association": c.repo.association(v.Author)})
	}
	return page(out)
}

// listPullsOfCommit gives what merged a commit of the default branch; for others, the pull requests that have it.
func listPullsOfCommit(c *call) answer {
	sha := c.repo.resolve(c.params["commit_sha"])
	if sha == "" {
		return invalid("No commit found for SHA: " + c.params["commit_sha"])
	}
	var out []object
	for _, p := range c.repo.pulls {
		if p.mergedAs == sha || slices.ContainsFunc(c.pullCommits(p), func(k *commit) bool { return k.SHA == sha }) {
			out = append(out, c.pullJSON(p))
		}
	}
	return page(out)
}

func (c *call) pullJSON(p *pull) object {
	at := c.repo.api("/pulls/%d", p.Number)
	html := fmt.Sprintf("%s/pull/%d", c.repo.html(), p.Number)
	side := func(r *Repository, ref, sha string) object {
		return object{"label": r.owner() + ":" + ref, "ref": ref, "sha": sha, "user": c.userJSON(r.owner()), "repo": r.json()}
	}
	labels := []any{}
	for _, name := range p.Labels {
		labels = append(labels, object{"id": len(name), "name": name, "color": "ededed", "default": false, "description": nil})
	}
	closed := time.Time{}
	if p.State == "closed" {
		closed = p.Updated
	}
	return object{"id": p.id, "node_id": fmt.Sprint("PR_", p.id), "number": p.Number, "url": at, "html_url": html, "state": p.State, "locked": p.Locked,
		"title": p.Title, "body": orNull(p.Body), "user": c.userJSON(p.Author), "draft": p.Draft, "labels": labels,
		"head": side(p.from(), p.Head, p.headSHA()), "base": side(c.repo, p.Base, p.baseSHA()), "merge_commit_sha": orNull(p.mergedAs),
		"created_at": stamp(p.Created), "updated_at": stamp(p.Updated), "closed_at": stamp(closed), "merged_at": stamp(p.Merged),
		"author_association": c.repo.association(p.Author), "issue_url": c.repo.api("/issues/%d", p.Number), "comments_url": c.repo.api("/issues/%d/comments", p.Number)}
}
