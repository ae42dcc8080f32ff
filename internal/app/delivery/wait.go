package delivery

import (
	"context"
	"time"
)

// Sleep waits, or gives the context's error when that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// CleanupTime is what putting things in order may take after a signal; runners kill a cancelled job soon after.
const CleanupTime = 30 * time.Second
