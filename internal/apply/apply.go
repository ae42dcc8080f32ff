// Package apply brings a set of objects into a cluster, and says before what that would do. It changes nothing while any
// object of the set is refused.
package apply

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// Cluster is what an apply needs of one; *kubernetes.Client is one.
type Cluster interface {
	Get(ctx context.Context, ref kubernetes.Ref) (*kubernetes.Object, error)
	Apply(ctx context.Context, o *kubernetes.Object, options kubernetes.ApplyOptions) (*kubernetes.Object, error)
	Adopt(ctx context.Context, ref kubernetes.Ref) error
	PlanAdoption(ctx context.Context, live, applied *kubernetes.Object) (*kubernetes.Object, error)
	Delete(ctx context.Context, ref kubernetes.Ref, uid types.UID) error
	Scope(ctx context.Context, gvk schema.GroupVersionKind) (namespaced bool, err error)
}

// Options of an apply.
type Options struct {
	Force    bool                                                   // take fields over from other managers
	Recreate bool                                                   // delete and create anew what cannot be changed in place
	Progress func(string)                                           // one line for each object that changes; may be nil
	Wait     func(ctx context.Context, refs []kubernetes.Ref) error // for definitions and namespaces to be ready before the rest; may be nil
}

// Actions: what an apply does to one object.
const (
	Create    = "create"
	Update    = "update"
	Unchanged = "unchanged"
	Recreate  = "recreate" // delete, then create
	Adopt     = "adopt"    // take over from the tool that made it, and update
	Pruned    = "prune"
)

// Change is what an apply does, or would do, to one object.
type Change struct {
	Ref    kubernetes.Ref
	Action string // one of the constants
	// Before is the object in the cluster, nil where there is none. After is what the API server makes of it, defaults and all;
	// in a plan it is the given object where Unchecked says so. Both may hold secrets: Diff masks them.
	Before, After *kubernetes.Object
	Conflicts     []kubernetes.Conflict // fields that belong to other managers; taken from them where Refused is empty
	Adopted       []string              // managers that the object is taken over from
	Unchecked     string                // why the API server could not be asked in a plan
	Refused       string                // why the object is not applied

	plain *kubernetes.Object // as the set has it
	given *kubernetes.Object // as it is applied, for Diff to know what the API server only filled in
	err   error              // Refused, classified
	owned bool               // Manager has all fields of given already, so that there is nothing to apply
}

// Apply brings the set into the cluster: definitions, namespaces and cluster roles, then the rest, then webhooks. It plans
// all of it first, and what the plan refuses is the error, with nothing changed. Every object of the result is as the API
// server has it after. With an error later, the result is what was done until then.
func Apply(ctx context.Context, c Cluster, set []kubernetes.Object, o Options) ([]Change, error) {
	plan, err := Plan(ctx, c, set, o)
	if err != nil {
		return nil, err
	}
	return Carry(ctx, c, plan, o)
}

// Carry brings about what a plan of a moment ago says, as Apply does, which asks about every object again.
func Carry(ctx context.Context, c Cluster, plan []Change, o Options) ([]Change, error) {
	if err := refusals(plan); err != nil {
		return nil, err
	}
	plan = slices.Clone(plan)
	slices.SortStableFunc(plan, func(a, b Change) int { return rank(a.Ref) - rank(b.Ref) })
	given := make([]kubernetes.Object, len(plan))
	for i := range plan {
		given[i] = *plan[i].given
	}
	a := applier{planner: planner{cluster: c, options: o, coming: brings(given)}}
	done := make([]Change, 0, len(plan))
	var fresh []kubernetes.Ref
	for _, change := range plan {
		if len(fresh) > 0 && rank(change.Ref) >= rankRest {
			if err := a.wait(ctx, fresh); err != nil {
				return done, err
			}
			fresh = nil
		}
		change, err := a.do(ctx, change)
		if err != nil {
			return done, err
		}
		if done = append(done, change); change.Action != Unchanged && waits(change.Ref) {
			fresh = append(fresh, change.Ref)
		}
	}
	return done, nil
}

