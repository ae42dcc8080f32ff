package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
)

func TestServeEndsWhenTold(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- serve(ctx, listener, http.NotFoundHandler()) }()
	resp, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusNotFound {
		t.Errorf("answered %s", resp.Status)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestRunNamesAPortThatItCannotHave(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), func(string) string { return "none" }); err == nil {
		t.Error("a port that is none was accepted")
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "": slog.LevelInfo, "loud": slog.LevelInfo} {
		if got := level(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}
