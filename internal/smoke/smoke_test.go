package smoke_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/smoke"
)

const (
	commit    = "4f1c2ab9d0c1e2f3a4b5c6d7e8f90123456789ab"
	digest    = "sha256:9d0c9d0c9d0c9d0c9d0c9d0c9d0c9d0c9d0c9d0c9d0c9d0c9d0c9d0c9d0c9de1"
	oldCommit = "77aa77aa77aa77aa77aa77aa77aa77aa77aa7703"
	plenty    = time.Minute
)

// server answers /version with what version gives and everything else with handler, and counts the requests for each path.
func server(t *testing.T, version func(n int64) string, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/version" {
			_, _ = io.WriteString(w, version(n.Add(1)))
			return
		}
		handler(w, q)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func always(text string) func(int64) string { return func(int64) string { return text } }

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

func inputs(base string, checks ...service.Check) smoke.Inputs {
	if len(checks) == 0 {
		checks = []service.Check{{Get: "/"}}
	}
	return smoke.Inputs{URL: base, Rounds: 3, Timeout: plenty, Checks: checks, VersionPath: "/version", WantDigest: digest, WantCommit: commit}
}

// deps has a clock that hardly waits.
func deps() smoke.Deps {
	return smoke.Deps{Now: time.Now, Sleep: func(ctx context.Context, d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d / 2000):
			return nil
		}
	}}
}

// ending is deps with a timeout that is over at the 60th wait, however fast or slow the machine is.
func ending() smoke.Deps {
	d := deps()
	wait := d.Sleep
	var waits atomic.Int64
	d.Sleep = func(ctx context.Context, t time.Duration) error {
		if waits.Add(1) > 60 {
			return context.DeadlineExceeded
		}
		return wait(ctx, t)
	}
	return d
}

func TestPasses(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"commit as text": " " + commit + "\n", "digest as text": digest,
		"JSON":        `{"service": "hello", "revision": "` + commit + `", "nested": {"a": 1}}`,
		"JSON string": `"` + commit + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			srv := server(t, always(answer), func(w http.ResponseWriter, q *http.Request) { asked.Add(1); ok(w, q) })
			out, err := smoke.Run(t.Context(), inputs(srv.URL, service.Check{Get: "/"}, service.Check{Head: "/x"}), deps())
			if err != nil {
				t.Fatal(fault.Lines(err))
			}
			if n := asked.Load(); n != 6 {
				t.Errorf("%d requests, want 2 checks × 3 rounds", n)
			}
			want := record.Smoke{URL: srv.URL, Version: commit, Rounds: 3, P95MS: out.Evidence.P95MS,
				Checks: []record.CheckResult{{Name: "GET /", Passed: true}, {Name: "HEAD /x", Passed: true}}}
			if answer == digest {
				want.Version = digest
			}
			if diff := cmp.Diff(want, out.Evidence); diff != "" {
				t.Error(diff)
			}
			if !strings.HasPrefix(out.Summary, "2 checks × 3 rounds · p95 ") || !strings.HasSuffix(out.Summary, " ms") {
				t.Errorf("summary %q", out.Summary)
			}
		})
	}
}

// The old version answers 200, too. It is not checked at all.
func TestWaitsForTheNewVersion(t *testing.T) {
	t.Parallel()
	var early atomic.Bool
	var looks atomic.Int64
	srv := server(t, func(n int64) string {
		looks.Store(n)
		if n <= 4 {
			return oldCommit
		}
		return commit
	}, func(w http.ResponseWriter, q *http.Request) {
		if looks.Load() <= 4 {
			early.Store(true)
		}
		ok(w, q)
	})
	out, err := smoke.Run(t.Context(), inputs(srv.URL), deps())
	if err != nil {
		t.Fatal(fault.Lines(err))
	}
	if early.Load() || out.Evidence.Version != commit || out.Evidence.Rounds != 3 {
		t.Errorf("early %v, evidence %+v", early.Load(), out.Evidence)
	}
}

