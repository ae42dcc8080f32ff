package apply

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// coming is what the set itself brings, so that a plan cannot know it from the cluster, and what of it decides about the rest.
type coming struct {
	kinds  map[schema.GroupKind]bool // and whether they live in a namespace
	spaces map[string]bool
	scaled map[workload]int64 // with the least number of pods
}

// kind says why an object of a kind that the set brings cannot be asked about; empty where it can.
func (c coming) kind(ref kubernetes.Ref, err error) string {
	var unknown *kubernetes.UnknownKindError
	if _, ok := c.kinds[ref.GVK().GroupKind()]; ok && errors.As(err, &unknown) {
		return "its kind comes with this set"
	}
	return ""
}

// place says the same of an object that there was no place for: for want of its namespace, or of the kind, of which the API
// server may say that it has it a moment before it takes objects of it.
func (c coming) place(ref kubernetes.Ref, err error) string {
	if !apierrors.IsNotFound(err) {
		return ""
	}
	var status apierrors.APIStatus
	missing := errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
	_, known := c.kinds[ref.GVK().GroupKind()]
	switch {
	case c.spaces[ref.Namespace]:
		return "its namespace comes with this set"
	case known && !missing:
		return "its kind comes with this set"
	}
	return ""
}

func brings(set []kubernetes.Object) coming {
	c := coming{map[schema.GroupKind]bool{}, map[string]bool{}, map[workload]int64{}}
	for i := range set {
		if w, least, ok := target(&set[i]); ok {
			c.scaled[w] = least
		}
		switch o := &set[i]; o.GetKind() {
		case "CustomResourceDefinition":
			group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
			kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
			scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")
			c.kinds[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
		case "Namespace":
			c.spaces[o.GetName()] = true
		}
	}
	return c
}

// normalize gives a copy of the set as it can be applied, or all that is wrong with it.
func (p *planner) normalize(ctx context.Context, set []kubernetes.Object) ([]*kubernetes.Object, error) {
	p.coming = brings(set)
	scopes := map[schema.GroupVersionKind]scope{}
	seen := map[kubernetes.Ref]bool{}
	var given []*kubernetes.Object
	var problems []error
	for i := range set {
		o := bare(&set[i])
		ref := kubernetes.RefOf(o)
		s, ok := scopes[ref.GVK()]
		if !ok {
			s = p.scope(ctx, ref.GVK())
			scopes[ref.GVK()] = s
		}
		if s.err != nil && unreachable(s.err) {
			return nil, s.err
		}
		if s.err == nil && !s.namespaced {
			o.SetNamespace("")
		}
		if err := accept(o, s, seen); err != nil {
			problems = append(problems, err)
			continue
		}
		given = append(given, o)
	}
	return given, joined(problems, len(set))
}

type scope struct {
	namespaced bool
	err        error
}

func (p *planner) scope(ctx context.Context, gvk schema.GroupVersionKind) scope {
	namespaced, err := p.cluster.Scope(ctx, gvk)
	var unknown *kubernetes.UnknownKindError
	if in, ok := p.coming.kinds[gvk.GroupKind()]; ok && errors.As(err, &unknown) {
		return scope{in, nil}
	}
	return scope{namespaced, err}
}

// bare is an object without what only a cluster can say, such as when it was saved by "kubectl get -o yaml".
func bare(o *kubernetes.Object) *kubernetes.Object {
	o = o.DeepCopy()
	for _, name := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"} {
		unstructured.RemoveNestedField(o.Object, "metadata", name)
	}
	delete(o.Object, "status")
	return o
}

func accept(o *kubernetes.Object, s scope, seen map[kubernetes.Ref]bool) error {
	ref := kubernetes.RefOf(o)
	id := ref
	id.APIVersion = ref.GVK().Group
	switch {
	case o.GetName() == "":
		return fault.BadInputf("an object of kind %s has no name", ref.Kind)
	case s.err != nil:
		return refuse(Change{Ref: ref}, s.err).err
	case s.namespaced && ref.Namespace == "":
		return fault.BadInputf("%s has no namespace", ref)
	case seen[id]:
		return fault.BadInputf("%s is in the set twice", ref)
	case o.GetLabels()[kubernetes.LabelService] == "":
		return fmt.Errorf("%s has no label %s", ref, kubernetes.LabelService)
	}
	seen[id] = true
	return nil
}
