package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// workers is how many objects are asked about at the same time.
const workers = 8

// Plan says what Apply would do, by the API server's own dry run, and changes nothing. The changes are in the order of the
// set. The error joins all that is refused; the changes are whole with it, and say of each object why.
func Plan(ctx context.Context, c Cluster, set []kubernetes.Object, o Options) ([]Change, error) {
	p := planner{cluster: c, options: o}
	given, err := p.normalize(ctx, set)
	if err != nil {
		return nil, err
	}
	changes := make([]Change, len(given))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := range given {
		group.Go(func() error {
			changes[i] = p.one(ctx, given[i])
			if unreachable(changes[i].err) {
				return changes[i].err // the others would each wait for the API server as long
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return changes, refusals(changes)
}

type planner struct {
	cluster Cluster
	options Options
	coming  coming
}

// one plans one object.
func (p planner) one(ctx context.Context, given *kubernetes.Object) Change {
	change := p.ask(ctx, given)
	if change.err != nil || change.Unchecked != "" || change.After == nil {
		return change
	}
	if err := keptImages(change.Ref, given, change.After); err != nil {
		return refuse(change, err)
	}
	return change
}

// ask has the API server say what it would make of an object.
func (p planner) ask(ctx context.Context, given *kubernetes.Object) Change {
	change := Change{Ref: kubernetes.RefOf(given), plain: given, given: given}
	live, err := p.cluster.Get(ctx, change.Ref)
	if reason := p.coming.kind(change.Ref, err); reason != "" {
		return unchecked(change, reason)
	}
	if err != nil {
		return refuse(change, err)
	}
	change.given = p.coming.numbered(given, live)
	for attempt := 1; ; attempt++ {
		if change.Before = live; live == nil {
			return p.create(ctx, change)
		}
		if err := belongs(given, live); err != nil {
			return refuse(change, err)
		}
		planned := p.update(ctx, change)
		if counted := keepCount(planned); counted != nil {
			change.given = counted
			planned = p.update(ctx, change)
		}
		if planned.Action != Update || planned.After == nil || planned.After.GetResourceVersion() == live.GetResourceVersion() || attempt == attempts {
			return planned
		}
		// A controller wrote to it between the two answers, and what it wrote would look like something that the apply does.
		if live, err = p.cluster.Get(ctx, change.Ref); err != nil {
			return refuse(change, err)
		}
	}
}

// attempts is how often an object is asked about while it changes.
const attempts = 5

func unchecked(change Change, reason string) Change {
	change.Action, change.After, change.Unchecked = Create, change.given, reason
	return change
}

// belongs refuses to touch what another service deployed, and what is about to vanish.
func belongs(given, live *kubernetes.Object) error {
	ref, service := kubernetes.RefOf(given), given.GetLabels()[kubernetes.LabelService]
	if owner, ok := live.GetLabels()[kubernetes.LabelService]; ok && owner != service {
		return fault.BadInputf("%s belongs to another service, %q", ref, owner).
			WithNext("Give it another name, or, where it is really yours, change its label " + kubernetes.LabelService + ".")
	}
	if live.GetDeletionTimestamp() != nil {
		return fault.Undeterminedf("%s is being deleted; %s", ref, held(live)).WithNext("Deploy again when it is gone.")
	}
	return nil
}

func (p planner) create(ctx context.Context, change Change) Change {
	change.Action = Create
	after, err := p.cluster.Apply(ctx, change.given, kubernetes.ApplyOptions{DryRun: true})
	if reason := p.coming.place(change.Ref, err); reason != "" {
		return unchecked(change, reason)
	}
	if err != nil {
		return refuse(change, err)
	}
	change.After = after
	return change
}

func (p planner) update(ctx context.Context, change Change) Change {
	change.Action, change.Adopted = Update, kubernetes.Adoptable(change.Before)
	after, err := p.cluster.Apply(ctx, change.given, kubernetes.ApplyOptions{DryRun: true})
	var conflict *kubernetes.ConflictError
	if errors.As(err, &conflict) {
		change.Conflicts = slices.DeleteFunc(slices.Clone(conflict.Conflicts), func(c kubernetes.Conflict) bool {
			return slices.Contains(change.Adopted, c.Manager)
		})
		after, err = p.cluster.Apply(ctx, change.given, kubernetes.ApplyOptions{DryRun: true, Force: true})
	}
	if len(immutable(err)) > 0 && p.options.Recreate && !Keeps(change.Ref) {
		return p.recreate(ctx, change)
	}
	if apierrors.IsInvalid(err) && len(change.Adopted) > 0 && len(immutable(err)) == 0 {
		if _, invalid := p.beside(ctx, change.given); invalid == nil {
			// Such as two ports of one name: what was set by who is adopted is still beside what is given.
			change.Action, change.After, change.Unchecked = Adopt, change.given, "what it has from "+strings.Join(change.Adopted, ", ")+" goes only when it is taken over"
			return change
		}
	}
	if err == nil && len(change.Adopted) > 0 {
		change.Action = Adopt
		after, err = p.cluster.PlanAdoption(ctx, change.Before, after)
	}
	if err != nil {
		return refuse(change, err)
	}
	if change.After = after; change.Action == Update && same(change.Before, after) {
		change.Action, change.owned = Unchanged, owns(change.Before, after)
	}
	if len(change.Conflicts) > 0 && !p.options.Force {
		return refuse(change, &kubernetes.ConflictError{Ref: change.Ref, Conflicts: change.Conflicts})
	}
	return change
}

// recreate plans a deletion and creation. The creation is tried under another name, since the old object is still there.
func (p planner) recreate(ctx context.Context, change Change) Change {
	change.Action, change.Conflicts, change.Adopted = Recreate, nil, nil
	after, err := p.beside(ctx, change.given)
	// A quota counts the old object too, which will be gone by then.
	if err != nil && fault.KindOf(err) == fault.Failed && !overQuota(err) {
		return refuse(change, err)
	}
	if err != nil {
		change.After, change.Unchecked = change.given, "it can be created only when the old one is gone"
		return change
	}
	after.SetName(change.Ref.Name)
	change.After = after
	return change
}

// beside tries an object under another name, as if there were none of its own.
func (p planner) beside(ctx context.Context, given *kubernetes.Object) (*kubernetes.Object, error) {
	other := given.DeepCopy()
	other.SetName(fmt.Sprintf("%.50s-anew", other.GetName()))
	return p.cluster.Apply(ctx, other, kubernetes.ApplyOptions{DryRun: true})
}

// same tells whether two states of an object say the same.
func same(a, b *kubernetes.Object) bool {
	return equality.Semantic.DeepEqual(content(a), content(b))
}

// content is what an object says, without what the API server keeps account of.
func content(o *kubernetes.Object) map[string]any {
	o = o.DeepCopy()
	o.SetManagedFields(nil)
	o.SetResourceVersion("")
	o.SetGeneration(0)
	delete(o.Object, "status")
	return o.Object
}

// owns tells whether Manager has all fields already that it would have after an apply.
func owns(a, b *kubernetes.Object) bool {
	return equality.Semantic.DeepEqual(fields(a), fields(b))
}

func fields(o *kubernetes.Object) []metav1.ManagedFieldsEntry {
	var mine []metav1.ManagedFieldsEntry
	for _, e := range o.GetManagedFields() {
		if e.Manager == kubernetes.Manager {
			e.Time = nil
			mine = append(mine, e)
		}
	}
	return mine
}
