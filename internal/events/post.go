package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/org/idp/internal/fault"
)

const (
	attempts   = 5
	firstPause = time.Second      // doubled after each attempt
	maxPause   = time.Minute      // a receiver that asks for a longer one is not waited for
	perAttempt = 15 * time.Second // from connection to the end of the answer
)

// temporary is an answer that another attempt may change.
type temporary struct {
	err   error
	pause time.Duration // asked for by the receiver; 0 when it did not
}

func (t temporary) Error() string { return t.err.Error() }
func (t temporary) Unwrap() error { return t.err }

// post sends the event until the receiver takes it, says no, or the attempts are used up. A receiver that got it twice
// knows it by its id.
func post(ctx context.Context, target *url.URL, body []byte, deps Deps) error {
	pause := firstPause
	for n := 1; ; n++ {
		err := send(ctx, target, body, deps)
		var again temporary
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.As(err, &again):
			return notSent(target, err)
		case n == attempts:
			return notSent(target, fmt.Errorf("%w, %d times", again.err, n))
		case again.pause > maxPause:
			return notSent(target, fmt.Errorf("%w and asks to wait %s", again.err, again.pause))
		}
		deps.Progress(fmt.Sprintf("%s: %v, trying again", target.Host, err))
		if err := deps.Sleep(ctx, max(pause, again.pause)); err != nil {
			return err
		}
		pause *= 2
	}
}

func notSent(target *url.URL, cause error) error {
	return fault.Undeterminedf("the event was not taken by %s: %w", target.Host, cause).
		WithNext("Check the URL in the input events and what its receiver logged.",
			"The event is in events.json; sending it again is safe, its id stays the same.")
}

func send(ctx context.Context, target *url.URL, body []byte, deps Deps) error {
	ctx, cancel := context.WithTimeout(ctx, perAttempt)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("no request can be made of its URL")
	}
	req.Header.Set("Content-Type", contentType)
	res, err := deps.Client.Do(req)
	if err != nil {
		return temporary{err: withoutURL(err)}
	}
	defer func() { _ = res.Body.Close() }()
	// What was read lets the connection be used again; what it says does not matter.
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	return judge(res, deps.Now)
}

// withoutURL takes off the address that net/http puts before its errors, since it may hold a secret. A deadline here is
// that of one attempt, not of the caller, so it is not kept as one.
func withoutURL(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", perAttempt)
	}
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

func judge(res *http.Response, now func() time.Time) error {
	status := fmt.Errorf("it answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	switch code := res.StatusCode; {
	case res.Request != nil && res.Request.Method != http.MethodPost:
		// A 301, 302 or 303 makes the client ask with GET and without the event, and that may well answer 200.
		return errors.New("it redirected the POST to another page")
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests || code >= 500:
		return temporary{err: status, pause: retryAfter(res.Header.Get("Retry-After"), now)}
	default:
		return status
	}
}

// retryAfter reads either form of the header, RFC 9110 section 10.2.3; anything else counts as absent.
func retryAfter(value string, now func() time.Time) time.Duration {
	if n, err := strconv.Atoi(value); err == nil && n > 0 {
		return time.Duration(min(n, int(24*time.Hour/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil && now != nil {
		return max(0, at.Sub(now()))
	}
	return 0
}
