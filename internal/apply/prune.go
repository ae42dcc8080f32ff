package apply

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// Orphans are the objects of an inventory that are still there, belong to the service (and, where it says so, to the
// environment of what is kept), and are not in keep. Namespaces, definitions and volumes are never among them. Leaving are those
// that somebody has deleted already and that are not gone yet.
func Orphans(ctx context.Context, c Cluster, keep []kubernetes.Object, inventory []kubernetes.Ref, service string) (orphans, leaving []kubernetes.Ref, err error) {
	for _, ref := range inventory {
		if Keeps(ref) || slices.ContainsFunc(keep, func(o kubernetes.Object) bool { return Named(kubernetes.RefOf(&o), ref) }) ||
			slices.ContainsFunc(orphans, ref.Same) || slices.ContainsFunc(leaving, ref.Same) {
			continue
		}
		live, err := present(ctx, c, ref)
		switch {
		case err != nil:
			return nil, nil, err
		case live == nil || !ours(live, keep, service):
		case live.GetDeletionTimestamp() != nil:
			leaving = append(leaving, ref)
		default:
			orphans = append(orphans, ref)
		}
	}
	return orphans, leaving, nil
}

// Named is Ref.Same for what may or may not have been given the namespace of its release although it lives in none.
func Named(a, b kubernetes.Ref) bool {
	if a.Namespace == "" || b.Namespace == "" {
		a.Namespace, b.Namespace = "", ""
	}
	return a.Same(b)
}

// present reads an object; nil where it is gone, or its whole kind is.
func present(ctx context.Context, c Cluster, ref kubernetes.Ref) (*kubernetes.Object, error) {
	live, err := c.Get(ctx, ref)
	var unknown *kubernetes.UnknownKindError
	if errors.As(err, &unknown) {
		return nil, nil
	}
	return live, err
}

// ours tells whether an object may be removed for the service: another one, or the same one of another environment, may
// have taken the name since.
func ours(live *kubernetes.Object, keep []kubernetes.Object, service string) bool {
	if service == "" || live.GetLabels()[kubernetes.LabelService] != service {
		return false
	}
	environment := live.GetLabels()[kubernetes.LabelEnvironment]
	return environment == "" || !slices.ContainsFunc(keep, func(o kubernetes.Object) bool {
		other := o.GetLabels()[kubernetes.LabelEnvironment]
		return other != "" && other != environment
	})
}

// CheckPrune refuses to delete more than limit objects. It is asked before a deploy changes anything, and by Prune again.
func CheckPrune(refs []kubernetes.Ref, limit int) error {
	if len(refs) <= limit {
		return nil
	}
	e := fault.Failedf("%d objects are no longer in the manifests and would be deleted; at most %d may be", len(refs), limit)
	for i, ref := range refs {
		if i == 20 {
			e = e.WithDetail("…")
			break
		}
		e = e.WithDetail(ref.String())
	}
	return e.WithNext("Are manifests missing? If not, raise the limit for this deploy: deploy: {prune-max: …} in the policy.")
}

// Prune deletes objects of the service, as Orphans gave them, those first that use others. It refuses to delete more than limit,
// and deletes none then. What belongs to another service, or to none, stays.
func Prune(ctx context.Context, c Cluster, refs []kubernetes.Ref, service string, limit int, progress func(string)) ([]Change, error) {
	if err := CheckPrune(refs, limit); err != nil {
		return nil, err
	}
	refs = slices.Clone(refs)
	slices.SortStableFunc(refs, func(a, b kubernetes.Ref) int { return rank(b) - rank(a) })
	var done []Change
	for _, ref := range refs {
		if Keeps(ref) {
			continue
		}
		live, err := present(ctx, c, ref)
		if err != nil {
			return done, err
		}
		if live == nil || live.GetDeletionTimestamp() != nil || service == "" || live.GetLabels()[kubernetes.LabelService] != service {
			continue
		}
		if err := c.Delete(ctx, ref, live.GetUID()); err != nil {
			return done, err
		}
		done = append(done, Change{Ref: ref, Action: Pruned, Before: live})
		if progress != nil {
			progress(ref.String() + ": prune")
		}
	}
	return done, nil
}

// Leaving are those of some objects that were deleted and are not gone yet: a finalizer holds them, or what they own ends first.
func Leaving(ctx context.Context, c Cluster, refs []kubernetes.Ref) (leaving []kubernetes.Object, err error) {
	for _, ref := range refs {
		live, err := present(ctx, c, ref)
		if err != nil {
			return nil, err
		}
		if live != nil && live.GetDeletionTimestamp() != nil {
			leaving = append(leaving, *live)
		}
	}
	return leaving, nil
}

// StillThere says what objects that were deleted wait for, and who has to act. There is at least one.
func StillThere(objects []kubernetes.Object, after time.Duration) *fault.Error {
	first := &objects[0]
	e := fault.Undeterminedf("%s is still being deleted after %s; %s", kubernetes.RefOf(first), after, held(first))
	if n := len(objects); n > 1 {
		e = fault.Undeterminedf("%d objects are still being deleted after %s", n, after)
	}
	for i := range objects {
		if i == shownProblems {
			e = e.WithDetail("…")
			break
		}
		if len(objects) > 1 {
			e = e.WithDetail(kubernetes.RefOf(&objects[i]).String() + ": " + held(&objects[i]))
		}
		if len(objects[i].GetFinalizers()) > 0 && len(first.GetFinalizers()) == 0 {
			first = &objects[i]
		}
	}
	if len(first.GetFinalizers()) == 0 {
		return e.WithNext("See what it waits for: " + command("describe", first))
	}
	return e.WithNext("A finalizer is taken off by the controller that set it, when it has cleaned up: is that running, and what does it say?",
		"If it never will: "+command("patch", first)+` --type=merge --patch '{"metadata":{"finalizers":null}}' leaves behind what it would have cleaned up.`)
}

// held is what an object that was deleted waits for.
func held(o *kubernetes.Object) string {
	switch list := o.GetFinalizers(); len(list) {
	case 0:
		return "no finalizer holds it: it ends, or what it owns"
	case 1:
		return "held by the finalizer " + list[0]
	default:
		return "held by the finalizers " + strings.Join(list, ", ")
	}
}

// command is one of kubectl about an object.
func command(verb string, o *kubernetes.Object) string {
	kind := strings.ToLower(o.GetKind())
	if group := o.GroupVersionKind().Group; group != "" {
		kind += "." + group
	}
	text := "kubectl " + verb + " " + kind + " " + o.GetName()
	if ns := o.GetNamespace(); ns != "" {
		text += " --namespace " + ns
	}
	return text
}
