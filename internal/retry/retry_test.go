package retry

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
)

// A service that does not answer in time is asked again, and its silence is not said to be an interruption.
func TestSlowService(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	clock := hasty()
	clock.Attempt = 20 * time.Millisecond
	b := NewBudget(clock)
	asked := &counted{next: b.next}
	b.next = asked
	_, err := b.Client(t.Context(), "the log", 200).Get(server.URL)
	if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "does not answer within 20ms") ||
		strings.Contains(err.Error(), "deadline") || asked.times != 12 { // pauses of 1, 2, 4, 8, 16 and six of 30 seconds fit into four minutes
		t.Errorf("asked %d times: %v", asked.times, err)
	}
}

// counted counts requests when they are made: a server may not see one that is given up soon.
type counted struct {
	next  http.RoundTripper
	times int
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.times++
	return c.next.RoundTrip(r)
}

// hasty is a clock that goes on by what was to be waited, does not wait, and stands still otherwise.
func hasty() Clock {
	var ahead atomic.Int64
	return Clock{
		Now:   func() time.Time { return time.Unix(0, ahead.Load()) },
		Sleep: func(ctx context.Context, d time.Duration) error { ahead.Add(int64(d)); return ctx.Err() },
	}
}
