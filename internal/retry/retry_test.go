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
	var asked atomic.Int64
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1); <-release }))
	defer server.Close()
	defer close(release)
	clock := hasty()
	clock.Attempt = 20 * time.Millisecond
	b := NewBudget(clock)
	_, err := b.Client(t.Context(), "the log", 200).Get(server.URL)
	if err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "does not answer within 20ms") ||
		strings.Contains(err.Error(), "deadline") || asked.Load() < 8 || asked.Load() > 14 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
}

// hasty is a clock that goes on by what was to be waited, and does not wait.
func hasty() Clock {
	var ahead atomic.Int64
	return Clock{
		Now:   func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		Sleep: func(ctx context.Context, d time.Duration) error { ahead.Add(int64(d)); return ctx.Err() },
	}
}
