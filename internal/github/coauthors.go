package github

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	gh "github.com/google/go-github/v60/github"
)

// coauthorAsks bounds the requests about addresses of co-authors that neither say whose they are nor wrote a commit of the pull request.
const coauthorAsks = 10

var (
	// coauthor matches a trailer of a message as GitHub reads it; group 1 is the address.
	coauthor = regexp.MustCompile(`(?im)^co-authored-by:.*<([^<>\s]+)>\s*$`)
	// noreply matches GitHub's own addresses; group 1 is the login.
	noreply = regexp.MustCompile(`(?i)^(?:[0-9]+\+)?([^@+]+)@users\.noreply\.`)
)

// coauthors are the logins of whoever is named in messages as having written a commit as well. An address is of the login that it
// holds, or whose commits have it: in the pull request, or on the default branch. One that no commit has leads to nobody on GitHub, as
// that of a program, and names nobody who could approve.
func (c *Client) coauthors(ctx context.Context, commits []*gh.RepositoryCommit) (logins []string, unknown string, err error) {
	of := map[string]string{}
	for _, g := range commits {
		of[strings.ToLower(g.GetCommit().GetAuthor().GetEmail())] = g.GetAuthor().GetLogin()
		of[strings.ToLower(g.GetCommit().GetCommitter().GetEmail())] = g.GetCommitter().GetLogin()
	}
	asked := 0
	for _, g := range commits {
		for _, m := range coauthor.FindAllStringSubmatch(g.GetCommit().GetMessage(), -1) {
			address := strings.ToLower(m[1])
			login, known := of[address]
			if own := noreply.FindStringSubmatch(address); own != nil {
				login, known = own[1], true
			}
			if !known {
				if asked++; asked > coauthorAsks {
					return nil, fmt.Sprintf("commit %s has more co-authors than are asked for, so whoever approves may be one", g.GetSHA()), nil
				}
				if login, err = c.loginOf(ctx, address); err != nil {
					return nil, "", err
				}
			}
			of[address] = login
			logins = append(logins, login)
		}
	}
	return logins, "", nil
}

// loginOf is whose commits have an address; empty where there are none on the default branch.
func (c *Client) loginOf(ctx context.Context, address string) (string, error) {
	list, _, err := c.api.Repositories.ListCommits(ctx, c.owner, c.name, &gh.CommitsListOptions{Author: address, ListOptions: gh.ListOptions{PerPage: 1}})
	if err != nil || len(list) == 0 {
		return "", c.judge(ctx, Approvals, err)
	}
	return list[0].GetAuthor().GetLogin(), nil
}
