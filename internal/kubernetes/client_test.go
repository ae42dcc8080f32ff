package kubernetes

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
)

const discovered = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// server is an API server with the kinds of testdata/discovery; objects answers everything else, n counting from 1. The
// client does not wait between attempts, and gives up after ten.
func server(t *testing.T, objects func(w http.ResponseWriter, r *http.Request, n int64)) (*Client, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	s := httptest.NewServer(kinds(t, func(w http.ResponseWriter, r *http.Request) { objects(w, r, requests.Add(1)) }))
	t.Cleanup(s.Close)
	return connect(t, s, map[string]any{}), &requests
}

// kinds answers what is asked about the kinds that there are; objects answers the rest.
func kinds(t *testing.T, objects http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api", "/apis":
			data, err := os.ReadFile("testdata/discovery" + r.URL.Path + ".json")
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", discovered)
			_, _ = w.Write(data)
		default:
			objects(w, r)
		}
	})
}

// connect is a client of a server, as a user of a kubeconfig.
func connect(t *testing.T, s *httptest.Server, user map[string]any) *Client {
	t.Helper()
	cluster := map[string]any{"server": s.URL}
	if ca := s.Certificate(); ca != nil {
		authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
		cluster["certificate-authority-data"] = append([]byte(t.Name()+"\n"), authority...) // clients with the same one share connections
	}
	data, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Config", "current-context": "x",
		"contexts": []any{map[string]any{"name": "x", "context": map[string]any{"cluster": "x", "user": "x"}}},
		"users":    []any{map[string]any{"name": "x", "user": user}},
		"clusters": []any{map[string]any{"name": "x", "cluster": cluster}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Connect(Options{Data: data, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	var waits int
	c.sleep = func(context.Context, time.Duration) error {
		if waits++; waits > 10 {
			return context.DeadlineExceeded
		}
		return nil
	}
	return c
}

var settings = &Object{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "x", "namespace": "fix"}}}

func fail(t *testing.T, w http.ResponseWriter, name string, code int) {
	data, err := os.ReadFile("testdata/errors/" + name + ".json")
	if err != nil {
		t.Error(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(data)
}

func succeed(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(settings.Object)
}

// stop ends the connection as an API server does that is killed.
func stop() { panic(http.ErrAbortHandler) }

func TestAnAPIServerThatIsAwayIsADelay(t *testing.T) {
	c, requests := server(t, func(w http.ResponseWriter, _ *http.Request, n int64) {
		switch n {
		case 1, 2:
			stop()
		case 3, 4: // it has not read its roles yet
			fail(t, w, "forbidden", http.StatusForbidden)
		default:
			succeed(w)
		}
	})
	if _, err := c.Apply(t.Context(), settings, ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := requests.Load(); got != 5 {
		t.Errorf("%d requests, want 5", got)
	}
}

func TestWhatIsForbiddenIsAskedOnce(t *testing.T) {
	c, requests := server(t, func(w http.ResponseWriter, _ *http.Request, _ int64) { fail(t, w, "forbidden", http.StatusForbidden) })
	_, err := c.Apply(t.Context(), settings, ApplyOptions{})
	if !strings.Contains(err.Error(), "the credentials may not patch ConfigMap x") || requests.Load() != 1 {
		t.Errorf("%d requests: %v", requests.Load(), err)
	}
}

// client-go sends a question again by itself when a connection breaks, so that the outage shows in no answer.
func TestAnOutageThatNoAnswerShowsIsOne(t *testing.T) {
	for name, away := range map[string]func(w http.ResponseWriter){
		"the connection breaks": func(http.ResponseWriter) { stop() },
		"it is not ready yet": func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, requests := server(t, func(w http.ResponseWriter, _ *http.Request, n int64) {
				switch n {
				case 1:
					away(w)
				case 2, 3:
					fail(t, w, "forbidden", http.StatusForbidden)
				default:
					succeed(w)
				}
			})
			if o, err := c.Get(t.Context(), RefOf(settings)); err != nil || o == nil || requests.Load() != 4 {
				t.Errorf("%d requests, want 4: %v, %v", requests.Load(), o, err)
			}
		})
	}
}

// A quota that nobody has counted yet is so for a moment, and lets nothing in until then: a creation, too, may be sent again.
func TestAQuotaThatIsNotCountedYetIsADelay(t *testing.T) {
	c, requests := server(t, func(w http.ResponseWriter, _ *http.Request, n int64) {
		if n < 3 {
			fail(t, w, "quota-new", http.StatusForbidden)
			return
		}
		succeed(w)
	})
	if _, err := c.Create(t.Context(), settings); err != nil || requests.Load() != 3 {
		t.Errorf("%d requests, want 3: %v", requests.Load(), err)
	}
}

func TestAnAPIServerThatStaysAwayIsNotDetermined(t *testing.T) {
	c, requests := server(t, func(w http.ResponseWriter, _ *http.Request, _ int64) { w.WriteHeader(http.StatusServiceUnavailable) })
	_, err := c.Get(t.Context(), RefOf(settings))
	if fault.KindOf(err) != fault.Undetermined || !IsUnreachable(err) || !strings.Contains(err.Error(), "cannot be reached (get ConfigMap x)") {
		t.Errorf("it is %v", err)
	}
	if got := requests.Load(); got != 11 {
		t.Errorf("%d requests, want 11", got)
	}
}

func TestACreationIsNotCarriedOutTwice(t *testing.T) {
	for name, test := range map[string]struct {
		first func(w http.ResponseWriter)
		want  int64 // requests
		ok    bool
	}{
		"the answer is lost": {func(http.ResponseWriter) { stop() }, 1, false},
		"nobody took it":     {func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) }, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, requests := server(t, func(w http.ResponseWriter, _ *http.Request, n int64) {
				if n == 1 {
					test.first(w)
				}
				succeed(w)
			})
			_, err := c.Create(t.Context(), settings)
			if (err == nil) != test.ok || requests.Load() != test.want {
				t.Errorf("%d requests, want %d: %v", requests.Load(), test.want, err)
			}
		})
	}
}

