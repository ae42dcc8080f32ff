// Package again does what downloads, and once more where that failed: neither go nor apt-get asks a server a second time that answers
// 503 or breaks off, nor npm one that breaks off. What they have by then they keep, so each time there is less left to fetch. It is what
// .ci/again is for commands.
package again

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// pauses between the times: whoever works without a network is told so within a minute.
var pauses = []time.Duration{time.Second, 10 * time.Second, 30 * time.Second}

// Do does it up to four times, until it comes to a good end, and says on w that it does so once more. The error is the last one, or
// both it and that of ctx when that ended.
func Do(ctx context.Context, w io.Writer, what func() error) error {
	for _, pause := range pauses {
		err := what()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		_, _ = fmt.Fprintf(w, "%v\nonce more in %s\n", err, pause)
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
	return what()
}
