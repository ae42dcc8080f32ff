//go:build e2e

package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/org/idp/internal/testkit/cluster"
)

// What is known of Kubernetes' kinds without a cluster is what a cluster says: their plural names, and which of them live in
// no namespace.
func TestClusterNamesItsKindsAsRBACDoes(t *testing.T) {
	c := cluster.Open(t)
	known := scopes(Set{})
	seen := 0
	for line := range strings.Lines(c.Kubectl(t, "api-resources", "--no-headers", "--verbs=create,delete")) {
		fields := strings.Fields(line) // NAME [SHORTNAMES] APIVERSION NAMESPACED KIND
		if len(fields) < 4 {
			t.Fatalf("not a line of api-resources: %q", line)
		}
		name, version, namespaced, kind := fields[0], fields[len(fields)-3], fields[len(fields)-2] == "true", fields[len(fields)-1]
		gk := schema.FromAPIVersionAndKind(version, kind).GroupKind()
		if !strings.HasSuffix(gk.Group, "k8s.io") && strings.Contains(gk.Group, ".") {
			continue // someone's definition
		}
		seen++
		if got := plural(kind); got != name {
			t.Errorf("%s is called %s, not %s", gk, name, got)
		}
		if scope, ok := known[gk]; !namespaced && (!ok || scope) || namespaced && ok && !scope {
			t.Errorf("%s lives in a namespace: %v; known: %v %v", gk, namespaced, ok, scope)
		}
	}
	if seen < 40 {
		t.Errorf("only %d kinds were compared", seen)
	}
}

// A kustomization gives what kubectl, another program with the same library, makes of it.
func TestClusterKustomizesAsKubectl(t *testing.T) {
	c := cluster.Open(t)
	archive, err := txtar.ParseFile("testdata/sources/kustomize.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range archive.Files {
		file := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := decoded([]byte(c.Kubectl(t, "kustomize", filepath.Join(dir, "deploy", "overlays", "staging"))), "kubectl")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := openTree(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.close()
	have, err := tree.kustomize("deploy/overlays/staging")
	if err != nil {
		t.Fatal(err)
	}
	byName := func(s Set) map[string]any {
		all := map[string]any{}
		for _, o := range s.Objects {
			all[o.String()] = o.Fields
		}
		return all
	}
	if diff := cmp.Diff(byName(want), byName(have)); diff != "" || len(have.Objects) != 4 {
		t.Errorf("%d objects (-kubectl +idp):\n%s", len(have.Objects), diff)
	}
}
