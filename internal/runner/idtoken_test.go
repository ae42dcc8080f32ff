package runner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
)

const (
	requestToken = "request-t0ken"
	idToken      = "eyJhbGciOi.J9.c2ln"
)

// tokenService answers with one handler after the other, and the last one for ever.
func tokenService(t *testing.T, answers ...http.HandlerFunc) (*step, *atomic.Int64) {
	t.Helper()
	asked := &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer "+requestToken {
			t.Errorf("authorization %q", got)
		}
		if got := r.URL.Query(); got.Get("audience") != "sig store&x" || got.Get("api-version") != "2.0" {
			t.Errorf("asked for %s", r.URL)
		}
		n := asked.Add(1) // before the answer: the client may go on as soon as it has that
		answers[min(int(n), len(answers))-1](w, r)
	}))
	t.Cleanup(server.Close)
	s := newStep(t)
	s.env["ACTIONS_ID_TOKEN_REQUEST_URL"], s.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = server.URL+"/token?api-version=2.0", requestToken
	return s, asked
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, "the answer repeats %s and %s", idToken, requestToken)
	}
}

func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) }
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func noWait(context.Context, time.Duration) error { return nil }

func TestIDToken(t *testing.T) {
	good := body(`{"count": 1, "value": "` + idToken + `"}`)
	for name, test := range map[string]struct {
		answers []http.HandlerFunc
		asked   int
		err     string // empty for a token
	}{
		"at once":            {[]http.HandlerFunc{good}, 1, ""},
		"after a while":      {[]http.HandlerFunc{status(503), status(429), hangUp, good}, 4, ""},
		"after half of it":   {[]http.HandlerFunc{body(`{"value": "eyJ`), good}, 2, ""},
		"never":              {[]http.HandlerFunc{status(500)}, 4, "answers 500 Internal Server Error"},
		"no answer":          {[]http.HandlerFunc{hangUp}, 4, "no connection"},
		"forbidden":          {[]http.HandlerFunc{status(403), good}, 1, "answers 403 Forbidden"},
		"not found":          {[]http.HandlerFunc{status(404), good}, 1, "answers 404"},
		"elsewhere":          {[]http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }}, 1, "answers 302"},
		"empty":              {[]http.HandlerFunc{body(`{"value": ""}`), good}, 1, "the answer holds none"},
		"another form":       {[]http.HandlerFunc{body(`{"token": "` + idToken + `"}`)}, 1, "the answer holds none"},
		"not JSON":           {[]http.HandlerFunc{body(idToken)}, 4, "the answer holds none"},
		"nothing and a code": {[]http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }}, 1, "answers 204"},
	} {
		t.Run(name, func(t *testing.T) {
			s, asked := tokenService(t, test.answers...)
			token, err := s.IDToken(t.Context(), "sig store&x", noWait)
			if int(asked.Load()) != test.asked {
				t.Errorf("asked %d times, want %d", asked.Load(), test.asked)
			}
			if test.err == "" {
				if err != nil || token != idToken || len(s.log().Commands) != 1 || s.log().Commands[0].Data != idToken {
					t.Errorf("%q, %v, %v", token, err, s.log().Commands)
				}
				return
			}
			text := strings.Join(fault.Lines(err), "\n")
			if token != "" || fault.KindOf(err) != fault.Undetermined || !strings.Contains(text, test.err) {
				t.Errorf("%q, %s", token, text)
			}
			if strings.Contains(text+s.out.String(), idToken) || strings.Contains(text+s.out.String(), requestToken) {
				t.Errorf("a token is shown: %s %s", text, s.out)
			}
		})
	}
}

// A service that says when to come again is not asked before, and one that asks for too much is not asked again.
func TestIDTokenServiceAsksForTime(t *testing.T) {
	const now = "Fri, 27 Nov 2026 12:00:00 GMT"
	for after, want := range map[string]time.Duration{"7": 7 * time.Second, "Fri, 27 Nov 2026 12:00:30 GMT": 30 * time.Second,
		"Fri, 27 Nov 2020 12:00:00 GMT": time.Second, "soon": time.Second, "61": 0, "Sat, 27 Nov 2027 12:00:00 GMT": 0} {
		s, asked := tokenService(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", after)
			w.Header().Set("Date", now)
			w.WriteHeader(http.StatusServiceUnavailable)
		}, body(`{"count": 1, "value": "`+idToken+`"}`))
		var slept time.Duration
		token, err := s.IDToken(t.Context(), "sig store&x", func(_ context.Context, d time.Duration) error { slept += d; return nil })
		if slept != want || (token == idToken) != (want > 0) || (err == nil) != (want > 0) || fault.KindOf(err) != fault.Undetermined && err != nil || asked.Load() > 2 {
			t.Errorf("Retry-After %s: slept %s, asked %d times, %q, %v", after, slept, asked.Load(), token, err)
		}
	}
}

func TestIDTokenOfAJobThatMayNot(t *testing.T) {
	for _, missing := range []string{"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITHUB_ACTIONS"} {
		s, asked := tokenService(t, status(200))
		s.env[missing] = ""
		if _, err := s.IDToken(t.Context(), "x", noWait); fault.KindOf(err) != fault.BadInput || asked.Load() > 0 {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	s, _ := tokenService(t, status(200))
	s.env["ACTIONS_ID_TOKEN_REQUEST_URL"] = "http://%zz/" + requestToken
	if _, err := s.IDToken(t.Context(), "x", noWait); err == nil || strings.Contains(err.Error(), requestToken) {
		t.Errorf("%v", err)
	}
}

func TestIDTokenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	s, asked := tokenService(t, func(w http.ResponseWriter, r *http.Request) { cancel(why); status(500)(w, r) })
	if _, err := s.IDToken(ctx, "sig store&x", noWait); !errors.Is(err, why) || asked.Load() != 1 {
		t.Errorf("%v after %d", err, asked.Load())
	}
	s, asked = tokenService(t, status(500))
	if _, err := s.IDToken(t.Context(), "sig store&x", func(context.Context, time.Duration) error { return why }); !errors.Is(err, why) || asked.Load() != 1 {
		t.Errorf("%v after %d", err, asked.Load())
	}
}
