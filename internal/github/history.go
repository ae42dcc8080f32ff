package github

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/org/idp/internal/fault"
)

const (
	commitPage  = 100
	commitPages = 3 // of a comparison, those with the newest commits; beside the first
	pullPages   = 3 // of closed pull requests, 100 each, the last changed first
	pullAsks    = 5 // commits that are asked for one by one, when no pull request of those pages has them
)

// Commit is one of a history. Its texts were chosen by whoever wrote it.
type Commit struct {
	SHA     string
	Title   string // first line of its message
	Author  string // login; the name in the commit where GitHub knows none
	Bot     bool   // the login is an app's
	At      time.Time
	Pull    int      // number of the pull request that brought it; 0 where none is known
	Reverts []string // what it says it takes back: a SHA, or #NUMBER of a pull request
}

// Changes are what lies between what is live and what is delivered.
type Changes struct {
	Ahead, Behind int       // commits that only the one and only the other has
	Commits       []Commit  // of Ahead, newest first, at least the newest 200 of more
	Undone        []Commit  // of Behind, newest first: live now, and not any more afterwards; at most the newest 100
	Since         time.Time // of the oldest commit of Ahead
	NoPulls       error     // why pull requests could not be asked for; Pull is 0 then
}

// Changes compares two commits, 40 hex digits each. It asks 1 request where they are the same, usually 2 or 3, and at most 13
// whether 1 or 1,000 commits lie between: 1 to 4 for commits, 1 for those undone, 3 lists of pull requests, 5 single commits.
func (c *Client) Changes(ctx context.Context, live, delivered string) (Changes, error) {
	first, err := c.compare(ctx, live, delivered, 1)
	if err != nil {
		return Changes{}, err
	}
	h := Changes{Ahead: first.GetAheadBy(), Behind: first.GetBehindBy()}
	ahead := first.Commits
	if len(ahead) > 0 {
		h.Since = ahead[0].GetCommit().GetCommitter().GetDate().Time
	}
	if last := lastPage(h.Ahead); last > 1 {
		ahead = nil
		for page := max(1, last-commitPages+1); page <= last; page++ {
			more := first
			if page > 1 {
				if more, err = c.compare(ctx, live, delivered, page); err != nil {
					return Changes{}, err
				}
			}
			ahead = append(ahead, more.Commits...)
		}
	}
	var behind []*gh.RepositoryCommit
	if h.Behind > 0 {
		back, err := c.compare(ctx, delivered, live, lastPage(h.Behind))
		if err != nil {
			return Changes{}, err
		}
		behind = back.Commits
	}
	of, err := c.pullsOf(ctx, ahead, behind)
	if ctx.Err() != nil {
		return Changes{}, context.Cause(ctx)
	}
	h.NoPulls = err
	h.Commits, h.Undone = c.commits(ahead, of), c.commits(behind, of)
	return h, nil
}

func lastPage(n int) int { return max(1, (n+commitPage-1)/commitPage) }

func (c *Client) compare(ctx context.Context, base, head string, page int) (*gh.CommitsComparison, error) {
	got, _, err := c.api.Repositories.CompareCommits(ctx, c.owner, c.name, base, head, &gh.ListOptions{Page: page, PerPage: commitPage})
	if status(err) == http.StatusNotFound { // for a token that may not as well as for a commit that is gone
		if _, _, err := c.api.Repositories.GetCommit(ctx, c.owner, c.name, head, &gh.ListOptions{PerPage: 1}); err == nil {
			return nil, fault.Undeterminedf("commit %s is not in the repository any more, or shares no history with %s", base, head)
		}
	}
	return got, c.judge(ctx, History, err)
}

// commits turns GitHub's order around.
func (c *Client) commits(list []*gh.RepositoryCommit, of map[string]int) []Commit {
	var all []Commit
	for _, g := range slices.Backward(list) {
		title, _, _ := strings.Cut(g.GetCommit().GetMessage(), "\n")
		one := Commit{SHA: g.GetSHA(), Title: title, Author: g.GetAuthor().GetLogin(), Bot: g.GetAuthor().GetType() == "Bot",
			At: g.GetCommit().GetCommitter().GetDate().Time, Pull: of[g.GetSHA()], Reverts: c.reverts(g.GetCommit().GetMessage())}
		if one.Author == "" {
			one.Author = g.GetCommit().GetAuthor().GetName()
		}
		all = append(all, one)
	}
	return all
}

