package gitstore

import (
	"errors"
	"testing"
	"time"

	"github.com/org/idp/internal/proc"
)

// How long a delivery goes on: an accident passes, a refusal does not, and whoever loses to others waits for them.
func TestWhenToGiveUp(t *testing.T) {
	t.Parallel()
	of := func(stderr string) error {
		return &proc.Error{Command: "git push", Stderr: stderr, Err: errors.New("exit status 1")}
	}
	accident, refusal := of("error: RPC failed; HTTP 500 curl 22 The requested URL returned error: 500"), of("fatal: Authentication failed for 'https://example.com/'")
	rival := &pushError{said: "!\tabc:refs/heads/main\t[rejected] (fetch first)", err: of("error: failed to push some refs")}
	for name, test := range map[string]struct {
		rounds []error
		last   int // the round after which it gives up; 0 for none of them
	}{
		"refusals":                   {[]error{refusal, refusal, refusal}, 3},
		"refusals between accidents": {[]error{refusal, accident, refusal, accident, refusal}, 5},
		"accidents":                  {[]error{accident, accident, accident, accident, accident, accident, accident, accident}, 8},
		"accidents between rivals":   {[]error{accident, accident, accident, accident, accident, accident, accident, rival, accident, rival}, 0},
	} {
		var t2 tries
		for n, err := range test.rounds {
			if over := t2.over(err); over != (n+1 == test.last) {
				t.Errorf("%s: after round %d it is over: %v", name, n+1, over)
			}
		}
	}
	var many tries
	for n := range maxRivals + 1 {
		if over := many.over(rival); over != (n == maxRivals) {
			t.Fatalf("after %d rivals it is over: %v", n+1, over)
		}
	}
}

func TestPausesGrowWithTheRoundsOfThisServer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		all          int
		took         time.Duration
		least, under time.Duration
	}{
		{1, 0, 12500 * time.Microsecond, 38 * time.Millisecond},
		{1, 400 * time.Millisecond, 100 * time.Millisecond, 301 * time.Millisecond},
		{3, 400 * time.Millisecond, 400 * time.Millisecond, 1201 * time.Millisecond},
		{90, time.Hour, 8 * time.Second, 25 * time.Second},
	} {
		n := tries{all: test.all}
		if least, most := n.pause(test.took, 0), n.pause(test.took, 1); least != test.least || most >= test.under {
			t.Errorf("after %d rounds of %s: %s to %s", test.all, test.took, least, most)
		}
	}
}
