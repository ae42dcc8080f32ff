package kubernetes

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// A cluster is spoken to by HTTP/2, in which a request that is cut off looks unlike one of HTTP/1.1.
func TestARequestThatIsCutOffIsADelay(t *testing.T) {
	requests := map[string]func(*Client) error{
		"get":    func(c *Client) error { _, err := c.Get(t.Context(), RefOf(settings)); return err },
		"apply":  func(c *Client) error { _, err := c.Apply(t.Context(), settings, ApplyOptions{}); return err },
		"create": func(c *Client) error { _, err := c.Create(t.Context(), settings); return err },
	}
	for name, cut := range map[string]func(w http.ResponseWriter){
		"before its answer": func(http.ResponseWriter) { stop() },
		"in its answer": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"kind": "ConfigMap", `)
			w.(http.Flusher).Flush()
			stop()
		},
	} {
		for _, proto := range []int{1, 2} {
			for verb, request := range requests {
				t.Run(fmt.Sprintf("%s %s by HTTP/%d", verb, name, proto), func(t *testing.T) {
					var n atomic.Int64
					s := httptest.NewUnstartedServer(kinds(t, func(w http.ResponseWriter, r *http.Request) {
						if r.ProtoMajor != proto {
							t.Errorf("it is asked by %s", r.Proto)
						}
						if n.Add(1) <= 2 {
							cut(w)
						}
						succeed(w)
					}))
					s.EnableHTTP2 = proto == 2
					s.StartTLS()
					defer s.Close()
					err := request(connect(t, s, map[string]any{}))
					if verb == "create" { // which nobody knows the end of
						if n.Load() != 1 || !IsAway(err) {
							t.Errorf("%d requests, want 1: %v", n.Load(), err)
						}
					} else if n.Load() != 3 || err != nil {
						t.Errorf("%d requests, want 3: %v", n.Load(), err)
					}
				})
			}
		}
	}
}

// A connection on which nothing comes any more, as when the machine behind it is gone, is given up, and another one made.
func TestAConnectionThatStandsStillIsADelay(t *testing.T) {
	for _, name := range []string{"HTTP2_READ_IDLE_TIMEOUT_SECONDS", "HTTP2_PING_TIMEOUT_SECONDS"} { // of client-go, otherwise 30 s and 15 s
		t.Setenv(name, "1")
	}
	s := httptest.NewUnstartedServer(kinds(t, func(w http.ResponseWriter, _ *http.Request) { succeed(w) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	way, still := between(t, s.Listener.Addr().String())
	s.URL = "https://" + way
	c := connect(t, s, map[string]any{})
	if _, err := c.Scope(t.Context(), RefOf(settings).GVK()); err != nil {
		t.Fatal(err)
	}
	still.Store(true)
	c.sleep = func(context.Context, time.Duration) error { return context.DeadlineExceeded } // no outage may last as long as it takes to find out
	time.AfterFunc(500*time.Millisecond, func() { still.Store(false) })
	if _, err := c.Apply(t.Context(), settings, ApplyOptions{}); err != nil {
		t.Error(err)
	}
	still.Store(true)
	if _, err := c.Apply(t.Context(), settings, ApplyOptions{}); !IsAway(err) {
		t.Errorf("the next connection does no better: %v", err)
	}
}

// between is a way to an address on which connections stand still for good that are used while it is to be so. New ones break then.
func between(t *testing.T, address string) (string, *atomic.Bool) {
	t.Helper()
	var still atomic.Bool
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	carry := func(to, from net.Conn) {
		for data := make([]byte, 32<<10); ; {
			n, err := from.Read(data)
			if still.Load() {
				_, _ = io.Copy(io.Discard, from)
				return
			}
			if err == nil {
				_, err = to.Write(data[:n])
			}
			if err != nil {
				_ = to.Close()
				return
			}
		}
	}
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			if still.Load() {
				_ = in.Close()
				continue
			}
			out, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _, _ = in.Close(), out.Close() })
			go carry(out, in)
			go carry(in, out)
		}
	}()
	return listener.Addr().String(), &still
}
