package oci

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/org/idp/internal/retry"
)

// Limits are how long a registry has. The zero value is what a job can afford.
type Limits struct {
	Stall  time.Duration // for which a request may make no progress in either direction; 0 is a minute
	Budget time.Duration // for one operation with all its attempts, also one whose data trickles; 0 is ten minutes
}

func (l Limits) stall() time.Duration  { return cmp.Or(l.Stall, time.Minute) }
func (l Limits) budget() time.Duration { return cmp.Or(l.Budget, 10*time.Minute) }

// stalled is a request that made no progress for so long.
type stalled time.Duration

func (s stalled) Error() string { return fmt.Sprintf("no data for %s", time.Duration(s)) }

var (
	errLate  = errors.New("not done in the time that it has")
	errPlain = errors.New("refusing plain HTTP, which is for loopback only: set up TLS")
	// errInward is a way for a registry to have this machine's own services asked.
	errInward = errors.New("refusing to follow a redirect to this machine or its link")
)

// rewound sends every body from its start. The library sends a request again when its token has run out meanwhile, with a body that
// the first attempt has read.
type rewound struct{ inner http.RoundTripper }

func (t rewound) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.GetBody != nil {
		body, err := r.GetBody()
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
		r = r.WithContext(r.Context()) // a copy: a transport may not change what it is given
		r.Body = body
	}
	return t.inner.RoundTrip(r)
}

// pace is the longest time that a registry may ask to be left alone; one that asks for more is busy for good.
const pace = time.Minute

// busyError is a registry that asks for more.
type busyError struct {
	status int
	after  time.Duration
}

func (e busyError) Error() string {
	return fmt.Sprintf("%d %s, and it asks to be left alone for %s", e.status, http.StatusText(e.status), e.after)
}

// paced hands on the answer of a registry that is busy only when the time is over after which it wants to be asked again,
// so that whoever asks again at once does so when it helps.
type paced struct {
	inner   http.RoundTripper
	longest time.Duration
}

func (t paced) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.inner.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return resp, err
	}
	wait := retry.After(resp.Header)
	if wait > t.longest {
		_ = resp.Body.Close()
		return nil, busyError{resp.StatusCode, wait}
	}
	_ = onTheClock(r.Context(), wait) // where it is cut short, the next attempt fails at once and says why
	return resp, nil
}

// loopbackOnly refuses plain HTTP to other machines. The library would speak it to all private networks, credentials
// included, and follow a redirect to it. What is on this machine, or on its link, where clouds keep the credentials of a machine, is
// for no registry elsewhere to lead to.
type loopbackOnly struct{ inner http.RoundTripper }

func (t loopbackOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := allowed(r); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	return t.inner.RoundTrip(r)
}

func allowed(r *http.Request) error {
	host := r.URL.Hostname()
	switch from := r.Response; { // the redirect that led here
	case from != nil && from.Request != nil && !isLoopback(from.Request.URL.Hostname()) && (isLoopback(host) || isLinkLocal(host)):
		return errInward
	case r.URL.Scheme != "https" && !isLoopback(host):
		return errPlain
	}
	return nil
}

func isLinkLocal(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLinkLocalUnicast() || ip.IsUnspecified())
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// watched cancels a request that makes no progress. A time limit for the whole would cut off large layers.
type watched struct {
	inner http.RoundTripper
	idle  time.Duration
}

func (t watched) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(t.idle, func() { cancel(stalled(t.idle)) })
	alive := func() { timer.Reset(t.idle) }
	end := func() { timer.Stop(); cancel(nil) }
	r = r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &watchedBody{ReadCloser: r.Body, ctx: ctx, alive: alive}
	}
	resp, err := t.inner.RoundTrip(r)
	if err != nil {
		end()
		return nil, stallOr(ctx, err)
	}
	alive()
	resp.Body = &watchedBody{ReadCloser: resp.Body, ctx: ctx, alive: alive, end: end}
	return resp, nil
}

// watchedBody notes each read as progress; end, where there is one, is called when the body is done with.
type watchedBody struct {
	io.ReadCloser
	ctx   context.Context
	alive func()
	end   func()
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.alive()
	}
	if err != nil && err != io.EOF {
		err = stallOr(b.ctx, err)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	if b.end != nil {
		defer b.end()
	}
	return b.ReadCloser.Close()
}

func stallOr(ctx context.Context, err error) error {
	var cause stalled
	if errors.As(context.Cause(ctx), &cause) {
		return cause
	}
	return err
}
