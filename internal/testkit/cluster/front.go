//go:build e2e

package cluster

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// Fault is what becomes of one request.
type Fault int

// The ways in which a request goes wrong. Answers are lost after the API server has carried the request out.
const (
	None   Fault = iota
	Refuse       // answered 500, not carried out
	Cut          // the connection ends, not carried out
	Lose         // carried out, and the connection ends before the answer
)

// Front stands before the API server, and decides of each request what becomes of it. It speaks plain HTTP and has the rights
// of an administrator.
type Front struct {
	Address string
}

// NewFront starts one before an Address. Decide is asked of every request, from several goroutines, and has what it sends.
func NewFront(t *testing.T, address string, decide func(r *http.Request, body []byte) Fault) Front {
	t.Helper()
	behind, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.ErrorLog = quiet
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // who asks has gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch decide(r, body) {
		case None:
			proxy.ServeHTTP(w, r)
		case Refuse:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"etcdserver: request timed out","code":500}`)
		case Lose:
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			panic(http.ErrAbortHandler)
		}
	}))
	server.Config.ErrorLog = quiet
	server.Start()
	t.Cleanup(server.Close)
	return Front{server.URL}
}

// quiet drops what net/http says of connections that are cut on purpose.
var quiet = log.New(io.Discard, "", 0)

// Kubeconfig is that of its one user.
func (f Front) Kubeconfig() []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: front, cluster: {server: %s}}]
users: [{name: front, user: {}}]
contexts: [{name: front, context: {cluster: front, user: front}}]
current-context: front
`, f.Address)
}

// File writes the kubeconfig to one.
func (f Front) File(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, f.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
