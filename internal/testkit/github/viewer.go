package githubfake

import (
	"encoding/json"
	"net/http"
	"strings"
)

// viewerRoute is the one question of GitHub's other API, GraphQL, that the fake answers: whose a token is, which REST says to
// people only. It is not in the description, and has limits of its own.
var viewerRoute = &route{name: "POST /graphql"}

// asksViewer knows the route on github.com and on an Enterprise Server.
func asksViewer(method, path string) bool {
	return method == http.MethodPost && (path == "/graphql" || path == "/api/graphql")
}

func (s *Server) viewer(c *call) answer {
	var in struct{ Query string }
	a := ok(nil)
	switch token := s.tokens[c.bearer]; {
	case json.Unmarshal(c.body, &in) != nil || strings.Join(strings.Fields(in.Query), "") != "{viewer{login}}":
		s.wrong(c, "the fake GitHub has no answer to %s", c.body)
		a = fail(http.StatusBadRequest, "Problems parsing JSON")
	case token == nil:
		a = fail(http.StatusUnauthorized, "Bad credentials")
	default:
		a.body = object{"data": object{"viewer": object{"login": token.user.login}}}
	}
	a.header = http.Header{}
	a.sent, _ = marshal(a.body)
	return a
}
