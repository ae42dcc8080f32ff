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

func TestAfter(t *testing.T) {
	t.Parallel()
	const now = "Fri, 27 Nov 2026 12:00:00 GMT"
	for value, want := range map[string]time.Duration{
		"":                               0,
		"120":                            2 * time.Minute, // the examples of RFC 9110 section 10.2.3
		"Fri, 27 Nov 2026 12:00:30 GMT":  30 * time.Second,
		"Friday, 27-Nov-26 12:00:30 GMT": 30 * time.Second, // the two old forms, which a recipient has to read: section 5.6.7
		"Fri Nov 27 12:00:30 2026":       30 * time.Second,
		" 7 ":                            7 * time.Second,
		"0":                              0,
		"007":                            7 * time.Second,
		"86401":                          longest,
		"9223372036854775807":            longest,
		strings.Repeat("9", 1000):        longest,
		"-5":                             0,
		"+5":                             0,
		"1.5":                            0,
		"1e3":                            0,
		"soon":                           0,
		"٣":                              0,
		now:                              0,
		"Fri, 27 Nov 2020 12:00:00 GMT":  0,
		"Sat, 27 Nov 2027 12:00:00 GMT":  longest,
		"Fri, 31 Dec 9999 23:59:59 GMT":  longest,
		"2026-11-27T12:00:30Z":           0,
	} {
		if got := After(http.Header{"Retry-After": {value}, "Date": {now}}); got != want {
			t.Errorf("Retry-After %q: %s, want %s", value, got, want)
		}
	}
	for _, date := range [][]string{nil, {""}, {"today"}} {
		h := http.Header{"Retry-After": {"Fri, 27 Nov 2026 12:00:30 GMT"}, "Date": date}
		if got := After(h); got != 0 {
			t.Errorf("a date beside the Date %q: %s", date, got)
		}
		if h.Set("Retry-After", "9"); After(h) != 9*time.Second {
			t.Errorf("seconds beside the Date %q: %s", date, After(h))
		}
	}
}

// What a service asks for is waited for where there is patience for it, and not begun where there is none; then the patience is there
// for the next service.
func TestServiceAsksForTime(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return noon.Add(d).Format(http.TimeFormat) }
	for after, waited := range map[string][2]time.Duration{ // at least, at most; nothing where it is given up
		"100":               {100 * time.Second, 100 * time.Second},
		in(2 * time.Minute): {2 * time.Minute, 2 * time.Minute},
		in(-time.Hour):      {time.Second, time.Second},
		"soon":              {time.Second, time.Second},
		"241":               {},
		in(time.Hour):       {},
	} {
		var asked, ahead atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) == 1 {
				w.Header().Set("Retry-After", after)
				w.Header().Set("Date", noon.Format(http.TimeFormat))
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		defer server.Close()
		b := NewBudget(Clock{Now: time.Now, Sleep: func(_ context.Context, d time.Duration) error { ahead.Add(int64(d)); return nil }})
		_, err := b.Client(t.Context(), "the log", 200).Get(server.URL)
		slept := time.Duration(ahead.Load())
		if slept > waited[1] || slept < waited[0]-time.Since(begun) || (err == nil) != (waited[1] > 0) {
			t.Errorf("Retry-After %s: slept %s, %v", after, slept, err)
		}
		if err == nil {
			continue
		}
		if fault.KindOf(err) != fault.Undetermined || asked.Load() != 1 || !strings.Contains(err.Error(), "asks to wait") {
			t.Errorf("Retry-After %s: asked %d times: %v", after, asked.Load(), err)
		}
		asked.Store(1) // the next answer is whole
		if _, err := b.Client(t.Context(), "the log", 200).Get(server.URL); err != nil {
			t.Errorf("after Retry-After %s: %v", after, err)
		}
		if b.spent > time.Since(begun) {
			t.Errorf("Retry-After %s took %s of the patience, and nobody waited", after, b.spent)
		}
	}
}
