package apply

import (
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/kubernetes"
)

// workload names what an autoscaler scales.
type workload struct{ kind, namespace, name string }

// autoscaled are the workloads of a set that an autoscaler of the set scales, one of Kubernetes or of KEDA.
func autoscaled(set []*kubernetes.Object) map[workload]bool {
	found := map[workload]bool{}
	for _, o := range set {
		target, ok, _ := unstructured.NestedStringMap(o.Object, "spec", "scaleTargetRef")
		if !ok {
			continue
		}
		if target["kind"] == "" {
			target["kind"] = "Deployment" // KEDA's default
		}
		found[workload{target["kind"], o.GetNamespace(), target["name"]}] = true
	}
	return found
}

// scaled lets a workload under an autoscaler that does not say how many replicas it has keep as many as it has. An apply
// takes away a field that idp alone has set before and leaves out now, and the cluster would scale to its default of 1 in
// the moment in which the autoscaler takes over. What somebody else has set too, such as the autoscaler, stays anyway.
func scaled(given, live *kubernetes.Object, adopted []string) *kubernetes.Object {
	_, said, _ := unstructured.NestedFieldNoCopy(given.Object, "spec", "replicas")
	n, has, _ := unstructured.NestedInt64(live.Object, "spec", "replicas")
	if said || !has {
		return given
	}
	ours := false
	for _, entry := range live.GetManagedFields() {
		switch {
		case !saysReplicas(entry):
		case entry.Manager != kubernetes.Manager && !slices.Contains(adopted, entry.Manager):
			return given
		default:
			ours = true
		}
	}
	if !ours {
		return given
	}
	kept := given.DeepCopy()
	if err := unstructured.SetNestedField(kept.Object, n, "spec", "replicas"); err != nil {
		return given // its spec is no object, which the API server says better
	}
	return kept
}

func saysReplicas(entry metav1.ManagedFieldsEntry) bool {
	if entry.FieldsV1 == nil || entry.Subresource == "status" {
		return false
	}
	var fields struct {
		Spec map[string]any `json:"f:spec"`
	}
	if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
		return false
	}
	_, ok := fields.Spec["f:replicas"]
	return ok
}
