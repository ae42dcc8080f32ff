package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/org/idp/internal/codeowners"
	"github.com/org/idp/internal/fault"
)

const (
	approvalPages = 3  // of 100 reviews, comments and commits each; GitHub itself lists 250 commits at most
	filePages     = 10 // of 100 changed files
	memberAsks    = 30 // questions whether somebody is a member of a team, or may write
)

// Rule is who may approve a change, and where.
type Rule struct {
	Commit string   // that is to be deployed, 40 hex digits
	Owners bool     // by CODEOWNERS: every file that the pull request changed needs an owner who approves
	Teams  []string // OWNER/SLUG: a member of any of them may approve
	// Commands are the lines of which one has to begin a comment, such as "/approve production".
	Commands []string
	Since    time.Time // when the approval was asked for; earlier comments do not count, reviews of the merged commit do
}

// Approval is what was found. Its zero value is none.
type Approval struct {
	Pull      int // number of the pull request that brought the commit; 0 where there is none
	Approvers []Approver
	Missing   string // what is missing, for people; empty only where Approvers are enough
}

// Given tells whether somebody who may approved.
func (a Approval) Given() bool { return len(a.Approvers) > 0 && a.Missing == "" }

// Approver is somebody who may approve, and did.
type Approver struct {
	Login, URL string // URL is that of the review or comment
	At         time.Time
}

// Approval looks for approving reviews of exactly what was merged and for comments that begin with a command, by people who may
// approve and wrote none of the change. An edited comment counts for nothing, since others than its author may edit it. 5 to 8
// requests are usual; there are never more than 10 lists of files, 9 others, 5 single ones, memberAsks
// and coauthorAsks.
func (c *Client) Approval(ctx context.Context, r Rule) (Approval, error) {
	if len(r.Commit) != 40 || !r.Owners && len(r.Teams) == 0 || r.Since.IsZero() {
		return Approval{}, fault.BadInputf("an approval is of a commit, since a time, by CODEOWNERS or by a team")
	}
	pull, err := c.pullOf(ctx, r.Commit)
	if err != nil {
		return Approval{}, err
	}
	if pull == nil {
		return Approval{Missing: "no merged pull request has commit " + r.Commit + ", so nobody could approve it"}, nil
	}
	a := Approval{Pull: pull.GetNumber()}
	authors, unknown, err := c.authors(ctx, pull)
	if err != nil {
		return Approval{}, err
	}
	if unknown != "" {
		a.Missing = unknown
		return a, nil
	}
	found, all, err := c.candidates(ctx, pull, r)
	if err != nil {
		return Approval{}, err
	}
	found = slices.DeleteFunc(found, func(p Approver) bool { return authors[strings.ToLower(p.Login)] })
	a.Approvers, a.Missing, err = c.entitled(ctx, pull, r, found)
	if err != nil {
		return Approval{}, err
	}
	if !all && !a.Given() {
		return Approval{}, fault.Undeterminedf("pull request %d has more than %d comments since the approval was asked for; whether one of them approves is not known",
			a.Pull, approvalPages*100).WithNext("An approving review of what was merged counts as well.")
	}
	return a, nil
}

