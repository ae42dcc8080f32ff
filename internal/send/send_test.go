package send

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	token  = "t0ken-of-the-receiver"
	secret = "s3cret-of-the-webhook"
)

// receiver answers one request after the other, each by its function; the last one answers all that come after it too.
type receiver struct {
	*httptest.Server
	asked atomic.Int32
}

func receive(t *testing.T, answers ...http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		n := int(r.asked.Add(1))
		if body, err := io.ReadAll(req.Body); err != nil || string(body) != `{"what":"happened"}` || req.Method != http.MethodPut || req.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("request %d is %s with %q, %q, %v", n, req.Method, body, req.Header.Get("Authorization"), err)
		}
		answers[min(n, len(answers))-1](w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func answer(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// breakOff promises more than it sends.
func breakOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, "half of")
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// sender is a client that waits for nothing and writes down how long it would have waited.
func sender(pauses *[]time.Duration) Client {
	return Client{Hide: []string{token, secret},
		Sleep: func(ctx context.Context, d time.Duration) error { *pauses = append(*pauses, d); return ctx.Err() }}
}

func request(address string) Request {
	return Request{Method: http.MethodPut, URL: address, Header: http.Header{"Authorization": {"Bearer " + token}}, Body: []byte(`{"what":"happened"}`), To: "Receiver"}
}

// discreet holds that an error shows neither a secret nor an address, and is one line.
func discreet(t *testing.T, err error, address string) {
	t.Helper()
	for _, hidden := range []string{token, secret, strings.TrimPrefix(address, "http://"), "\n", "\r", "\x1b"} {
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("the error shows %q: %q", hidden, err)
		}
	}
}

const s = time.Second

// TestWhatIsTriedAgain holds how often each answer is asked for, and how long is waited in between.
func TestWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	ok := answer(200, "taken")
	for name, tt := range map[string]struct {
		answers []http.HandlerFunc
		asked   int
		pauses  []time.Duration
		says    string // of the error; empty: it was taken
	}{
		"taken":                      {[]http.HandlerFunc{ok}, 1, nil, ""},
		"created, without a body":    {[]http.HandlerFunc{answer(201, "")}, 1, nil, ""},
		"503, then taken":            {[]http.HandlerFunc{answer(503, ""), answer(500, ""), ok}, 3, []time.Duration{s, 2 * s}, ""},
		"503 for good":               {[]http.HandlerFunc{answer(503, "down")}, 5, []time.Duration{s, 2 * s, 4 * s, 8 * s}, "it answered 503 Service Unavailable: down, 5 times"},
		"429 in seconds":             {[]http.HandlerFunc{answer(429, "", "Retry-After", "7"), ok}, 2, []time.Duration{7 * s}, ""},
		"429 until a date":           {[]http.HandlerFunc{answer(429, "", "Retry-After", "Fri, 27 Nov 2026 12:00:30 GMT", "Date", "Fri, 27 Nov 2026 12:00:00 GMT"), ok}, 2, []time.Duration{30 * s}, ""},
		"503 as it asks":             {[]http.HandlerFunc{answer(503, "", "Retry-After", "60"), ok}, 2, []time.Duration{60 * s}, ""},
		"sooner than is waited":      {[]http.HandlerFunc{answer(429, "", "Retry-After", "1"), answer(429, "", "Retry-After", "1"), ok}, 3, []time.Duration{s, 2 * s}, ""},
		"a date that is over":        {[]http.HandlerFunc{answer(429, "", "Retry-After", "Fri, 27 Nov 2020 12:00:30 GMT"), ok}, 2, []time.Duration{s}, ""},
		"nonsense":                   {[]http.HandlerFunc{answer(429, "", "Retry-After", "-9"), answer(429, "", "Retry-After", "soon"), ok}, 3, []time.Duration{s, 2 * s}, ""},
		"longer than anyone waits":   {[]http.HandlerFunc{answer(429, "", "Retry-After", "61")}, 1, nil, "it answered 429 Too Many Requests and asks to wait 1m1s"},
		"a number that is no number": {[]http.HandlerFunc{answer(429, "", "Retry-After", "9223372036854775807")}, 1, nil, "asks to wait 24h0m0s"},
		"a year":                     {[]http.HandlerFunc{answer(503, "", "Retry-After", "Sat, 27 Nov 2027 12:00:00 GMT", "Date", "Fri, 27 Nov 2026 12:00:00 GMT")}, 1, nil, "asks to wait 24h0m0s"},
		"refused":                    {[]http.HandlerFunc{answer(401, "who are you")}, 1, nil, "it answered 401 Unauthorized: who are you"},
		"bad":                        {[]http.HandlerFunc{answer(422, `{"error": "no such blueprint"}`)}, 1, nil, `it answered 422 Unprocessable Entity: {"error": "no such blueprint"}`},
		"refused after an outage":    {[]http.HandlerFunc{answer(502, ""), answer(403, "")}, 2, []time.Duration{s}, "it answered 403 Forbidden"},
		"an answer that breaks off":  {[]http.HandlerFunc{breakOff, ok}, 2, []time.Duration{s}, ""},
		"one that always breaks off": {[]http.HandlerFunc{breakOff}, 5, []time.Duration{s, 2 * s, 4 * s, 8 * s}, "its answer breaks off, 5 times"},
		"a connection that ends":     {[]http.HandlerFunc{hangUp, ok}, 2, []time.Duration{s}, ""},
		"not modified":               {[]http.HandlerFunc{answer(304, "")}, 1, nil, "it answered 304 Not Modified"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := receive(t, tt.answers...)
			var pauses []time.Duration
			_, err := sender(&pauses).Do(t.Context(), request(srv.URL))
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("%v, want %q", err, tt.says)
			}
			if err != nil {
				discreet(t, err, srv.URL)
			}
			if int(srv.asked.Load()) != tt.asked {
				t.Errorf("it was asked %d times, want %d", srv.asked.Load(), tt.asked)
			}
			if diff := cmp.Diff(tt.pauses, pauses); diff != "" {
				t.Errorf("pauses: %s", diff)
			}
		})
	}
}

