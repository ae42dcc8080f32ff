package sigstore

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fault is a way in which a service fails.
type Fault string

// The ways.
const (
	Down        Fault = "down"    // the connection is reset
	Slow        Fault = "slow"    // there is no answer as long as somebody waits for one
	ServerError Fault = "5xx"     // 503 Service Unavailable
	Garbage     Fault = "garbage" // 200, or 201 for what was posted, and something that is no answer
	Trickle     Fault = "trickle" // the answer comes a byte a second
)

// Faults are those of a service whose answers are small.
var Faults = []Fault{Down, Slow, ServerError, Garbage}

// Service is a proxy before a real service. It hands on everything until it is told to fail.
type Service struct {
	URL string

	mu       sync.Mutex
	requests []string
	fault    func(n int, r *http.Request) Fault
	ended    chan struct{}
}

func newService(t *testing.T, target string) *Service {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{ended: make(chan struct{})}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // registries name themselves by it
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch s.next(r) {
		case "":
			handOn(proxy, w, r)
		case Down:
			reset(w)
		case Trickle:
			proxy.ServeHTTP(&trickling{ResponseWriter: w, r: r, ended: s.ended}, r)
		case Slow:
			select {
			case <-r.Context().Done():
			case <-s.ended:
			}
		case ServerError:
			http.Error(w, `{"code": 14, "message": "upstream connect error"}`, http.StatusServiceUnavailable)
		case Garbage:
			w.Header().Set("Content-Type", "application/json")
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusCreated)
			}
			_, _ = w.Write([]byte("<html>\x00 a proxy's page: please log in</html>")) // the caller may be gone
		}
	}))
	t.Cleanup(func() {
		close(s.ended)
		server.CloseClientConnections()
		server.Close()
	})
	s.URL = server.URL
	return s
}

// handOn lets the service answer also if the caller is gone. A log on tessera 1.0 fails everybody who waits for it when one of them
// leaves (PublicationAwaiter.Await), so that a test that kills a program would fail another test.
func handOn(proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
	defer cancel()
	proxy.ServeHTTP(w, r.WithContext(ctx))
}

// trickling sends a byte a second, until nobody waits for the rest.
type trickling struct {
	http.ResponseWriter
	r     *http.Request
	ended chan struct{}
}

func (t *trickling) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := t.ResponseWriter.Write(p[i : i+1]); err != nil {
			return i, err
		}
		if err := http.NewResponseController(t.ResponseWriter).Flush(); err != nil {
			return i, err
		}
		select {
		case <-t.r.Context().Done():
			return i, t.r.Context().Err()
		case <-t.ended:
			return i, http.ErrAbortHandler
		case <-time.After(time.Second):
		}
	}
	return len(p), nil
}

func reset(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return // the caller is gone, which is what was wanted
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func (s *Service) next(r *http.Request) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.requests)
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	if s.fault == nil {
		return ""
	}
	return s.fault(n, r)
}

// Host is HOST:PORT, as in the name of an image.
func (s *Service) Host() string { return strings.TrimPrefix(s.URL, "http://") }

// Fail makes every request from now on fail.
func (s *Service) Fail(f Fault) { s.FailWhen(func(int, *http.Request) Fault { return f }) }

// FailWhen decides for each request, of which n came before it; "" hands it on. It is called by one request at a time.
func (s *Service) FailWhen(decide func(n int, r *http.Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.requests = decide, nil
}

// Heal ends all failures.
func (s *Service) Heal() { s.FailWhen(nil) }

// Requests are those since the start or the last change, as METHOD PATH.
func (s *Service) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}
