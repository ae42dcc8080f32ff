package clustertarget

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/strategy"
	"github.com/org/idp/internal/target"
)

// abandon ends a release that did not come up, whose failure has been looked at already, and says what is live then.
func (d *deploy) abandon(ctx context.Context, r *release.Release, why error, out *target.Outputs) error {
	if errors.Is(why, release.ErrLost) {
		return why // what is live is for the other deploy to say
	}
	// From here on nothing may be cut short by what ended the deploy.
	steady, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*restoreLimit)
	defer cancel()
	d.say("putting back what was live")
	back, err := d.restore(steady, r, fault.Lines(why)[0])
	if back.Digest != "" {
		out.Evidence.Restored = &record.Deployment{Digest: back.Digest, Commit: back.Commit}
	}
	out.Evidence.Release, out.Evidence.URL = back.Release, back.URL
	if ctx.Err() != nil {
		return fmt.Errorf("cancelled before sha256:%s was healthy; %s: %w", record.ShortDigest(r.Digest), ending(back, err), context.Cause(ctx))
	}
	var f *fault.Error
	if !errors.As(why, &f) {
		f = fault.Undeterminedf("%w", why)
	}
	kind := f.Kind
	if err != nil && fault.KindOf(err) == fault.Undetermined {
		kind = fault.Undetermined // what is live then is not known
	}
	f = &fault.Error{Kind: kind, What: f.What + "; " + ending(back, err), Detail: slices.Concat(f.Detail, back.Detail), Next: f.Next, Err: why}
	if err != nil {
		for _, line := range fault.Lines(err)[1:] {
			if !slices.Contains(f.Detail, line) && !slices.Contains(f.Next, line) { // as where both fail alike
				f.Detail = append(slices.Clip(f.Detail), line)
			}
		}
	}
	return f
}

// ending is what is live after a rollback, in words.
func ending(back target.Restored, err error) string {
	if err != nil {
		return "putting the old version back failed: " + fault.Lines(err)[0]
	}
	return back.Summary
}

// restore marks a release as failed and makes the one to go back to live, as a release of its own. Where there is none, what
// was there before comes back, and what the failed one made is removed.
func (d *deploy) restore(ctx context.Context, failed *release.Release, reason string) (target.Restored, error) {
	if err := d.lock.Sure(ctx); err != nil {
		return target.Restored{}, err
	}
	if err := d.history.Mark(ctx, failed, release.Failed, reason); err != nil {
		return target.Restored{}, err
	}
	list, err := d.history.List(ctx)
	if err != nil {
		return target.Restored{}, err
	}
	d.list = list
	old := release.Fallback(list, failed.Number)
	if old != nil {
		back, err := d.bringBack(ctx, old)
		if err == nil {
			back = d.lingering(ctx, back)
		}
		return back, err
	}
	back := target.Restored{Summary: "nothing is live"}
	given, err := d.giveBack(ctx, nil, after(0))
	if err == nil && len(given) > 0 {
		back.Summary = "back on what was there before the first release"
		err = d.healthy(ctx, given, restoreLimit)
	}
	if err != nil {
		return target.Restored{}, err
	}
	if err := d.remove(ctx, given); err != nil {
		return back, err
	}
	if err := d.settled(ctx, d.list); err != nil {
		return back, err
	}
	return d.lingering(ctx, back), nil
}