// What ends at the timeout, and as what.
func TestVersionNotSeen(t *testing.T) {
	t.Parallel()
	page := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = io.WriteString(w, body) }
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		kind    fault.Kind
		want    string
	}{
		"old":             {page(200, oldCommit), fault.Failed, `/version does not answer with the new version after 1m0s: "` + oldCommit + `"`},
		"short commit":    {page(200, commit[:12]), fault.Failed, "/version does not answer with the new version"},
		"longer than it":  {page(200, commit+"-dirty"), fault.Failed, "/version does not answer with the new version"},
		"nested":          {page(200, `{"a": {"revision": "`+commit+`"}}`), fault.Undetermined, "no version at its top level"},
		"in a list":       {page(200, `{"service": "x", "all": ["`+commit+`"]}`), fault.Failed, "/version does not answer with the new version"},
		"terminal escape": {page(200, "\x1b[2Jcleared"), fault.Failed, `"\x1b[2Jcleared"`},
		"no such path":    {page(404, "not found"), fault.Undetermined, "cannot be told from /version: answered 404, want 200\nwanted digest"},
		"empty":           {page(200, " \n"), fault.Undetermined, "the answer is empty"},
		"a page":          {page(200, "<html>"+commit), fault.Undetermined, "neither a text nor a JSON object"},
		"no text":         {page(200, "\xff\xfe"+commit), fault.Undetermined, "neither a text nor a JSON object"},
		"huge":            {page(200, strings.Repeat("x", 3<<20)), fault.Undetermined, "and 1048416 more characters"},
		"empty strings":   {page(200, `{"revision": "", "digest": ""}`), fault.Undetermined, "no version at its top level"},
		"broken":          {page(500, commit), fault.Undetermined, "answered 500, want 200"},
		"resets":          {reset, fault.Undetermined, "never answered within 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(tc.handler)
			t.Cleanup(srv.Close)
			out, err := smoke.Run(t.Context(), inputs(srv.URL), ending())
			wantFault(t, err, tc.kind, tc.want)
			if out.Summary != "" || out.Evidence.Version != "" || out.Evidence.Checks[0].Passed {
				t.Errorf("it reads as a pass: %+v", out)
			}
		})
	}
}

func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func TestNothingListens(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/version", smoke.Off} {
		in := inputs("http://127.0.0.1:1")
		in.VersionPath = path
		_, err := smoke.Run(t.Context(), in, ending())
		wantFault(t, err, fault.Undetermined, "never answered within 1m0s")
	}
}

// Some replicas are old: every third answer, then every tenth.
func TestMixedVersions(t *testing.T) {
	t.Parallel()
	for _, every := range []int64{2, 3, 10} {
		srv := server(t, func(n int64) string {
			if n%every == 0 {
				return oldCommit
			}
			return commit
		}, ok)
		out, err := smoke.Run(t.Context(), inputs(srv.URL), ending())
		wantFault(t, err, fault.Failed, `an old version still answers beside the new one: "`+oldCommit+`"`)
		if out.Summary != "" {
			t.Errorf("it has a summary: %s", out.Summary)
		}
	}
}

// A pod that drains answers a few times more. The bar is higher then, but it can be met.
func TestDraining(t *testing.T) {
	t.Parallel()
	srv := server(t, func(n int64) string {
		if n == 4 || n == 9 {
			return oldCommit
		}
		return commit
	}, ok)
	out, err := smoke.Run(t.Context(), inputs(srv.URL), deps())
	if err != nil {
		t.Fatal(fault.Lines(err))
	}
	if out.Evidence.Rounds != 9 {
		t.Errorf("%d rounds, want 3 × (1 + 2 old answers)", out.Evidence.Rounds)
	}
}

