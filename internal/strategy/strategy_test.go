package strategy_test

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/strategy"
)

// rendered is a service as its manifests are generated, autoscaled and with configuration that its pods read.
func rendered(t *testing.T, image, version string) []kubernetes.Object {
	t.Helper()
	svc := &service.Service{Name: "shop", Owner: "team", Port: 8080, Health: "/healthz", Size: "small", Scale: service.Scale{Min: 3, Max: 6},
		Network: service.Network{From: []string{"web"}}}
	set, err := manifest.Render(svc, manifest.Options{Image: image, Environment: "test", Commit: version, Digest: "sha256:0",
		Sizes: map[string]policy.Size{"small": {CPU: "10m", Memory: "32Mi"}}})
	if err != nil {
		t.Fatal(err)
	}
	objects := set.Unstructured()
	c := container(t, objects)
	c["envFrom"] = []any{map[string]any{"configMapRef": map[string]any{"name": "settings"}}}
	config := kubernetes.Object{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"VERSION": version}}}
	config.SetName("settings")
	config.SetNamespace("shop")
	return append([]kubernetes.Object{config}, objects...)
}

func of(t *testing.T, set []kubernetes.Object, kind string) *kubernetes.Object {
	t.Helper()
	for i := range set {
		if set[i].GetKind() == kind {
			return &set[i]
		}
	}
	t.Fatalf("there is no %s", kind)
	return nil
}

// An autoscaler may change how many pods are live while a deploy is on its way: those that take over from them follow.
func TestPodsFollowTheNumberThatIsLive(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind, live string
		step       int
		number     int64 // that is live by then
		more       bool
		want       string
	}{
		"canary":                     {strategy.Canary, "rolling", 0, 30, false, "shop-canary 3"},
		"canary, fewer":              {strategy.Canary, "rolling", 1, 2, false, "shop-canary 1"},
		"canary, no fewer":           {strategy.Canary, "rolling", 1, 2, true, ""},
		"canary, to zero":            {strategy.Canary, "rolling", 1, 0, false, "shop-canary 1"},
		"all of a canary":            {strategy.Canary, "rolling", 2, 30, false, ""},
		"beside blue":                {strategy.BlueGreen, "blue", 0, 9, true, "shop-green 9"},
		"beside blue, as many":       {strategy.BlueGreen, "blue", 0, -1, true, ""},
		"in place of blue":           {strategy.BlueGreen, "blue", 1, 9, true, "shop-green 9"},
		"in place of blue, no fewer": {strategy.BlueGreen, "blue", 1, 1, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := live(t, tc.live)
			plan, err := strategy.New(tc.kind, rendered(t, image, "five"), now, strategy.Options{Service: "shop"})
			if err != nil {
				t.Fatal(err)
			}
			if tc.number >= 0 {
				put(t, of(t, now, "Deployment"), tc.number)
			}
			got := ""
			for _, o := range plan.Steps[tc.step].Recount(now, tc.more) {
				n, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
				got += fmt.Sprintf("%s %d", o.GetName(), n)
				if has, _, _ := unstructured.NestedInt64(named(t, plan.Steps[tc.step].Apply, o.GetName()).Object, "spec", "replicas"); has != n {
					t.Errorf("%d are applied, want %d", has, n)
				}
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
			if again := plan.Steps[tc.step].Recount(now, tc.more); len(again) > 0 {
				t.Errorf("asked again it changes %v", again)
			}
		})
	}
}

// What decides how large pods are does not decide how many there are.
func TestTheNumberIsTheManifestsUnderAVerticalAutoscaler(t *testing.T) {
	t.Parallel()
	set := slices.DeleteFunc(rendered(t, image, "five"), func(o kubernetes.Object) bool { return o.GetKind() == "HorizontalPodAutoscaler" })
	put(t, of(t, set, "Deployment"), 7)
	vertical := kubernetes.Object{Object: map[string]any{"apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler",
		"spec": map[string]any{"targetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}}}}
	vertical.SetName("shop")
	vertical.SetNamespace("shop")
	plan, err := strategy.New(strategy.BlueGreen, append(set, vertical), live(t, "blue"), strategy.Options{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range plan.Steps {
		if n, _, _ := unstructured.NestedInt64(named(t, step.Apply, "shop-green").Object, "spec", "replicas"); n != 7 || len(step.Counts) > 0 {
			t.Errorf("%s: %d replicas by %v, want 7", step.Name, n, step.Counts)
		}
	}
	if got, _, _ := unstructured.NestedString(of(t, plan.Set, "VerticalPodAutoscaler").Object, "spec", "targetRef", "name"); got != "shop-green" {
		t.Errorf("it is for %s", got)
	}
}

func put(t *testing.T, o *kubernetes.Object, replicas int64) {
	t.Helper()
	if err := unstructured.SetNestedField(o.Object, replicas, "spec", "replicas"); err != nil {
		t.Fatal(err)
	}
}

func named(t *testing.T, set []kubernetes.Object, name string) *kubernetes.Object {
	t.Helper()
	for i := range set {
		if set[i].GetKind() == "Deployment" && set[i].GetName() == name {
			return &set[i]
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// container is that of the set's Deployment, to be changed.
func container(t *testing.T, set []kubernetes.Object) map[string]any {
	t.Helper()
	list, found, err := unstructured.NestedFieldNoCopy(of(t, set, "Deployment").Object, "spec", "template", "spec", "containers")
	if !found || err != nil {
		t.Fatal(err)
	}
	return list.([]any)[0].(map[string]any)
}
