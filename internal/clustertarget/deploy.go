package clustertarget

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/rollout"
	"github.com/org/idp/internal/strategy"
)

// deploy is one change of the service, with the lock held.
type deploy struct {
	Target
	history release.History
	lock    *release.Lock
	list    []release.Release // the newest first
	current *release.Release  // what the service runs; nil: nothing
	cut     []string          // releases that a killed deploy left half-way
	made    []kubernetes.Ref  // that were not there before
	back    bool              // what comes live was live before: a pod that keeps it from coming back is deleted
	notes   []string          // what people should know of what is live
	kept    []string          // which pods were not restarted for new configuration
	leaving []kubernetes.Ref  // what was removed and may not be gone yet
}

// open takes the lock and puts in order what a killed deploy left.
func (t Target) open(ctx context.Context) (*deploy, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	d := &deploy{Target: t, history: t.history()}
	if err := d.namespace(ctx); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, t.Wait)
	defer cancel()
	var other release.Holder
	lock, err := release.Acquire(limited, d.history, t.Holder, t.Clock, func(h release.Holder) {
		other = h
		t.say("waiting for another deploy, " + h.Run)
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("cancelled while waiting for another deploy: %w", context.Cause(ctx))
	case err != nil && limited.Err() != nil:
		return nil, fault.Undeterminedf("another deploy, %s, did not end within %s; nothing was changed", other.Run, t.Wait).
			WithNext("Wait for it, or end it, and run this again.")
	case err != nil:
		return nil, err
	}
	d.lock = lock
	if err := d.heal(ctx); err != nil {
		lock.Release(ctx)
		return nil, err
	}
	return d, nil
}

func (d *deploy) close(ctx context.Context) { d.lock.Release(ctx) }

// heal reads the history. A release that is still pending was begun by a deploy that did not come to its end: it has failed,
// and what it applied is in its inventory, so that the next release puts all of it right or removes it.
func (d *deploy) heal(ctx context.Context) error {
	list, err := d.history.List(ctx)
	if err != nil {
		return err
	}
	if err := d.alone(list); err != nil {
		return err
	}
	for i := range list {
		if list[i].State != release.Pending {
			continue
		}
		if err := d.history.Mark(ctx, &list[i], release.Failed, "cut off: the deploy that began it did not come to its end"); err != nil {
			return err
		}
		d.cut = append(d.cut, list[i].Name())
	}
	d.list, d.current = list, release.Current(list)
	return nil
}

// plan says what is applied in which order, by the strategy and what runs.
func (d *deploy) plan(ctx context.Context) (strategy.Plan, error) {
	var live []kubernetes.Object
	for _, ref := range strategy.Reads(d.Strategy, d.Set) {
		o, err := d.Cluster.Get(ctx, ref)
		var unknown *kubernetes.UnknownKindError
		if err != nil && !errors.As(err, &unknown) { // a kind may come with the set; one that does not is refused with all else
			return strategy.Plan{}, err
		}
		if err == nil && o != nil {
			live = append(live, *o)
		}
	}
	plan, err := strategy.New(d.Strategy, d.Set, live, strategy.Options{Service: d.Service, Steps: d.Steps})
	if err != nil {
		return plan, err
	}
	if plan.Note != "" {
		d.say(plan.Note)
	}
	return plan, d.free(ctx, plan)
}

// free refuses a plan that would make objects for a while, and remove them, under names that something else has.
func (d *deploy) free(ctx context.Context, plan strategy.Plan) error {
	for _, ref := range plan.Temporary {
		o, err := d.Cluster.Get(ctx, ref)
		if err != nil {
			return err
		}
		if o != nil && o.GetLabels()[kubernetes.LabelService] != d.Service {
			return fault.BadInputf("%s is there already and is not of %s, and a %s deploy makes one of that name for a while", ref, d.Service, plan.Kind).
				WithNext("Give it another name, or deploy with deploy.strategy: rolling in idp.yaml.")
		}
	}
	return nil
}

