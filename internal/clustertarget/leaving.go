package clustertarget

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/target"
)

// gone waits until what was removed is gone. What is not gone after the limit is an error that names what holds it, and says first
// what is live all the same.
func (d *deploy) gone(ctx context.Context, live string, limit time.Duration) error {
	told := ""
	for begun := d.Clock.Now(); ; {
		held, err := apply.Leaving(ctx, d.Cluster, d.leaving)
		if err == nil && len(held) > 0 && d.Clock.Now().Sub(begun) >= limit {
			err = apply.StillThere(held, limit).WithNext("The next deploy asks again.")
		}
		if err != nil {
			return except(live, err)
		}
		if len(held) == 0 {
			return nil
		}
		d.leaving = d.leaving[:0:0]
		var names []string
		for i := range held {
			ref := kubernetes.RefOf(&held[i])
			d.leaving, names = append(d.leaving, ref), append(names, ref.String())
		}
		if text := strings.Join(names, ", "); text != told {
			told = text
			d.say("waiting for " + text + " to be gone")
		}
		if err := d.Clock.Sleep(ctx, 500*time.Millisecond); err != nil {
			return except(live, err)
		}
	}
}

// except is an error about what else was to be done when something is live.
func except(live string, err error) error {
	f := &fault.Error{Kind: fault.KindOf(err), What: live + ", but " + fault.Lines(err)[0], Err: err}
	var cause *fault.Error
	if errors.As(err, &cause) {
		f.Detail, f.Next = cause.Detail, cause.Next
	}
	return f
}

// goneUntested is for a release after which no smoke test, and so no confirmation, comes.
func (d *deploy) goneUntested(ctx context.Context, r *release.Release) error {
	if d.Tested {
		return nil
	}
	return d.gone(ctx, record.ShortDigest(r.Digest)+" is live and healthy", d.Wait)
}

// lingering adds to what a rollback came to what of the failed release is not gone. The deploy has failed either way, and what is
// live is known.
func (d *deploy) lingering(ctx context.Context, back target.Restored) target.Restored {
	if err := d.gone(ctx, back.Summary, vacating); err != nil {
		lines := fault.Lines(err)
		back.Summary, back.Detail = lines[0], append(back.Detail, lines[1:]...)
	}
	return back
}
