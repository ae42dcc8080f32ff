//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

// called is what is said of a failure that can be known, and is called before the deploy has waited as long as it may. How long
// before, `make bench-deploy` measures.
const called = "failed after"

// TestClusterFailures deploys a good version, then one that fails, and holds that the failure is explained and that what
// was live is live again, its configuration too.
func TestClusterFailures(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	sharedBench(t, c)
	for name, tc := range map[string]struct {
		change settings
		before func(*app) // once the first version is live
		args   []string
		says   []string
	}{
		"crash loop": {
			change: settings{env: "BEHAVE: crash"},
			says:   []string{called, "CrashLoopBackOff", "exit code 1", "DATABASE_URL is not set", "container app"}},
		"failing readiness": {
			change: settings{env: "BEHAVE: sick"}, args: []string{"--wait", "2m"}, // in which a pod starts and a probe fails for certain
			says: []string{"is not ready after", "probe", "500", "container app"}},
		"unschedulable": {
			change: settings{size: "huge"},
			says:   []string{called, "nsufficient cpu"}},
		"quota": {
			before: func(a *app) { a.c.Quota(a.t, a.ns, "few", 2) },
			says:   []string{called, "quota", "few"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, c)
			a.is(first, settings{env: "GREETING: hello"})
			a.deploy().want(0)
			if tc.before != nil {
				tc.before(a)
			}
			a.is(second, tc.change)
			failed := a.deploy(tc.args...).want(1, append(tc.says, "back on", "(healthy)")...)
			a.putBack(failed)
			a.wantHistory(map[string]string{"v1": "superseded", "v2": "failed", "v3": "live"})
		})
	}
}

// putBack holds that the first version is live again as it was.
func (a *app) putBack(o outcome) {
	a.t.Helper()
	stage := o.record.stage(a.t, "deploy")
	if stage.Outcome != "failed" || len(stage.Detail) == 0 {
		a.t.Errorf("the stage is %+v", stage)
	}
	if d := o.record.deploy(a.t); d.Restored == nil || d.Restored.Digest != a.images[first].digest || d.Release != "v3" {
		a.t.Errorf("the evidence is %+v", d)
	}
	a.serves(first, 2)
	env := a.get("deployment", "plain", "-o", `jsonpath={range .spec.template.spec.containers[0].env[*]}{.name}={.value} {end}`)
	if !strings.Contains(env, "GREETING=hello") || strings.Contains(env, "BEHAVE") {
		a.t.Errorf("the environment is %s", env)
	}
	a.wantFree()
}

func TestClusterExplainsABadImage(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	a := newApp(t, c)
	a.is(first, settings{deploy: "{manifests: k8s/plain}"})
	a.deploy().want(0)
	// That of the service is there, or it would not be verified; another one is not.
	a.is(second, settings{deploy: "{manifests: k8s/bad-image}"})
	a.deploy().want(1, called, "container migrate: ", "ImagePull", "not found", "back on", "(healthy)")
	a.serves(first, 2)
}

func TestClusterExplainsAMissingConfigMap(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.is(first, settings{deploy: "{manifests: k8s/missing}"})
	a.deploy().want(1, "CreateContainerConfigError", "absent", "nothing is live")
	if left := a.get("deployments,services,configmaps", "-o", "name"); strings.Contains(left, "plain") {
		t.Errorf("it left %s", left)
	}
	a.wantHistory(map[string]string{"v1": "failed"})
	a.wantFree()
	a.is(first, settings{deploy: "{manifests: k8s/plain}"})
	a.deploy().want(0, "first release")
	a.serves(first, 2)
}

func TestClusterExplainsADenial(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	a := newApp(t, c)
	a.deploy().want(0)
	a.deny("!has(object.spec.template.spec.containers[0].env) || object.spec.template.spec.containers[0].env.all(e, e.name != 'FORBIDDEN')", "the variable FORBIDDEN is forbidden here")
	a.is(second, settings{env: "FORBIDDEN: yes!"})
	a.deploy().want(1, "the variable FORBIDDEN is forbidden here", "Deployment")
	a.serves(first, 2)
	a.wantHistory(map[string]string{"v1": "live"})
	a.wantFree()
}

// deny has Deployments of the namespace admitted only where the expression holds, and waits until that is in force.
func (a *app) deny(expression, message string) {
	a.t.Helper()
	a.c.Apply(a.t, a.ns, fmt.Sprintf(`apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]
  validations: [{expression: %[2]q, message: %[3]q}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec:
  policyName: %[1]s
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}
`, a.ns, expression, message))
	a.t.Cleanup(func() {
		out, err := exec.Command("kubectl", "--kubeconfig", a.c.Kubeconfig, "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", a.ns).CombinedOutput()
		if err != nil {
			a.t.Errorf("%v: %s", err, out)
		}
	})
	probe, _, _ := strings.Cut(deployment(a.c.Registry, "", ""), "\n---\n")
	a.c.Refuses(a.t, a.ns, strings.NewReplacer("name: plain", "name: probe", "value: 0.0.0.0", "value: x", "name: HOST", "name: FORBIDDEN").Replace(probe), message)
}