func TestVersionOff(t *testing.T) {
	t.Parallel()
	srv := server(t, func(int64) string { t.Error("the version was asked for"); return "" }, ok)
	in := inputs(srv.URL)
	in.VersionPath, in.WantCommit, in.WantDigest = smoke.Off, "", ""
	out, err := smoke.Run(t.Context(), in, deps())
	if err != nil {
		t.Fatal(fault.Lines(err))
	}
	if out.Evidence.Version != "" || !strings.HasSuffix(out.Summary, "· version not checked") {
		t.Errorf("%q %+v", out.Summary, out.Evidence)
	}
}

func TestStreak(t *testing.T) {
	t.Parallel()
	third := func(n int64) bool { return n%3 == 0 }
	for name, tc := range map[string]struct {
		bad    func(n int64) bool
		asked  int64 // requests until it passes; 0: it never does
		reason string
	}{
		"bad twice, then good":      {func(n int64) bool { return n <= 2 }, 5, ""},
		"bad in the third round":    {func(n int64) bool { return n == 3 }, 6, ""}, // 2 good, 1 bad, 3 good
		"bad in every third round":  {third, 0, "GET / answered 500, want 200\nGET / answered 500, want 200\n  | \"oops\""},
		"good only in every second": {func(n int64) bool { return n%2 == 1 }, 0, "answered 500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			srv := server(t, always(commit), func(w http.ResponseWriter, q *http.Request) {
				if tc.bad(n.Add(1)) {
					http.Error(w, "oops", http.StatusInternalServerError)
					return
				}
				ok(w, q)
			})
			out, err := smoke.Run(t.Context(), inputs(srv.URL), ending())
			if tc.asked == 0 {
				wantFault(t, err, fault.Failed, tc.reason)
				return
			}
			if err != nil || n.Load() != tc.asked || out.Evidence.Rounds != 3 {
				t.Errorf("%v; %d requests, want %d; %+v", err, n.Load(), tc.asked, out.Evidence)
			}
		})
	}
}

// A gateway's 503 and a reset connection are tried again within the round, a 500 is not.
func TestRetries(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]http.HandlerFunc{
		"503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, "reset": reset,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			srv := server(t, always(commit), func(w http.ResponseWriter, q *http.Request) {
				if n.Add(1)%3 != 0 {
					first(w, q)
					return
				}
				ok(w, q)
			})
			out, err := smoke.Run(t.Context(), inputs(srv.URL), deps())
			if err != nil || out.Evidence.Rounds != 3 || n.Load() != 9 {
				t.Errorf("%v, %d requests, %+v", err, n.Load(), out.Evidence)
			}
		})
	}
}

func TestPostIsSentOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer   http.HandlerFunc
		badGets  int64 // of the first GETs
		kind     fault.Kind
		want     string
		sent     int64
		anything bool
	}{
		"good":             {answer: ok, sent: 1},
		"after bad rounds": {answer: ok, badGets: 4, sent: 1},
		"answers 500":      {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, kind: fault.Failed, want: "POST /order answered 500, want 200", sent: 1},
		"answers 503":      {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, kind: fault.Failed, want: "POST /order answered 503, want 200", sent: 1},
		"resets":           {answer: reset, kind: fault.Failed, want: "POST /order did not answer", sent: 1},
		"redirects": {answer: func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "/order", http.StatusTemporaryRedirect)
		}, kind: fault.Failed, want: `answered 307, want 200, to "/order"`, sent: 1},
		"GET is never good": {answer: ok, badGets: 1 << 40, kind: fault.Failed, want: "GET / answered 500", sent: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var posts, gets atomic.Int64
			srv := server(t, always(commit), func(w http.ResponseWriter, q *http.Request) {
				switch body, _ := io.ReadAll(q.Body); {
				case q.Method == http.MethodPost:
					posts.Add(1)
					if string(body) != `{"n":1}` || q.Header.Get("Content-Type") != "application/json" {
						t.Errorf("POST with %q, %v", body, q.Header)
					}
					tc.answer(w, q)
				case gets.Add(1) <= tc.badGets:
					w.WriteHeader(500)
				}
			})
			in := inputs(srv.URL, service.Check{Post: "/order", Body: `{"n":1}`, Headers: map[string]string{"Content-Type": "application/json"}}, service.Check{Get: "/"})
			_, err := smoke.Run(t.Context(), in, ending())
			if tc.want != "" {
				wantFault(t, err, tc.kind, tc.want)
			} else if err != nil {
				t.Error(fault.Lines(err))
			}
			if posts.Load() != tc.sent {
				t.Errorf("sent %d times, want %d", posts.Load(), tc.sent)
			}
		})
	}
}

