package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/logtext"
	"github.com/org/idp/internal/retry"
)

const (
	attempts   = 6                      // of one request
	firstPause = 500 * time.Millisecond // doubled after each attempt
	// patience is for one attempt: GitHub itself gives up a request after 10 seconds, the rest is for a large body.
	patience    = 30 * time.Second
	answerLimit = 32 << 20 // bytes of one answer
	keptLimit   = 16 << 20 // bytes of all answers that are kept for conditional requests
)

var (
	errSlow = fmt.Errorf("no whole answer within %s", patience)
	errHost = errors.New("it redirects to another host, which is not asked")
	errHuge = fmt.Errorf("its answer is larger than %d MiB", answerLimit>>20)
	errCut  = errors.New("its answer breaks off")

	errLimited = errors.New("its rate limit is used up")
)

// transport adds the token, repeats what is safe to repeat, waits as GitHub says, and asks only for what has changed. Each
// answer it gives is whole.
type transport struct {
	next  http.RoundTripper
	base  *url.URL
	token string
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
	slow  time.Duration // patience

	mu      sync.Mutex
	left    time.Duration // of the budget
	blocked time.Time     // no request before then: a rate limit is used up
	kept    map[string]*answer
	keptLen int
}

// answer is a response with its whole body.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// lostError is a write of which nobody knows whether GitHub carried it out.
type lostError struct {
	what  string // method and path
	cause error
	after time.Duration // that GitHub asks to wait
}

func (e *lostError) Error() string {
	return fmt.Sprintf("whether GitHub took %s is not known: %v", e.what, e.cause)
}

// RoundTrip implements http.RoundTripper. Its errors are *fault.Error, or *lostError for what may have been carried out.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
	}
	if req.URL.Scheme != t.base.Scheme || req.URL.Host != t.base.Host {
		return nil, fault.Undeterminedf("GitHub at %s: %w", t.base.Host, errHost)
	}
	t.mu.Lock() // one request at a time: GitHub asks for it, and parallel ones meet secondary limits
	defer t.mu.Unlock()
	for n := 0; ; n++ {
		if err := t.unblocked(req.Context()); err != nil {
			return nil, err
		}
		began := t.now()
		a, err := t.attempt(req)
		verdict := t.verdict(req, a, err)
		if verdict == nil {
			return t.response(req, a), nil
		}
		t.left -= t.now().Sub(began)
		switch {
		case req.Context().Err() != nil:
			return nil, context.Cause(req.Context())
		case !verdict.repeat:
			return nil, &lostError{what: req.Method + " " + t.clean(req.URL.Path), cause: verdict.cause, after: verdict.after}
		case verdict.limited:
			t.blocked = t.now().Add(verdict.after)
			if n+1 == attempts {
				return nil, t.usedUp()
			}
		case !t.wait(req.Context(), n, verdict.after):
			return nil, t.noAnswer(req.Context(), fmt.Errorf("GitHub at %s gives no answer, asked %d times: %w", t.base.Host, n+1, verdict.cause))
		}
	}
}

// verdict is why an attempt gave no answer that can be handed on.
type verdict struct {
	cause   error
	after   time.Duration // that GitHub asks to wait; 0 where it does not say
	repeat  bool          // nothing was carried out, or it may be carried out twice
	limited bool          // a rate limit; after is set
}

func (t *transport) verdict(req *http.Request, a *answer, err error) *verdict {
	reads := req.Method == http.MethodGet
	var dial *net.OpError
	switch {
	case err != nil:
		return &verdict{cause: errors.New(t.clean(err.Error())), repeat: reads || errors.As(err, &dial) && dial.Op == "dial"}
	case a.status >= 500:
		return &verdict{cause: fmt.Errorf("it answers %d %s", a.status, http.StatusText(a.status)), after: retry.After(a.header), repeat: reads}
	case a.status == http.StatusForbidden || a.status == http.StatusTooManyRequests:
		if after, ok := limited(a, t.now()); ok {
			return &verdict{cause: errLimited, after: after, repeat: true, limited: true}
		}
	case a.status == http.StatusOK && strings.HasSuffix(req.URL.Path, "/graphql") && tooMany(a.body): // GraphQL carries out nothing then
		after, _ := limited(a, t.now())
		return &verdict{cause: errLimited, after: after, repeat: true, limited: true}
	case a.status < 300 && a.status != http.StatusNoContent && a.status != http.StatusResetContent && !json.Valid(a.body):
		return &verdict{cause: errCut, repeat: reads}
	}
	return nil
}

// attempt asks once. A context of its own ends it, so that a slow answer is told from the end of the whole.
func (t *transport) attempt(req *http.Request) (*answer, error) {
	ctx, cancel := context.WithTimeoutCause(req.Context(), t.slow, errSlow)
	defer cancel()
	out := req.Clone(ctx)
	out.Header.Set("Authorization", "Bearer "+t.token)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	before := t.kept[key(req)]
	if before != nil {
		out.Header.Set("If-None-Match", before.header.Get("ETag"))
	}
	res, err := t.next.RoundTrip(out)
	if err != nil {
		return nil, cause(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, answerLimit+1))
	switch {
	case err != nil:
		return nil, cause(ctx, err)
	case len(body) > answerLimit:
		return nil, errHuge
	case res.StatusCode == http.StatusNotModified && before != nil:
		return before, nil
	}
	a := &answer{status: res.StatusCode, header: res.Header, body: body}
	t.keep(req, a)
	return a, nil
}