// bringBack makes every object of an earlier release live again, waits, and removes what it does not have. What was made in
// a color comes back in it: first its pods, which may be gone, and then the Services are switched. It is not tested again.
func (d *deploy) bringBack(ctx context.Context, old *release.Release) (target.Restored, error) {
	set, err := old.Set()
	if err != nil {
		return target.Restored{}, err
	}
	again := *d
	again.Image, again.Digest, again.Commit, again.Wait = old.Image, old.Digest, old.Commit, restoreLimit
	again.Override, again.Tested, again.Recreate = "", false, true // a field that was changed by recreating goes back the same way
	again.Set, again.Strategy, again.Smoke, again.back = set, strategy.Rolling, nil, true
	plan, err := again.plan(ctx)
	if err != nil {
		return target.Restored{}, err
	}
	plan.Kind = old.Strategy
	r, err := again.begin(ctx, plan, origin(old), nil)
	if err != nil {
		return target.Restored{}, err
	}
	// Its pods may need what it did not bring itself.
	given, err := again.giveBack(ctx, set, after(origin(old)))
	if err == nil && len(given) > 0 {
		err = again.healthy(ctx, given, restoreLimit)
	}
	if err == nil {
		err = again.steps(ctx, plan, nil)
	}
	if err != nil {
		return target.Restored{}, errors.Join(err, again.history.Mark(ctx, r, release.Failed, fault.Lines(err)[0]))
	}
	state := release.Live
	if old.Proven {
		state = release.Good
	}
	if err := again.history.Settle(ctx, r, state); err != nil {
		return target.Restored{}, err
	}
	again.PruneMax = unlimited // what came after it was brought by a deploy, and goes with that
	err = again.retire(ctx, r)
	d.leaving = again.leaving
	return again.backOn(r), err
}

// remove takes away what a first release made that failed, but for what was there before.
func (d *deploy) remove(ctx context.Context, given []kubernetes.Object) error {
	return d.sweep(ctx, given, d.made, len(d.made))
}

// retire removes what only other releases had, once requests have had time to leave it.
func (d *deploy) retire(ctx context.Context, keep *release.Release) error {
	list, err := d.history.List(ctx)
	if err != nil {
		return err
	}
	d.list = list
	set, err := keep.Set()
	if err != nil {
		return err
	}
	if keep.Drain > 0 {
		d.say("letting the old version finish what it has begun")
		if err := d.Clock.Sleep(ctx, keep.Drain); err != nil {
			return err
		}
	}
	// What a deploy that was cut off had taken over, and this one has not.
	given, err := d.giveBack(ctx, set, failed)
	if err != nil {
		return err
	}
	if err := d.sweep(ctx, slices.Concat(set, given), release.Inventory(list), d.PruneMax); err != nil {
		return err
	}
	return d.settled(ctx, list)
}

func (d *deploy) sweep(ctx context.Context, keep []kubernetes.Object, inventory []kubernetes.Ref, most int) error {
	orphans, leaving, err := apply.Orphans(ctx, d.Cluster, keep, inventory, d.Service)
	if err != nil {
		return err
	}
	if d.leaving = leaving; len(orphans) == 0 {
		return nil
	}
	if err := d.lock.Sure(ctx); err != nil {
		return err
	}
	pruned, err := apply.Prune(ctx, d.Cluster, orphans, d.Service, most+len(orphans)-len(counted(keep, orphans)), d.say)
	for _, c := range pruned {
		d.leaving = append(d.leaving, c.Ref)
	}
	return err
}

// unlimited is a number of objects that no release has.
const unlimited = 1 << 20

// checkPrune holds what would be removed against what may be, before anything is done.
func (d *deploy) checkPrune(set []kubernetes.Object, orphans []kubernetes.Ref) error {
	return apply.CheckPrune(counted(set, orphans), d.PruneMax)
}

// counted leaves out what strategies make and remove with each deploy, though nobody takes anything out of the manifests.
func counted(set []kubernetes.Object, orphans []kubernetes.Ref) []kubernetes.Ref {
	return slices.DeleteFunc(slices.Clone(orphans), func(ref kubernetes.Ref) bool { return strategy.Passing(set, ref) })
}

// Rollback takes back a deploy whose smoke test failed. What is live is looked at first; then every object of the last good
// release is applied again. Where there is nothing to go back to, nothing is live afterwards. A release that was live before
// this delivery stays, unless an older one is known to be good and this one is not. It has its own time limit and ignores the
// cancellation of ctx, because a rollback cut in half is worse than a late one.
func (t Target) Rollback(ctx context.Context, deployed record.Deploy) (target.Restored, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*restoreLimit)
	defer cancel()
	d, err := t.open(ctx)
	if err != nil {
		return target.Restored{}, err
	}
	defer d.close(ctx)
	if deployed.Release == "" || d.current == nil || d.current.Name() != deployed.Release {
		return target.Restored{}, fault.Undeterminedf("release %s is not live any more: another deploy came after it; nothing was changed", deployed.Release)
	}
	failed := *d.current
	if old := release.Fallback(d.list, failed.Number); !deployed.Changed && (failed.Proven || old == nil || !old.Proven) {
		return target.Restored{Summary: record.ShortDigest(failed.Digest) + " was live before this delivery and stays", Release: failed.Name(), URL: t.URL,
			Digest: failed.Digest, Commit: failed.Commit}, nil
	}
	d.made = failed.Objects
	return d.restore(ctx, &failed, "its smoke test failed")
}

