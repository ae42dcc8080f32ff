package oci

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"

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
	errInward = errors.New("refusing to be led to this machine, its link or the cloud's metadata by a registry")
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

// guarded refuses plain HTTP to other machines. The library would speak it to all private networks, credentials included, and
// follow a redirect to it. And it holds where the answers of a registry lead, be it a redirect, a token service or the address
// of a layer: what is on this machine, or on its link, where clouds keep the credentials of a machine, is for no registry
// elsewhere to have asked. The user's own registry and proxy may be anywhere.
type guarded struct {
	registry string // the name or address of the host that the user named
	network
}

// network opens connections: as the user says, and as a registry elsewhere or on this machine says.
type network struct {
	named, led, ledHere *http.Transport
}

// shared keeps connections for all that is asked of a registry.
var shared = newNetwork(net.DefaultResolver)

func newNetwork(resolver *net.Resolver) network {
	with := func(control func(network, address string, c syscall.RawConn) error) *http.Transport {
		t := remote.DefaultTransport.(*http.Transport).Clone()
		t.DialContext = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, Resolver: resolver, Control: control}).DialContext
		return t
	}
	// The address is looked at when its name is resolved for good, right before the connection: a name may stand for any.
	n := network{
		named: with(nil),
		led: with(func(_, address string, _ syscall.RawConn) error {
			return inward(address, func(ip netip.Addr) bool { return ip.IsLoopback() || ofTheLink(ip) })
		}),
		ledHere: with(func(_, address string, _ syscall.RawConn) error { return inward(address, ofTheLink) }),
	}
	n.led.Proxy, n.ledHere.Proxy = nil, nil // what goes through the user's proxy is the proxy's to resolve, and to refuse
	return n
}

// inward refuses an address, IP:PORT, that is one of those, and one that it cannot read.
func inward(address string, those func(netip.Addr) bool) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || those(at.Addr().Unmap()) {
		return errInward
	}
	return nil
}

func (t guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	way, err := t.way(r)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	return way.RoundTrip(r)
}

func (t guarded) way(r *http.Request) (*http.Transport, error) {
	host := r.URL.Hostname()
	named, here := strings.EqualFold(host, t.registry), isLoopback(t.registry)
	if !named && (isLinkLocal(host) || isLoopback(host) && !here) {
		return nil, errInward
	}
	if r.URL.Scheme != "https" && !isLoopback(host) {
		return nil, errPlain
	}
	if named {
		return t.named, nil
	}
	proxy, err := t.named.Proxy(r)
	switch {
	case err != nil:
		return nil, err
	case proxy != nil:
		return t.named, nil
	case here:
		return t.ledHere, nil
	}
	return t.led, nil
}

// metadata is where clouds keep the credentials of a machine, besides on its link: AWS, Google, Alibaba and Azure.
var metadata = []netip.Prefix{netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("fd20:ce::/32"),
	netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("168.63.129.16/32")}

// ofTheLink is true of addresses at which no registry is, nor what belongs to one.
func ofTheLink(ip netip.Addr) bool {
	return ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() ||
		slices.ContainsFunc(metadata, func(p netip.Prefix) bool { return p.Contains(ip.WithZone("")) })
}

func isLinkLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ofTheLink(ip.Unmap())
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
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
