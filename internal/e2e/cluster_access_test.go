//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/testkit/cluster"
)

// allow prints the roles of the service, applies them as the administrator, and gives the kubeconfig of the account that
// has them and nothing else.
func (a *app) allow() string {
	a.t.Helper()
	cmd := exec.Command(needEnv(a.t, "IDP_E2E_IDP"), "deploy", "--print-rbac", "--environment", "staging", "--service", a.repo.dir, "--policy", a.policy,
		"--kubeconfig", a.c.Kubeconfig, "--out", a.t.TempDir())
	var errors strings.Builder
	cmd.Stderr = &errors
	text, err := cmd.Output()
	if err != nil {
		a.t.Fatalf("%v\n%s%s", err, text, errors.String())
	}
	a.t.Logf("%s", text)
	file := filepath.Join(a.t.TempDir(), "rbac.yaml")
	write(a.t, file, string(text))
	a.c.Kubectl(a.t, "apply", "-f", file)
	a.t.Cleanup(func() { // what lives in no namespace stays after it
		out, err := exec.Command("kubectl", "--kubeconfig", a.c.Kubeconfig, "delete", "--ignore-not-found", "-f", file).CombinedOutput()
		if err != nil {
			a.t.Errorf("%v: %s", err, out)
		}
	})
	user := a.c.User(a.t, a.ns, "idp-plain", time.Hour)
	for _, doc := range strings.Split(string(text), "\n---\n") { // each role is in force when the last of its rules is
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(doc), &role); err != nil {
			a.t.Fatal(err)
		}
		if role.Kind != "Role" && role.Kind != "ClusterRole" || len(role.Rules) == 0 {
			continue
		}
		rule := role.Rules[len(role.Rules)-1]
		resource, sub, _ := strings.Cut(rule.Resources[0], "/")
		if group := rule.APIGroups[0]; group != "" {
			resource += "." + group
		}
		if len(rule.ResourceNames) > 0 {
			resource += "/" + rule.ResourceNames[0]
		}
		what := []string{rule.Verbs[0], resource, "--subresource=" + sub}
		if role.Namespace != "" {
			what = append(what, "-n", role.Namespace)
		}
		a.c.May(a.t, user, what...)
	}
	return user
}

// can asks the API server what the account may do.
func (a *app) can(kubeconfig string, args ...string) bool {
	a.t.Helper()
	out, err := a.c.KubectlAs(a.t, kubeconfig, append([]string{"auth", "can-i"}, args...)...)
	if err != nil && !strings.Contains(out+err.Error(), "no") {
		a.t.Fatalf("can-i %v: %s, %v", args, out, err)
	}
	return strings.HasPrefix(strings.TrimSpace(out), "yes")
}

// With the roles that idp prints, and no others, a deploy does all that it does: the first one, an upgrade, an object that is
// no longer wanted, a failure that is explained and put back, and a smoke test through the API server.
func TestClusterDeploysWithTheLeastAccess(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	a := newApp(t, c)
	a.is(first, settings{more: "network: {from: [web]}\n"})
	a.kubeconfig = a.allow()
	a.deploy().want(0, "first release")
	a.serves(first, 2)

	a.is(second, settings{}) // without the NetworkPolicy
	a.deploy().want(0, "replaces")
	a.serves(second, 2)
	if left := a.get("networkpolicy"); left != "" {
		t.Errorf("left: %s", left)
	}
	cluster.Until(t, func() error { // the Service may still lead to pods that are gone
		text, err := c.KubectlAs(t, a.kubeconfig, "get", "--raw", "/api/v1/namespaces/"+a.ns+"/services/http:plain:http/proxy/name")
		if err == nil && strings.TrimSpace(text) != second {
			t.Fatalf("through the API server: %q", text)
		}
		return err
	})

	a.is(first, settings{env: "BEHAVE: crash"})
	failed := a.deploy().want(1, "CrashLoopBackOff")
	if !strings.Contains(failed.text, "| ") {
		t.Error("the log of the container is not shown")
	}
	a.serves(second, 2)
	a.wantFree()

	for _, no := range [][]string{
		{"create", "pods", "-n", a.ns}, {"delete", "pods", "-n", a.ns}, {"get", "configmaps", "-n", a.ns}, {"create", "pods", "--subresource=exec", "-n", a.ns},
		{"create", "services", "--subresource=proxy", "-n", a.ns}, {"delete", "leases/idp.plain", "-n", a.ns}, {"get", "leases/other", "-n", a.ns}, {"create", "rolebindings", "-n", a.ns},
		{"get", "secrets", "-n", "default"}, {"list", "deployments", "-n", "default"}, {"list", "namespaces"}, {"create", "clusterroles"}, {"list", "nodes"},
	} {
		if a.can(a.kubeconfig, no...) {
			t.Errorf("the account may %v", no)
		}
	}
	if !a.can(a.kubeconfig, "patch", "deployments", "-n", a.ns) {
		t.Error("can-i says no to everything")
	}
}

// What a set grants others its deploy has to be allowed to grant, and of what lives in no namespace it reaches its own.
func TestClusterLeastAccessGrants(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	a := newApp(t, c)
	own := fmt.Sprintf(`apiVersion: v1
kind: ServiceAccount
metadata: {name: plain}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: plain}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: plain}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: plain}
subjects: [{kind: ServiceAccount, name: plain, namespace: %[1]s}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: view}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: plain, namespace: %[1]s}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: plain-%[1]s}
rules: [{nonResourceURLs: [/healthz], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: plain-%[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: plain-%[1]s}
subjects: [{kind: ServiceAccount, name: plain, namespace: %[1]s}]
`, a.ns)
	a.is(first, settings{deploy: "{manifests: own}"})
	write(t, filepath.Join(a.repo.dir, "own", "plain.yaml"), deployment(c.Registry, "", ""))
	write(t, filepath.Join(a.repo.dir, "own", "access.yaml"), own)
	a.kubeconfig = a.allow()
	t.Cleanup(func() {
		_ = exec.Command("kubectl", "--kubeconfig", c.Kubeconfig, "delete", "clusterrole,clusterrolebinding", "plain-"+a.ns).Run() // gone where all is well
	})
	a.deploy().want(0, "first release")
	a.serves(first, 2)
	if name := c.Kubectl(t, "get", "clusterrole", "plain-"+a.ns, "-o", "jsonpath={.metadata.name}"); name != "plain-"+a.ns {
		t.Errorf("cluster role %q", name)
	}
	if a.can(a.kubeconfig, "patch", "clusterroles/cluster-admin") || a.can(a.kubeconfig, "delete", "clusterroles") || a.can(a.kubeconfig, "bind", "clusterroles/cluster-admin") {
		t.Error("the account reaches other cluster roles")
	}
	a.is(second, settings{deploy: "{manifests: k8s/plain}"})
	a.deploy().want(0, "replaces")
	if left := c.Kubectl(t, "get", "clusterrole,clusterrolebinding", "--ignore-not-found", "-l", "idp/service=plain", "-o", "name"); strings.Contains(left, a.ns) {
		t.Errorf("left: %s", left)
	}
}
