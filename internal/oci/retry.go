package oci

import (
	"context"
	"time"
)

// budget is how long one operation may take with all its attempts.
const budget = 10 * time.Minute

// pauses lie between the attempts of one operation, for a registry that restarts or sheds load.
var pauses = [...]time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}

// Retry calls op until it succeeds, fails for good, or the attempts or the budget are used up, and says then what the
// registry on host did not do: what is attempted reads on from "cannot". Each attempt starts anew, so op must be safe to
// repeat; the context given to it ends with the budget. Wait pauses between attempts; nil waits on the clock.
func Retry(ctx context.Context, wait func(context.Context, time.Duration) error, what, host string, op func(context.Context) error) error {
	if wait == nil {
		wait = onTheClock
	}
	limited, cancel := context.WithTimeoutCause(ctx, budget, errBudget)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := op(limited)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case limited.Err() != nil:
			return classify(errBudget, what, host)
		case attempt == len(pauses) || !temporary(err):
			return classify(err, what, host)
		}
		_ = wait(limited, pauses[attempt]) // when that is cut short, the next attempt fails at once and says why
	}
}

func onTheClock(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
