package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/send"
)

// receiver answers in turn what it is given, the last again and again, and keeps what it got.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	bodies [][]byte
	heads  []http.Header
}

func receive(t *testing.T, answers ...http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		answer := answers[min(len(r.bodies), len(answers)-1)]
		r.bodies, r.heads = append(r.bodies, body), append(r.heads, req.Header)
		r.mu.Unlock()
		if answer != nil {
			answer(w, req)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// pauses is a Sleep that does not wait.
type pauses []time.Duration

func (p *pauses) sleep(ctx context.Context, d time.Duration) error {
	*p = append(*p, d)
	return ctx.Err()
}

func deps(p *pauses) Deps {
	return Deps{send.Client{Sleep: p.sleep}}
}

func TestEventIsPosted(t *testing.T) {
	t.Parallel()
	seconds := func(n ...int) pauses {
		var p pauses
		for _, s := range n {
			p = append(p, time.Duration(s)*time.Second)
		}
		return p
	}
	for name, test := range map[string]struct {
		answers []http.HandlerFunc
		pauses  pauses
		err     string // empty: it is sent
	}{
		"taken":                {[]http.HandlerFunc{nil}, nil, ""},
		"accepted":             {[]http.HandlerFunc{status(202)}, nil, ""},
		"fails twice":          {[]http.HandlerFunc{status(500), status(503), status(204)}, seconds(1, 2), ""},
		"hangs up":             {[]http.HandlerFunc{hangUp, status(200)}, seconds(1), ""},
		"always 500":           {[]http.HandlerFunc{status(500)}, seconds(1, 2, 4, 8), "it answered 500 Internal Server Error, 5 times"},
		"asks for seconds":     {[]http.HandlerFunc{status(429, "Retry-After", "7"), status(200)}, seconds(7), ""},
		"asks for a time":      {[]http.HandlerFunc{status(503, "Retry-After", "Mon, 23 Nov 2026 15:00:30 GMT", "Date", "Mon, 23 Nov 2026 15:00:00 GMT"), status(200)}, seconds(30), ""},
		"asks for a past time": {[]http.HandlerFunc{status(503, "Retry-After", "Mon, 23 Nov 2020 15:00:30 GMT"), status(200)}, seconds(1), ""},
		"asks for nonsense":    {[]http.HandlerFunc{status(429, "Retry-After", "soon"), status(200)}, seconds(1), ""},
		"asks for too long":    {[]http.HandlerFunc{status(429, "Retry-After", "3600")}, nil, "asks to wait 1h0m0s"},
		"says no":              {[]http.HandlerFunc{status(400)}, nil, "it answered 400 Bad Request"},
		"not allowed":          {[]http.HandlerFunc{status(401)}, nil, "it answered 401 Unauthorized"},
		"redirects to a page":  {[]http.HandlerFunc{status(302, "Location", "/login"), status(200)}, nil, "redirected"},
		"not modified":         {[]http.HandlerFunc{status(304)}, nil, "it answered 304"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, p := receive(t, test.answers...), pauses{}
			in := inputs(t, delivered(t, record.Passed, first()))
			in.URL = strings.Replace(srv.URL, "http://", "http://ann:s3cr3t@", 1) + "/hook/t0ken?key=k3y"
			out, err := Run(t.Context(), in, deps(&p))
			if diff := cmp.Diff(test.pauses, p, cmp.Transformer("nil", func(p pauses) string { return fmt.Sprint([]time.Duration(p)) })); diff != "" {
				t.Error(diff)
			}
			host := strings.TrimPrefix(srv.URL, "http://")
			if test.err == "" {
				if err != nil || !out.Evidence.Sent || out.Summary != "deployed event → events.json, sent to "+host {
					t.Errorf("%+v %v", out, err)
				}
			} else if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), test.err) || out.Evidence.Sent || out.Evidence.File == "" {
				t.Errorf("%+v %v", out, err)
			}
			text := fmt.Sprint(out)
			if err != nil {
				text += strings.Join(fault.Lines(err), "\n")
			}
			for _, secret := range []string{"s3cr3t", "t0ken", "k3y"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s is in %s", secret, text)
				}
			}
			for i, body := range srv.bodies {
				if srv.heads[i].Get("Content-Type") != "application/cloudevents+json" && len(body) > 0 {
					t.Errorf("content type %s", srv.heads[i].Get("Content-Type"))
				}
				if string(body) != string(srv.bodies[0]) && test.err == "" {
					t.Error("a resend differs from the first")
				}
			}
			readEvent(t, srv.bodies[0])
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	p := pauses{}
	in := inputs(t, delivered(t, record.Passed, first()))
	in.URL = "http://127.0.0.1:1/t0ken"
	out, err := Run(t.Context(), in, deps(&p))
	if fault.KindOf(err) != fault.Undetermined || err == nil || out.Evidence.Sent || len(p) != 4 || strings.Contains(err.Error(), "t0ken") {
		t.Errorf("%v %+v %v", err, out, p)
	}
}

func TestCancelledWhileTheReceiverHangs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	srv, p := receive(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() }), pauses{}
	in := inputs(t, delivered(t, record.Passed, first()))
	in.URL = srv.URL
	out, err := Run(ctx, in, deps(&p))
	if !errors.Is(err, context.Canceled) || out.Evidence.Sent || len(srv.bodies) != 1 || len(p) != 0 {
		t.Errorf("%v %+v", err, out)
	}
}

