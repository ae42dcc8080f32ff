//go:build linux

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/org/idp/internal/testkit/expect"
)

// TestNoSuchName asks with the resolver that containerd is built with.
func TestNoSuchName(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	go answer(conn)
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	_, err = r.LookupHost(t.Context(), "registry.example.com.")
	var unknown *net.DNSError
	if !errors.As(err, &unknown) || !unknown.IsNotFound {
		t.Errorf("%v", err)
	}
	for _, short := range [][]byte{nil, make([]byte, 12), append(make([]byte, 12), 200), []byte("123456789012\x03abc")} {
		if got := noSuchName(short); got != nil {
			t.Errorf("%q: %q", short, got)
		}
	}
}

// A part that cannot be started for a moment is not left out for good.
func TestAPartIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "part")
	s := &supervisor{layout: layout{Dir: dir}, running: map[int]part{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.start(part{args: []string{program}})
	}()
	time.Sleep(restartDelay / 2) // it has tried
	expect.Program(t, program, "#!/bin/sh\nexit 7\n")
	<-ended
	for pid := range s.running {
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || status.ExitStatus() != 7 {
			t.Errorf("it ended with %d, %v", status.ExitStatus(), err)
		}
	}
	if len(s.running) != 1 {
		t.Errorf("%d processes", len(s.running))
	}
}