// TestARedirectIsNotFollowed holds that nothing goes to where a receiver points, above all no token.
func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, code := range []int{300, 301, 302, 303, 307, 308} {
		other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("%d: another host was asked, with %q", code, r.Header.Get("Authorization"))
		}))
		t.Cleanup(other.Close)
		srv := receive(t, answer(code, "moved", "Location", other.URL+"/"+secret))
		var pauses []time.Duration
		_, err := sender(&pauses).Do(t.Context(), request(srv.URL))
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Status != code || srv.asked.Load() != 1 {
			t.Fatalf("%d: %v, asked %d times", code, err, srv.asked.Load())
		}
		if want := fmt.Sprintf("it redirected the request to another page (%d)", code); !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", code, err)
		}
		discreet(t, err, other.URL)
	}
}

// TestWhatAReceiverSaysIsHarmless holds what an error shows of a body that anyone may have written.
func TestWhatAReceiverSaysIsHarmless(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"no such team":                              ": no such team",
		"your token is " + token:                    ": your token is ***",
		"a\nb\r\n::error::c\u2028d":                 "",
		"\x1b[31mred\x1b[0m\x00":                    "",
		"<html><h1>504 of a proxy":                  "it answered 400 Bad Request",
		"  \n <!doctype html>":                      "it answered 400 Bad Request",
		strings.Repeat("é", 1000):                   strings.Repeat("é", shown) + "…",
		strings.Repeat("x", shown-3) + token:        "***",
		"\xff\xfe\x00" + strings.Repeat("\x80", 50): "",
	} {
		srv := receive(t, answer(400, body))
		var pauses []time.Duration
		_, err := sender(&pauses).Do(t.Context(), request(srv.URL))
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Fatalf("%.40q: %v, want %q", body, err, want)
		}
		discreet(t, err, srv.URL)
		if n := len([]rune(err.Error())); n > shown+50 {
			t.Errorf("%.40q: the error has %d characters", body, n)
		}
	}
}

// TestAnswersAreBounded holds that a receiver cannot fill the memory, also not with one that never ends.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	fits := strings.Repeat("x", answerLimit)
	srv := receive(t, answer(200, fits), answer(200, fits+"y"), func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, fits); err != nil {
				return
			}
		}
	})
	var pauses []time.Duration
	if got, err := sender(&pauses).Do(t.Context(), request(srv.URL)); err != nil || len(got) != answerLimit {
		t.Errorf("an answer of the most that is taken: %d bytes, %v", len(got), err)
	}
	for range 2 {
		if _, err := sender(&pauses).Do(t.Context(), request(srv.URL)); err == nil || err.Error() != "its answer is larger than 4 MiB" {
			t.Errorf("one that is larger: %v", err)
		}
	}
	if len(pauses) > 0 {
		t.Errorf("it was asked for again after %s", pauses)
	}
}

