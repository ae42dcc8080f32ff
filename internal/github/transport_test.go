package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/org/idp/internal/fault"
)

// secret stands in for a token. It does not look like one.
const secret = "not-a-real-credential"

// clock is a time that passes only while someone sleeps.
type clock struct {
	mu     sync.Mutex // the fake reads it, too
	at     time.Time
	pauses []time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.pauses = append(c.pauses, d)
	c.pass(d)
	return ctx.Err()
}

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// scripted serves one answer after the other, and fails the test for a request too many or too few.
func scripted(t *testing.T, answers ...http.HandlerFunc) (*Client, *clock) {
	t.Helper()
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer "+secret {
			t.Errorf("%s came with authorization %q", r.URL, got)
		}
		if n == len(answers) {
			t.Errorf("request too many: %s %s", r.Method, r.URL)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		n++
		answers[n-1](w, r)
	}))
	t.Cleanup(func() {
		srv.Close()
		if n != len(answers) {
			t.Errorf("%d requests, want %d", n, len(answers))
		}
	})
	c := &clock{at: noon}
	client, err := New(Options{API: srv.URL + "/api/v3", Token: secret, Repository: "acme/checkout", Now: c.now, Sleep: c.sleep})
	if err != nil {
		t.Fatal(err)
	}
	return client, c
}

func say(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cut ends the connection without an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// half answers with less than it announces.
func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, `{"id": 1`)
}

func get(ctx context.Context, c *Client) (string, error) {
	repo, _, err := c.api.Repositories.Get(ctx, c.owner, c.name)
	return repo.GetName(), c.judge(ctx, History, err)
}

func post(ctx context.Context, c *Client, done func() (bool, error)) (id int64, err error) {
	err = c.write(ctx, Comments, func() error {
		made, _, err := c.api.Issues.CreateComment(ctx, c.owner, c.name, 7, &gh.IssueComment{Body: gh.String("hello")})
		id = made.GetID()
		return err
	}, done)
	return id, err
}

const whole = `{"name": "checkout"}`

func TestReadsAreRepeated(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]http.HandlerFunc{
		"500": say(500, "{}"), "502": say(502, "<html>"), "503": say(503, ""), "504": say(504, ""), "cut": cut, "half": half,
		"no body": say(200, ""), "broken off": say(200, `{"name": "chec`),
	} {
		t.Run(name, func(t *testing.T) {
			client, clock := scripted(t, bad, bad, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/v3/repos/acme/checkout" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				say(200, whole)(w, r)
			})
			if got, err := get(t.Context(), client); err != nil || got != "checkout" {
				t.Errorf("%q, %v", got, err)
			}
			if len(clock.pauses) != 2 {
				t.Fatalf("paused %v", clock.pauses)
			}
			for i, least := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond} {
				if p := clock.pauses[i]; p < least || p >= 3*least {
					t.Errorf("pause %d is %s, want %s to %s", i, p, least, 3*least)
				}
			}
		})
	}
}

func TestASlowAnswerIsNone(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	late := func(w http.ResponseWriter, r *http.Request) { // begins, and does not come to its end
		_, _ = io.WriteString(w, `{"name": `)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	client, _ := scripted(t, hang, late, say(200, whole))
	client.transport.slow = time.Second
	client.transport.next = &patientAfter{next: client.transport.next, of: client.transport}
	if got, err := get(t.Context(), client); got != "checkout" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	client, _ = scripted(t)
	client.transport.slow, client.transport.next = time.Millisecond, silent{}
	if _, err := get(t.Context(), client); err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no whole answer within 30s") {
		t.Errorf("error %v", err)
	}
}

// patientAfter gives all that comes after two requests as much time as they need.
type patientAfter struct {
	next http.RoundTripper
	of   *transport
	n    int
}

func (p *patientAfter) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.n++; p.n == 2 {
		p.of.slow = patience // from the next request on
	}
	return p.next.RoundTrip(r)
}

