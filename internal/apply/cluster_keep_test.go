//go:build e2e

package apply_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/testkit/cluster"
)

// A service that is scaled out must not fall back to one replica because its manifest leaves the number to an autoscaler.
func TestClusterTheNumberOfReplicasStaysWhereTheManifestLeavesIt(t *testing.T) {
	k := cluster.Open(t)
	three, left := strings.Replace(shop, "replicas: 1", "replicas: 3", 1), strings.Replace(shop, "  replicas: 1\n", "", 1)
	for name, first := range map[string]func(t *testing.T, ns string){
		"adopted": func(t *testing.T, ns string) { k.Apply(t, ns, three) },
		"applied": func(t *testing.T, ns string) {
			done, err := apply.Apply(t.Context(), connect(t, k.Kubeconfig), objects(t, ns, three), apply.Options{})
			must(t, done, err)
		},
		"recreated": func(t *testing.T, ns string) { k.Apply(t, ns, strings.ReplaceAll(three, "app: shop", "app: old")) },
	} {
		t.Run(name, func(t *testing.T) {
			ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
			first(t, ns)
			o := apply.Options{Recreate: true}
			plan, err := apply.Plan(t.Context(), c, objects(t, ns, left), o)
			if text := apply.Diff(must(t, plan, err)); strings.Contains(text, "spec.replicas") {
				t.Errorf("the plan changes it:\n%s", text)
			}
			for range 2 {
				done, err := apply.Apply(t.Context(), c, objects(t, ns, left), o)
				must(t, done, err)
				if got := k.Kubectl(t, "get", "deployment", "shop", "-n", ns, "-o", "jsonpath={.spec.replicas}"); got != "3" {
					t.Errorf("it has %s replicas", got)
				}
			}
			k.Kubectl(t, "scale", "deployment", "shop", "-n", ns, "--replicas=4") // as an autoscaler does
			done, err := apply.Apply(t.Context(), c, objects(t, ns, left), o)
			wantActions(t, must(t, done, err), "ConfigMap shop: unchanged, Service shop: unchanged, Deployment shop: unchanged")
		})
	}
}

// Where an autoscaler of the set decides the number of replicas, the number in the manifest is only that to begin with: no deploy
// resets it, none is refused for it, with fields taken over or not, and also when it changes while a deploy is on its way.
func TestClusterTheAutoscalerOfTheSetDecidesTheNumber(t *testing.T) {
	t.Parallel()
	k := cluster.Open(t)
	ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
	const autoscaler = `---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  minReplicas: 2
  maxReplicas: 9
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
`
	scale := func(n string) { // as the controller does
		k.Kubectl(t, "scale", "deployment", "shop", "-n", ns, "--replicas="+n)
	}
	has := func(want string) {
		t.Helper()
		if got := k.Kubectl(t, "get", "deployment", "shop", "-n", ns, "-o", "jsonpath={.spec.replicas}"); got != want {
			t.Errorf("it has %s replicas, want %s", got, want)
		}
	}
	written := strings.Replace(shop, "      containers:", "      nodeSelector: {no: node}\n      containers:", 1) + autoscaler
	next := func(version string) string {
		return strings.Replace(written, "value: info", "value: "+version, 1)
	}
	done, err := apply.Apply(t.Context(), c, objects(t, ns, written), apply.Options{})
	must(t, done, err)
	has("2")
	current := written
	for i, o := range []apply.Options{{}, {Force: true}} {
		scale("5")
		for _, manifests := range []string{current, strings.Replace(current, "  replicas: 1\n", "", 1)} {
			plan, err := apply.Plan(t.Context(), c, objects(t, ns, manifests), o)
			if got := apply.Summary(must(t, plan, err)); got != "4 unchanged" {
				t.Errorf("%s\n%s", got, apply.Diff(plan))
			}
		}
		current = next(fmt.Sprint("v", i))
		done, err := apply.Apply(t.Context(), c, objects(t, ns, current), o)
		wantActions(t, must(t, done, err), "ConfigMap shop: unchanged, Service shop: unchanged, Deployment shop: update, HorizontalPodAutoscaler shop: unchanged")
		has("5")
	}

	k.Kubectl(t, "delete", "deployment", "shop", "-n", ns)
	done, err = apply.Apply(t.Context(), c, objects(t, ns, written), apply.Options{}) // so that idp has set the number
	must(t, done, err)
	var once sync.Once
	between := cluster.Between(t, k.Kubeconfig, func(r *http.Request) bool {
		if r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, "/deployments/shop") && r.URL.Query().Get("dryRun") == "" {
			once.Do(func() { scale("6") })
		}
		return true
	}, nil)
	done, err = apply.Apply(t.Context(), connect(t, between), objects(t, ns, next("last")), apply.Options{})
	must(t, done, err)
	has("6")

	_, err = apply.Apply(t.Context(), c, objects(t, ns, strings.TrimSuffix(written, autoscaler)), apply.Options{}) // by an autoscaler that is not in the manifests, for all that idp knows
	wantFault(t, err, fault.Failed, "spec.replicas is set by")
}

