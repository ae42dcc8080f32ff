//go:build e2e

package e2e

import (
	"bytes"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	bad := a.release(second, settings{deploy: "{manifests: k8s/two}", more: "version: off\n"}, soon...).want(1, "smoke", "500", "back on what was there before the first release")
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

// A deploy that is killed while it gives back what it had taken over leaves that to what comes after it: post, or the next deploy.
func TestClusterGivesBackAfterAKill(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	sharedBench(t, c)
	for name, tc := range map[string]struct {
		anew   bool
		method string
		nth    int // request of the method to the Deployment, from when the release was marked as failed
		post   bool
	}{
		"before it is touched and then post":     {method: http.MethodPatch, nth: 1, post: true},
		"with its content back and then post":    {method: http.MethodPatch, nth: 2, post: true},
		"with its content back and then deploy":  {method: http.MethodPatch, nth: 2},
		"deleted to be made anew and then post":  {anew: true, method: http.MethodPost, nth: 1, post: true},
		"made anew and not let go and then post": {anew: true, method: http.MethodPatch, nth: 1, post: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, c)
			a.c.Apply(t, a.ns, strings.Replace(deployment(a.c.Registry, "", ""), "image: "+a.c.Registry+"/plain", "image: "+a.images[first].reference, 1))
			a.c.Kubectl(t, "rollout", "status", "deployment", "plain", "-n", a.ns, "--timeout=5m")
			spec, owners := a.get("deployment", "plain", "-o", "jsonpath={.spec}{.metadata.labels}"), a.owners("deployment", "plain")
			args := []string{}
			a.is(second, settings{deploy: "{manifests: k8s/bad-image}"})
			if tc.anew {
				bad := filepath.Join(a.repo.dir, "k8s", "bad-image", "all.yaml")
				write(t, bad, strings.ReplaceAll(deployment(a.c.Registry, "initContainers: [{name: migrate, image: "+a.c.Registry+"/migrations:none}]", ""), "app: plain", "app: plainer"))
				args = append(args, "--recreate")
			}
			a.inRun()
			var r *running
			started, failed, seen, killed := make(chan struct{}), false, 0, false
			var one sync.Mutex
			front := cluster.NewFront(t, c.Address(t), func(req *http.Request, body []byte) cluster.Fault {
				one.Lock()
				defer one.Unlock()
				failed = failed || req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/secrets/idp.plain.v1") && bytes.Contains(body, []byte(`"idp/state":"failed"`))
				if killed || !failed || req.Method != tc.method || !strings.Contains(req.URL.Path, "/deployments") {
					return cluster.None
				}
				if seen++; seen < tc.nth {
					return cluster.None
				}
				<-started
				killed = true
				_ = r.cmd.Process.Kill()
				return cluster.Cut
			})
			a.kubeconfig = front.File(t)
			r = a.start(args...)
			close(started)
			<-r.ended
			if !killed || r.cmd.ProcessState.ExitCode() != -1 {
				t.Fatalf("it was not killed: %s", r.cmd.ProcessState)
			}
			if !tc.post {
				a.is(second, settings{deploy: "{manifests: k8s/plain}"})
				a.deploy().want(0)
				a.serves(second, 2)
				a.wantFree()
				return
			}
			if said := a.after("deploy", 0); !strings.Contains(said, "back on what was there before the first release") {
				t.Errorf("said %s", said)
			}
			if got := a.get("deployment", "plain", "-o", "jsonpath={.spec}{.metadata.labels}"); got != spec {
				t.Errorf("the Deployment is\n%s\nand was\n%s", got, spec)
			}
			if got := a.owners("deployment", "plain"); got != owners {
				t.Errorf("its fields are set by %s, and were by %s", got, owners)
			}
			a.serves(first, 2)
			a.wantFree()
			if said := a.after("deploy", 0); strings.Contains(said, "back on") {
				t.Errorf("once more: %s", said)
			}
		})
	}
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
