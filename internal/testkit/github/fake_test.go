package githubfake_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	githubfake "github.com/org/idp/internal/testkit/github"
)

// watched is a test that the fake may fail without failing the real one.
type watched struct {
	*testing.T
	mu    sync.Mutex
	wrong []string
}

func (w *watched) Errorf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

type reply struct {
	status int
	header http.Header
	text   string
	object map[string]any
	list   []map[string]any
	err    error
}

// world is a fake and a token for its repository acme/shop.
type world struct {
	t     *testing.T
	fails *watched
	hub   *githubfake.Server
	repo  *githubfake.Repository
	token string
	head  string
}

var everything = map[string]string{"deployments": "write", "checks": "write", "statuses": "write", "pull-requests": "write",
	"contents": "write", "security-events": "write", "actions": "write"}

func newWorld(t *testing.T) *world {
	t.Helper()
	fails := &watched{T: t}
	hub := githubfake.New(fails)
	w := &world{t: t, fails: fails, hub: hub, repo: hub.Repository("acme/shop")}
	t.Cleanup(func() {
		for _, call := range hub.Calls() {
			if call.Status >= 200 && call.Status < 300 {
				visited.Store(call.Operation, true)
			}
		}
	})
	w.token, w.head = hub.Token("acme/shop", everything), w.repo.Head("main")
	return w
}

// quiet wants that nothing so far failed the test.
func (w *world) quiet() {
	w.t.Helper()
	if len(w.fails.wrong) > 0 {
		w.t.Errorf("the fake failed the test: %s", strings.Join(w.fails.wrong, "\n"))
	}
}

// failed wants that the fake failed the test, once, with these words.
func (w *world) failed(words ...string) {
	w.t.Helper()
	if len(w.fails.wrong) != 1 {
		w.t.Fatalf("the test was failed %d times: %s", len(w.fails.wrong), w.fails.wrong)
	}
	for _, word := range words {
		if !strings.Contains(w.fails.wrong[0], word) {
			w.t.Errorf("%q does not say %q", w.fails.wrong[0], word)
		}
	}
}

// do asks for a path, in which a leading : stands for the repository.
func (w *world) do(method, path string, body any, header ...string) reply {
	w.t.Helper()
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	if rest, ok := strings.CutPrefix(path, ":"); ok {
		path = "/repos/acme/shop" + rest
	}
	r, err := http.NewRequest(method, w.hub.API()+path, in)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if w.token != "" {
		r.Header.Set("Authorization", "Bearer "+w.token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	out := reply{status: res.StatusCode, header: res.Header, text: string(data), err: err}
	_ = json.Unmarshal(data, &out.object)
	_ = json.Unmarshal(data, &out.list)
	return out
}

// want asks and wants a status.
func (w *world) want(status int, method, path string, body any, header ...string) reply {
	w.t.Helper()
	got := w.do(method, path, body, header...)
	if got.err != nil || got.status != status {
		w.t.Errorf("%s %s: %d, not %d: %v %s", method, path, got.status, status, got.err, got.text)
	}
	return got
}

type m = map[string]any

func annotations(n int) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = m{"path": "a.go", "start_line": i + 1, "end_line": i + 1, "annotation_level": "warning", "message": "m"}
	}
	return list
}

func output(n int) m { return m{"title": "t", "summary": "s", "annotations": annotations(n)} }

