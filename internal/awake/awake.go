// Package awake limits work by the time in which this process could do any. A machine that stands still, as a virtual one does that its
// host leaves without processors, takes nothing from whoever is waited for: it stood still as well, and nobody looked.
package awake

import (
	"context"
	"time"
)

// longestPart is the most that a standstill counts.
const longestPart = 250 * time.Millisecond

// WithTimeout is context.WithTimeout by a clock that counts a standstill as a part of it, of a twentieth or a quarter of a second.
// The cause of its end is context.DeadlineExceeded, too.
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	part := max(min(d/20, longestPart), time.Millisecond)
	go func() {
		for left := d; left > 0; left -= part {
			select {
			case <-ctx.Done():
				return
			case <-time.After(min(part, left)):
			}
		}
		cancel(context.DeadlineExceeded)
	}()
	return limited{ctx}, func() { cancel(context.Canceled) }
}

// limited says that its time is over in the words of a deadline.
type limited struct{ context.Context }

func (l limited) Err() error {
	if err := l.Context.Err(); err == nil || context.Cause(l.Context) != context.DeadlineExceeded {
		return err
	}
	return context.DeadlineExceeded
}
