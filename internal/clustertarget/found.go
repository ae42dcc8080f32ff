package clustertarget

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/strategy"
)

// found is what a deploy takes over that no release has brought: it was in use before, and must survive a rollback. Where the
// history is lost, that is everything.
func (d *deploy) found(changes []apply.Change) (list []kubernetes.Object) {
	brought := release.Inventory(slices.DeleteFunc(slices.Clone(d.list), func(r release.Release) bool { return r.Returned }))
	for _, c := range changes {
		if c.Before == nil || apply.Keeps(c.Ref) {
			continue
		}
		if c.Before.GetLabels()[kubernetes.LabelService] != d.Service || !slices.ContainsFunc(brought, func(ref kubernetes.Ref) bool { return apply.Named(ref, c.Ref) }) {
			list = append(list, *c.Before)
		}
	}
	return list
}

// left notes what a blue-green deploy has taken the traffic from and does not remove, because nobody deployed it by idp.
func (d *deploy) left(ctx context.Context, plan strategy.Plan) (notes []string) {
	if plan.Kind != strategy.BlueGreen {
		return nil
	}
	for _, ref := range plan.Steps[len(plan.Steps)-1].Remove {
		o, err := d.Cluster.Get(ctx, ref)
		if err == nil && o != nil && ref.Kind == "Deployment" && o.GetLabels()[kubernetes.LabelService] == "" {
			notes = append(notes, fmt.Sprintf("%s, which no release has brought, still runs beside it; remove it: kubectl delete deployment %s --namespace %s", ref, ref.Name, ref.Namespace))
		}
	}
	return notes
}

// theirs is what some releases took over and that was not given back since, as it was before them, but for what keep has.
func (d *deploy) theirs(keep []kubernetes.Object, of func(release.Release) bool) (list []kubernetes.Object, err error) {
	for _, r := range d.list { // the newest first, which has seen it last
		if r.Returned || !of(r) {
			continue
		}
		found, err := r.Found()
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			if ref := kubernetes.RefOf(&o); !has(keep, ref) && !has(list, ref) {
				list = append(list, o)
			}
		}
	}
	return list, nil
}

// after chooses the releases that came after the one of a number.
func after(number int) func(release.Release) bool {
	return func(r release.Release) bool { return r.Number > number }
}

// failed chooses the releases that nothing was left to go on from.
func failed(r release.Release) bool { return r.State == release.Failed }

// orphans are what earlier releases had and a set has no more. What one that failed had only taken over is not among them: it is
// given back.
func (d *deploy) orphans(ctx context.Context, set []kubernetes.Object) ([]kubernetes.Ref, error) {
	orphans, leaving, err := apply.Orphans(ctx, d.Cluster, set, release.Inventory(d.list), d.Service)
	if err != nil {
		return nil, err
	}
	d.leaving = leaving
	theirs, err := d.theirs(set, failed)
	return slices.DeleteFunc(orphans, func(ref kubernetes.Ref) bool { return has(theirs, ref) }), err
}

func has(list []kubernetes.Object, ref kubernetes.Ref) bool {
	return slices.ContainsFunc(list, func(o kubernetes.Object) bool { return apply.Named(kubernetes.RefOf(&o), ref) })
}

// giveBack makes what some releases took over what it was before them, but for what keep has. What somebody else has taken since is
// left alone. The result is all of it that is there then.
func (d *deploy) giveBack(ctx context.Context, keep []kubernetes.Object, of func(release.Release) bool) (given []kubernetes.Object, err error) {
	theirs, err := d.theirs(keep, of)
	if err != nil {
		return nil, err
	}
	for i := range theirs {
		back, err := d.giveBackOne(ctx, &theirs[i])
		if err != nil {
			return given, fault.Undeterminedf("%s, which was there before, cannot be given back: %w", kubernetes.RefOf(&theirs[i]), err).
				WithNext("What it was is kept: the next deploy, or idp post deploy, gives it back.")
		}
		if back != nil {
			given = append(given, *back)
		}
	}
	return given, nil
}

// giveBackOne gives one object back; nil where it is not the service's to give.
func (d *deploy) giveBackOne(ctx context.Context, was *kubernetes.Object) (*kubernetes.Object, error) {
	ref := kubernetes.RefOf(was)
	live, err := d.Cluster.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	if live != nil && live.GetLabels()[kubernetes.LabelService] != d.Service {
		if live.GetLabels()[kubernetes.LabelService] == was.GetLabels()[kubernetes.LabelService] {
			return live, nil // it is back already, or was never taken
		}
		return nil, nil
	}
	anew := live == nil || live.GetUID() != was.GetUID()
	if anew && ref.Kind == "Job" { // it would run again
		return nil, nil
	}
	if err := d.lock.Sure(ctx); err != nil {
		return nil, err
	}
	d.say(ref.String() + ": giving it back as it was before")
	if anew && live != nil { // what differs cannot be changed in place
		if err := d.vacate(ctx, ref, live.GetUID()); err != nil {
			return nil, err
		}
	}
	return d.Cluster.GiveBack(ctx, was, d.Service)
}

// settled notes that nothing of what failed releases took over is left to be given back.
func (d *deploy) settled(ctx context.Context, list []release.Release) error {
	for i := range list {
		found, err := list[i].Found()
		if err == nil && len(found) > 0 && failed(list[i]) {
			err = d.history.Return(ctx, &list[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// vacating is how long an object that was created anew may take to go.
const vacating = time.Minute

// vacate deletes an object and waits until it is gone.
func (d *deploy) vacate(ctx context.Context, ref kubernetes.Ref, uid types.UID) error {
	if err := d.Cluster.Delete(ctx, ref, uid); err != nil {
		return err
	}
	for begun := d.Clock.Now(); ; {
		live, err := d.Cluster.Get(ctx, ref)
		if err != nil || live == nil || live.GetUID() != uid {
			return err
		}
		if d.Clock.Now().Sub(begun) >= vacating {
			return apply.StillThere([]kubernetes.Object{*live}, vacating)
		}
		if err := d.Clock.Sleep(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
}
