// Package ports chooses ports of loopback for servers that are started by tests and have to be told where to listen.
package ports

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Free gives ports that nobody listens on now. They lie below those that systems give to whoever asks for any, 32768 and up, and
// below those of services on the local target, from 20000: neither a connection nor another server takes one before its server
// does, or while that is restarted.
func Free(n int) ([]string, error) {
	var free []string
	for range 1000 {
		if len(free) == n {
			return free, nil
		}
		port := strconv.Itoa(10000 + rand.IntN(10000)) // #nosec G404 -- not a secret
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		defer func() { _ = listener.Close() }() // all together, so that no two are the same
		free = append(free, port)
	}
	return nil, errors.New("there is no free port between 10000 and 20000")
}
