package apply

import (
	"context"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

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
