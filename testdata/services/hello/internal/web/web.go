// Package web holds the service's HTTP routes.
package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"
)

// Version says what is running. A platform tells it in the environment when it starts the service.
type Version struct {
	Service  string `json:"service"`
	Revision string `json:"revision"`
	Digest   string `json:"digest"`
}

// Handler answers /, /greet/{name}, /healthz and /version, and logs each request at debug level.
func Handler(version Version, log *slog.Logger) http.Handler {
	r := chi.NewRouter()
	r.Use(requestID, logged(log), middleware.Recoverer)
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, "healthy\n") })
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) { text(w, "ok, hello\n") })
	r.Get("/greet/{name}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, map[string]string{"greeting": "hello, " + chi.URLParam(r, "name")})
	})
	r.Get("/version", func(w http.ResponseWriter, _ *http.Request) { reply(w, version) })
	return r
}

// requestID gives every answer an identifier, the caller's own where it sent a valid one.
func requestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := uuid.Parse(r.Header.Get("X-Request-Id"))
		if err != nil {
			id = uuid.New()
		}
		w.Header().Set("X-Request-Id", id.String())
		next.ServeHTTP(w, r)
	})
}

func logged(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			next.ServeHTTP(ww, r)
			log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "status", ww.Status(),
				"took", time.Since(start), "id", w.Header().Get("X-Request-Id"))
		})
	}
}

// A write to a caller that has gone can't be told to anyone, so text and reply leave its error.

func text(w http.ResponseWriter, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(s))
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