// The credentials of a cloud's login may end between the moment that a request is sent and the one that it is read.
func TestCredentialsThatEndOnTheWayAreRenewed(t *testing.T) {
	for name, test := range map[string]struct {
		valid string // token
		fixed bool   // the kubeconfig holds the token, and no program that gives it
		want  int64  // requests
	}{
		"ended on the way":  {valid: "2", want: 2},
		"never accepted":    {valid: "none", want: 2},
		"of the kubeconfig": {valid: "2", fixed: true, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			s := httptest.NewTLSServer(kinds(t, func(w http.ResponseWriter, r *http.Request) { // client-go shows credentials to no other
				requests.Add(1)
				if r.Header.Get("Authorization") != "Bearer "+test.valid {
					fail(t, w, "unauthorized", http.StatusUnauthorized)
					return
				}
				succeed(w)
			}))
			defer s.Close()
			user := map[string]any{"token": "1"}
			if !test.fixed {
				count := `echo >> "$0"; n=$(wc -l < "$0"); printf '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "%d"}}' "$n"`
				user = map[string]any{"exec": map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": []string{"-c", count, filepath.Join(t.TempDir(), "asked")}, "interactiveMode": "Never"}}
			}
			_, err := connect(t, s, user).Create(t.Context(), settings)
			if accepted := !test.fixed && test.valid == "2"; accepted != (err == nil) || requests.Load() != test.want {
				t.Errorf("%d requests, want %d: %v", requests.Load(), test.want, err)
			}
			if err != nil && (fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "does not accept the credentials")) {
				t.Errorf("it is %v", err)
			}
		})
	}
}

func TestACancelledRequestIsNotRepeated(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, requests := server(t, func(http.ResponseWriter, *http.Request, int64) { cancel(); stop() })
	if _, err := c.Get(ctx, RefOf(settings)); fault.KindOf(err) != fault.Undetermined || requests.Load() != 1 {
		t.Errorf("%d requests: %v", requests.Load(), err)
	}
}

func TestAnUnknownKindNamesTheVersionsThatThereAre(t *testing.T) {
	c, _ := server(t, func(_ http.ResponseWriter, r *http.Request, _ int64) { t.Errorf("%s is asked for", r.URL) })
	_, err := c.Get(t.Context(), Ref{"apps/v1beta1", "Deployment", "fix", "x"})
	var unknown *UnknownKindError
	if !errors.As(err, &unknown) || err.Error() != "the cluster has no kind Deployment of apps/v1beta1; it has that of apps/v1" {
		t.Errorf("it is %v", err)
	}
}

func TestNoNamespaceIsNotTheDefaultOne(t *testing.T) {
	c, _ := server(t, func(_ http.ResponseWriter, r *http.Request, _ int64) { t.Errorf("%s is asked for", r.URL) })
	if _, err := c.Get(t.Context(), Ref{"v1", "ConfigMap", "", "x"}); err == nil {
		t.Error("no error")
	}
}

func TestAKubeconfigThatIsNoneIsBadInputAndNotQuoted(t *testing.T) {
	for _, data := range []string{"token: hunter2\n\tx", "[hunter2", "apiVersion: v1\nkind: Config\n"} {
		_, err := Connect(Options{Data: []byte(data), Now: time.Now})
		if fault.KindOf(err) != fault.BadInput || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", data, err)
		}
	}
}
