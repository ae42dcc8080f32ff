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
	"github.com/org/idp/internal/strategy"
)

// found is what a deploy takes over that no release has brought: it was in use before, and must survive a rollback. Where the
// history is lost, that is everything.
func (d *deploy) found(changes []apply.Change) (list []kubernetes.Object) {
	for _, c := range changes {
		if c.Before == nil || c.Action == apply.Unchanged || apply.Keeps(c.Ref) {
			continue
		}
		if len(d.list) == 0 || c.Before.GetLabels()[kubernetes.LabelService] != d.Service {
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

// theirs is what releases after the one of a number took over, as it was before them, but for what keep has.
func (d *deploy) theirs(keep []kubernetes.Object, after int) (list []kubernetes.Object, err error) {
	for _, r := range d.list { // the newest first, which has seen it last
		found, err := r.Found()
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			if ref := kubernetes.RefOf(&o); r.Number > after && !has(keep, ref) && !has(list, ref) {
				list = append(list, o)
			}
		}
	}
	return list, nil
}

func has(list []kubernetes.Object, ref kubernetes.Ref) bool {
	return slices.ContainsFunc(list, func(o kubernetes.Object) bool { return kubernetes.RefOf(&o).Same(ref) })
}

// giveBack makes what releases after the one of a number took over what it was before them, but for what keep has, and waits
// until that is healthy. What somebody else has taken since is left alone.
func (d *deploy) giveBack(ctx context.Context, keep []kubernetes.Object, after int) (given []kubernetes.Object, err error) {
	theirs, err := d.theirs(keep, after)
	if err != nil {
		return nil, err
	}
	for i := range theirs {
		back, err := d.giveBackOne(ctx, &theirs[i])
		if err != nil {
			return given, fault.Undeterminedf("%s, which was there before, cannot be given back: %w", kubernetes.RefOf(&theirs[i]), err)
		}
		if back != nil {
			given = append(given, *back)
		}
	}
	if len(given) == 0 {
		return nil, nil
	}
	return given, d.healthy(ctx, given, restoreLimit)
}

// giveBackOne gives one object back; nil where it is not the service's to give.
func (d *deploy) giveBackOne(ctx context.Context, was *kubernetes.Object) (*kubernetes.Object, error) {
	ref := kubernetes.RefOf(was)
	live, err := d.Cluster.Get(ctx, ref)
	switch {
	case err != nil:
		return nil, err
	case live != nil && live.GetLabels()[kubernetes.LabelService] != d.Service:
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
	return d.Cluster.GiveBack(ctx, was)
}

// vacating is how long an object that was created anew may take to go.
const vacating = time.Minute

// vacate deletes an object and waits until it is gone.
func (d *deploy) vacate(ctx context.Context, ref kubernetes.Ref, uid types.UID) error {
	if err := d.Cluster.Delete(ctx, ref, uid); err != nil {
		return err
	}
	for begun := d.Clock.Now(); d.Clock.Now().Sub(begun) < vacating; {
		live, err := d.Cluster.Get(ctx, ref)
		if err != nil || live == nil || live.GetUID() != uid {
			return err
		}
		if err := d.Clock.Sleep(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
	return fault.Undeterminedf("it is still being deleted after %s", vacating)
}
