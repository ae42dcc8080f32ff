//go:build e2e

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

// owners says who set the fields of an object, and by which operation.
func (a *app) owners(what, name string) string {
	a.t.Helper()
	fields := a.get(what, name, "--show-managed-fields", "-o", `jsonpath={range .metadata.managedFields[*]}{.manager}/{.operation}/{.subresource} {end}`)
	return strings.Join(slices.Sorted(slices.Values(strings.Fields(fields))), " ") // which the cluster sorts by their time
}

// What ran before a service's first release was not made by it: a first release that fails must neither remove nor keep it.
func TestClusterGivesBackWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.c.Apply(t, a.ns, strings.Replace(deployment(a.c.Registry, "", ""), "image: "+a.c.Registry+"/plain", "image: "+a.images[first].reference, 1))
	a.c.Kubectl(t, "rollout", "status", "deployment", "plain", "-n", a.ns, "--timeout=5m")
	spec := a.get("deployment", "plain", "-o", "jsonpath={.spec}")
	uid := a.get("service", "plain", "-o", "jsonpath={.metadata.uid}{.spec.clusterIP}")
	owners := a.owners("deployment", "plain")

	write(t, filepath.Join(a.repo.dir, "k8s", "two", "c00.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c00}\ndata: {BEHAVE: broken}\n")
	bad := a.release(second, settings{deploy: "{manifests: k8s/two}", more: "version: off\n"}).want(1, "smoke", "500", "back on what was there before the first release")
	if d := bad.record.deploy(t); d.Restored != nil || d.Release != "" {
		t.Errorf("the evidence of deploy is %+v", d)
	}
	a.serves(first, 2)
	if got := a.get("deployment", "plain", "-o", "jsonpath={.spec}"); got != spec {
		t.Errorf("the Deployment is\n%s\nand was\n%s", got, spec)
	}
	if got := a.get("service", "plain", "-o", "jsonpath={.metadata.uid}{.spec.clusterIP}"); got != uid {
		t.Errorf("the Service is another one: %s, %s", got, uid)
	}
	if got := a.get("deployment,service", "-l", "idp/service", "-o", "name"); got != "" {
		t.Errorf("still said to be the service's: %s", got)
	}
	if got := a.owners("deployment", "plain"); got != owners {
		t.Errorf("its fields are set by %s, and were by %s", got, owners)
	}
	if got := a.get("configmap", "c00", "-o", "name"); got != "" {
		t.Error("what only the failed release had is still there")
	}
	a.wantHistory(map[string]string{"v1": "failed"})
	a.wantFree()

	a.release(second, settings{deploy: "{manifests: k8s/plain}", more: "version: off\n"}).want(0, "first release", "2 adopted")
	a.serves(second, 2)
}

