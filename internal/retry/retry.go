// Package retry bears with services that give no answer, for as long as one run has patience with all of them.
package retry

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/org/idp/internal/fault"
)

// Clock is how time passes.
type Clock struct {
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error
	// Attempt is how long a service has for one answer; 0 is half a minute. A log of the form of Rekor v2 answers when the entry
	// is in a tree that it has signed, which takes seconds.
	Attempt time.Duration
}

const (
	// patience is for how long in all one run of this program bears with services that do not answer. Outages of seconds
	// happen every week, those of the public log have lasted 45 minutes: no job should wait for the end of such a one.
	patience = 4 * time.Minute
	attempt  = 30 * time.Second
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 4 << 20
	maxPause  = 30 * time.Second // unless the service asks for a longer one
)

// Budget leads to services. What may pass by itself is tried again, until patience has run out.
type Budget struct {
	clock   Clock
	next    http.RoundTripper
	attempt time.Duration

	mu      sync.Mutex
	spent   time.Duration // on what failed
	counted time.Time     // until when: what several calls wait for at the same time is spent once
}

// NewBudget is the patience of one run.
func NewBudget(clock Clock) *Budget {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 8 // statements are signed side by side
	return &Budget{clock: clock, next: transport, attempt: cmp.Or(clock.Attempt, attempt)}
}

// Client speaks to one service, which name says in errors. The clients of sigstore-go drop the context of a call, so it is
// here. An answer whose status is not among the accepted is an error, and is not read any further than its first line.
func (b *Budget) Client(ctx context.Context, name string, accept ...int) *http.Client {
	return &http.Client{Transport: &call{Budget: b, ctx: ctx, name: name, accept: accept},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type call struct {
	*Budget
	ctx    context.Context
	name   string
	accept []int
}

// RoundTrip gives an answer that was read whole.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := secure(req.URL); err != nil {
		return nil, err
	}
	pause := time.Second
	for {
		begun := c.clock.Now()
		res, wait, err := c.once(req)
		switch {
		case err == nil:
			return res, nil
		case c.ctx.Err() != nil:
			return nil, context.Cause(c.ctx)
		case wait < 0:
			return nil, c.gaveNone(req, err)
		case !c.bear(begun, c.clock.Now(), max(wait, pause)):
			if wait > pause {
				err = fmt.Errorf("%w; it asks to wait %s", err, wait)
			}
			return nil, c.gaveNone(req, err)
		}
		if err := c.clock.Sleep(c.ctx, max(wait, pause)); err != nil {
			return nil, err
		}
		pause = min(2*pause, maxPause)
	}
}

func (c *call) gaveNone(req *http.Request, err error) error {
	return fault.Undeterminedf("%s, %s, %w", c.name, req.URL.Host, err)
}

// bear tells whether there is patience for the pause after what has failed from begun until now.
func (b *Budget) bear(begun, now time.Time, pause time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spend(begun, now)
	from := now
	if from.Before(b.counted) { // nothing is counted yet where the clock has not moved meanwhile
		from = b.counted
	}
	if b.spent+max(0, now.Add(pause).Sub(from)) > patience {
		return false
	}
	b.spend(now, now.Add(pause))
	return true
}

func (b *Budget) spend(from, to time.Time) {
	if from.Before(b.counted) {
		from = b.counted
	}
	if to.After(from) {
		b.spent += to.Sub(from)
		b.counted = to
	}
}

// cancelled is the answer of a log of the form of Rekor v2, nginx's 499, to whoever waited beside a client that went away: what is
// sent at the same time is added together, and given up together.
const cancelled = 499

// once asks once. wait is how long the service wants to be left alone, and less than 0 where asking again does not help.
func (c *call) once(req *http.Request) (res *http.Response, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.attempt)
	defer cancel()
	again := req.Clone(ctx)
	if req.GetBody != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return nil, -1, err
		}
	}
	res, err = c.next.RoundTrip(again)
	if err != nil {
		return nil, 0, c.noAnswer(ctx, err)
	}
	defer res.Body.Close() //nolint:errcheck // only read from
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, 0, c.noAnswer(ctx, err)
	case len(body) > maxAnswer:
		return nil, -1, fmt.Errorf("gives an answer of more than %d MB", maxAnswer>>20)
	}
	for _, status := range c.accept {
		if res.StatusCode == status {
			res.Body = io.NopCloser(bytes.NewReader(body))
			return res, 0, nil
		}
	}
	err = fmt.Errorf("answers %d %s%s", res.StatusCode, http.StatusText(res.StatusCode), excerpt(body, req))
	if res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests && res.StatusCode != cancelled {
		return nil, -1, err
	}
	return nil, After(res.Header), err
}

func (b *Budget) noAnswer(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("does not answer within %s", b.attempt) // without the cause, which reads as if the run had been cut off
	}
	return fmt.Errorf("cannot be reached: %w", err)
}

// excerpt is the beginning of what a service says, on one line, without the token that it was sent.
func excerpt(body []byte, req *http.Request) string {
	text := string(body[:min(len(body), 4096)])
	if _, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		text = strings.ReplaceAll(text, token, "***")
	}
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if text == "" {
		return ""
	}
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "…"
	}
	return ": " + text
}

// secure refuses to send an identity token, or anything else, where others can read it.
func secure(u *url.URL) error {
	host := u.Hostname()
	if u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1" || host == "::1") {
		return nil
	}
	return fault.BadInputf("%s is not an https:// address", u.Redacted())
}
