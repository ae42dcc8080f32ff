package githubfake

import (
	"slices"
	"strings"
)

// user is a person or a bot.
type user struct {
	id    int64
	login string
}

// user makes people up as they are mentioned. The lock is held.
func (s *Server) user(login string) *user {
	key := strings.ToLower(login)
	if s.people[key] == nil {
		s.people[key] = &user{id: s.nextID(), login: login}
	}
	return s.people[key]
}

func (s *Server) userJSON(login string) any {
	if login == "" {
		return nil
	}
	u := s.user(login)
	kind, page := "User", u.login
	if name, bot := strings.CutSuffix(u.login, "[bot]"); bot {
		kind, page = "Bot", "apps/"+name
	}
	return object{"login": u.login, "id": u.id, "node_id": "U_" + u.login, "type": kind, "site_admin": false,
		"url": s.API() + "/users/" + u.login, "html_url": site + page, "gravatar_id": "", "user_view_type": "public"}
}

// actionsApp is the GitHub app that a workflow's token belongs to.
const actionsAppID = 15368

func actionsApp() object {
	return object{"id": actionsAppID, "slug": "github-actions", "name": "GitHub Actions", "node_id": "MDM6QXBwMTUzNjg=",
		"owner": object{"login": "github", "id": 9919}, "html_url": site + "apps/github-actions",
		"permissions": object{}, "events": []any{}, "created_at": "2018-07-30T09:30:17Z", "updated_at": "2019-12-10T19:04:12Z"}
}

// org is an organisation.
type org struct {
	login string
	teams map[string][]string // logins by slug
}

// Team makes a team of an organisation, which is made with it.
func (s *Server) Team(owner, slug string, logins ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.orgs[strings.ToLower(owner)]
	if o == nil {
		o = &org{login: s.user(owner).login, teams: map[string][]string{}}
		s.orgs[strings.ToLower(owner)] = o
	}
	o.teams[slug] = nil
	for _, login := range logins {
		o.teams[slug] = append(o.teams[slug], s.user(login).login)
	}
}

func (o *org) has(slug, login string) bool {
	return slices.ContainsFunc(o.teams[slug], func(m string) bool { return strings.EqualFold(m, login) })
}

// Collaborator gives a person a role in a repository: read, triage, write, maintain or admin.
func (r *Repository) Collaborator(login, role string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.roles[strings.ToLower(r.s.user(login).login)] = role
}

// role is what a person may, as GitHub names it; anyone may read what is public.
func (r *Repository) role(login string) string {
	switch role := r.roles[strings.ToLower(login)]; {
	case role != "":
		return role
	case strings.EqualFold(login, r.owner()):
		return "admin"
	case r.Private:
		return "none"
	}
	return "read"
}

// association is what somebody is to the repository, as GitHub says beside what they write.
func (r *Repository) association(login string) string {
	if strings.EqualFold(login, r.owner()) {
		return "OWNER"
	}
	if o := r.s.orgs[strings.ToLower(r.owner())]; o != nil {
		for slug := range o.teams {
			if o.has(slug, login) {
				return "MEMBER"
			}
		}
	}
	if r.roles[strings.ToLower(login)] != "" {
		return "COLLABORATOR"
	}
	return "NONE"
}

// A workflow's token never has members: read; one of an app can.
var peopleRoutes = []route{
	{name: "GET /users/{username}", do: getUser},
	{name: "GET /orgs/{org}", do: getOrg},
	{name: "GET /orgs/{org}/teams/{team_slug}/memberships/{username}", needs: "members: read", do: getMembership},
	{name: "GET /:repo/collaborators/{username}/permission", do: getPermission},
}

func getUser(c *call) answer {
	if c.people[strings.ToLower(c.params["username"])] == nil {
		return notFound()
	}
	u := c.userJSON(c.params["username"]).(object)
	if c.orgs[strings.ToLower(c.params["username"])] != nil {
		u["type"] = "Organization"
	}
	return ok(u)
}

func getOrg(c *call) answer {
	o := c.orgs[strings.ToLower(c.params["org"])]
	if o == nil {
		return notFound()
	}
	return ok(object{"login": o.login, "id": c.user(o.login).id, "node_id": "O_" + o.login, "type": "Organization", "url": c.API() + "/orgs/" + o.login, "html_url": site + o.login})
}

func getMembership(c *call) answer {
	o := c.orgs[strings.ToLower(c.params["org"])]
	if o == nil || !o.has(c.params["team_slug"], c.params["username"]) {
		return notFound()
	}
	return ok(object{"role": "member", "state": "active", "url": c.API() + "/organizations/" + o.login + "/team/" + c.params["team_slug"]})
}

// getPermission gives the role, and what it was called before there were five.
func getPermission(c *call) answer {
	login := c.params["username"]
	if c.people[strings.ToLower(login)] == nil {
		return fail(404, login+" is not a user")
	}
	role := c.repo.role(login)
	permission := map[string]string{"triage": "read", "maintain": "write"}[role]
	if permission == "" {
		permission = role
	}
	u := c.userJSON(login).(object)
	u["role_name"] = role
	return ok(object{"permission": permission, "role_name": role, "user": u})
}