// An object that a later release takes over goes back to who had it, as it was, when that release fails.
func TestClusterGivesBackWhatAFailedReleaseTookOver(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.release(first, settings{deploy: "{manifests: k8s/plain}", more: "version: off\n"}).want(0)
	a.c.Kubectl(t, "create", "configmap", "c01", "-n", a.ns, "--from-literal=OF=somebody")
	write(t, filepath.Join(a.repo.dir, "k8s", "two", "c00.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c00}\ndata: {BEHAVE: crash}\n")
	a.release(second, settings{deploy: "{manifests: k8s/two}", more: "version: off\n"}).want(1, "CrashLoopBackOff", "back on", "(healthy)")
	if got := a.get("configmap", "c01", "-o", "jsonpath={.data}{.metadata.labels}"); got != `{"OF":"somebody"}` {
		t.Errorf("the ConfigMap of somebody else is %q", got)
	}
	if got := a.get("configmap", "c00", "-o", "name"); got != "" {
		t.Error("what only the failed release had is still there")
	}
	a.serves(first, 2)
	a.wantHistory(map[string]string{"v1": "superseded", "v2": "failed", "v3": "good"})
}

// What a canary makes for a while may have the name of something else, which must be left alone.
func TestClusterCanaryTakesNobodysName(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.is(first, settings{})
	a.deploy().want(0)
	other := func(labels string) {
		a.c.Apply(t, a.ns, "apiVersion: v1\nkind: Service\nmetadata: {name: plain-canary, labels: {"+labels+"}}\nspec: {selector: {app: other}, ports: [{port: 80}]}\n")
	}
	a.is(second, settings{deploy: "{strategy: canary}"})
	for _, labels := range []string{"idp/service: plain-canary", ""} {
		other(labels)
		before := a.get("service", "plain-canary", "-o", "jsonpath={.metadata.uid}{.spec.selector}")
		a.deploy().want(2, "Service plain-canary is there already and is not of plain")
		if got := a.get("service", "plain-canary", "-o", "jsonpath={.metadata.uid}{.spec.selector}"); got != before {
			t.Errorf("with labels %q it is %q, and was %q", labels, got, before)
		}
		a.serves(first, 2)
		a.c.Kubectl(t, "delete", "service", "plain-canary", "-n", a.ns)
	}
	a.deploy().want(0, "replaces")
	a.serves(second, 2)
}

// What was created anew, since it could not be changed in place, comes back as what it was.
func TestClusterGivesBackWhatWasCreatedAnew(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.c.Apply(t, a.ns, strings.Replace(deployment(a.c.Registry, "", ""), "image: "+a.c.Registry+"/plain", "image: "+a.images[first].reference, 1))
	a.c.Kubectl(t, "rollout", "status", "deployment", "plain", "-n", a.ns, "--timeout=5m")
	spec := a.get("deployment", "plain", "-o", "jsonpath={.spec}")
	a.is(second, settings{deploy: "{manifests: k8s/selector}"})
	bad := deployment(a.c.Registry, "initContainers: [{name: migrate, image: "+a.c.Registry+"/migrations:none}]", "")
	write(t, filepath.Join(a.repo.dir, "k8s", "selector", "all.yaml"), strings.ReplaceAll(bad, "app: plain", "app: plainer"))
	a.deploy().want(2, "spec.selector cannot be changed while the object exists")
	a.deploy("--recreate").want(1, "ImagePullBackOff", "back on what was there before the first release")
	if got := a.get("deployment", "plain", "-o", "jsonpath={.spec}{.metadata.labels}"); got != spec {
		t.Errorf("the Deployment is\n%s\nand was\n%s", got, spec)
	}
	a.serves(first, 2)
	a.wantFree()
}

// Where the history is lost, what runs is still not the next release's to remove.
func TestClusterGivesBackWhatALostHistoryHad(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.deploy().want(0)
	a.c.Kubectl(t, "delete", "secrets", "-n", a.ns, "--all")
	a.is(second, settings{env: "BEHAVE: crash"})
	a.deploy().want(1, "CrashLoopBackOff", "back on what was there before the first release")
	a.serves(first, 2)
	a.wantHistory(map[string]string{"v1": "failed"})
	a.wantFree()
}

// Blue-green takes the traffic from a Deployment that it has not made, and says that this still runs.
func TestClusterSaysWhatBlueGreenLeaves(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.c.Apply(t, a.ns, strings.Replace(deployment(a.c.Registry, "", ""), "image: "+a.c.Registry+"/plain", "image: "+a.images[first].reference, 1))
	a.c.Kubectl(t, "rollout", "status", "deployment", "plain", "-n", a.ns, "--timeout=5m")
	a.is(second, settings{deploy: "{manifests: k8s/plain, strategy: blue-green}"})
	a.deploy().want(0, "Deployment plain, which no release has brought, still runs beside it", "kubectl delete deployment plain --namespace "+a.ns)
	a.c.Kubectl(t, "delete", "deployment", "plain", "--namespace", a.ns, "--wait")
	a.serves(second, 2)
}

// Two environments in one namespace would be one place: the one that is deployed last would take the other's.
func TestClusterKeepsEnvironmentsApart(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	both := "  production: {namespace: " + a.ns + "}\n"
	a.is(first, settings{more: both})
	a.deploy().want(0)
	a.is(second, settings{more: both})
	a.deploy("--environment", "production").want(2, "namespace "+a.ns+" has v1 of environment staging", "environments.production.namespace")
	a.serves(first, 2)
	a.wantHistory(map[string]string{"v1": "live"})
	a.wantFree()
	a.is(second, settings{}) // staging is called production now
	write(t, filepath.Join(a.repo.dir, "idp.yaml"), strings.Replace(a.yaml(settings{}), "staging:", "production:", 1))
	a.deploy("--environment", "production").want(0, "replaces")
	a.serves(second, 2)
}

// Configuration alone restarts no pod, which is said of a deploy and of a way back.
func TestClusterSaysWhatNewConfigurationDoesNotReach(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	const note = "the pods of Deployment plain were not restarted for the new ConfigMap c00"
	a.is(first, settings{deploy: "{manifests: k8s/two}"})
	a.deploy().want(0)
	write(t, filepath.Join(a.repo.dir, "k8s", "two", "c00.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c00}\ndata: {BEHAVE: crash}\n")
	a.deploy().want(0, note)
	a.run("rollback").wait(t).want(0, "back on", note)
	a.c.Kubectl(t, "scale", "deployment", "plain", "-n", a.ns, "--replicas=1")
	t.Log(a.owners("deployment", "plain"))
	a.deploy().want(1, "spec.replicas is set by")
}
