package kubernetes

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A request for a Service through the API server is sent once more where its credentials ended on the way, and reaches the Service
// once all the same.
func TestCredentialsThatEndOnTheWayToAServiceAreRenewed(t *testing.T) {
	for name, test := range map[string]struct {
		valid  string // token
		fixed  bool   // the kubeconfig holds the token, and no program that gives it
		answer func(w http.ResponseWriter)
		want   int64 // requests
		status int
		text   string
	}{
		"ended on the way":             {valid: "2", want: 2, status: http.StatusOK, text: "done: order"},
		"never accepted":               {valid: "none", want: 2, status: http.StatusUnauthorized, text: "Unauthorized"},
		"of the kubeconfig":            {valid: "2", fixed: true, want: 1, status: http.StatusUnauthorized, text: "Unauthorized"},
		"the Service refuses it":       {valid: "1", answer: func(w http.ResponseWriter) { http.Error(w, "log in", http.StatusUnauthorized) }, want: 1, status: http.StatusUnauthorized, text: "log in"},
		"the Service speaks as it did": {valid: "1", answer: func(w http.ResponseWriter) { unknownSender(w) }, want: 1, status: http.StatusUnauthorized, text: "Unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // client-go shows credentials to no other
				requests.Add(1)
				if r.Header.Get("Authorization") != "Bearer "+test.valid {
					unknownSender(w)
					return
				}
				w.Header().Set("X-Kubernetes-PF-FlowSchema-UID", "1")
				if test.answer != nil {
					test.answer(w)
					return
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				_, _ = io.WriteString(w, "done: "+string(body))
			}))
			defer s.Close()
			user := map[string]any{"token": "1"}
			if !test.fixed {
				count := `echo >> "$0"; n=$(wc -l < "$0"); printf '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "%d"}}' "$n"`
				user = map[string]any{"exec": map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": []string{"-c", count, filepath.Join(t.TempDir(), "asked")}, "interactiveMode": "Never"}}
			}
			url, through := connect(t, s, user).Proxy("fix", "x", "80")
			res, err := (&http.Client{Transport: through}).Post(url+"/orders", "text/plain", strings.NewReader("order"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			text, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != test.status || !strings.Contains(string(text), test.text) || requests.Load() != test.want {
				t.Errorf("%d requests, %s %q, %v", requests.Load(), res.Status, text, err)
			}
		})
	}
}

// unknownSender answers as an API server does that does not know who asks.
func unknownSender(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}`)
}