// waiting is a transport that answers when its time is over, as a receiver does that never answers.
type waiting struct{ limit *time.Duration }

func (w waiting) RoundTrip(r *http.Request) (*http.Response, error) {
	deadline, ok := r.Context().Deadline()
	if !ok {
		return nil, errors.New("nothing ends it")
	}
	*w.limit = max(*w.limit, time.Until(deadline))
	return nil, &url.Error{Op: "Put", URL: r.URL.String(), Err: context.DeadlineExceeded}
}

func TestAReceiverThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	var pauses []time.Duration
	var limit time.Duration
	c := sender(&pauses)
	c.Transport = waiting{&limit}
	_, err := c.Do(t.Context(), request("https://receiver.example/"+secret))
	if err == nil || err.Error() != "no answer within 15s, 5 times" || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v; the deadline of an attempt is not that of the caller", err)
	}
	if limit > perAttempt || limit < perAttempt-5*s {
		t.Errorf("an attempt has %s", limit)
	}
}

// TestCancelled ends at once, and says what ended it: before, during an attempt, and in a pause.
func TestCancelled(t *testing.T) {
	t.Parallel()
	why := errors.New("interrupted (SIGTERM)")
	ctx, cancel := context.WithCancelCause(t.Context())
	srv := receive(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel(why)
		<-r.Context().Done()
	})
	begun := time.Now()
	if _, err := (Client{}).Do(ctx, request(srv.URL)); !errors.Is(err, why) {
		t.Errorf("during an attempt: %v", err)
	}
	if _, err := (Client{}).Do(ctx, request(srv.URL)); !errors.Is(err, why) {
		t.Errorf("before: %v", err)
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	srv = receive(t, answer(503, "", "Retry-After", "50"))
	c := Client{Progress: func(string) { cancel(why) }}
	if _, err := c.Do(ctx, request(srv.URL)); !errors.Is(err, why) || srv.asked.Load() != 1 {
		t.Errorf("in a pause: %v, asked %d times", err, srv.asked.Load())
	}
	if took := time.Since(begun); took > 30*s { // a pause of 50 seconds was asked for
		t.Errorf("it took %s to end", took)
	}
}

// TestDone holds that what was carried out already is not sent again, and that not knowing it is an error.
func TestDone(t *testing.T) {
	t.Parallel()
	srv := receive(t, hangUp) // the answer is lost
	asked, lost := 0, errors.New("it cannot be asked")
	r := request(srv.URL)
	r.Done = func(context.Context) (bool, error) { asked++; return asked > 1, nil }
	var pauses []time.Duration
	if data, err := sender(&pauses).Do(t.Context(), r); err != nil || data != nil || srv.asked.Load() != 1 {
		t.Errorf("%q, %v; it was sent %d times", data, err, srv.asked.Load())
	}
	r.Done = func(context.Context) (bool, error) { return false, lost }
	if _, err := sender(&pauses).Do(t.Context(), r); !errors.Is(err, lost) || srv.asked.Load() != 1 {
		t.Errorf("%v; it was sent %d times", err, srv.asked.Load())
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	var user, password string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { user, password, _ = r.BasicAuth() }))
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("ann", secret)
	var pauses []time.Duration
	if _, err := sender(&pauses).Do(t.Context(), Request{Method: http.MethodPost, URL: u.String(), To: "Receiver"}); err != nil || user != "ann" || password != secret {
		t.Errorf("%q, %q, %v", user, password, err)
	}
	nobody := "http://ann:" + secret + "@127.0.0.1:1/hooks/" + secret + "?key=" + secret
	for _, address := range []string{nobody, "https://receiver.example:port/" + secret, "ftp://receiver.example/" + secret, "://" + secret, "http://" + secret + "\x7f/"} {
		_, err := sender(&pauses).Do(t.Context(), request(address))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%.30q: %v", address, err)
		}
	}
	all := SecretsOf(&url.URL{User: url.UserPassword("ann", "pw"), Path: "/hooks/T0/" + secret, RawQuery: "key=k1&key=k2"})
	for _, want := range []string{"ann", "pw", secret, "k1", "k2"} {
		if !strings.Contains(strings.Join(all, " "), want) {
			t.Errorf("%q is not among the secrets of an address: %q", want, all)
		}
	}
}