// silent is a network that takes everything and gives nothing.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestAttemptsEnd(t *testing.T) {
	t.Parallel()
	client, _ := scripted(t, slices.Repeat([]http.HandlerFunc{say(502, "")}, 6)...)
	_, err := get(t.Context(), client)
	if fault.KindOf(err) != fault.Undetermined || !strings.Contains(fmt.Sprint(err), "gives no answer, asked 6 times: it answers 502 Bad Gateway") {
		t.Errorf("error %v", err)
	}
}

// GitHub's page of incidents knows nothing of a company's own server.
func TestWhereAnOutageIsToBeLookedUp(t *testing.T) {
	t.Parallel()
	for api, want := range map[string]string{
		"https://api.github.com":             "https://www.githubstatus.com",
		"https://api.acme.ghe.com":           "https://www.githubstatus.com",
		"https://github.acme.example/api/v3": "Ask who runs github.acme.example",
	} {
		down := func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }
		client, err := New(Options{API: api, Token: secret, Repository: "acme/checkout", Transport: roundTripper(down), Now: (&clock{at: noon}).now, Sleep: (&clock{}).sleep})
		if err != nil {
			t.Fatal(err)
		}
		_, err = get(t.Context(), client)
		if lines := strings.Join(fault.Lines(err), "\n"); !strings.Contains(lines, want) {
			t.Errorf("%s: %s", api, lines)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBudgetIsOfTheWholeClient(t *testing.T) {
	t.Parallel()
	wait := say(503, "", "Retry-After", "25")
	client, clock := scripted(t, wait, wait, say(200, whole), wait)
	if _, err := get(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t.Context(), client); err == nil {
		t.Error("a third pause of 25 s fits into a minute")
	}
	if got := clock.now().Sub(noon); got != 50*time.Second {
		t.Errorf("waited %s", got)
	}
}

func TestAWriteIsLookedForBeforeItIsRepeated(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]http.HandlerFunc{"500": say(500, "{}"), "502": say(502, ""), "503": say(503, ""), "cut": cut, "half": half, "no body": say(201, "")} {
		t.Run(name, func(t *testing.T) {
			client, _ := scripted(t, bad, bad, say(201, `{"id": 9}`))
			looked := 0
			id, err := post(t.Context(), client, func() (bool, error) { looked++; return false, nil })
			if err != nil || id != 9 || looked != 2 {
				t.Errorf("id %d, looked %d times, %v", id, looked, err)
			}
			client, _ = scripted(t, bad)
			if _, err := post(t.Context(), client, func() (bool, error) { return true, nil }); err != nil {
				t.Errorf("was there: %v", err)
			}
			client, _ = scripted(t, bad)
			_, err = post(t.Context(), client, func() (bool, error) { return false, errors.New("cannot look") })
			if err == nil || !strings.Contains(err.Error(), "whether GitHub took POST /api/v3/repos/acme/checkout/issues/7/comments is not known") || !strings.Contains(err.Error(), "cannot look") {
				t.Errorf("could not look: %v", err)
			}
		})
	}
}

func TestAWriteThatNeverReachedGitHubIsRepeated(t *testing.T) {
	t.Parallel()
	c := &clock{at: noon}
	client, err := New(Options{API: "http://127.0.0.1:1", Token: secret, Repository: "acme/checkout", Now: c.now, Sleep: c.sleep})
	if err != nil {
		t.Fatal(err)
	}
	_, err = post(t.Context(), client, func() (bool, error) { t.Error("looked for what was never sent"); return false, nil })
	if err == nil || !strings.Contains(err.Error(), "connection refused") || len(c.pauses) != 5 {
		t.Errorf("paused %v, error %v", c.pauses, err)
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) string { return fmt.Sprint(noon.Add(d).Unix()) }
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		pause  time.Duration
	}{
		"primary 403":              {say(403, `{"message": "API rate limit exceeded"}`, "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", in(20*time.Second)), 21 * time.Second},
		"primary 429":              {say(429, `{}`, "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", in(20*time.Second)), 21 * time.Second},
		"primary, clock behind":    {say(403, `{}`, "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", in(-time.Hour)), time.Second},
		"secondary, Retry-After":   {say(403, `{"message": "You have exceeded a secondary rate limit."}`, "Retry-After", "30", "X-Ratelimit-Remaining", "100"), 30 * time.Second},
		"secondary 429":            {say(429, `{}`, "Retry-After", "7"), 7 * time.Second},
		"secondary, date":          {say(429, `{}`, "Retry-After", noon.Add(9*time.Second).Format(http.TimeFormat), "Date", noon.Format(http.TimeFormat)), 9 * time.Second},
		"secondary, only its text": {say(403, `{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}`), time.Minute},
		"abuse detection":          {say(403, `{"message": "You have triggered an abuse detection mechanism."}`), time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			client, clock := scripted(t, test.answer, say(200, whole, "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", in(time.Hour)), say(200, whole))
			for range 2 { // that nothing remains after an answer is not yet a refusal
				if _, err := get(t.Context(), client); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(clock.pauses, []time.Duration{test.pause}) {
				t.Errorf("paused %v, want %s", clock.pauses, test.pause)
			}
			client, _ = scripted(t, test.answer, say(201, `{"id": 3}`))
			if id, err := post(t.Context(), client, func() (bool, error) { t.Error("looked"); return false, nil }); id != 3 || err != nil {
				t.Errorf("a limited write: id %d, %v", id, err)
			}
		})
	}
}

