package strategy_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/service"
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

// container is that of the set's Deployment, to be changed.
func container(t *testing.T, set []kubernetes.Object) map[string]any {
	t.Helper()
	list, found, err := unstructured.NestedFieldNoCopy(of(t, set, "Deployment").Object, "spec", "template", "spec", "containers")
	if !found || err != nil {
		t.Fatal(err)
	}
	return list.([]any)[0].(map[string]any)
}
