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
		o = &org{login: owner, teams: map[string][]string{}}
		s.orgs[strings.ToLower(owner)] = o
	}
	o.teams[slug] = slices.Clone(logins)
}