// What would be refused when it is created anew must not be deleted before.
func TestClusterNothingIsDeletedThatCouldNotBeCreatedAnew(t *testing.T) {
	k := cluster.Open(t)
	ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {hostNetwork: false, containers: [{name: x, image: x}]}"
	done, err := apply.Apply(t.Context(), c, objects(t, ns, pod), apply.Options{})
	old := must(t, done, err)[0]
	k.Restrict(t, ns, "baseline")
	next := objects(t, ns, strings.Replace(pod, "hostNetwork: false", "hostNetwork: true", 1))
	_, err = apply.Apply(t.Context(), c, next, apply.Options{Recreate: true})
	wantFault(t, err, fault.Failed, "violates PodSecurity")
	if live, err := c.Get(t.Context(), old.Ref); err != nil || live == nil || live.GetUID() != old.After.GetUID() || live.GetDeletionTimestamp() != nil {
		t.Errorf("the old pod is gone (%v)", err)
	}
}

// A quota that has room for one object has room for it when it is created anew.
func TestClusterAFullQuotaDoesNotKeepAnObjectFromBeingCreatedAnew(t *testing.T) {
	k := cluster.Open(t)
	ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
	k.Apply(t, ns, "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: one}\nspec: {hard: {count/deployments.apps: \"1\"}}")
	done, err := apply.Apply(t.Context(), c, objects(t, ns, shop), apply.Options{})
	must(t, done, err)
	next := objects(t, ns, strings.ReplaceAll(shop, "app: shop", "app: new"))
	cluster.Until(t, func() error { // the quota counts a moment later
		if used := k.Kubectl(t, "get", "quota", "one", "-n", ns, "-o", "jsonpath={.status.used.count/deployments\\.apps}"); used != "1" {
			return fmt.Errorf("the quota counts %q", used)
		}
		return nil
	})
	plan, err := apply.Plan(t.Context(), c, next, apply.Options{Recreate: true})
	t.Log(apply.Diff(must(t, plan, err)))
	done, err = apply.Apply(t.Context(), c, next, apply.Options{Recreate: true})
	wantActions(t, must(t, done, err), "ConfigMap shop: unchanged, Service shop: update, Deployment shop: recreate")
}

// A port that keeps its name and gets another number cannot be beside the old one, which goes only when the Service is taken over.
func TestClusterAdoptsAServiceWithAnotherPort(t *testing.T) {
	k := cluster.Open(t)
	ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
	web := "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{name: http, port: 80}]}\n"
	k.Apply(t, ns, web)
	next := objects(t, ns, strings.Replace(web, "80", "81", 1))
	plan, err := apply.Plan(t.Context(), c, next, apply.Options{})
	wantActions(t, must(t, plan, err), "Service web: adopt")
	wantIn(t, apply.Diff(plan), "+   spec.ports[http].port: 81", "not checked by the cluster: what it has from kubectl-client-side-apply goes only when it is taken over")
	done, err := apply.Apply(t.Context(), c, next, apply.Options{})
	wantActions(t, must(t, done, err), "Service web: adopt")
	if got := k.Kubectl(t, "get", "service", "web", "-n", ns, "-o", "jsonpath={.spec.ports[*].port}"); got != "81" {
		t.Errorf("its ports are %s", got)
	}
	k.Apply(t, ns, strings.NewReplacer("web", "bad").Replace(web))
	bad := objects(t, ns, strings.NewReplacer("web", "bad", "name: http, port: 80", "name: Not_One, port: 81").Replace(web))
	done, err = apply.Apply(t.Context(), c, bad, apply.Options{})
	wantFault(t, err, fault.BadInput, "Not_One")
	if len(done) > 0 || !strings.Contains(k.Kubectl(t, "get", "service", "bad", "-n", ns, "-o", "yaml", "--show-managed-fields"), "manager: kubectl-client-side-apply") {
		t.Errorf("what is refused was taken over: %v", done)
	}
}
