// Hello is a small service that greets, for trying the golden path on something real.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/hello/internal/web"
)

// drain is how long open requests may take once the service was told to stop.
const drain = 10 * time.Second

func main() {
	if err := realMain(); err != nil {
		slog.Error("stopped", "error", err)
		os.Exit(1)
	}
}

func realMain() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Getenv)
}

// run reads the environment and serves until ctx is done.
func run(ctx context.Context, getenv func(string) string) error {
	port := getenv("PORT")
	if port == "" {
		port = "8080"
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level(getenv("LOG_LEVEL"))}))
	version := web.Version{Service: "hello", Revision: getenv("IDP_REVISION"), Digest: getenv("IDP_DIGEST")}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", ":"+port)
	if err != nil {
		return fmt.Errorf("listen on port %s: %w", port, err)
	}
	log.Info("listening", "address", listener.Addr().String(), "revision", version.Revision)
	return serve(ctx, listener, web.Handler(version, log))
}

// serve answers until ctx is done, then lets open requests finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		// The service was told to stop, so ctx can't time the rest; open requests get their own time.
		left, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		return srv.Shutdown(left)
	})
	return g.Wait()
}

// level reads a slog level; a text that is none means info.
func level(text string) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return slog.LevelInfo
	}
	return l
}
