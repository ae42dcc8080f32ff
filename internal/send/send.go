// Package send tells a web service of something over HTTP, and says for certain whether it took it. A request is repeated
// while that may help, in bounded time; an address is never followed to another one, since credentials would go there; and no
// error shows an address or a secret.
package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/logtext"
	"github.com/org/idp/internal/retry"
)

const (
	attempts    = 5
	firstPause  = time.Second      // doubled after each attempt
	maxPause    = time.Minute      // a receiver that asks for a longer one is not waited for
	perAttempt  = 15 * time.Second // from connection to the end of the answer
	answerLimit = 4 << 20          // bytes of one answer
)

// Client sends. Its zero value works.
type Client struct {
	Transport http.RoundTripper                          // nil is the standard one
	Sleep     func(context.Context, time.Duration) error // gives the context's error when that ends first; nil waits
	Progress  action.Progress                            // nil tells nobody
	Hide      []string                                   // texts that no error may show
}

// Request is one message. Its body is sent again as it is, so the receiver has to know it again, unless Done is set.
type Request struct {
	Method, URL string
	Header      http.Header
	Body        []byte
	To          string // what people call the receiver
	// Done, where there is one, is asked before each attempt whether it was carried out already: for a receiver that would
	// carry it out twice.
	Done func(context.Context) (bool, error)
}

// SecretsOf are the parts of an address that may be secrets, as those of webhooks are.
func SecretsOf(u *url.URL) []string {
	var parts []string
	if u.User != nil {
		password, _ := u.User.Password()
		parts = append(parts, password, u.User.Username())
	}
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	for _, segment := range strings.Split(u.Path, "/") {
		if len(segment) > 3 {
			parts = append(parts, segment)
		}
	}
	return parts
}

// RefusedError is an answer that another attempt does not change.
type RefusedError struct {
	Status int
	said   string
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("it answered %d %s", e.Status, http.StatusText(e.Status))
	if e.Status >= 300 && e.Status < 400 && e.Status != http.StatusNotModified {
		text = fmt.Sprintf("it redirected the request to another page (%d)", e.Status)
	}
	if e.said != "" {
		text += ": " + e.said
	}
	return text
}

// temporary is an answer that another attempt may change.
type temporary struct {
	err   error
	pause time.Duration // asked for by the receiver; 0 when it did not
}

func (t temporary) Error() string { return t.err.Error() }
func (t temporary) Unwrap() error { return t.err }

// Do sends until the receiver takes it, says no, or the attempts are used up. It gives the body of the answer; nil where
// Done said that it was carried out.
func (c Client) Do(ctx context.Context, r Request) ([]byte, error) {
	pause := firstPause
	for n := 1; ; n++ {
		answer, err := c.attempt(ctx, r)
		var again temporary
		switch {
		case err == nil:
			return answer, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !errors.As(err, &again):
			return nil, err
		case n == attempts:
			return nil, fmt.Errorf("%w, %d times", again.err, n)
		case again.pause > maxPause:
			return nil, fmt.Errorf("%w and asks to wait %s", again.err, again.pause)
		}
		if c.Progress != nil {
			c.Progress(fmt.Sprintf("%s: %v, trying again", r.To, err))
		}
		if err := c.sleep(ctx, max(pause, again.pause)); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

func (c Client) sleep(ctx context.Context, d time.Duration) error {
	if c.Sleep != nil {
		return c.Sleep(ctx, d)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func (c Client) attempt(ctx context.Context, r Request) ([]byte, error) {
	if r.Done != nil {
		if done, err := r.Done(ctx); done || err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, perAttempt)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, errors.New("no request can be made of its URL")
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	if user := req.URL.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	transport := c.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	// A client would follow a redirect: some make it ask with GET and without the body, which may well be answered by 200.
	res, err := transport.RoundTrip(req)
	if err != nil {
		return nil, temporary{err: withoutURL(err)}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, answerLimit+1))
	switch {
	case err != nil:
		return nil, temporary{err: errors.New("its answer breaks off")}
	case len(body) > answerLimit:
		return nil, fmt.Errorf("its answer is larger than %d MiB", answerLimit>>20)
	}
	return body, c.judge(res, body)
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

func (c Client) judge(res *http.Response, body []byte) error {
	refused := &RefusedError{res.StatusCode, c.Text(body)}
	switch code := res.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests || code >= 500:
		return temporary{err: refused, pause: retry.After(res.Header)}
	default:
		return refused
	}
}

// shown is the characters of an answer that an error shows.
const shown = 200

// Text makes what a receiver wrote one harmless line. A page is not shown: it says nothing in its first line.
func (c Client) Text(body []byte) string {
	text := strings.Join(strings.Fields(string(body)), " ")
	for _, secret := range c.Hide {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	if text = logtext.Printable(text); strings.HasPrefix(text, "<") {
		return ""
	}
	if runes := []rune(text); len(runes) > shown {
		return string(runes[:shown]) + "…"
	}
	return text
}