func cause(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSlow) {
		return errSlow
	}
	return err
}

func key(req *http.Request) string { return req.URL.String() + "\n" + req.Header.Get("Accept") }

// keep remembers an answer that can be asked for conditionally: GitHub does not count a 304 against the rate limit.
func (t *transport) keep(req *http.Request, a *answer) {
	if req.Method != http.MethodGet || a.status != http.StatusOK || a.header.Get("ETag") == "" || !json.Valid(a.body) {
		return
	}
	if old := t.kept[key(req)]; old != nil {
		t.keptLen -= len(old.body)
	}
	if t.kept == nil || t.keptLen+len(a.body) > keptLimit {
		t.kept, t.keptLen = map[string]*answer{}, 0
	}
	t.kept[key(req)] = a // one that is larger than the limit goes with the next
	t.keptLen += len(a.body)
}

// response is what the library gets. It is not told of rate limits, since it would keep its own books of them by the
// machine's clock and refuse on their account what is waited for here.
func (t *transport) response(req *http.Request, a *answer) *http.Response {
	header := a.header.Clone()
	for name := range header {
		if strings.HasPrefix(name, "X-Ratelimit-") || name == "Retry-After" {
			header.Del(name)
		}
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: req,
	}
}

// unblocked waits until the rate limit is given anew, where the budget has room for that.
func (t *transport) unblocked(ctx context.Context) error {
	pause := t.blocked.Sub(t.now())
	if pause <= 0 {
		return nil
	}
	if pause > t.left {
		return t.usedUp()
	}
	t.left -= pause
	return t.sleep(ctx, pause)
}

func (t *transport) usedUp() error {
	return fault.Undeterminedf("GitHub's rate limit for this token is used up until %s, in %s",
		t.blocked.UTC().Format("2006-01-02 15:04:05 MST"), t.blocked.Sub(t.now()).Round(time.Second)).
		WithNext("Run the job again after that.")
}

// wait lies between two attempts: longer each time, and not the same for all who were cut off at once. It is false when the
// attempts or the budget are used up, or the context is done.
func (t *transport) wait(ctx context.Context, n int, after time.Duration) bool {
	pause := max(after, time.Duration((0.5+rand.Float64())*float64(firstPause<<n))) // #nosec G404 -- jitter is no secret
	if n+1 >= attempts || pause > t.left {
		return false
	}
	t.left -= pause
	return t.sleep(ctx, pause) == nil
}

// pause is wait for a write that goes on outside the transport.
func (t *transport) pause(ctx context.Context, n int, lost *lostError) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.wait(ctx, n, lost.after) {
		return t.noAnswer(ctx, lost)
	}
	return nil
}

func (t *transport) noAnswer(ctx context.Context, why error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	host := t.base.Hostname()
	if host != "api.github.com" && !strings.HasSuffix(host, ".ghe.com") { // an Enterprise Server
		return fault.Undeterminedf("%w", why).WithNext("Ask who runs " + t.base.Host + " whether it is in order, then run the job again.")
	}
	return fault.Undeterminedf("%w", why).WithNext("See whether GitHub has an incident, then run the job again: https://www.githubstatus.com")
}

// clean makes a text from outside one harmless line, without the token should it be repeated there.
func (t *transport) clean(text string) string {
	return logtext.Printable(strings.ReplaceAll(strings.ReplaceAll(text, t.token, "***"), "\n", " "))
}

// longest bounds what X-Ratelimit-Reset can ask for, so that no number overflows.
const longest = 24 * time.Hour

// secondaryPause is what GitHub asks for where an answer of a secondary limit names no time.
const secondaryPause = time.Minute

// limited tells a rate limit from a refusal, and how long it lasts: both are 403 or 429.
// https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
func limited(a *answer, now time.Time) (time.Duration, bool) {
	after := retry.After(a.header)
	switch {
	case after > 0:
		return after, true
	case a.header.Get("X-Ratelimit-Remaining") == "0":
		return untilReset(a.header, now), true
	case a.status == http.StatusTooManyRequests, tooMany(a.body):
		return secondaryPause, true
	}
	return 0, false
}

// tooMany tells whether GitHub says that it is asked too often: in words, and as the type of an error of GraphQL.
func tooMany(body []byte) bool {
	body = bytes.ToLower(body)
	for _, words := range []string{"secondary rate limit", "abuse detection mechanism", `"rate_limited"`} {
		if bytes.Contains(body, []byte(words)) {
			return true
		}
	}
	return false
}

// untilReset reads the second in which the limit is given anew; one more, since clocks differ and seconds are cut off.
func untilReset(h http.Header, now time.Time) time.Duration {
	seconds, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64)
	if err != nil {
		return secondaryPause
	}
	return min(max(0, time.Unix(seconds, 0).Sub(now))+time.Second, longest)
}
