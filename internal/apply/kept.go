package apply

import (
	"errors"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// keptImages refuses what the cluster makes of an object when it runs another image than one that is given by its digest, as an
// admission webhook has it do. The same digest from a mirror is the same image.
func keptImages(ref kubernetes.Ref, given, after *kubernetes.Object) error {
	from, to := exchanged(given.Object, after.Object)
	if from == "" {
		return nil
	}
	return fault.Failedf("%s: the cluster runs %s in place of %s", ref, safe(to, valueRunes), safe(from, valueRunes)).
		WithNext("An admission webhook changes it: let it keep the digest, or talk to who runs the cluster.")
}

// exchanged is the first image with a digest that is given and another one in what came of it, and that one.
func exchanged(given, after any) (from, to string) {
	switch given := given.(type) {
	case map[string]any:
		after, _ := after.(map[string]any)
		if image, ok := given["image"].(string); ok {
			_, digest, pinned := strings.Cut(image, "@sha256:")
			if other, ok := after["image"].(string); ok && pinned && !strings.HasSuffix(other, "@sha256:"+digest) {
				return image, other
			}
		}
		for key, value := range given {
			if from, to = exchanged(value, after[key]); from != "" {
				return from, to
			}
		}
	case []any:
		after, _ := after.([]any)
		items := keyed(after)
		for i, item := range given {
			name, _ := key(given, i)
			if from, to = exchanged(item, items[name]); from != "" {
				return from, to
			}
		}
	}
	return "", ""
}

// workload names what an autoscaler of the set scales.
type workload struct{ kind, namespace, name string }

// target is the workload that an object scales, as the autoscalers of Kubernetes and of KEDA name it, and how many pods it is to
// have at least, where that is not 0.
func target(o *kubernetes.Object) (w workload, least int64, ok bool) {
	ref, ok, _ := unstructured.NestedStringMap(o.Object, "spec", "scaleTargetRef")
	if !ok || ref["name"] == "" {
		return w, 0, false
	}
	if w = (workload{ref["kind"], o.GetNamespace(), ref["name"]}); w.kind == "" {
		w.kind = "Deployment"
	}
	if o.GetKind() == "HorizontalPodAutoscaler" {
		n, _ := specNumber(o, "minReplicas")
		least = max(1, n)
	}
	return w, least, true
}

// numbered is what to apply of a workload whose number of replicas an autoscaler of the set decides: the manifest's number, and the
// autoscaler's least, count only when it is made.
func (c coming) numbered(given, live *kubernetes.Object) *kubernetes.Object {
	least, scaled := c.scaled[workload{given.GetKind(), given.GetNamespace(), given.GetName()}]
	n, named := specNumber(given, "replicas")
	if !scaled || named && n == 0 { // with 0, nothing is scaled
		return given
	}
	changed := given.DeepCopy()
	switch {
	case live == nil && n < least && least > 1:
		_ = unstructured.SetNestedField(changed.Object, least, "spec", "replicas")
	case live != nil && named && (least == 0 || above0(live)): // an autoscaler of Kubernetes does not begin at 0
		unstructured.RemoveNestedField(changed.Object, "spec", "replicas")
	default:
		return given
	}
	return changed
}

func above0(workload *kubernetes.Object) bool {
	n, _ := specNumber(workload, "replicas")
	return n > 0
}

// specNumber is one of the spec, however the object was read.
func specNumber(o *kubernetes.Object, field string) (n int64, ok bool) {
	v, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", field)
	switch v := v.(type) {
	case int64:
		return v, true
	case float64:
		return int64(v), true
	}
	return 0, v != nil
}

// rescaled tells that an apply was refused only because an autoscaler has set a number of replicas since the plan, which is its
// own to set.
func (c coming) rescaled(change Change, err error) bool {
	var conflict *kubernetes.ConflictError
	if !errors.As(err, &conflict) || slices.ContainsFunc(conflict.Conflicts, func(c kubernetes.Conflict) bool { return c.Field != ".spec.replicas" }) {
		return false
	}
	_, named, _ := unstructured.NestedFieldNoCopy(c.numbered(change.plain, change.Before).Object, "spec", "replicas")
	return !named
}

// keepCount gives what to apply so that a workload keeps its number of replicas where the manifest leaves that to an
// autoscaler; nil where it does anyway. An apply that stops to name the number, which idp or who is adopted named before,
// sets it to 1, until the autoscaler looks the next time
// (https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership).
func keepCount(change Change) *kubernetes.Object {
	if change.Before == nil || change.After == nil {
		return nil
	}
	_, named, _ := unstructured.NestedFieldNoCopy(change.given.Object, "spec", "replicas")
	before, ok, _ := unstructured.NestedInt64(change.Before.Object, "spec", "replicas")
	after, _, _ := unstructured.NestedInt64(change.After.Object, "spec", "replicas")
	if named || !ok || before == after {
		return nil
	}
	given := change.given.DeepCopy()
	_ = unstructured.SetNestedField(given.Object, before, "spec", "replicas")
	return given
}