func TestAddressesThatAreNotURLs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"events.example.com", "ftp://t0ken@example.com", "https://", "https://ann:t0ken%zz@example.com", ":t0ken"} {
		in := inputs(t, delivered(t, record.Passed, first()))
		in.URL = bad
		if _, err := Run(t.Context(), in, Deps{}); err == nil || fault.KindOf(err) != fault.BadInput || strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// A receiver that is made with the CloudEvents SDK gets the same event in both modes.
func TestBothModesAreTheSameEvent(t *testing.T) {
	t.Parallel()
	for _, repository := range []string{"acme/checkout", "acme/Check.out_1"} {
		var events []cloudevents.Event
		for _, mode := range []string{"", structured, binary} {
			rec := delivered(t, record.Passed, first())
			rec.Source.Repository = repository
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				message := cehttp.NewMessageFromHttpRequest(r)
				if want := mode == binary; (message.ReadEncoding() == binding.EncodingBinary) != want {
					t.Errorf("%s: encoding %s", mode, message.ReadEncoding())
				}
				event, err := binding.ToEvent(r.Context(), message)
				if err != nil {
					t.Error(err)
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				events = append(events, *event)
			}))
			in := inputs(t, rec)
			in.URL, in.Mode = srv.URL, mode
			out, err := Run(t.Context(), in, Deps{})
			srv.Close()
			if err != nil || !out.Evidence.Sent {
				t.Fatalf("%s: %+v %v", mode, out, err)
			}
		}
		if len(events) != 3 {
			t.Fatalf("%d events", len(events))
		}
		var same []any
		var last []byte
		for _, e := range events {
			var data, whole any
			if err := json.Unmarshal(e.Data(), &data); err != nil {
				t.Fatal(err)
			}
			if err := e.SetData(cloudevents.ApplicationJSON, data); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(e)
			if err := errors.Join(err, json.Unmarshal(text, &whole)); err != nil {
				t.Fatal(err)
			}
			same, last = append(same, whole), text
		}
		if diff := cmp.Diff(same[0], same[1]) + cmp.Diff(same[0], same[2]); diff != "" {
			t.Error(diff)
		}
		t.Run(repository, func(t *testing.T) { readEvent(t, last) })
	}
}

// The example is that of CloudEvents' HTTP binding 1.0.2, section 3.1.3.2. Its SDK for Go does not decode it.
func TestHeaderValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Euro \u20ac \U0001f600": "Euro%20%E2%82%AC%20%F0%9F%98%80",
		`a"b%c`:                  "a%22b%25c",
		"a\r\nX-Evil: 1":         "a%0D%0AX-Evil:%201",
		"/acme/checkout":         "/acme/checkout",
	} {
		if got := headerValue(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
