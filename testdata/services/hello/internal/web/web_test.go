package web

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	h := Handler(Version{Service: "hello", Revision: "4f1c2ab", Digest: "sha256:9d0c"}, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		path, want string
		status     int
	}{
		{"/", "ok, hello\n", http.StatusOK},
		{"/healthz", "healthy\n", http.StatusOK},
		{"/greet/ada", `{"greeting":"hello, ada"}` + "\n", http.StatusOK},
		{"/version", `{"service":"hello","revision":"4f1c2ab","digest":"sha256:9d0c"}` + "\n", http.StatusOK},
		{"/nothing", "404 page not found\n", http.StatusNotFound},
	} {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.path, nil))
			if w.Code != c.status || w.Body.String() != c.want {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body.String(), c.status, c.want)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	h := Handler(Version{}, slog.New(slog.DiscardHandler))
	answer := func(id string) string {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("X-Request-Id", id)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Header().Get("X-Request-Id")
	}
	const own = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	if got := answer(own); got != own {
		t.Errorf("a valid identifier became %q", got)
	}
	if got := answer("x\ny"); uuid.Validate(got) != nil || strings.Contains(got, "\n") {
		t.Errorf("an invalid identifier became %q", got)
	}
}