func TestExpectations(t *testing.T) {
	t.Parallel()
	srv := server(t, always(commit), func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/json":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"n": 1, "f": 1.5, "s": "1", "big": 9007199254740993, "t": true, "z": null, "l": [1, 2], "o": {"a": [1]}}`)
		case "/teapot":
			w.WriteHeader(http.StatusTeapot)
		case "/huge":
			_, _ = io.WriteString(w, "start"+strings.Repeat("x", 2<<20)+"end")
		case "/elsewhere":
			http.Redirect(w, q, "http://elsewhere.invalid/", http.StatusFound)
		case "/here":
			http.Redirect(w, q, "/json", http.StatusFound)
		case "/loop":
			http.Redirect(w, q, "/loop", http.StatusFound)
		case "/echo":
			_, _ = fmt.Fprintf(w, "host=%s x=%s query=%s", q.Host, q.Header.Get("X-Test"), q.URL.RawQuery)
		default:
			_, _ = io.WriteString(w, "all is \x1b[31mok\n")
		}
	})
	js := func(path string, want any) service.Check {
		return service.Check{Get: "/json", Expect: service.Expect{JSON: map[string]any{path: want}}}
	}
	body := func(path, contains, matches string) service.Check {
		return service.Check{Get: path, Expect: service.Expect{Body: service.Body{Contains: contains, Matches: matches}}}
	}
	status := func(path string, n int) service.Check {
		return service.Check{Get: path, Expect: service.Expect{Status: n}}
	}
	for name, tc := range map[string]struct {
		check service.Check
		want  string // failure; empty: passes
	}{
		"status":              {status("/teapot", 418), ""},
		"default status":      {status("/teapot", 0), "GET /teapot answered 418, want 200"},
		"contains":            {body("/", "is", ""), ""},
		"contains not":        {body("/", "fine", ""), `has a body without "fine"`},
		"excerpt is safe":     {body("/", "fine", ""), `  | "all is \x1b[31mok"`},
		"matches":             {body("/", "", `^all\s`), ""},
		"matches not":         {body("/", "", `^is`), `has a body that does not match ^is`},
		"huge start":          {body("/huge", "start", ""), ""},
		"huge end":            {body("/huge", "end", ""), "within its first MiB"},
		"huge excerpt":        {body("/huge", "end", ""), "and 1048416 more characters"},
		"huge JSON":           {service.Check{Get: "/huge", Expect: service.Expect{JSON: map[string]any{"$": 1}}}, "over 1 MiB"},
		"not JSON":            {service.Check{Get: "/", Expect: service.Expect{JSON: map[string]any{"$": 1}}}, "not JSON"},
		"header":              {service.Check{Get: "/json", Expect: service.Expect{Headers: map[string]string{"content-type": "application/json"}}}, ""},
		"header value":        {service.Check{Get: "/json", Expect: service.Expect{Headers: map[string]string{"Content-Type": "application"}}}, `has header Content-Type: "application/json", want "application"`},
		"header missing":      {service.Check{Get: "/", Expect: service.Expect{Headers: map[string]string{"X-None": "a"}}}, "has no header X-None"},
		"int":                 {js("$.n", 1), ""},
		"int as float":        {js("$.n", 1.0), ""},
		"int is no string":    {js("$.n", "1"), `has 1 at $.n, want "1"`},
		"string is no int":    {js("$.s", 1), `has "1" at $.s, want 1`},
		"float":               {js("$.f", 1.5), ""},
		"exact beyond 2^53":   {js("$.big", 9007199254740992), "has 9007199254740993 at $.big"},
		"exact":               {js("$.big", 9007199254740993), ""},
		"bool":                {js("$.t", true), ""},
		"null":                {js("$.z", nil), ""},
		"null is not absent":  {js("$.none", nil), "has nothing at $.none, want null"},
		"list":                {js("$.l", []any{1, 2}), ""},
		"list order":          {js("$.l", []any{2, 1}), "has [1,2] at $.l"},
		"several nodes":       {js("$.l[*]", []any{1, 2}), ""},
		"one of several":      {js("$.l[*]", 1), "has [1,2] at $.l[*], want 1"},
		"object":              {js("$.o", map[string]any{"a": []any{1}}), ""},
		"object with more":    {js("$.o", map[string]any{"a": []any{1}, "b": 1}), `has {"a":[1]} at $.o`},
		"filter of nothing":   {js("$.l[?@ > 5]", []any{}), "has nothing at"},
		"redirect elsewhere":  {status("/elsewhere", 0), `answered 302, want 200, to "http://elsewhere.invalid/"`},
		"redirect here":       {status("/here", 0), ""},
		"redirect wanted":     {status("/here", 302), ""},
		"redirect for ever":   {status("/loop", 0), "answered 302, want 200"},
		"request headers":     {service.Check{Get: "/echo?a=b", Headers: map[string]string{"Host": "shop.example", "X-Test": "1"}, Expect: service.Expect{Body: service.Body{Contains: "host=shop.example x=1 query=a=b"}}}, ""},
		"fast":                {service.Check{Get: "/", Expect: service.Expect{P95: "1m"}}, ""},
		"TLS days, loopback":  {service.Check{Get: "/", Expect: service.Expect{TLSDays: 1}}, ""},
		"two things at once":  {service.Check{Get: "/json", Expect: service.Expect{JSON: map[string]any{"$.n": 2, "$.s": "2"}}}, `has 1 at $.n, want 2; has "1" at $.s, want "2"`},
		"an empty text wants": {js("$.s", ""), `has "1" at $.s, want ""`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputs(srv.URL, tc.check, service.Check{Get: "/"})
			in.Rounds = 1
			out, err := smoke.Run(t.Context(), in, ending())
			if tc.want == "" {
				if err != nil {
					t.Error(fault.Lines(err))
				}
				return
			}
			wantFault(t, err, fault.Failed, tc.want)
			if c := out.Evidence.Checks; c[0].Passed || c[0].Reason == "" {
				t.Errorf("evidence %+v", c)
			}
		})
	}
}

