package githubfake

import (
	"encoding/json"
	"strings"
)

var metaRoutes = []route{
	{name: "GET /:repo", do: getRepository},
	{name: "GET /rate_limit", do: rateLimit},
	{name: "GET /user", do: getViewer},
	{name: "POST /graphql", do: graphQL, undescribed: true},
}

func getRepository(c *call) answer {
	out := c.repo.json()
	out["archived"] = c.repo.Archived
	if c.may("administration: read") {
		state := func(on bool) object {
			if on {
				return object{"status": "enabled"}
			}
			return object{"status": "disabled"}
		}
		analysis := object{"secret_scanning": state(false), "dependabot_security_updates": state(false)}
		if c.repo.Private { // GitHub says nothing of it for a public one, which has it always
			analysis["advanced_security"], analysis["code_security"] = state(c.repo.CodeSecurity), state(c.repo.CodeSecurity)
		}
		out["security_and_analysis"] = analysis
	}
	return ok(out)
}

func rateLimit(c *call) answer {
	t := c.token
	core := object{"limit": t.limit, "used": t.used, "remaining": t.limit - t.used, "reset": t.reset.Unix()}
	return ok(object{"rate": core, "resources": object{"core": core}})
}

// getViewer answers a person; a workflow's token may not ask.
func getViewer(c *call) answer {
	if c.token.app {
		return c.denied()
	}
	me := c.userJSON(c.token.user.login).(object)
	me["user_view_type"] = "private"
	return ok(me)
}

// graphQL knows the one question that REST does not answer a workflow's token.
func graphQL(c *call) answer {
	in := struct {
		Query     string
		Variables map[string]any
	}{}
	if err := json.Unmarshal(c.body, &in); err != nil || c.r.Header.Get("Content-Type") != "application/json" {
		c.wrong(c, "the body is not JSON")
		return fail(400, "Problems parsing JSON")
	}
	if query := strings.Join(strings.Fields(strings.TrimPrefix(strings.TrimSpace(in.Query), "query")), ""); query != "{viewer{login}}" || len(in.Variables) > 0 {
		c.wrong(c, "the fake GitHub's GraphQL knows {viewer{login}} only, not %s", in.Query)
		return fail(400, "A query attribute must be specified and must be a string.")
	}
	return ok(object{"data": object{"viewer": object{"login": c.token.user.login}}})
}
