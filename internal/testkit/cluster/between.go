//go:build e2e

package cluster

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/kubernetes"
)

// Between gives the kubeconfig of a way to the API server that is asked before each request whether it goes on, and told of
// each answer before that goes back. Both may wait meanwhile. Where a request does not go on, or is not answered, the connection
// breaks. Answered may be nil.
func Between(t *testing.T, kubeconfig string, before func(*http.Request) bool, answered func(*http.Request)) string {
	t.Helper()
	server, transport := reach(t, kubeconfig)
	proxy := httputil.NewSingleHostReverseProxy(server)
	proxy.Transport = transport
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	if answered != nil {
		proxy.ModifyResponse = func(answer *http.Response) error {
			answered(answer.Request)
			return nil
		}
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !before(r) {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
		"users": [{"name": "x", "user": {}}], "clusters": [{"name": "x", "cluster": {"server": %q}}]}`, front.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// reach is where the API server of a kubeconfig is, and how to talk to it as its user.
func reach(t *testing.T, kubeconfig string) (*url.URL, http.RoundTripper) {
	t.Helper()
	client, err := kubernetes.Connect(kubernetes.Options{Files: []string{kubeconfig}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	address, transport := client.Proxy("any", "any", "any")
	base, _, _ := strings.Cut(address, "/api/v1/")
	server, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return server, transport
}
