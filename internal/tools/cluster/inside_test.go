//go:build linux

package main

import (
	"context"
	"errors"
	"net"
	"testing"
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