func TestALimitBeyondTheBudgetIsUndetermined(t *testing.T) {
	t.Parallel()
	client, clock := scripted(t, say(403, `{}`, "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", fmt.Sprint(noon.Add(12*time.Minute).Unix())))
	for range 2 { // the second time GitHub is not even asked
		_, err := get(t.Context(), client)
		var denied *Denied
		if errors.As(err, &denied) || fault.KindOf(err) != fault.Undetermined ||
			!strings.Contains(fmt.Sprint(err), "used up until 2026-11-27 12:12:01 UTC, in 12m1s") {
			t.Errorf("error %v", err)
		}
	}
	if clock.pauses != nil {
		t.Errorf("paused %v", clock.pauses)
	}
}

func TestALimitThatIsNeverLiftedEnds(t *testing.T) {
	t.Parallel()
	client, _ := scripted(t, slices.Repeat([]http.HandlerFunc{say(429, `{}`, "Retry-After", "1")}, 6)...)
	if _, err := get(t.Context(), client); fault.KindOf(err) != fault.Undetermined {
		t.Errorf("error %v", err)
	}
}

func TestOnlyWhatChangedIsAskedFor(t *testing.T) {
	t.Parallel()
	client, _ := scripted(t,
		say(200, whole, "ETag", `"a"`),
		func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("If-None-Match"); got != `"a"` {
				t.Errorf("If-None-Match is %q", got)
			}
			w.WriteHeader(http.StatusNotModified)
		},
		say(200, `{"name": "renamed"}`, "ETag", `"b"`))
	for _, want := range []string{"checkout", "checkout", "renamed"} {
		if got, err := get(t.Context(), client); got != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}

func TestTheTokenGoesToNoOtherHost(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked, with authorization %q", r.Header.Get("Authorization"))
	}))
	defer other.Close()
	client, _ := scripted(t, say(302, "", "Location", other.URL+"/repos/acme/checkout"))
	if _, err := get(t.Context(), client); err == nil || !strings.Contains(err.Error(), "redirects to another host") {
		t.Errorf("error %v", err)
	}
}

func TestAMovedRepositoryIsFollowed(t *testing.T) {
	t.Parallel()
	moved := say(301, "{}", "Location", "/api/v3/repositories/17")
	client, _ := scripted(t, moved, say(200, whole), say(307, "{}", "Location", "/api/v3/repositories/17/issues/7/comments"),
		func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.Method != http.MethodPost || !strings.Contains(string(body), "hello") {
				t.Errorf("%s %s", r.Method, body)
			}
			say(201, `{"id": 4}`)(w, r)
		},
		moved)
	if got, err := get(t.Context(), client); got != "checkout" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if id, err := post(t.Context(), client, never); id != 4 || err != nil {
		t.Errorf("id %d, %v", id, err)
	}
	if _, err := post(t.Context(), client, never); err == nil || !strings.Contains(err.Error(), "redirects POST") {
		t.Errorf("a write that would become a read: %v", err)
	}
}

