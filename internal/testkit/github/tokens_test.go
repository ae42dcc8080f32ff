package githubfake_test

import (
	"strings"
	"testing"
	"time"
)

func TestNoTokenFailsTheTest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.token = ""
	w.want(401, "GET", ":/deployments", nil)
	w.failed("GET /repos/acme/shop/deployments", "no token")
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hub.Repository("acme/other")
	secret := w.hub.Repository("acme/secret")
	secret.Private = true

	w.token = w.hub.Token("acme/shop", map[string]string{"deployments": "read"})
	w.want(200, "GET", ":/deployments", nil)
	got := w.want(403, "POST", ":/deployments", m{"ref": "main"})
	if got.object["message"] != "Resource not accessible by integration" || got.header.Get("X-Accepted-GitHub-Permissions") != "deployments=write" {
		t.Errorf("%s %s", got.text, got.header)
	}
	w.want(403, "GET", "/repos/acme/other/deployments", nil)
	w.want(404, "GET", "/repos/acme/secret/deployments", nil)
	w.want(404, "GET", "/repos/acme/none/deployments", nil)
	if got := w.want(403, "GET", ":/issues/1/comments", nil).header.Get("X-Accepted-GitHub-Permissions"); got != "pull_requests=read; issues=read" {
		t.Error(got)
	}

	w.token = w.hub.UserToken("alice", "acme/shop", map[string]string{"checks": "write"})
	if got := w.want(403, "POST", ":/check-runs", m{"name": "n", "head_sha": w.head}); !strings.Contains(got.text, "GitHub App") {
		t.Error(got.text)
	}
	if got := w.want(403, "GET", ":/deployments", nil); !strings.Contains(got.text, "personal access token") {
		t.Error(got.text)
	}
	w.hub.Revoke(w.token)
	if got := w.want(401, "GET", ":/deployments", nil); !strings.Contains(got.text, "Bad credentials") {
		t.Error(got.text)
	}
	w.quiet()
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w.hub.SetNow(func() time.Time { return now })
	reset := now.Add(90 * time.Second)
	w.hub.SetRateLimit(w.token, 2, reset)

	first := w.want(200, "GET", ":/deployments", nil)
	if first.header.Get("X-RateLimit-Remaining") != "1" || first.header.Get("X-RateLimit-Reset") != "1767323135" {
		t.Errorf("%v", first.header)
	}
	for range 3 { // what did not change costs nothing
		again := w.want(304, "GET", ":/deployments", nil, "If-None-Match", first.header.Get("ETag"))
		if again.text != "" || again.header.Get("X-RateLimit-Remaining") != "1" {
			t.Errorf("%v", again)
		}
	}
	w.want(201, "POST", ":/deployments", m{"ref": "main"})
	over := w.want(403, "GET", ":/deployments", nil)
	if !strings.Contains(over.text, "API rate limit exceeded") || over.header.Get("X-RateLimit-Remaining") != "0" || over.header.Get("Retry-After") != "" {
		t.Errorf("%v", over)
	}
	now = reset
	changed := w.want(200, "GET", ":/deployments", nil, "If-None-Match", first.header.Get("ETag"))
	if len(changed.list) != 1 {
		t.Error(changed.text)
	}
	w.quiet()
}

func TestSecondaryLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w.hub.SetNow(func() time.Time { return now })
	for range 80 {
		w.want(201, "POST", ":/statuses/"+w.head, m{"state": "success"})
	}
	over := w.want(403, "POST", ":/statuses/"+w.head, m{"state": "success"})
	if !strings.Contains(over.text, "secondary rate limit") || over.header.Get("Retry-After") != "60" || over.header.Get("X-RateLimit-Remaining") == "0" {
		t.Errorf("%v", over)
	}
	w.want(200, "GET", ":/commits/main/status", nil)
	now = now.Add(time.Minute)
	w.want(201, "POST", ":/statuses/"+w.head, m{"state": "success"})
	w.quiet()
}
