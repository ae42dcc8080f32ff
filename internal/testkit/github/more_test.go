package githubfake_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	githubfake "github.com/org/idp/internal/testkit/github"
)

func packed(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func sarif(runs, results int) string {
	result := `{"ruleId":"r","message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.go"}}}]}`
	list := strings.TrimSuffix(strings.Repeat(result+",", results), ",")
	var all []string
	for i := range runs {
		all = append(all, fmt.Sprintf(`{"tool":{"driver":{"name":"idp"}},"automationDetails":{"id":"idp/%d/"},"results":[%s]}`, i, list))
	}
	return `{"version":"2.1.0","runs":[` + strings.Join(all, ",") + `]}`
}

func TestShortCommitOfASarifIsCaught(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(422, "POST", ":/code-scanning/sarifs", m{"commit_sha": w.head[:12], "ref": "refs/heads/main", "sarif": packed(sarif(1, 1))})
	w.failed("POST /repos/acme/shop/code-scanning/sarifs", "commit_sha")
}

func TestSarifs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	upload := func(text string) string {
		t.Helper()
		got := w.want(202, "POST", ":/code-scanning/sarifs", m{"commit_sha": w.head, "ref": "refs/heads/main", "sarif": packed(text)})
		return ":/code-scanning/sarifs/" + fmt.Sprint(got.object["id"])
	}
	at := upload(sarif(2, 3))
	for _, want := range []string{"pending", "complete", "complete"} {
		if got := w.want(200, "GET", at, nil).object["processing_status"]; got != want {
			t.Errorf("%v, not %s", got, want)
		}
	}
	got := w.repo.Sarifs()[0]
	if got.Results != 6 || fmt.Sprint(got.Categories) != "[idp idp/0 idp idp/1]" || string(got.Log) != sarif(2, 3) || got.Status != "complete" {
		t.Errorf("%+v", got)
	}
	if list := w.want(200, "GET", ":/code-scanning/analyses?ref=refs/heads/main", nil).list; len(list) != 2 || list[0]["category"] != "idp/0" {
		t.Errorf("%v", list)
	}
	for text, want := range map[string]string{
		sarif(21, 1):                "rejecting SARIF, as there are more runs than allowed (21 > 20)",
		sarif(1, 25_001):            "(25001 > 25000)",
		`{"version":"2.1.0","runs"`: "Invalid SARIF",
		`{"version":"2.0.0"}`:       "2.0.0",
		strings.Replace(sarif(2, 1), "idp/1", "idp/0", 1):                              "same tool and category",
		`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[{}]}]}`: "at least one location",
	} {
		at := upload(text)
		w.want(200, "GET", at, nil)
		if got := w.want(200, "GET", at, nil); got.object["processing_status"] != "failed" || !strings.Contains(got.text, want) && !strings.Contains(got.text, strings.ReplaceAll(want, ">", `\u003e`)) {
			t.Errorf("%s: %s", want, got.text)
		}
	}
	for text, status := range map[string]int{"!": 400, base64.StdEncoding.EncodeToString([]byte("plain")): 400} {
		w.want(status, "POST", ":/code-scanning/sarifs", m{"commit_sha": w.head, "ref": "refs/heads/main", "sarif": text})
	}
	w.repo.Private = true
	if got := w.want(403, "POST", ":/code-scanning/sarifs", m{"commit_sha": w.head, "ref": "refs/heads/main", "sarif": "x"}); got.object["message"] != githubfake.CodeSecurityOff {
		t.Error(got.text)
	}
	w.quiet()
}

func TestRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.repo.Run(githubfake.Run{Event: "push"})
	at := fmt.Sprintf(":/actions/runs/%d", id)
	w.repo.EndRun(id, "cancelled")
	if got := w.want(200, "GET", at, nil).object; got["status"] != "completed" || got["conclusion"] != "cancelled" || got["run_attempt"] != 1.0 {
		t.Errorf("%v", got)
	}
	w.repo.Run(githubfake.Run{ID: id, Attempt: 2})
	if got := w.want(200, "GET", at, nil).object; got["status"] != "in_progress" || got["conclusion"] != nil || got["run_attempt"] != 2.0 {
		t.Errorf("%v", got)
	}
	if got := w.want(200, "GET", at+"/attempts/1", nil).object; got["conclusion"] != "cancelled" {
		t.Errorf("%v", got)
	}
	w.want(404, "GET", at+"/attempts/3", nil)
	w.want(404, "GET", ":/actions/runs/1", nil)
	for query, want := range map[string]float64{"": 1, "?status=in_progress": 1, "?status=cancelled": 0, "?event=push&head_sha=" + w.head: 1} {
		if got := w.want(200, "GET", ":/actions/runs"+query, nil).object["total_count"]; got != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	w.quiet()
}

func TestDispatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo.Workflows = []string{"deploy.yml"}
	w.want(204, "POST", ":/dispatches", m{"event_type": "approved", "client_payload": m{"a": 1}})
	w.want(204, "POST", ":/actions/workflows/deploy.yml/dispatches", m{"ref": "main", "inputs": m{"digest": "d"}})
	w.want(404, "POST", ":/actions/workflows/other.yml/dispatches", m{"ref": "main"})
	w.want(422, "POST", ":/actions/workflows/deploy.yml/dispatches", m{"ref": w.head})
	if got := fmt.Sprintf("%s", w.repo.Dispatches()); got != `[{approved   {"a":1} github-actions[bot]} { deploy.yml main {"digest":"d"} github-actions[bot]}]` {
		t.Error(got)
	}
	w.quiet()
}

func TestMeta(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.want(200, "GET", ":", nil).object; got["private"] != false || got["visibility"] != "public" || got["default_branch"] != "main" || got["security_and_analysis"] != nil {
		t.Errorf("%v", got)
	}
	w.want(403, "GET", "/user", nil)
	for _, path := range []string{"/graphql", "/api/graphql"} {
		if got := w.want(200, "POST", path, m{"query": "query { viewer { login } }"}).text; got != `{"data":{"viewer":{"login":"github-actions[bot]"}}}` {
			t.Error(got)
		}
	}
	if got := w.want(200, "GET", "/api/v3/repos/acme/shop", nil).object["full_name"]; got != "acme/shop" {
		t.Error(got)
	}
	if got := w.want(200, "GET", "/rate_limit", nil).object["rate"].(m)["limit"]; got != 1000.0 {
		t.Error(got)
	}
	w.repo.Archived = true
	if got := w.want(403, "POST", ":/deployments", m{"ref": "main"}).text; !strings.Contains(got, "archived") {
		t.Error(got)
	}
	w.token = w.hub.UserToken("alice", "acme/shop", map[string]string{"administration": "read"})
	w.repo.Private, w.repo.CodeSecurity = true, true
	if got := w.want(200, "GET", ":", nil).text; !strings.Contains(got, `"code_security":{"status":"enabled"}`) {
		t.Error(got)
	}
	if got := w.want(200, "GET", "/user", nil).object["login"]; got != "alice" {
		t.Error(got)
	}
	w.quiet()
	w.want(400, "POST", "/graphql", m{"query": "{viewer{email}}"})
	w.failed("POST /graphql", "{viewer{email}}")
}