func (d *deploy) options() apply.Options {
	return apply.Options{Force: d.Force, Recreate: d.Recreate, Progress: d.say, Wait: func(ctx context.Context, refs []kubernetes.Ref) error {
		var set []kubernetes.Object
		for _, ref := range refs {
			o, err := d.Cluster.Get(ctx, ref)
			if err != nil {
				return err
			}
			if o != nil {
				set = append(set, *o)
			}
		}
		return d.healthy(ctx, set, d.Wait)
	}}
}

// begin writes the release down before anything of it is applied. Restores is the number of the release whose set it is, 0
// for a new one; found is what of it was there before and is not of an earlier release.
func (d *deploy) begin(ctx context.Context, plan strategy.Plan, restores int, found []kubernetes.Object) (*release.Release, error) {
	if err := d.lock.Sure(ctx); err != nil {
		return nil, err
	}
	r := release.Release{Environment: d.Environment, Image: d.Image, Digest: d.Digest, Commit: d.Commit, Source: d.Source, Strategy: plan.Kind,
		Run: d.Holder.Run, Holder: d.Holder.ID, Override: d.Override, Restores: restores, Tested: d.Tested}
	if last := len(plan.Steps) - 1; last >= 0 {
		r.Drain = plan.Steps[last].Drain
	}
	r, err := d.history.Begin(ctx, r, plan.Set, found, passing(plan)...)
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// passing is what a plan makes for a while, and what it takes the place of.
func passing(plan strategy.Plan) []kubernetes.Ref {
	if len(plan.Steps) == 0 {
		return plan.Temporary
	}
	return slices.Concat(plan.Temporary, plan.Steps[len(plan.Steps)-1].Remove)
}

// walk makes a release live by the steps of its plan.
func (d *deploy) walk(ctx context.Context, r *release.Release, plan strategy.Plan, planned []apply.Change) error {
	if err := d.steps(ctx, plan, planned); err != nil {
		return err
	}
	if err := d.lock.Sure(ctx); err != nil {
		return err
	}
	if err := d.history.Settle(ctx, r, release.Live); err != nil {
		return err
	}
	if d.Tested {
		return nil // what the old release had is still needed for a quick way back
	}
	return d.retire(ctx, r)
}

// steps takes the steps of a plan, one after the other, each to its end. Planned is what the cluster said just now of the
// whole set, which is not asked about again where it is all applied at once.
func (d *deploy) steps(ctx context.Context, plan strategy.Plan, planned []apply.Change) error {
	if len(plan.Steps) > 1 {
		planned = nil
	}
	for i, step := range plan.Steps {
		last := i == len(plan.Steps)-1
		if !last {
			d.say(step.Name)
		}
		if err := d.step(ctx, step, last, planned); err != nil {
			return errors.Join(err, d.undo(ctx, step))
		}
	}
	return nil
}

// step applies, waits and tests. The last step is tested by the smoke stage, as the whole service.
func (d *deploy) step(ctx context.Context, step strategy.Step, last bool, planned []apply.Change) error {
	if _, err := d.recount(ctx, step, last); err != nil {
		return err
	}
	changes, err := d.apply(ctx, step.Apply, planned)
	if err != nil {
		return err
	}
	if err := d.healthy(ctx, changes, d.Wait); err != nil {
		return err
	}
	if last {
		return nil
	}
	if step.Smoke != nil && d.Smoke != nil {
		d.say(step.Name + ": smoke test")
		url, through := d.Cluster.Proxy(step.Smoke.Namespace, step.Smoke.Service, step.Smoke.Port)
		if err := d.Smoke(ctx, url, through); err != nil {
			return within(err, step.Name)
		}
	}
	if err := d.keepUp(ctx, step); err != nil {
		return err
	}
	return d.delete(ctx, step.Remove)
}

// recount holds the pods of a step against how many are live now: an autoscaler may have changed that since the plan.
func (d *deploy) recount(ctx context.Context, step strategy.Step, more bool) ([]kubernetes.Object, error) {
	var live []kubernetes.Object
	for _, c := range step.Counts {
		o, err := d.Cluster.Get(ctx, c.Of)
		if err != nil {
			return nil, err
		}
		if o != nil {
			live = append(live, *o)
		}
	}
	changed := step.Recount(live, more)
	for i := range changed {
		n, _, _ := unstructured.NestedInt64(changed[i].Object, "spec", "replicas")
		d.say(fmt.Sprintf("%s: %s, by what is live now", kubernetes.RefOf(&changed[i]), finding.Plural(int(n), "replica")))
	}
	return changed, nil
}

// catchUps is how often the new pods are made as many as the live ones that they take over from, which may become more again.
const catchUps = 3

// keepUp has the new pods be as many as those that they are about to take over from, before they do.
func (d *deploy) keepUp(ctx context.Context, step strategy.Step) error {
	for range catchUps {
		more, err := d.recount(ctx, step, true)
		if err != nil || len(more) == 0 {
			return err
		}
		changes, err := d.apply(ctx, more, nil)
		if err == nil {
			err = d.healthy(ctx, changes, d.Wait)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// within names the step in the headline of an error.
func within(err error, step string) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return fmt.Errorf("%s: %w", step, err)
	}
	return &fault.Error{Kind: fault.KindOf(err), What: step + ": " + f.What, Detail: f.Detail, Next: f.Next, Err: err}
}

// undo leads the traffic back before anything else is put right, whatever ended the step.
func (d *deploy) undo(ctx context.Context, step strategy.Step) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreLimit)
	defer cancel()
	if len(step.Restore) > 0 {
		if _, err := d.apply(ctx, step.Restore, nil); err != nil {
			return err
		}
	}
	return d.delete(ctx, step.Abort)
}