func TestNoTokenInAnyError(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"message":     say(422, `{"message": "bad `+secret+`\n::error::x", "errors": [{"code": "custom", "message": "`+secret+`"}]}`),
		"denied":      say(403, `{"message": "not `+secret+`"}`),
		"unauthentic": say(401, `{"message": "`+secret+`"}`, "X-GitHub-OTP", "required; app"),
	} {
		client, _ := scripted(t, answer)
		_, err := get(t.Context(), client)
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		if all := strings.Join(fault.Lines(err), "\n"); strings.Contains(all, secret) || strings.Contains(all, "\n") {
			t.Errorf("%s: %q", name, all)
		}
	}
}

func TestWhoeverStopsIsAnswered(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped by hand")
	client, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) { cancel(stop); say(502, "")(w, r) })
	if _, err := get(ctx, client); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}

func TestDeniedNamesTheScope(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer   http.HandlerFunc
		readOnly string
		want     string
	}{
		"no permission": {say(403, `{"message": "Resource not accessible by integration"}`), "",
			"comment: GitHub answers 403, Resource not accessible by integration: add to the job permissions: {pull-requests: write}"},
		"invisible": {say(404, `{"message": "Not Found"}`), "", "comment: GitHub answers 404, Not Found: add to the job permissions: {pull-requests: write}"},
		"bad token": {say(401, `{"message": "Bad credentials"}`), "", "comment: GitHub answers 401, Bad credentials: the token is not valid, or no longer"},
		"fork": {say(403, `{"message": "Resource not accessible by integration"}`), "the pull request comes from a fork",
			"comment: GitHub answers 403, Resource not accessible by integration: the token of this run can only read, because the pull request comes from a fork"},
		"archived": {say(403, `{"message": "Repository was archived so is read-only."}`), "", "comment: GitHub answers 403, Repository was archived so is read-only"},
		"no code scanning": {say(403, `{"message": "Advanced Security must be enabled for this repository to use code scanning."}`), "",
			"comment: GitHub answers 403, Advanced Security must be enabled for this repository to use code scanning: code scanning is free for public repositories; others need GitHub Code Security, switched on in the repository's settings"},
	} {
		client, clock := scripted(t, test.answer)
		client.readOnly = test.readOnly
		_, err := post(t.Context(), client, never)
		var denied *Denied
		if !errors.As(err, &denied) || err.Error() != test.want || clock.pauses != nil {
			t.Errorf("%s: %v\nwant %s\npaused %v", name, err, test.want, clock.pauses)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"no address":    {Token: secret, Repository: "acme/checkout"},
		"plain HTTP":    {API: "http://github.acme.example/api/v3", Token: secret, Repository: "acme/checkout"},
		"no scheme":     {API: "api.github.com", Token: secret, Repository: "acme/checkout"},
		"user":          {API: "https://me@api.github.com", Token: secret, Repository: "acme/checkout"},
		"no token":      {API: "https://api.github.com", Repository: "acme/checkout"},
		"token, line":   {API: "https://api.github.com", Token: secret + "\n", Repository: "acme/checkout"},
		"no owner":      {API: "https://api.github.com", Token: secret, Repository: "checkout"},
		"way up":        {API: "https://api.github.com", Token: secret, Repository: "acme/.."},
		"three":         {API: "https://api.github.com", Token: secret, Repository: "acme/checkout/x"},
		"odd character": {API: "https://api.github.com", Token: secret, Repository: "acme/check?out"},
	} {
		if _, err := New(o); fault.KindOf(err) != fault.BadInput || strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestFeaturesAreWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range Features() {
		if f.Name == "" || f.Does == "" || f.Without == "" || seen[f.Name] || !strings.Contains(f.Scope, ": ") {
			t.Errorf("%+v", f)
		}
		seen[f.Name] = true
	}
}
