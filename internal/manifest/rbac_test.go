//go:build unix

package manifest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/manifest"
)

// The cluster's own cases (make e2e-cluster) deploy with what this prints.
func TestRBACGolden(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "idp.yaml", head+"deploy: {manifests: deploy}\n")
	write(t, dir, "deploy/all.yaml", deployment+`---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: queue, namespace: jobs}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: checkout}
---
apiVersion: v1
kind: Secret
metadata: {name: checkout}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata: {name: checkout}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: checkout}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: mice.example.com}
spec: {group: example.com, scope: Namespaced, names: {kind: Mouse, plural: mice}}
---
apiVersion: example.com/v1
kind: Mouse
metadata: {name: jerry}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: view}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: own}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [watch]}]
`)
	set, err := load(t, dir, manifest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	have, err := manifest.RBAC(set, manifest.Access{Service: "checkout", Namespace: "checkout", Posts: true, After: "checkout-staging",
		Inventory: []kubernetes.Ref{{APIVersion: "batch/v1", Kind: "CronJob", Namespace: "checkout", Name: "old"},
			{APIVersion: "scheduling.k8s.io/v1", Kind: "PriorityClass", Name: "checkout"}},
		Unknown: "the cluster\nsays kind: no"})
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "rbac.yaml")
	if *update {
		if err := os.WriteFile(golden, have, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(have)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	for _, line := range strings.Split(string(have), "\n") {
		if strings.Contains(line, "kind: no") && !strings.HasPrefix(line, "#") {
			t.Errorf("a comment becomes content: %s", line)
		}
	}
}

// For every kind of Kubernetes there is a plural name; what the API server calls them is held by the cluster's cases.
func TestRBACHasNoWildcard(t *testing.T) {
	t.Parallel()
	set, err := manifest.Load(t.Context(), valid(), manifest.Options{Sizes: sizes})
	if err != nil {
		t.Fatal(err)
	}
	data, err := manifest.RBAC(set, manifest.Access{Service: "hello", Namespace: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	roles := 0
	for _, doc := range bytes.Split(data, []byte("\n---\n")) {
		var role rbacv1.Role
		if err := yaml.Unmarshal(doc, &role); err != nil {
			t.Fatal(err)
		}
		if role.Kind == "ClusterRole" {
			t.Error("a set without objects of the cluster needs no cluster role")
		}
		if role.Kind == "Role" {
			roles++
		}
		for _, rule := range role.Rules {
			if text := strings.Join(append(append(rule.Verbs, rule.Resources...), rule.APIGroups...), " "); strings.ContainsAny(text, "*") ||
				strings.Contains(text, "escalate") || strings.Contains(text, "impersonate") || strings.Contains(text, "bind") {
				t.Errorf("too much: %s", text)
			}
		}
	}
	if roles != 1 {
		t.Errorf("%d roles, want 1", roles)
	}
}