var (
	revertsCommit = regexp.MustCompile(`(?m)\bThis reverts commit ([0-9a-f]{7,40})\b`)       // git revert
	revertsPull   = regexp.MustCompile(`(?m)^Reverts (?:([\w.-]+/[\w.-]+))?#([0-9]{1,9})\b`) // the button of a pull request
)

func (c *Client) reverts(message string) []string {
	var all []string
	for _, m := range revertsCommit.FindAllStringSubmatch(message, -1) {
		all = append(all, m[1])
	}
	for _, m := range revertsPull.FindAllStringSubmatch(message, -1) {
		if m[1] == "" || strings.EqualFold(m[1], c.owner+"/"+c.name) {
			all = append(all, "#"+m[2])
		}
	}
	return all
}

// pullsOf finds the merged pull requests of commits. The lists of pull requests name the commit that each was merged as, which
// leads to the others of a merge; what is left, as after a rebase, is asked for one by one, so far as pullAsks goes.
func (c *Client) pullsOf(ctx context.Context, ahead, behind []*gh.RepositoryCommit) (map[string]int, error) {
	list := slices.Concat(behind, ahead)
	if len(list) == 0 {
		return nil, nil
	}
	in, oldest := map[string]*gh.RepositoryCommit{}, list[0].GetCommit().GetCommitter().GetDate().Time
	for _, g := range list {
		in[g.GetSHA()] = g
		if at := g.GetCommit().GetCommitter().GetDate().Time; at.Before(oldest) {
			oldest = at
		}
	}
	of, err := c.mergedAs(ctx, in, oldest)
	if err != nil {
		return nil, err
	}
	spread(ahead, in, of)
	spread(behind, in, of)
	asked := 0
	for _, g := range slices.Backward(list) {
		if of[g.GetSHA()] != 0 || asked == pullAsks {
			continue
		}
		asked++
		found, _, err := c.api.PullRequests.ListPullRequestsWithCommit(ctx, c.owner, c.name, g.GetSHA(), &gh.ListOptions{PerPage: 10})
		if err != nil {
			return of, c.judge(ctx, PullRequests, err)
		}
		for _, p := range found {
			if p.MergedAt != nil {
				of[g.GetSHA()] = p.GetNumber()
				break
			}
		}
	}
	return of, nil
}

// mergedAs maps commits to the pull requests that were merged as them.
func (c *Client) mergedAs(ctx context.Context, in map[string]*gh.RepositoryCommit, oldest time.Time) (map[string]int, error) {
	of := map[string]int{}
	o := &gh.PullRequestListOptions{State: "closed", Sort: "updated", Direction: "desc", ListOptions: gh.ListOptions{PerPage: 100}}
	for range pullPages {
		list, res, err := c.api.PullRequests.List(ctx, c.owner, c.name, o)
		if err != nil {
			return nil, c.judge(ctx, PullRequests, err)
		}
		for _, p := range list {
			if p.MergedAt != nil && in[p.GetMergeCommitSHA()] != nil {
				of[p.GetMergeCommitSHA()] = p.GetNumber()
			}
		}
		if res.NextPage == 0 || list[len(list)-1].GetUpdatedAt().Before(oldest) {
			break
		}
		o.Page = res.NextPage
	}
	return of, nil
}

// spread gives the commits that a merge brought the pull request of the merge. The oldest merge comes first, so that what an
// earlier one brought stays its own.
func spread(list []*gh.RepositoryCommit, in map[string]*gh.RepositoryCommit, of map[string]int) {
	main := map[string]bool{} // what the merges were made on
	if len(list) > 0 {
		for g := list[len(list)-1]; g != nil; g = in[firstParent(g)] {
			main[g.GetSHA()] = true
		}
	}
	for _, g := range list {
		if of[g.GetSHA()] == 0 || len(g.Parents) < 2 {
			continue
		}
		for todo := g.Parents[1:]; len(todo) > 0; todo = todo[1:] {
			sha := todo[0].GetSHA()
			if one := in[sha]; one != nil && of[sha] == 0 && !main[sha] {
				of[sha] = of[g.GetSHA()]
				todo = append(todo[:len(todo):len(todo)], one.Parents...)
			}
		}
	}
}

func firstParent(g *gh.RepositoryCommit) string {
	if len(g.Parents) == 0 {
		return ""
	}
	return g.Parents[0].GetSHA()
}