func (d *deploy) delete(ctx context.Context, refs []kubernetes.Ref) error {
	if len(refs) == 0 {
		return nil
	}
	if err := d.lock.Sure(ctx); err != nil {
		return err
	}
	_, err := apply.Prune(ctx, d.Cluster, refs, d.Service, len(refs), d.say)
	return err
}

// apply applies a set, as planned where that is known, and gives its objects as the cluster has them.
func (d *deploy) apply(ctx context.Context, set []kubernetes.Object, planned []apply.Change) ([]kubernetes.Object, error) {
	if err := d.lock.Sure(ctx); err != nil {
		return nil, err
	}
	d.say("applying " + finding.Plural(len(set), "object"))
	var changes []apply.Change
	var err error
	if planned != nil {
		changes, err = apply.Carry(ctx, d.Cluster, planned, d.options())
	} else {
		changes, err = apply.Apply(ctx, d.Cluster, set, d.options())
	}
	for _, note := range unrestarted(changes) {
		if !slices.Contains(d.kept, note) {
			d.kept = append(d.kept, note)
		}
	}
	var objects []kubernetes.Object
	for _, c := range changes {
		if c.Action == apply.Create {
			d.made = append(d.made, c.Ref)
		}
		if c.After != nil {
			objects = append(objects, *c.After)
		}
	}
	return objects, err
}

// healthy waits until exactly these versions are.
func (d *deploy) healthy(ctx context.Context, set []kubernetes.Object, limit time.Duration) error {
	o := rollout.Options{Timeout: limit, Progress: d.say, Now: d.Clock.Now, Sleep: d.Clock.Sleep}
	if d.back {
		o.Unblock = d.unblock
	}
	ready, err := rollout.Wait(ctx, d.Cluster, set, o)
	d.notes = ready.Notes
	return err
}

// unblock deletes the pod of the version that failed for which a StatefulSet waits before it takes the old version again.
func (d *deploy) unblock(ctx context.Context, pod kubernetes.Ref, uid types.UID) error {
	if err := d.lock.Sure(ctx); err != nil {
		return err
	}
	d.say("deleting " + pod.String() + ", which is broken and holds up its StatefulSet")
	return d.Cluster.Delete(ctx, pod, uid)
}