// TestMistakesAreCaught sends what GitHub would not take, or not in the way that is meant.
func TestMistakesAreCaught(t *testing.T) {
	t.Parallel()
	sha := "HEAD"
	for name, tc := range map[string]struct {
		method, path string
		body         m
		word         string
	}{
		"51 annotations":          {"POST", ":/check-runs", m{"name": "n", "head_sha": sha, "output": output(51)}, "maximum number of items is 50"},
		"a bad annotation level":  {"POST", ":/check-runs", m{"name": "n", "head_sha": sha, "output": m{"title": "t", "summary": "s", "annotations": []any{m{"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "error", "message": "m"}}}}, "annotation_level"},
		"no head_sha":             {"POST", ":/check-runs", m{"name": "n"}, "head_sha"},
		"a field that is not":     {"POST", ":/check-runs", m{"name": "n", "head_sha": sha, "detail_url": "https://a.example"}, "there is no field /detail_url"},
		"a field below":           {"POST", ":/check-runs", m{"name": "n", "head_sha": sha, "output": m{"title": "t", "summary": "s", "body": "b"}}, "there is no field /output/body"},
		"state succeeded":         {"POST", ":/deployments/1/statuses", m{"state": "succeeded"}, "state"},
		"a number as text":        {"POST", ":/deployments", m{"ref": 7}, "ref"},
		"a bad commit status":     {"POST", ":/statuses/" + strings.Repeat("a", 40), m{"state": "passed"}, "state"},
		"an unknown route":        {"GET", ":/secrets", nil, "no such route"},
		"the wrong method":        {"PUT", ":/deployments", m{}, "no such route"},
		"a parameter that is not": {"GET", ":/deployments?sort=asc", nil, "no query parameter sort"},
		"a page that is none":     {"GET", ":/deployments?page=one", nil, "page"},
		"an ID that is none":      {"GET", ":/deployments/latest", nil, "deployment_id"},
		"a body on a GET":         {"GET", ":/deployments", m{"ref": "main"}, "takes no body"},
		"no body":                 {"POST", ":/deployments", nil, "needs a body"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tc.body["head_sha"] == sha {
				tc.body["head_sha"] = w.head
			}
			var body any
			if tc.body != nil {
				body = tc.body
			}
			if got := w.do(tc.method, tc.path, body); got.status != 422 && got.status != 404 {
				t.Errorf("%d %s", got.status, got.text)
			}
			w.failed(tc.method+" /repos/acme/shop"+strings.SplitN(tc.path[1:], "?", 2)[0], tc.word)
		})
	}
}

// TestRefusals are answers that a client has to live with, so that they fail no test by themselves.
func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.repo.Commit("topic", githubfake.Commit{Message: "Change"})
	w.repo.PullRequest(githubfake.PullRequest{Head: "topic", Author: "alice"})
	never := strings.Repeat("0", 40)
	for name, tc := range map[string]struct {
		method, path string
		body         m
		word         string
	}{
		"65,537 characters":          {"POST", ":/issues/1/comments", m{"body": strings.Repeat("ü", 65537)}, "maximum is 65536 characters"},
		"an empty comment":           {"POST", ":/issues/1/comments", m{"body": " \n"}, "missing_field"},
		"141 characters of a status": {"POST", ":/statuses/" + w.head, m{"state": "success", "description": strings.Repeat("d", 141)}, "maximum is 140 characters"},
		"a status of no commit":      {"POST", ":/statuses/" + never, m{"state": "success"}, "No commit found for SHA"},
		"a status of a short SHA":    {"POST", ":/statuses/" + w.head[:12], m{"state": "success"}, "No commit found for SHA"},
		"a target that is no page":   {"POST", ":/statuses/" + w.head, m{"state": "success", "target_url": "javascript:alert(1)"}, "http(s) scheme"},
		"a check run of no commit":   {"POST", ":/check-runs", m{"name": "n", "head_sha": never}, "No commit found for SHA"},
		"columns over two lines": {"POST", ":/check-runs", m{"name": "n", "head_sha": w.head, "output": m{"title": "t", "summary": "s", "annotations": []any{
			m{"path": "a", "start_line": 1, "end_line": 2, "start_column": 3, "annotation_level": "notice", "message": "m"}}}}, "start_column"},
		"no conclusion":          {"POST", ":/check-runs", m{"name": "n", "head_sha": w.head, "status": "completed"}, "conclusion"},
		"a deployment of no ref": {"POST", ":/deployments", m{"ref": "gone"}, "No ref found for: gone"},
	} {
		if got := w.want(422, tc.method, tc.path, tc.body); !strings.Contains(got.text, tc.word) || got.object["documentation_url"] == nil {
			t.Errorf("%s: %s", name, got.text)
		}
	}
	w.want(201, "POST", ":/issues/1/comments", m{"body": strings.Repeat("ü", 65536)})
	w.want(201, "POST", ":/statuses/"+w.head, m{"state": "success", "description": strings.Repeat("ü", 140)})
	w.want(201, "POST", ":/check-runs", m{"name": "n", "head_sha": w.head, "output": output(50)})
	w.want(404, "GET", ":/deployments/7", nil)
	w.want(404, "GET", ":/pulls/7", nil)
	w.quiet()
}
