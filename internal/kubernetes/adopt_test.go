package kubernetes

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// saved is a Deployment of a real cluster: live.json as kubectl apply and kubectl scale left it, applied.json as a forced
// dry run of a server-side apply gave it.
func saved(t *testing.T, name string) *Object {
	t.Helper()
	data, err := os.ReadFile("testdata/adopt/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var o Object
	if err := json.Unmarshal(data, &o.Object); err != nil {
		t.Fatal(err)
	}
	return &o
}

func TestAdoptableAreTheToolsOfPeopleUntilIdpHasApplied(t *testing.T) {
	live := saved(t, "live.json")
	if got, want := Adoptable(live), []string{"kubectl-client-side-apply"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want) // not kubectl, which only scaled, nor the controller, which wrote the status
	}
	if got := Adoptable(saved(t, "applied.json")); got != nil {
		t.Errorf("after an apply: %v", got)
	}
	half := saved(t, "applied.json")
	half.SetManagedFields(append(half.GetManagedFields(), metav1.ManagedFieldsEntry{Manager: Manager, Operation: metav1.ManagedFieldsOperationUpdate}))
	if got := Adoptable(half); !slices.Equal(got, []string{Manager}) {
		t.Errorf("given back half-way: %v", got)
	}
	if got := Adoptable(&Object{Object: map[string]any{}}); got != nil {
		t.Errorf("of nothing: %v", got)
	}
}

func TestAdoptionMovesTheFieldsAndHoldsTheVersion(t *testing.T) {
	live := saved(t, "live.json")
	data, err := adoption(live)
	if err != nil {
		t.Fatal(err)
	}
	var patch []struct {
		Op, Path string
		Value    json.RawMessage
	}
	if err := json.Unmarshal(data, &patch); err != nil {
		t.Fatal(err)
	}
	if len(patch) != 2 || patch[1].Path != "/metadata/resourceVersion" || string(patch[1].Value) != `"`+live.GetResourceVersion()+`"` {
		t.Fatalf("the patch does not hold the version: %s", data)
	}
	var entries []metav1.ManagedFieldsEntry
	if err := json.Unmarshal(patch[0].Value, &entries); err != nil {
		t.Fatal(err)
	}
	var managers []string
	for _, e := range entries {
		managers = append(managers, e.Manager+" "+string(e.Operation)+" "+e.Subresource)
		if e.Manager == Manager && !strings.Contains(e.FieldsV1.GetRawString(), `"f:minReadySeconds"`) {
			t.Error("the fields of kubectl are not idp's now")
		}
	}
	slices.Sort(managers)
	if want := []string{"idp Apply ", "kube-controller-manager Update status", "kubectl Update scale"}; !slices.Equal(managers, want) {
		t.Errorf("managers are %q, want %q", managers, want)
	}
}

func TestWithoutAdoptedTakesAwayWhatNobodyElseSets(t *testing.T) {
	o, err := withoutAdopted(saved(t, "applied.json"), Adoptable(saved(t, "live.json")))
	if err != nil {
		t.Fatal(err)
	}
	spec := o.Object["spec"].(map[string]any)
	if _, ok := spec["minReadySeconds"]; ok {
		t.Error("minReadySeconds is still there")
	}
	if replicas := spec["replicas"]; replicas != int64(1) && replicas != float64(1) {
		t.Errorf("replicas are %v", replicas)
	}
	if got, want := o.GetLabels(), map[string]string{"idp/service": "shop"}; !reflect.DeepEqual(got, want) {
		t.Errorf("labels are %v", got)
	}
	if got, want := o.GetAnnotations(), map[string]string{"deployment.kubernetes.io/revision": "1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("annotations are %v", got) // the revision is the controller's
	}
	containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	if len(containers) != 1 {
		t.Fatalf("%d containers", len(containers))
	}
	app := containers[0].(map[string]any)
	if got, want := app["env"], []any{map[string]any{"name": "LEVEL", "value": "info"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("env is %v", got)
	}
	if app["image"] != "registry.example/shop:2" || len(app["ports"].([]any)) != 1 {
		t.Errorf("the container is %v", app)
	}
}