// pullOf is the merged pull request that brought a commit; nil where there is none.
func (c *Client) pullOf(ctx context.Context, commit string) (*gh.PullRequest, error) {
	list, _, err := c.api.PullRequests.ListPullRequestsWithCommit(ctx, c.owner, c.name, commit, &gh.ListOptions{PerPage: 30})
	if err != nil {
		return nil, c.judge(ctx, Approvals, err)
	}
	list = slices.DeleteFunc(list, func(p *gh.PullRequest) bool { return p.MergedAt == nil })
	slices.SortStableFunc(list, func(a, b *gh.PullRequest) int { return b.GetMergedAt().Compare(a.GetMergedAt().Time) })
	for _, p := range list {
		if p.GetMergeCommitSHA() == commit {
			return p, nil
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	return list[0], nil
}

// authors are the logins, in lower case, of whoever wrote a pull request; unknown says why that cannot be told.
func (c *Client) authors(ctx context.Context, pull *gh.PullRequest) (logins map[string]bool, unknown string, err error) {
	var commits []*gh.RepositoryCommit
	o := &gh.ListOptions{PerPage: 100}
	for range approvalPages {
		list, res, err := c.api.PullRequests.ListCommits(ctx, c.owner, c.name, pull.GetNumber(), o)
		if err != nil {
			return nil, "", c.judge(ctx, Approvals, err)
		}
		commits = append(commits, list...)
		if o.Page = res.NextPage; o.Page == 0 {
			break
		}
	}
	if len(commits) >= 250 {
		return nil, fmt.Sprintf("pull request %d has more commits than GitHub lists, so who wrote it is not known", pull.GetNumber()), nil
	}
	logins = map[string]bool{strings.ToLower(pull.GetUser().GetLogin()): true}
	for _, g := range commits {
		login := g.GetAuthor().GetLogin()
		if login == "" {
			return nil, fmt.Sprintf("GitHub does not know who wrote commit %s, so whoever approves may have", g.GetSHA()), nil
		}
		logins[strings.ToLower(login)], logins[strings.ToLower(g.GetCommitter().GetLogin())] = true, true
	}
	with, unknown, err := c.coauthors(ctx, commits)
	for _, login := range with {
		logins[strings.ToLower(login)] = true
	}
	return logins, unknown, err
}

// candidates are the people who approve, whether they may or not, and whether these are all. Of several reviews of a person the last
// counts.
func (c *Client) candidates(ctx context.Context, pull *gh.PullRequest, r Rule) (found []Approver, all bool, err error) {
	last := map[string]*gh.PullRequestReview{}
	var order []string
	o := &gh.ListOptions{PerPage: 100}
	for range approvalPages {
		list, res, err := c.api.PullRequests.ListReviews(ctx, c.owner, c.name, pull.GetNumber(), o)
		if err != nil {
			return nil, false, c.judge(ctx, Approvals, err)
		}
		for _, review := range list {
			if login := review.GetUser().GetLogin(); review.GetState() != "COMMENTED" && review.GetUser().GetType() == "User" {
				if last[login] == nil {
					order = append(order, login)
				}
				last[login] = review
			}
		}
		if o.Page = res.NextPage; o.Page == 0 {
			break
		}
	}
	if o.Page != 0 {
		return nil, false, fault.Undeterminedf("pull request %d has more than %d reviews; whether it is approved is not known", pull.GetNumber(), approvalPages*100)
	}
	for _, login := range order {
		review := last[login]
		if review.GetState() == "APPROVED" && review.GetCommitID() == pull.GetHead().GetSHA() {
			found = append(found, Approver{Login: login, URL: review.GetHTMLURL(), At: review.GetSubmittedAt().Time})
		}
	}
	comments, all, err := c.commands(ctx, pull.GetNumber(), r)
	return append(found, comments...), all, err
}

// commands are the comments that approve, and whether these are all.
func (c *Client) commands(ctx context.Context, number int, r Rule) (found []Approver, all bool, err error) {
	o := &gh.IssueListCommentsOptions{Since: &r.Since, ListOptions: gh.ListOptions{PerPage: 100}}
	for range approvalPages {
		list, res, err := c.api.Issues.ListComments(ctx, c.owner, c.name, number, o)
		if err != nil {
			return nil, false, c.judge(ctx, Approvals, err)
		}
		for _, one := range list {
			line, _, _ := strings.Cut(one.GetBody(), "\n")
			if slices.Contains(r.Commands, strings.TrimSpace(line)) && one.GetUser().GetType() == "User" &&
				one.GetCreatedAt().Equal(one.GetUpdatedAt()) && !one.GetCreatedAt().Before(r.Since) {
				found = append(found, Approver{Login: one.GetUser().GetLogin(), URL: one.GetHTMLURL(), At: one.GetCreatedAt().Time})
			}
		}
		if o.Page = res.NextPage; o.Page == 0 {
			break
		}
	}
	return found, o.Page == 0, nil
}

// entitled are those of the found who may approve; missing says who has not yet.
func (c *Client) entitled(ctx context.Context, pull *gh.PullRequest, r Rule, found []Approver) (may []Approver, missing string, err error) {
	if len(found) == 0 {
		return nil, "nobody has approved who did not write it", nil
	}
	m := &members{c: c, known: map[string]bool{}}
	for _, one := range found {
		for _, team := range r.Teams {
			in, err := m.has(ctx, team, one.Login)
			if err != nil {
				return nil, "", err
			}
			if in {
				may = append(may, one)
				break
			}
		}
	}
	switch {
	case len(may) > 0:
		return may, "", nil
	case r.Owners:
		return c.byOwners(ctx, m, pull, found)
	}
	return nil, fmt.Sprintf("nobody has approved who is a member of %s and did not write it", strings.Join(r.Teams, " or ")), nil
}

// members remembers who is in which team.
type members struct {
	c     *Client
	known map[string]bool
	asked int
}

// has tells whether somebody is an active member of a team OWNER/SLUG.
func (m *members) has(ctx context.Context, team, login string) (bool, error) {
	key := strings.ToLower(team + " " + login)
	if in, ok := m.known[key]; ok {
		return in, nil
	}
	if err := m.ask(); err != nil {
		return false, err
	}
	owner, slug, _ := strings.Cut(strings.TrimPrefix(team, "@"), "/")
	got, _, err := m.c.api.Teams.GetTeamMembershipBySlug(ctx, owner, slug, login)
	if status(err) == http.StatusNotFound { // not a member, or no such team
		err = nil
	}
	if err != nil {
		return false, m.c.judge(ctx, Teams, err)
	}
	m.known[key] = got.GetState() == "active"
	return m.known[key], nil
}

func (m *members) ask() error {
	if m.asked++; m.asked > memberAsks {
		return fault.Undeterminedf("too many people and teams are in question to ask GitHub for each; who may approve is not known")
	}
	return nil
}

// writes tells whether somebody may push to the repository, without which GitHub takes nobody for an owner.
func (m *members) writes(ctx context.Context, login string) (bool, error) {
	key := strings.ToLower(login)
	if in, ok := m.known[key]; ok {
		return in, nil
	}
	if err := m.ask(); err != nil {
		return false, err
	}
	got, _, err := m.c.api.Repositories.GetPermissionLevel(ctx, m.c.owner, m.c.name, login)
	if err != nil {
		return false, m.c.judge(ctx, Approvals, err)
	}
	m.known[key] = slices.Contains([]string{"write", "admin"}, got.GetPermission())
	return m.known[key], nil
}

// byOwners wants an owner among the found for every file that a pull request changed, by the CODEOWNERS that was there before
// it: it may have changed that as well.
func (c *Client) byOwners(ctx context.Context, m *members, pull *gh.PullRequest, found []Approver) (may []Approver, missing string, err error) {
	file, err := c.codeowners(ctx, pull.GetBase().GetSHA())
	if err != nil {
		return nil, "", err
	}
	if file.Path == "" {
		// A token that may read no file gets the same answer as for one that is not there.
		if _, _, err := c.api.Repositories.GetCommit(ctx, c.owner, c.name, pull.GetBase().GetSHA(), &gh.ListOptions{PerPage: 1}); err != nil {
			return nil, "", c.judge(ctx, Owners, err)
		}
		return nil, "there is no CODEOWNERS in the repository, so nobody may approve by it", nil
	}
	paths, err := c.changed(ctx, pull.GetNumber())
	if err != nil {
		return nil, "", err
	}
	counted := map[string]bool{}
	for _, path := range paths {
		owners := file.Owners(path)
		if len(owners) == 0 {
			return nil, fmt.Sprintf("%s has no owner in CODEOWNERS, so nobody may approve its change", c.transport.clean(path)), nil
		}
		owned := false
		for _, one := range found {
			owns, err := m.owns(ctx, owners, one.Login)
			if err != nil {
				return nil, "", err
			}
			if owns && !counted[one.Login] {
				counted[one.Login] = true
				may = append(may, one)
			}
			owned = owned || owns
		}
		if !owned {
			return nil, fmt.Sprintf("no owner of %s has approved who did not write it: %s", c.transport.clean(path), strings.Join(owners, " ")), nil
		}
	}
	if len(paths) == 0 {
		return nil, "the pull request changes no file, so it has no owner", nil
	}
	return may, "", nil
}

// owns tells whether somebody is one of the owners. An owner by e-mail address is nobody: whose it is cannot be asked.
func (m *members) owns(ctx context.Context, owners []string, login string) (bool, error) {
	for _, o := range owners {
		name, isLogin := strings.CutPrefix(o, "@")
		switch {
		case !isLogin:
		case strings.Contains(name, "/"):
			if in, err := m.has(ctx, name, login); in || err != nil {
				return in, err
			}
		case strings.EqualFold(name, login):
			return m.writes(ctx, login)
		}
	}
	return false, nil
}

// codeowners reads the file at a commit.
func (c *Client) codeowners(ctx context.Context, ref string) (codeowners.File, error) {
	return codeowners.Find(func(path string) ([]byte, bool, error) {
		found, _, _, err := c.api.Repositories.GetContents(ctx, c.owner, c.name, path, &gh.RepositoryContentGetOptions{Ref: ref})
		if status(err) == http.StatusNotFound || err == nil && found == nil { // a folder of that name
			return nil, false, nil
		}
		if err != nil {
			return nil, false, c.judge(ctx, Owners, err)
		}
		text, err := found.GetContent()
		if err == nil && found.GetSize() != len(text) {
			err = errors.New("GitHub gives no file of more than 1 MB")
		}
		return []byte(text), true, err
	})
}

// changed are the files of a pull request, by both names where it renamed one.
func (c *Client) changed(ctx context.Context, number int) ([]string, error) {
	var files []string
	o := &gh.ListOptions{PerPage: 100}
	for range filePages {
		list, res, err := c.api.PullRequests.ListFiles(ctx, c.owner, c.name, number, o)
		if err != nil {
			return nil, c.judge(ctx, Approvals, err)
		}
		for _, f := range list {
			files = append(files, f.GetFilename())
			if f.GetPreviousFilename() != "" {
				files = append(files, f.GetPreviousFilename())
			}
		}
		if res.NextPage == 0 {
			return files, nil
		}
		o.Page = res.NextPage
	}
	return nil, fault.Undeterminedf("pull request %d changes more than %d files; whose they all are is not known", number, filePages*100)
}
