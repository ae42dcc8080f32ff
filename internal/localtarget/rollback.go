package localtarget

import (
	"context"
	"errors"
	"fmt"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/local"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/target"
)

// Rollback takes back a deploy whose smoke test failed: what the release wrote is read first, then the last good release
// is started, and only when that is healthy the failed one is stopped. Where there is nothing to go back to, nothing is
// live afterwards. A release that was live before this delivery stays, unless its own delivery was killed before the smoke
// test came to an answer and an older release is known to be good. Rollback has its own time limit and ignores the
// cancellation of ctx, because a rollback cut in half is worse than a late one.
func Rollback(ctx context.Context, in Inputs, deps Deps, deployed record.Deploy) (target.Restored, error) {
	ctx = context.WithoutCancel(ctx)
	d, unlock, err := begin(ctx, in, deps)
	if err != nil {
		return target.Restored{}, err
	}
	defer unlock()
	state, err := d.target.State()
	if err != nil {
		return target.Restored{}, err
	}
	if deployed.Release == "" || state.Current != deployed.Release {
		return target.Restored{}, fault.Undeterminedf("release %s is not live any more: another deploy came after it; nothing was changed", deployed.Release)
	}
	failed, err := d.target.Release(deployed.Release)
	if err != nil {
		return target.Restored{}, err
	}
	back := target.Restored{Detail: d.diagnose(failed, brought{}).log()}
	unproven := state.LastGood != "" && state.LastGood != failed.Name
	if !deployed.Changed && !unproven {
		run, _ := d.target.Running(failed.Name)
		return on(back, failed, run, record.ShortDigest(failed.Digest)+" was live before this delivery and stays"), nil
	}
	return d.rollback(ctx, failed, back)
}

func (d *deployment) rollback(ctx context.Context, failed *local.Release, back target.Restored) (target.Restored, error) {
	r, err := d.restore(ctx, failed.Name)
	if err != nil {
		run, _ := d.target.Running(failed.Name)
		back = on(back, failed, run, record.ShortDigest(failed.Digest)+" stays live though its smoke test failed")
		return back, fault.Failedf("%s; %w", back.Summary, err)
	}
	back.Summary = "nothing is live"
	if r != nil {
		run, _ := d.target.Running(r.Name)
		back = on(back, r, run, "back on "+record.ShortDigest(r.Digest)+" (healthy)")
	}
	// Forgotten first: should this be killed before the release is stopped, the next deploy stops what is not live.
	if err := errors.Join(d.target.Forget(failed.Name), d.target.Stop(ctx, failed.Name, local.StopGrace)); err != nil {
		return back, fmt.Errorf("%s, but release %s could not be stopped: %w", back.Summary, failed.Name, err)
	}
	return back, d.target.Prune(local.KeepReleases)
}

func on(b target.Restored, r *local.Release, run local.Running, summary string) target.Restored {
	b.Summary, b.Release, b.URL, b.Image, b.Digest, b.Commit = summary, r.Name, run.URL, r.Reference, r.Digest, r.Commit
	return b
}

// MarkGood records that the release passed its smoke test: it is what a later failure goes back to. It ignores the
// cancellation of ctx, because the answer is known by then, and without the mark the release would be neither taken back
// nor gone back to.
func MarkGood(ctx context.Context, in Inputs, deps Deps, release string) error {
	d, unlock, err := begin(context.WithoutCancel(ctx), in, deps)
	if err != nil {
		return err
	}
	defer unlock()
	return d.target.MarkGood(release)
}

// Stop ends everything that runs of the target in in.StateDir and gives the names of the releases that ran. The next
// deploy starts the current one again.
func Stop(ctx context.Context, in Inputs, deps Deps) ([]string, error) {
	place, err := local.Open(in.StateDir, deps.Now)
	if err != nil || !place.Exists() {
		return nil, err
	}
	d, unlock, err := begin(ctx, in, deps)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return d.target.StopAll(ctx)
}

// Live gives the address of the release that runs now, without asking it anything; empty where none does.
func Live(in Inputs, deps Deps) (string, error) {
	place, err := local.Open(in.StateDir, deps.Now)
	if err != nil {
		return "", err
	}
	current, err := place.Current()
	if err != nil || current == nil {
		return "", err
	}
	run, alive := place.Running(current.Name)
	if !alive {
		return "", nil
	}
	return run.URL, nil
}