// A clock that moves 100 ms whenever it is read makes every request take at least that long.
func TestP95(t *testing.T) {
	t.Parallel()
	srv := server(t, always(commit), ok)
	var ticks atomic.Int64
	d := ending()
	d.Now = func() time.Time { return time.Unix(0, ticks.Add(1)*int64(100*time.Millisecond)) }
	in := inputs(srv.URL, service.Check{Get: "/", Expect: service.Expect{P95: "99ms"}})
	_, err := smoke.Run(t.Context(), in, d)
	wantFault(t, err, fault.Failed, "GET / took 100 ms at p95 over 3 samples, want at most 99ms")

	in.Checks[0].Expect.P95 = "100ms"
	now := d.Now
	d = ending()
	d.Now = now
	out, err := smoke.Run(t.Context(), in, d)
	if err != nil || out.Evidence.P95MS != 100 || out.Summary != "1 check × 3 rounds · p95 100 ms" {
		t.Errorf("%v %+v", err, out)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, commit) }))
	t.Cleanup(srv.Close)
	expires := srv.Certificate().NotAfter
	in := inputs(srv.URL, service.Check{Get: "/", Expect: service.Expect{TLSDays: 14}})
	for name, tc := range map[string]struct {
		left time.Duration
		want string
	}{
		"fifteen days": {15 * 24 * time.Hour, ""},
		"fourteen":     {14*24*time.Hour + time.Hour, ""},
		"thirteen":     {14*24*time.Hour - time.Hour, "GET / has a certificate that expires in 13 days, want 14"},
	} {
		d := ending()
		d.Transport = srv.Client().Transport
		d.Now = func() time.Time { return expires.Add(-tc.left) }
		_, err := smoke.Run(t.Context(), in, d)
		if tc.want != "" {
			wantFault(t, err, fault.Failed, tc.want)
		} else if err != nil {
			t.Errorf("%s: %v", name, fault.Lines(err))
		}
	}
	_, err := smoke.Run(t.Context(), in, ending()) // a certificate that nobody here trusts
	wantFault(t, err, fault.Undetermined, "never answered within 1m0s: tls: failed to verify certificate")
}