// Return makes an earlier release live again by hand: the one of the given name, or the last good one before what is live.
// Its evidence is not asked for again: it was when it was deployed, and a way back must be short.
func (t Target) Return(ctx context.Context, to string) (_ target.Restored, from *record.Deployment, _ error) {
	d, err := t.open(ctx)
	if err != nil {
		return target.Restored{}, from, err
	}
	defer d.close(ctx)
	old, err := d.choose(to)
	if err != nil {
		return target.Restored{}, from, err
	}
	if err := d.allowed(ctx, old); err != nil {
		return target.Restored{}, from, err
	}
	current := d.current
	from = deployment(current)
	back, err := d.bringBack(ctx, old)
	if err == nil && current != nil {
		// It was superseded by what was brought back; that a person took it back says more.
		err = d.mark(ctx, current.Number, release.RolledBack, "taken back by "+d.Holder.Run)
	}
	if err == nil {
		err = d.gone(ctx, back.Summary, d.Wait)
	}
	if err != nil && current != nil && back.Release == "" {
		d.say("putting back what was live")
		steady, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*restoreLimit)
		defer cancel()
		again, backErr := d.bringBack(steady, current)
		f := fault.Failedf("release %s did not become healthy again; %s", old.Name(), ending(again, backErr)).WithDetail(fault.Lines(err)...)
		f.Kind = fault.KindOf(err)
		return again, from, f
	}
	return back, from, err
}

// allowed refuses to go back by hand to a release without which more would be removed than the policy allows.
func (d *deploy) allowed(ctx context.Context, old *release.Release) error {
	set, err := old.Set()
	if err != nil {
		return err
	}
	orphans, _, err := apply.Orphans(ctx, d.Cluster, set, release.Inventory(d.list), d.Service)
	if err != nil {
		return err
	}
	theirs, err := d.theirs(set, after(origin(old))) // which is given back
	if err != nil {
		return err
	}
	return d.checkPrune(set, slices.DeleteFunc(orphans, func(ref kubernetes.Ref) bool { return has(theirs, ref) }))
}

// origin is the number of the release that a release is, or is a copy of.
func origin(r *release.Release) int { return cmp.Or(r.Restores, r.Number) }

// choose is the release to go back to.
func (d *deploy) choose(to string) (*release.Release, error) {
	number := 0
	if d.current != nil {
		number = d.current.Number
	}
	if to == "" {
		// What a rollback brought back stands for the release that it is a copy of: going back from it means what was before.
		first := number
		if d.current != nil {
			first = origin(d.current)
		}
		old := release.Fallback(slices.DeleteFunc(slices.Clone(d.list), func(r release.Release) bool { return r.Number >= first && first != 0 }), number)
		if old == nil {
			return nil, fault.BadInputf("there is no earlier release of %s in namespace %s to go back to", d.Service, d.Namespace)
		}
		return old, nil
	}
	var known []string
	for i := range d.list {
		r := &d.list[i]
		if r.Name() == to && r.Number == number {
			return nil, fault.BadInputf("release %s is live already", to)
		}
		if r.Name() == to {
			return r, nil
		}
		known = append(known, fmt.Sprintf("%s  %s  %s  %s", r.Name(), r.State, record.ShortDigest(r.Digest), r.Created.Format("2006-01-02 15:04")))
	}
	return nil, fault.BadInputf("there is no release %q of %s in namespace %s", to, d.Service, d.Namespace).WithDetail(known...)
}

func (d *deploy) mark(ctx context.Context, number int, state release.State, reason string) error {
	list, err := d.history.List(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		if list[i].Number == number {
			return d.history.Mark(ctx, &list[i], state, reason)
		}
	}
	return nil
}
