package githubfake

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Fault is what goes wrong with a request. A fault that no request meets fails the test.
type Fault struct {
	On         string        // operation, such as POST /repos/{owner}/{repo}/deployments; empty for any
	Call       int           // which of the operation's calls, counted from 1 at Inject; 0 for all of them
	Taken      bool          // the request is carried out all the same; what goes wrong is the answer
	Delay      time.Duration // the answer comes later
	Cut        bool          // the connection is cut without an answer
	Half       bool          // the request is carried out and the connection cut in the middle of the answer
	Status     int           // answered instead: 403 and 429 are secondary rate limits
	RetryAfter time.Duration // said beside Status
}

// Phases are all points at which a call can break, once.
var Phases = []struct {
	Name  string
	Fault Fault
}{
	{"cut before it is taken", Fault{Cut: true}},
	{"cut after it is taken", Fault{Cut: true, Taken: true}},
	{"half an answer", Fault{Half: true}},
	{"500", Fault{Status: http.StatusInternalServerError}},
	{"502 though taken", Fault{Status: http.StatusBadGateway, Taken: true}},
	{"503", Fault{Status: http.StatusServiceUnavailable}},
	{"429", Fault{Status: http.StatusTooManyRequests, RetryAfter: time.Second}},
	{"403 of a secondary limit", Fault{Status: http.StatusForbidden, RetryAfter: time.Second}},
}

type fault struct {
	Fault
	seen, hits int
}

// Inject lets a fault happen from now on.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.On != "" && !known(f.On) {
		s.t.Fatalf("the fake GitHub has no operation %s", f.On)
	}
	s.faults = append(s.faults, &fault{Fault: f})
}

func known(operation string) bool {
	for _, r := range routes() {
		if r.name == operation {
			return true
		}
	}
	return false
}

// meet gives the first fault that a call meets; the zero one does nothing.
func (s *Server) meet(operation string) Fault {
	var met *fault
	for _, f := range s.faults {
		if f.On != "" && f.On != operation {
			continue
		}
		f.seen++
		if met == nil && (f.Call == 0 || f.Call == f.seen) {
			met = f
		}
	}
	if met == nil {
		return Fault{}
	}
	met.hits++
	return met.Fault
}

// answer is that of whatever stands before GitHub, or of its limits.
func (f Fault) answer() answer {
	a := fail(f.Status, http.StatusText(f.Status))
	if f.Status == http.StatusForbidden || f.Status == http.StatusTooManyRequests {
		a = fail(f.Status, secondaryMessage)
	}
	a.header = http.Header{}
	if f.RetryAfter > 0 {
		a.header.Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Round(time.Second).Seconds())))
	}
	a.sent, _ = marshal(a.body)
	if f.Status >= 500 { // the load balancer speaks no JSON
		a.sent = fmt.Appendf(nil, "<html><body>%d %s</body></html>", f.Status, http.StatusText(f.Status))
	}
	return a
}

// cut ends the connection by a reset.
func cut(w http.ResponseWriter) {
	h, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := h.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
