package smoke

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/org/idp/internal/awake"
)

const (
	maxBody        = 1 << 20          // bytes of an answer that are looked at
	attemptTimeout = 10 * time.Second // for one request and its answer
	attempts       = 3                // of a safe request
	retryAfter     = 100 * time.Millisecond
	maxRedirects   = 5
	excerptLength  = 160 // characters of a body that are shown
)

// request is what is sent.
type request struct {
	method, url string
	headers     map[string]string
	body        string
	follow      bool // redirects on the same host
}

// answer is what came back.
type answer struct {
	problem   string // why there is none
	timedOut  bool
	status    int
	header    http.Header
	body      []byte
	truncated bool
	took      time.Duration // from the connection being there to the last byte
	tls       *tls.ConnectionState
}

// newClient makes a client that never uses a connection twice; see the package comment.
func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = http.DefaultTransport
	}
	if t, ok := transport.(*http.Transport); ok {
		t = t.Clone()
		t.DisableKeepAlives = true
		transport = t
	}
	return &http.Client{Transport: transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		follow, _ := req.Context().Value(followKey{}).(bool)
		if !follow || len(via) > maxRedirects || !sameSite(via[0].URL, req.URL) {
			return http.ErrUseLastResponse // the redirect itself is the answer
		}
		return nil
	}}
}

// followKey tells the client's one CheckRedirect, through the request's own context, whether to follow.
type followKey struct{}

// sameSite allows what stays on the host, and the step from HTTP to HTTPS: elsewhere another service would be tested, and
// given the request's headers.
func sameSite(from, to *url.URL) bool {
	if from.Scheme == to.Scheme {
		return from.Host == to.Host
	}
	return from.Scheme == "http" && to.Scheme == "https" && from.Port() == "" && to.Port() == "" && from.Hostname() == to.Hostname()
}

// ask sends a safe request until it is answered by the service and not by a gateway before it, and any other only once.
func (r *runner) ask(ctx context.Context, q request, want int) answer {
	if q.method != http.MethodGet && q.method != http.MethodHead {
		return r.send(ctx, q)
	}
	for i := 1; ; i++ {
		a := r.send(ctx, q)
		gateway := a.status == http.StatusBadGateway || a.status == http.StatusServiceUnavailable || a.status == http.StatusGatewayTimeout
		again := (a.problem != "" && !a.timedOut) || (gateway && a.status != want)
		if !again || i == attempts || r.deps.Sleep(ctx, retryAfter<<(i-1)) != nil || ctx.Err() != nil {
			return a
		}
	}
}

func (r *runner) send(ctx context.Context, q request) answer {
	ctx, cancel := awake.WithTimeout(context.WithValue(ctx, followKey{}, q.follow), attemptTimeout)
	defer cancel()
	var connected atomic.Pointer[time.Time]
	mark := func() {
		now := r.deps.Now()
		connected.Store(&now)
	}
	mark()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { mark() }})
	req, err := http.NewRequestWithContext(ctx, q.method, q.url, strings.NewReader(q.body))
	if err != nil {
		return answer{problem: "the request cannot be made"}
	}
	req.Close = true
	req.Header.Set("User-Agent", "idp-smoke")
	for name, value := range q.headers {
		if strings.EqualFold(name, "Host") {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return unanswered(err)
	}
	defer func() { _ = resp.Body.Close() }()
	r.answered = true
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		a := unanswered(err)
		a.problem = "broke off in its answer: " + a.problem
		return a
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: body, tls: resp.TLS, took: r.deps.Now().Sub(*connected.Load())}
	if len(body) > maxBody {
		a.body, a.truncated = body[:maxBody], true
	}
	return a
}

// unanswered says why no answer came, without the URL that net/http puts before it.
func unanswered(err error) answer {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	var timeout interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || (errors.As(err, &timeout) && timeout.Timeout()) {
		return answer{problem: "no answer in time", timedOut: true}
	}
	return answer{problem: printable(err.Error(), excerptLength)}
}

// quote shows the beginning of a text that someone else wrote, with nothing in it that a terminal would obey.
func quote(text string) string {
	if cut := []rune(text); len(cut) > excerptLength {
		return strconv.QuoteToGraphic(string(cut[:excerptLength])) + fmt.Sprintf(" and %d more characters", len(cut)-excerptLength)
	}
	return strconv.QuoteToGraphic(text)
}

func printable(text string, limit int) string {
	quoted := strconv.QuoteToGraphic(text)
	runes := []rune(strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`))
	return string(runes[:min(len(runes), limit)])
}
