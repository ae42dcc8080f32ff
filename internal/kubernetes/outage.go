package kubernetes

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// outages tells of an API server that is away, whatever comes of a request in the end: net/http and client-go send a question
// again by themselves when its connection breaks or the server asks for patience, and the answer shows nothing of it.
type outages struct {
	http.RoundTripper
	away func()
}

// RoundTrip implements http.RoundTripper.
func (o outages) RoundTrip(r *http.Request) (*http.Response, error) {
	var connections atomic.Int32
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if connections.Add(1) == 2 { // the first one has broken
			o.away()
		}
	}}
	answer, err := o.RoundTripper.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	switch {
	case err != nil && !errors.Is(err, context.Canceled),
		err == nil && (answer.StatusCode == http.StatusServiceUnavailable || answer.StatusCode == http.StatusTooManyRequests):
		o.away()
	}
	return answer, err
}
