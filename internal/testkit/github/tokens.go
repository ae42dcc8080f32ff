package githubfake

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scopes are the permissions that a token can have: those of a workflow's GITHUB_TOKEN, and, below the line, of others only.
var scopes = []string{"actions", "attestations", "checks", "contents", "deployments", "id-token", "issues", "packages",
	"pull-requests", "security-events", "statuses",
	"administration", "members"}

// token is a credential.
type token struct {
	user   *user
	repo   string // OWNER/NAME in lower case; empty for all that there are
	app    bool   // of the GitHub app github-actions, not of a person
	scopes map[string]string

	limit, used int // requests an hour
	reset       time.Time
	writes      []time.Time // of the last minute
}

const actionsBot = "github-actions[bot]"

// Token is a GITHUB_TOKEN of a workflow's job in the repository, with permissions as `permissions:` has them, such as
// deployments: write. What is not named is none.
func (s *Server) Token(repo string, permissions map[string]string) string {
	return s.token(actionsBot, repo, permissions, 1000)
}

// UserToken is a fine-grained token of a person for the repository.
func (s *Server) UserToken(login, repo string, permissions map[string]string) string {
	return s.token(login, repo, permissions, 5000)
}

func (s *Server) token(login, repo string, permissions map[string]string, limit int) string {
	for name, level := range permissions {
		if !slices.Contains(scopes, name) || !slices.Contains([]string{"read", "write", "none"}, level) {
			s.t.Fatalf("there is no permission %s: %s", name, level)
		}
	}
	secret := make([]byte, 18)
	_, _ = rand.Read(secret)
	name := "fake_" + hex.EncodeToString(secret) // not of the form of GitHub's, which scanners find
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[name] = &token{user: s.user(login), repo: strings.ToLower(repo), app: login == actionsBot, scopes: maps.Clone(permissions),
		limit: limit, reset: s.now().Add(time.Hour)}
	return name
}

// SetRateLimit leaves a token so many requests until the reset, after which it has all of them again.
func (s *Server) SetRateLimit(name string, remaining int, reset time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[name]
	t.used, t.reset = t.limit-remaining, reset
}

// Revoke makes a token a bad one, as at the end of a job.
func (s *Server) Revoke(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, name)
}

func bearer(r *http.Request) string {
	kind, name, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") && !strings.EqualFold(kind, "token") {
		return ""
	}
	return name
}

// authenticate says who asks, and whether that was often enough.
func (s *Server) authenticate(c *call) *answer {
	if c.bearer == "" {
		s.wrong(c, "the request has no token")
		a := fail(401, "Requires authentication")
		return &a
	}
	if c.token = s.tokens[c.bearer]; c.token == nil {
		a := fail(401, "Bad credentials")
		return &a
	}
	if now := s.now(); !now.Before(c.token.reset) {
		c.token.used, c.token.reset = 0, now.Add(time.Hour)
	}
	if c.token.used >= c.token.limit && !c.op.uncounted() {
		a := fail(403, fmt.Sprintf("API rate limit exceeded for user ID %d.", c.token.user.id))
		return &a
	}
	return s.secondary(c)
}

// secondaryWrites is how many requests that change something GitHub takes in a minute.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
const secondaryWrites = 80

func (s *Server) secondary(c *call) *answer {
	if c.r.Method == http.MethodGet || c.op.undescribed {
		return nil
	}
	now := s.now()
	c.token.writes = slices.DeleteFunc(c.token.writes, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if len(c.token.writes) >= secondaryWrites {
		a := fail(403, secondaryMessage)
		a.header = http.Header{"Retry-After": {strconv.Itoa(int(time.Minute.Seconds()))}}
		return &a
	}
	c.token.writes = append(c.token.writes, now)
	return nil
}

const secondaryMessage = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."

// uncounted is what the limit of requests does not count; GraphQL has one of its own.
func (r *route) uncounted() bool { return r.undescribed || r.name == "GET /rate_limit" }

// count takes a request from the token's limit, but not an answer that it has already.
func (c *call) count(a *answer) {
	t := c.token
	if t == nil {
		return
	}
	if a.status != http.StatusNotModified && !c.op.uncounted() && t.used < t.limit {
		t.used++
	}
	for name, value := range map[string]any{"Limit": t.limit, "Remaining": t.limit - t.used, "Used": t.used, "Reset": t.reset.Unix(), "Resource": "core"} {
		a.header.Set("X-RateLimit-"+name, fmt.Sprint(value))
	}
}

// authorize finds the repository and says whether the token may.
func (s *Server) authorize(c *call) *answer {
	owner, inRepo := c.params["owner"]
	if inRepo {
		name := strings.ToLower(owner + "/" + c.params["repo"])
		c.repo = s.repos[name]
		if c.repo == nil || (c.token.repo != "" && c.token.repo != name && c.repo.Private) {
			a := notFound()
			return &a
		}
	}
	if c.op.needs == "" {
		return nil
	}
	if c.repo != nil && c.repo.Archived && c.r.Method != http.MethodGet {
		a := fail(403, "Repository was archived so is read-only.")
		return &a
	}
	for _, need := range strings.Split(c.op.needs, " or ") {
		if c.may(need) {
			return nil
		}
	}
	a := c.denied()
	return &a
}

// may tells whether the token has "NAME: LEVEL" here.
func (c *call) may(need string) bool {
	name, level, _ := strings.Cut(need, ": ")
	has := c.token.scopes[name]
	return (has == "write" || (has == "read" && level == "read")) &&
		(c.repo == nil || c.token.repo == "" || c.token.repo == strings.ToLower(c.repo.Name))
}

func (c *call) denied() answer {
	if c.token.app {
		return fail(403, "Resource not accessible by integration")
	}
	return fail(403, "Resource not accessible by personal access token")
}
