//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/testkit/cluster"
)

func TestClusterResolvesConflictsByPolicy(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	a := newApp(t, c)
	a.deploy().want(0)
	c.Kubectl(t, "patch", "deployment", "plain", "-n", a.ns, "--field-manager=someone", "--type=strategic",
		"-p", `{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"GREETING","value":"theirs"}]}]}}}}`)
	c.Kubectl(t, "rollout", "status", "deployment", "plain", "-n", a.ns, "--timeout=5m")

	a.is(second, settings{env: "GREETING: ours"})
	a.deploy().want(1, "another manager", "GREETING", "someone", "conflicts: force")
	greeting := func() string {
		return a.get("deployment", "plain", "-o", `jsonpath={.spec.template.spec.containers[0].env[?(@.name=="GREETING")].value}`)
	}
	if got := greeting(); got != "theirs" {
		t.Errorf("under policy fail the field is %q", got)
	}
	a.serves(first, 2)
	a.wantHistory(map[string]string{"v1": "live"})

	a.rules("  deploy: {conflicts: force}\n")
	a.deploy().want(0, "replaces")
	if got := greeting(); got != "ours" {
		t.Errorf("under policy force the field is %q", got)
	}
	a.serves(second, 2)
}

func TestClusterPrunes(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	count := func() int {
		return strings.Count(a.get("configmaps", "-l", "idp/service=plain", "-o", "name"), "configmap/")
	}
	a.c.Kubectl(t, "create", "configmap", "of-somebody-else", "-n", a.ns)
	a.is(first, settings{deploy: "{manifests: k8s/fifteen}"})
	a.deploy().want(0, "first release")

	a.is(second, settings{deploy: "{manifests: k8s/two}"})
	a.deploy().want(1, "13 objects are no longer in the manifests", "at most 10", "c14", "prune-max")
	if n := count(); n != 15 {
		t.Errorf("a deploy that was refused left %d of 15", n)
	}
	a.serves(first, 2)
	a.wantHistory(map[string]string{"v1": "live"})

	a.rules("  deploy: {prune-max: 13}\n")
	a.deploy().want(0, "replaces")
	if n := count(); n != 2 {
		t.Errorf("%d are left, want 2", n)
	}
	a.get("configmap", "of-somebody-else", "-o", "jsonpath={.metadata.uid}")
	if a.get("configmap", "of-somebody-else", "-o", "name") == "" {
		t.Error("what another one made is gone")
	}
	a.serves(second, 2)
}

func TestClusterExplainsWhatCannotBeChanged(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.is(first, settings{deploy: "{manifests: k8s/plain}"})
	a.deploy().want(0)
	uid := a.get("deployment", "plain", "-o", "jsonpath={.metadata.uid}")

	a.is(second, settings{deploy: "{manifests: k8s/selector}"})
	a.deploy().want(2, "Deployment plain: spec.selector cannot be changed while the object exists", "--recreate", "the service is down meanwhile")
	if got := a.get("deployment", "plain", "-o", "jsonpath={.metadata.uid}"); got != uid {
		t.Error("it was created anew without being asked")
	}
	a.serves(first, 2)
	a.wantHistory(map[string]string{"v1": "live"})

	a.deploy("--recreate").want(0, "replaces", "1 deleted and created anew")
	if got := a.get("deployment", "plain", "-o", "jsonpath={.metadata.uid}"); got == uid {
		t.Error("it was not created anew")
	}
	a.serves(second, 2)
}

func TestClusterSaysWhoseTokenHasExpired(t *testing.T) {
	t.Parallel()
	c := cluster.Own(t)
	a := newApp(t, c)
	c.Kubectl(t, "create", "serviceaccount", "deployer", "-n", a.ns)
	a.kubeconfig = c.User(t, a.ns, "deployer", -time.Minute)
	a.deploy().want(3, "could not be determined", "expired")
	if left := a.get("deployments,services,secrets,leases", "-o", "name"); left != "" {
		t.Errorf("it left %s", left)
	}
}
