//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

const canary = "{strategy: canary, steps: [25, 50]}"

func TestClusterCanary(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.release(first, settings{deploy: canary, replicas: 4, max: 9}).want(0)
	a.serves(first, 4)

	bad := a.release(second, settings{deploy: canary, replicas: 4, max: 9, env: "BEHAVE: broken"}, soon...).want(1, "canary 25%", "500", "back on", "(healthy)")
	if d := bad.record.deploy(t); d.Restored == nil || d.Restored.Digest != a.images[first].digest {
		t.Errorf("the evidence is %+v", d)
	}
	a.onlyThese("deployment.apps/plain", "service/plain")
	a.serves(first, 4)
	crashed := a.release(second, settings{deploy: canary, replicas: 4, max: 9, env: "BEHAVE: crash"}).want(1, "DATABASE_URL is not set", "back on")
	if s := crashed.record.stage(t, "smoke"); s.Outcome != "skipped" {
		t.Errorf("smoke is %+v", s)
	}
	a.onlyThese("deployment.apps/plain", "service/plain")
	a.serves(first, 4)

	ready := a.scaledAt("plain-canary", "plain", 6, "/deployments/plain", "plain-canary") // as the autoscaler does, in the middle of it
	good := a.release(second, settings{deploy: canary, replicas: 4, max: 9}).want(0, "replaces")
	if got := ready(); got != "3" {
		t.Errorf("beside 6 pods, the canary of 50%% had %q when all pods were replaced", got)
	}
	if d := good.record.deploy(t); d.Strategy != "canary" || !d.Changed {
		t.Errorf("the evidence is %+v", d)
	}
	a.onlyThese("deployment.apps/plain", "service/plain")
	a.serves(second, 6)
	a.wantFree()
}

func TestClusterBlueGreen(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	colors := settings{deploy: "{strategy: blue-green}", max: 6}
	a.release(first, colors).want(0)
	a.serves(first, 2)
	color := func() string { return a.get("service", "plain", "-o", "jsonpath={.spec.selector.idp/color}") }
	before := color()
	if before == "" {
		t.Fatal("the Service selects no color")
	}

	bad := colors
	bad.env = "BEHAVE: broken"
	failed := a.release(second, bad, soon...).want(1, "beside", "500", "back on", "(healthy)")
	if d := failed.record.deploy(t); d.Restored == nil || d.Restored.Digest != a.images[first].digest {
		t.Errorf("the evidence is %+v", d)
	}
	if got := color(); got != before {
		t.Errorf("the Service leads to %s, before to %s", got, before)
	}
	a.onlyThese("deployment.apps/plain-"+before, "service/plain")
	a.serves(first, 2)

	next := map[string]string{"blue": "green", "green": "blue"}[before]
	ready := a.scaledAt("plain-preview", "plain-"+before, 3, "/services/plain", "plain-"+next)
	good := a.release(second, colors).want(0, "replaces")
	if d := good.record.deploy(t); d.Strategy != "blue-green" || !d.Changed {
		t.Errorf("the evidence is %+v", d)
	}
	if got := ready(); got != "3" {
		t.Errorf("when the Service was switched from 3 pods the new ones were %q", got)
	}
	after := color()
	if after == before || after == "" {
		t.Errorf("the Service leads to %q, before to %q", after, before)
	}
	a.onlyThese("deployment.apps/plain-"+after, "service/plain")
	a.serves(second, 3)
	a.wantFree()
}

// scaledAt scales a Deployment when the first request for a Service comes through the API server. The result gives how many pods of
// another one were ready when the object at the end of a path was applied after that.
func (a *app) scaledAt(service, deployment string, replicas int, path, other string) (ready func() string) {
	var scaled, applied sync.Once
	var done atomic.Bool
	var number atomic.Value
	kubectl := func(args ...string) string {
		out, err := a.c.KubectlDetached(a.t, append(args, "-n", a.ns)...)
		if err != nil {
			a.t.Errorf("%v: %v\n%s", args, err, out)
		}
		return out
	}
	a.kubeconfig = cluster.Between(a.t, a.c.Kubeconfig, func(r *http.Request) bool {
		switch {
		case strings.Contains(r.URL.Path, "/services/http:"+service+":"):
			scaled.Do(func() {
				kubectl("scale", "deployment", deployment, fmt.Sprintf("--replicas=%d", replicas))
				done.Store(true)
			})
		case done.Load() && r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, path) && r.URL.Query().Get("dryRun") == "":
			applied.Do(func() { number.Store(kubectl("get", "deployment", other, "-o", "jsonpath={.status.readyReplicas}")) })
		}
		return true
	}, nil)
	return func() string { got, _ := number.Load().(string); return got }
}

// onlyThese holds that the service has these Deployments and Services, and no others.
func (a *app) onlyThese(want ...string) {
	a.t.Helper()
	if got := strings.Fields(a.get("deployments,services", "-o", "name")); strings.Join(got, " ") != strings.Join(want, " ") {
		a.t.Errorf("there are %q, want %q", got, want)
	}
}

// A set may bring a kind and an object of it, whatever the strategy; a version of a kind that the cluster has not is bad input.
func TestClusterCanaryBringsItsOwnKinds(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.is(first, settings{deploy: "{manifests: k8s/plain}"})
	a.deploy().want(0)
	own := settings{deploy: "{manifests: k8s/plain, strategy: canary, steps: [50]}"}
	a.is(second, own)
	file := filepath.Join(a.repo.dir, "k8s", "plain", "things.yaml")
	write(t, file, strings.ReplaceAll(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.NAME.example.com}
spec:
  group: NAME.example.com
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
apiVersion: NAME.example.com/v1
kind: Thing
metadata: {name: one}
spec: {size: 1}
`, "NAME", a.ns))
	t.Cleanup(func() {
		_, _ = a.c.KubectlDetached(t, "delete", "customresourcedefinition", "things."+a.ns+".example.com", "--ignore-not-found")
	})
	a.deploy().want(0, "replaces")
	a.serves(second, 2)
	if got := a.get("things."+a.ns+".example.com", "one", "-o", "jsonpath={.spec.size}"); got != "1" {
		t.Errorf("the Thing has size %q", got)
	}
	write(t, file, "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: plain}\nspec: {minAvailable: 1}\n")
	a.deploy().want(2, "the cluster has no kind PodDisruptionBudget of policy/v1beta1; it has that of policy/v1", "Is its apiVersion right?")
	write(t, file, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\ndata: {PORT: 8080}\n")
	a.deploy().want(2, "ConfigMap plain is not valid: .data.PORT: expected string, got 8080")
}