// Not on loopback, a service without TLS has no certificate that could be valid.
func TestNoTLS(t *testing.T) {
	t.Parallel()
	srv := server(t, always(commit), ok)
	d := ending()
	d.Transport = &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
	}}
	in := inputs("http://shop.example", service.Check{Get: "/", Expect: service.Expect{TLSDays: 1}})
	_, err := smoke.Run(t.Context(), in, d)
	wantFault(t, err, fault.Failed, "GET / is not served over TLS")
}

// inside is a service without a network, for the clock of a bubble: there a timeout is over when all wait for it, and not before.
type inside http.HandlerFunc

func (h inside) RoundTrip(q *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h(w, q)
	if err := q.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func TestHangingVersion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := deps()
		d.Transport = inside(func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() })
		in := inputs("http://shop.example")
		in.Timeout = 5 * time.Second // less than a request has
		out, err := smoke.Run(t.Context(), in, d)
		wantFault(t, err, fault.Undetermined, "never answered within 5s: no answer in time")
		if out.Summary != "" || out.Evidence.Version != "" || out.Evidence.Checks[0].Passed {
			t.Errorf("it reads as a pass: %+v", out)
		}
	})
}

func TestHangingCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := deps()
		d.Transport = inside(func(w http.ResponseWriter, q *http.Request) {
			switch q.URL.Path {
			case "/version":
				_, _ = io.WriteString(w, commit)
			case "/hang":
				<-q.Context().Done()
			default:
				ok(w, q)
			}
		})
		in := inputs("http://shop.example", service.Check{Get: "/hang"}, service.Check{Get: "/"})
		in.Timeout = 5 * time.Second
		out, err := smoke.Run(t.Context(), in, d)
		wantFault(t, err, fault.Failed, "GET /hang did not answer: no answer in time")
		want := []record.CheckResult{{Name: "GET /hang", Reason: "did not answer: no answer in time"}, {Name: "GET /", Reason: "not asked"}}
		if diff := cmp.Diff(want, out.Evidence.Checks); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOutOfTimeWhileGood(t *testing.T) {
	t.Parallel()
	srv := server(t, always(commit), ok)
	in := inputs(srv.URL)
	in.Rounds = 1000
	_, err := smoke.Run(t.Context(), in, ending())
	wantFault(t, err, fault.Undetermined, "61 of 1000 rounds were good in a row when 1m0s were over")
}

