package clustertarget

import (
	"context"
	"errors"
	"strings"

	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/target"
)

// Recover puts in order what the deploy of a holder left that was cut off, whatever moment that was: a release that it had
// begun, or that nobody has found to be good, gives way to the last good one, and the lock is given back. The result is zero
// where nothing was to be put back. What another deploy has done since is not touched.
func (t Target) Recover(ctx context.Context, holder string) (target.Restored, error) {
	if err := t.check(); err != nil || holder == "" {
		return target.Restored{}, errors.Join(err, missing(holder))
	}
	list, err := t.history().List(ctx)
	if err != nil {
		return target.Restored{}, err
	}
	locked, err := t.history().Holder(ctx)
	if err != nil {
		return target.Restored{}, err
	}
	if unfinished(list, holder) == nil && locked.ID != holder {
		return target.Restored{}, nil
	}
	d, err := t.open(ctx)
	if err != nil {
		return target.Restored{}, err
	}
	defer d.close(ctx)
	left := unfinished(d.list, holder)
	switch {
	case left == nil:
		return target.Restored{}, nil
	case left.Restores != 0 && left.Serving():
		return d.backOn(left), nil // the old version is back already
	}
	d.made = left.Objects
	return d.restore(ctx, left, "cut off: nobody has found it to be good")
}

func missing(holder string) error {
	if holder != "" {
		return nil
	}
	return errors.New("whose deploy was cut off is not known")
}

// unfinished is the newest release, where this holder has begun it and did not come to its end with it; nil otherwise. One
// that has failed and is still the newest was not put back.
func unfinished(list []release.Release, holder string) *release.Release {
	if len(list) == 0 || list[0].Holder != holder {
		return nil
	}
	r := &list[0]
	found := r.State == release.Good || r.State == release.Live && !r.Tested // by its test, or as healthy where none comes
	if r.Returned || r.State == release.RolledBack || found && r.Restores == 0 {
		return nil
	}
	return r
}

// backOn is what a rollback says of the release that is live after it.
func (d *deploy) backOn(r *release.Release) target.Restored {
	summary := strings.Join(append([]string{"back on " + record.ShortDigest(r.Digest) + " (healthy)"}, d.kept...), " · ")
	return target.Restored{Summary: summary, Release: r.Name(), URL: d.URL, Image: r.Image, Digest: r.Digest, Commit: r.Commit}
}
