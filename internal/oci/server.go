package oci

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/org/idp/internal/fault"
)

// Server is a registry in this process, on a free port of the loopback interface. It keeps images in memory, so they end
// with it.
type Server struct {
	host  string
	http  *http.Server
	once  sync.Once
	ended chan struct{}
}

// Serve starts a registry, with the referrers API of OCI 1.1. It ends with ctx or Close.
func Serve(ctx context.Context) (*Server, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fault.Undeterminedf("no port for the registry in this process: %w", err)
	}
	silent := log.New(io.Discard, "", 0)
	s := &Server{host: listener.Addr().String(), ended: make(chan struct{}), http: &http.Server{
		Handler:           registry.New(registry.WithReferrersSupport(true), registry.Logger(silent)),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          silent,
	}}
	go func() {
		defer close(s.ended)
		_ = s.http.Serve(listener) // ends by Close; a listener that fails shows as a refused connection
	}()
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return s, nil
}

// Host is HOST:PORT.
func (s *Server) Host() string { return s.host }

// Close ends the registry and waits until its port is free. It may be called more than once.
func (s *Server) Close() error {
	var err error
	s.once.Do(func() { err = s.http.Close() })
	<-s.ended
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
