package githubfake

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxStatusDescription is in GitHub's documentation of deployment statuses, and is so for commit statuses as well.
const maxStatusDescription = 140

// maxStatuses is how many a commit can have of one context.
// https://docs.github.com/en/rest/commits/statuses#create-a-commit-status
const maxStatuses = 1000

// Status is a commit status that was set.
type Status struct {
	ID                                                int64
	SHA, State, Context, Description, Target, Creator string
	Created                                           time.Time
}

// Statuses are all that a commit was given, oldest first.
func (r *Repository) Statuses(sha string) []Status {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var all []Status
	for _, st := range r.statuses {
		if st.SHA == sha {
			all = append(all, *st)
		}
	}
	return all
}

// tooLong refuses a text of more characters than GitHub keeps.
func tooLong(resource, field, text string, limit int) *answer {
	if utf8.RuneCountInString(text) <= limit {
		return nil
	}
	a := unfit(resource, field, "custom", fmt.Sprintf("%s is too long (maximum is %d characters)", field, limit))
	return &a
}

func webAddress(text string) bool {
	if text == "" {
		return true
	}
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

var statusRoutes = []route{
	{name: "POST /:repo/statuses/{sha}", needs: "statuses: write", do: createStatus},
	{name: "GET /:repo/commits/{ref}/statuses", needs: "statuses: read", do: listStatuses},
	{name: "GET /:repo/commits/{ref}/status", needs: "statuses: read", do: combinedStatus},
}

func createStatus(c *call) answer {
	in := struct {
		State, Description, Context string
		TargetURL                   string `json:"target_url"`
	}{Context: "default"}
	c.read(&in)
	sha := c.params["sha"]
	if !wholeSHA.MatchString(sha) || c.repo.commits[sha] == nil {
		return invalid("No commit found for SHA: " + sha)
	}
	if refused := tooLong("Status", "description", in.Description, maxStatusDescription); refused != nil {
		return *refused
	}
	if !webAddress(in.TargetURL) {
		return unfit("Status", "target_url", "custom", "target_url must use http(s) scheme")
	}
	if len(slices.DeleteFunc(c.repo.statusesOf(sha), func(st *Status) bool { return st.Context != in.Context })) >= maxStatuses {
		return unfit("Status", "", "custom", "This SHA and context has reached the maximum number of statuses.")
	}
	st := &Status{ID: c.nextID(), SHA: sha, State: in.State, Context: in.Context, Description: in.Description, Target: in.TargetURL,
		Creator: c.token.user.login, Created: c.time()}
	c.repo.statuses = append(c.repo.statuses, st)
	return created(c.statusJSON(st))
}

// statusesOf a commit, newest first.
func (r *Repository) statusesOf(sha string) []*Status {
	var all []*Status
	for _, st := range slices.Backward(r.statuses) {
		if st.SHA == sha {
			all = append(all, st)
		}
	}
	return all
}

func listStatuses(c *call) answer {
	sha := c.repo.resolve(c.params["ref"])
	if sha == "" {
		return notFound()
	}
	var out []object
	for _, st := range c.repo.statusesOf(sha) {
		out = append(out, c.statusJSON(st))
	}
	return page(out)
}

func combinedStatus(c *call) answer {
	sha := c.repo.resolve(c.params["ref"])
	if sha == "" {
		return notFound()
	}
	var out []object
	seen, states := map[string]bool{}, map[string]bool{}
	for _, st := range c.repo.statusesOf(sha) {
		if !seen[strings.ToLower(st.Context)] {
			seen[strings.ToLower(st.Context)], states[st.State] = true, true
			out = append(out, c.statusJSON(st))
		}
	}
	state := "success"
	switch {
	case states["error"] || states["failure"]:
		state = "failure"
	case states["pending"] || len(out) == 0:
		state = "pending"
	}
	a := pageIn("statuses", out)
	a.body = object{"state": state, "sha": sha, "repository": c.repo.json(), "commit_url": c.repo.api("/commits/%s", sha),
		"url": c.repo.api("/commits/%s/status", sha)}
	return a
}

// contexts are the states of all statuses and check runs of a commit, by name.
func (r *Repository) contexts(sha string) map[string]string {
	states := map[string]string{}
	for _, st := range r.statuses {
		if st.SHA == sha {
			states[st.Context] = st.State
		}
	}
	for _, run := range r.checks {
		if run.SHA == sha {
			states[run.Name] = "pending"
			if run.Status == "completed" {
				states[run.Name] = run.Conclusion
			}
		}
	}
	return states
}

func (c *call) statusJSON(st *Status) object {
	return object{"id": st.ID, "node_id": fmt.Sprint("SC_", st.ID), "url": c.repo.api("/statuses/%s", st.SHA), "avatar_url": nil, "state": st.State,
		"description": orNull(st.Description), "target_url": orNull(st.Target), "context": st.Context, "creator": c.userJSON(st.Creator),
		"created_at": stamp(st.Created), "updated_at": stamp(st.Created)}
}

// json is a repository as it stands in other answers.
func (r *Repository) json() object {
	visibility := "public" // internal needs an enterprise
	if r.Private {
		visibility = "private"
	}
	return object{"id": r.id, "node_id": fmt.Sprint("R_", r.id), "name": r.short(), "full_name": r.Name, "owner": r.s.userJSON(r.owner()),
		"private": r.Private, "visibility": visibility, "html_url": r.html(), "url": r.api(""), "default_branch": r.DefaultBranch,
		"clone_url": r.html() + ".git", "git_url": "git://github.com/" + r.Name + ".git", "ssh_url": "git@github.com:" + r.Name + ".git"}
}