// Each request has a connection of its own, so that all replicas behind an address are met.
func TestConnectionsAreNotKept(t *testing.T) {
	t.Parallel()
	var connections, requests atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = io.WriteString(w, commit)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	if _, err := smoke.Run(t.Context(), inputs(srv.URL), deps()); err != nil {
		t.Fatal(err)
	}
	if c, q := connections.Load(), requests.Load(); c != q || q != 1+3*(5+1) {
		t.Errorf("%d connections for %d requests", c, q)
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	started := make(chan struct{}, 100)
	srv := server(t, always(commit), func(_ http.ResponseWriter, q *http.Request) {
		started <- struct{}{}
		<-q.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	out, err := smoke.Run(ctx, inputs(srv.URL), deps())
	wantFault(t, err, fault.Undetermined, "stopped before the answer")
	if !errors.Is(err, context.Canceled) || out.Summary != "" {
		t.Errorf("%v %q", err, out.Summary)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	good := inputs("http://127.0.0.1:1")
	check := func(c service.Check) func(*smoke.Inputs) {
		return func(in *smoke.Inputs) { in.Checks = []service.Check{c} }
	}
	for name, tc := range map[string]struct {
		change func(*smoke.Inputs)
		want   string
	}{
		"no URL":          {func(in *smoke.Inputs) { in.URL = "" }, "the URL of the service is not one like"},
		"file":            {func(in *smoke.Inputs) { in.URL = "file:///etc/passwd" }, "the URL of the service is not one like"},
		"password":        {func(in *smoke.Inputs) { in.URL = "ftp://a:hunter2@b/" }, "the URL of the service is not one like"},
		"no rounds":       {func(in *smoke.Inputs) { in.Rounds = 0 }, "rounds is 0"},
		"no timeout":      {func(in *smoke.Inputs) { in.Timeout = 0 }, "timeout is 0s"},
		"nothing to want": {func(in *smoke.Inputs) { in.WantCommit, in.WantDigest = "", "" }, "version: off"},
		"no version path": {func(in *smoke.Inputs) { in.VersionPath = "" }, "version: path"},
		"no method":       {check(service.Check{}), "smoke[0]: say one of get, head, post"},
		"two methods":     {check(service.Check{Get: "/", Post: "/"}), "smoke[0]: say one of"},
		"relative":        {check(service.Check{Get: "x"}), "does not start with /"},
		"line in a path":  {check(service.Check{Get: "/a\nb"}), "not valid in a URL"},
		"regexp":          {check(service.Check{Get: "/", Expect: service.Expect{Body: service.Body{Matches: "("}}}), "missing closing"},
		"JSONPath":        {check(service.Check{Get: "/", Expect: service.Expect{JSON: map[string]any{"nope": 1}}}), "jsonpath"},
		"p95":             {check(service.Check{Get: "/", Expect: service.Expect{P95: "fast"}}), `p95 "fast"`},
		"both":            {func(in *smoke.Inputs) { in.Rounds, in.Timeout = 0, 0 }, "2 inputs of the smoke test are wrong\nrounds is 0"},
	} {
		in := good
		tc.change(&in)
		_, err := smoke.Run(t.Context(), in, deps())
		wantFault(t, err, fault.BadInput, tc.want)
		if err != nil && strings.Contains(strings.Join(fault.Lines(err), " "), "hunter2") {
			t.Errorf("%s: a password is shown", name)
		}
	}
	good.Checks = nil
	_, err := smoke.Run(t.Context(), good, deps())
	wantFault(t, err, fault.Undetermined, "nothing to check")
	_, err = smoke.Run(t.Context(), inputs("http://127.0.0.1:1"), smoke.Deps{})
	wantFault(t, err, fault.Undetermined, "no clock")
}

func TestCredentialsInTheURL(t *testing.T) {
	t.Parallel()
	srv := server(t, always(commit), func(w http.ResponseWriter, q *http.Request) {
		if _, password, _ := q.BasicAuth(); password != "hunter2" {
			t.Errorf("no password")
		}
		w.WriteHeader(500)
	})
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("ada", "hunter2")
	out, err := smoke.Run(t.Context(), inputs(u.String()), ending())
	wantFault(t, err, fault.Failed, "answered 500")
	if all := fmt.Sprint(fault.Lines(err), out); strings.Contains(all, "hunter2") || out.Evidence.URL != srv.URL {
		t.Errorf("the password is shown, or the URL is not: %s", all)
	}
}

func wantFault(t *testing.T, err error, kind fault.Kind, text string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %q", text)
		return
	}
	if got := strings.Join(fault.Lines(err), "\n"); fault.KindOf(err) != kind || !strings.Contains(got, text) {
		t.Errorf("kind %d, %q; want kind %d with %q", fault.KindOf(err), got, kind, text)
	}
}
