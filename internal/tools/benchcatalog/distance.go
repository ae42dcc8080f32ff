package main

import (
	"context"
	"net"
	"sync"
	"time"
)

// roundTrip is how far away the far server is: a runner and a server of the same continent.
const roundTrip = 20 * time.Millisecond

// far listens on this machine and hands on to a server as if that were a round trip away: what is sent arrives half of one later,
// either way, and the first of it after the one that opening a connection takes. It ends with the context.
func far(ctx context.Context, server string) (address string, err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp", server)
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() {
				var both sync.WaitGroup
				both.Go(func() { later(there, near, roundTrip+roundTrip/2) })
				both.Go(func() { later(near, there, roundTrip/2) })
				both.Wait()
				_, _ = near.Close(), there.Close()
			}()
		}
	}()
	return listener.Addr().String(), nil
}

// packet is what was read at once, and when it arrives; nothing is the end.
type packet struct {
	data []byte
	due  time.Time
}

// later copies with a delay, of which the first packet's is given; the others come right behind it, or half a round trip after
// they were sent.
func later(to, from net.Conn, first time.Duration) {
	packets := make(chan packet, 1024)
	go func() {
		delay := first
		for {
			data := make([]byte, 64<<10)
			n, err := from.Read(data)
			packets <- packet{data[:n], time.Now().Add(delay)}
			delay = roundTrip / 2
			if err != nil {
				close(packets)
				return
			}
		}
	}()
	for p := range packets {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
	for range packets { // until all has been read
	}
}
