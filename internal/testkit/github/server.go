// Package githubfake is a GitHub that behaves, for tests: it keeps what it is told, and answers as GitHub does to a token that
// may not, to a second of what there may be one of, and when too much is asked. It can be told to fail.
//
// Every request and every answer is held against GitHub's published description. A request that is not as described, or that
// goes where the fake has nothing, fails the test. The fake is stricter than GitHub in two ways: it refuses fields and query
// parameters that GitHub would ignore, and wants a permission also for what anyone may read of a public repository.
package githubfake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/org/idp/internal/testkit/github/openapi"
)

// TB is what of *testing.T the fake needs, so that its own tests can watch it fail a test.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Server is one GitHub.
type Server struct {
	t       TB
	http    *httptest.Server
	closing chan struct{}
	docs    *openapi.Description

	mu     sync.Mutex
	now    func() time.Time
	lastID int64
	repos  map[string]*Repository // by OWNER/NAME in lower case
	people map[string]*user       // by login in lower case
	orgs   map[string]*org        // by login in lower case
	tokens map[string]*token
	faults []*fault
	calls  []Call
	closed bool
}

// Call is a request that came in.
type Call struct {
	Operation string // such as POST /repos/{owner}/{repo}/deployments; empty where the fake has no such route
	Method    string
	Path      string // with the query
	Status    int    // of the answer; 0 where the connection was cut instead
	Token     string
	Body      string
}

// New starts a GitHub for the time of the test.
func New(t TB) *Server {
	t.Helper()
	docs, err := openapi.Load(operations())
	if err != nil {
		t.Fatalf("GitHub's description of its API: %v", err)
	}
	s := &Server{t: t, docs: docs, closing: make(chan struct{}), now: time.Now, lastID: 1_000_000,
		repos: map[string]*Repository{}, people: map[string]*user{}, orgs: map[string]*org{}, tokens: map[string]*token{}}
	s.http = httptest.NewServer(s)
	t.Cleanup(s.close)
	return s
}

func (s *Server) close() {
	close(s.closing)
	s.http.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.hits == 0 {
			s.t.Errorf("a fault was never met: %+v after %d calls", f.Fault, f.seen)
		}
	}
	s.closed = true
}

// API is what GITHUB_API_URL is to be.
func (s *Server) API() string { return s.http.URL }

// EnterpriseAPI is what GITHUB_API_URL is to be for the same as GitHub Enterprise Server.
func (s *Server) EnterpriseAPI() string { return s.http.URL + enterprisePrefix }

const (
	enterprisePrefix = "/api/v3"
	site             = "https://github.com/"
)

// SetNow gives the fake another clock.
func (s *Server) SetNow(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Calls are all requests so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// ServeHTTP is GitHub's side of a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), enterprisePrefix)
	if path == "/api/graphql" { // where an Enterprise Server has it
		path = "/graphql"
	}
	op, params := match(r.Method, path)
	s.mu.Lock()
	c := &call{Server: s, r: r, body: body, params: params, query: r.URL.Query(), bearer: bearer(r)}
	index := len(s.calls)
	record := Call{Method: r.Method, Path: strings.TrimPrefix(r.URL.RequestURI(), enterprisePrefix), Token: c.bearer, Body: string(body)}
	if op != nil {
		record.Operation = op.name
		c.op = op
	}
	s.calls = append(s.calls, record)
	f := s.meet(record.Operation)
	var a answer
	if f.Taken || f.Half || !(f.Cut || f.Status != 0) {
		a = s.answer(c)
	}
	if f.Status != 0 {
		a = f.answer()
	}
	if !f.Cut {
		s.calls[index].Status = a.status
	}
	s.mu.Unlock()
	if !s.wait(r, f.Delay) || f.Cut {
		cut(w)
		return
	}
	s.write(w, c, a, f.Half)
}

// answer is what GitHub does with a request that reached it.
func (s *Server) answer(c *call) answer {
	switch {
	case c.op == nil:
		s.wrong(c, "the fake GitHub has no such route")
		return fail(404, "Not Found")
	case c.r.UserAgent() == "":
		s.wrong(c, "the request has no User-Agent")
		return fail(403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent header")
	}
	if refused := s.authenticate(c); refused != nil {
		return c.finish(*refused)
	}
	if accept := c.r.Header.Get("Accept"); otherForm.MatchString(accept) {
		s.wrong(c, "the fake GitHub answers JSON only, not %s", accept)
	}
	if problems := s.problems(c); len(problems) > 0 {
		s.wrong(c, "%s", strings.Join(problems, "\n"))
		return c.finish(invalid("Invalid request.\n\n" + strings.Join(problems, "\n")))
	}
	if refused := s.authorize(c); refused != nil {
		return c.finish(*refused)
	}
	return c.finish(c.op.do(c))
}

// otherForm asks for a diff or the like. Names of previews, which are over, are JSON.
var otherForm = regexp.MustCompile(`\.(diff|patch|sha|raw|html|object)\s*(,|$)`)

func (s *Server) problems(c *call) []string {
	if c.op.undescribed {
		return nil
	}
	return s.docs.Request(c.op.name, c.r, c.params, c.body)
}

// wrong fails the test for a request.
func (s *Server) wrong(c *call, format string, args ...any) {
	if s.closed {
		return
	}
	s.t.Errorf("%s %s: "+format, append([]any{c.r.Method, c.r.URL.RequestURI()}, args...)...)
}

// wait is false where there is nobody left to answer.
func (s *Server) wait(r *http.Request, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.closing:
	}
	return false
}

func (s *Server) write(w http.ResponseWriter, c *call, a answer, half bool) {
	h := w.Header()
	for k, v := range a.header {
		h[k] = v
	}
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	if len(a.sent) > 0 {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h.Set("Content-Length", fmt.Sprint(len(a.sent)))
	}
	w.WriteHeader(a.status)
	if !half {
		_, _ = w.Write(a.sent)
		return
	}
	_, _ = w.Write(a.sent[:len(a.sent)/2])
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

// call is one request as a handler sees it.
type call struct {
	*Server
	r      *http.Request
	op     *route
	params map[string]string
	query  url.Values
	body   []byte
	bearer string
	token  *token
	repo   *Repository // of the path; nil where it has none
}

// read takes the body, which has been held against its description.
func (c *call) read(into any) {
	if len(c.body) == 0 {
		return
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		c.wrong(c, "%v", err)
	}
}

func (c *call) id(name string) int64 {
	var n int64
	_, _ = fmt.Sscan(c.params[name], &n)
	return n
}

// object is JSON's.
type object = map[string]any

func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

func (s *Server) time() time.Time { return s.now().UTC().Truncate(time.Second) }

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// orNull is null for what is empty.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