type applier struct{ planner }

func (a applier) wait(ctx context.Context, refs []kubernetes.Ref) error {
	if a.options.Wait == nil {
		return nil
	}
	return a.options.Wait(ctx, refs)
}

func (a applier) progress(format string, args ...any) {
	if a.options.Progress != nil {
		a.options.Progress(fmt.Sprintf(format, args...))
	}
}

// do carries one change out.
func (a applier) do(ctx context.Context, change Change) (Change, error) {
	if change.Unchecked != "" && change.Action == Create {
		var err error
		if change, err = a.examine(ctx, change); err != nil {
			return change, err
		}
	}
	switch change.Action {
	case Unchanged:
		if change.owned {
			change.After = change.Before
			return change, nil
		}
	case Adopt:
		if err := a.cluster.Adopt(ctx, change.Ref); err != nil {
			return change, err
		}
		if change.Unchecked != "" {
			again, err := a.examine(ctx, change)
			if err != nil {
				return change, err
			}
			change.given, change.Unchecked = again.given, ""
		}
	case Recreate:
		a.progress("%s: deleting, to create it anew", change.Ref)
		if err := a.remove(ctx, change); err != nil {
			return change, err
		}
	}
	after, err := a.put(ctx, change)
	for attempt := 1; attempt < attempts && a.coming.rescaled(change, err); attempt++ {
		again := a.one(ctx, change.plain)
		if again.err != nil {
			return change, again.err
		}
		change.given = again.given
		after, err = a.put(ctx, change)
	}
	if err != nil {
		return change, refuse(change, err).err
	}
	if change.After = after; change.Action != Unchanged {
		a.progress("%s: %s", change.Ref, change.Action)
	}
	return change, nil
}

// put applies the object. A quota counts what was deleted for a moment longer, so that what is created anew may have to wait.
func (a applier) put(ctx context.Context, change Change) (after *kubernetes.Object, err error) {
	waited := poll(ctx, removal, func() (bool, error) {
		after, err = a.cluster.Apply(ctx, change.given, kubernetes.ApplyOptions{Force: a.options.Force})
		return change.Action != Recreate || !overQuota(err), nil
	})
	if err == nil {
		err = waited
	}
	return after, err
}

// How long an object that is created anew may take to go away, and how long a kind may take to be known after its
// definition.
const (
	removal   = time.Minute
	discovery = 15 * time.Second
	pause     = 250 * time.Millisecond
)

// examine plans again what could not be planned before, since the namespace or the kind is there now. The API server may know
// of it only a moment after it has said that it is ready.
func (a applier) examine(ctx context.Context, change Change) (Change, error) {
	var again Change
	err := poll(ctx, discovery, func() (bool, error) {
		again = a.one(ctx, change.plain)
		return again.Unchecked == "", nil
	})
	if err == nil && again.err != nil {
		err = again.err
	}
	if again.Unchecked != "" {
		err = fault.Undeterminedf("%s cannot be applied: %s", change.Ref, again.Unchecked)
	}
	return again, err
}

// remove deletes an object and waits until it is gone.
func (a applier) remove(ctx context.Context, change Change) error {
	if err := a.cluster.Delete(ctx, change.Ref, change.Before.GetUID()); err != nil {
		return err
	}
	var live *kubernetes.Object
	err := poll(ctx, removal, func() (gone bool, err error) {
		live, err = a.cluster.Get(ctx, change.Ref)
		return live == nil || live.GetUID() != change.Before.GetUID(), err
	})
	if err == nil && live != nil && live.GetUID() == change.Before.GetUID() {
		return StillThere([]kubernetes.Object{*live}, removal).WithNext("Deploy again when it is gone.")
	}
	return err
}

// poll asks until the answer is yes or the time is over, which is no error.
func poll(ctx context.Context, limit time.Duration, done func() (bool, error)) error {
	deadline, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		if yes, err := done(); yes || err != nil {
			return err
		}
		select {
		case <-deadline.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
