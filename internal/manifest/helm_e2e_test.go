//go:build e2e && unix

package manifest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/manifest"
)

// realHelm is the program that make e2e-helm builds.
func realHelm(t *testing.T) string {
	t.Helper()
	helm := os.Getenv("IDP_E2E_HELM")
	if helm == "" {
		t.Fatal("IDP_E2E_HELM is not set; run make e2e-helm")
	}
	return helm
}

// created gives a service whose chart is what "helm create" makes.
func created(t *testing.T, values string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(realHelm(t), "create", "checkout")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	write(t, dir, "idp.yaml", head+"deploy: {helm: {chart: checkout, values: [values.yaml]}}\n")
	write(t, dir, "values.yaml", values)
	return dir
}

func TestHelmRenders(t *testing.T) {
	t.Parallel()
	dir := created(t, "image: {repository: "+ours+", tag: v1}\nreplicaCount: 3\n")
	set, err := load(t, dir, manifest.Options{Helm: realHelm(t), Image: ours + "@" + digest, Environ: os.Environ()})
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	var names []string
	for _, o := range set.Objects {
		names = append(names, o.String()+" in "+o.Namespace)
	}
	// The chart's test hook is not part of what is deployed.
	want := []string{"ServiceAccount checkout in checkout", "Service checkout in checkout", "Deployment checkout in checkout"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	text := marshal(t, set)
	for _, want := range []string{"image: " + ours + "@" + digest, "replicas: 3", "idp/service: checkout"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}

func TestHelmRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ values, template, want, hidden string }{
		"fails":   {"dbPassword: hunter2\n", `{{ fail (printf "no database for %s" .Values.dbPassword) }}`, "no database for ***", "hunter2"},
		"warns":   {"database: none\n", `{{ fail "stop" }}`, "stop", "hunter2"},
		"syntax":  {"", "{{ if }}", "missing value for if", ""},
		"hook":    {"", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {helm.sh/hook: pre-upgrade}}\n", "has hooks, which idp does not run", ""},
		"lookup":  {"", `{{ if not (lookup "v1" "Namespace" "" "default") }}{{ fail "no cluster is asked" }}{{ end }}`, "no cluster is asked", ""},
		"outside": {"", `{{ fail (printf "%q" (.Files.Get "../values.yaml")) }}`, `""`, ""},
		"environ": {"", `{{ fail (env "PATH") }}`, `function "env" not defined`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := created(t, "image: {repository: "+ours+"}\n"+tc.values)
			write(t, dir, filepath.Join("checkout", "templates", "more.yaml"), tc.template)
			defaults, err := os.ReadFile(filepath.Join(dir, "checkout", "values.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, filepath.Join("checkout", "values.yaml"), string(defaults)+"\ndatabase: {password: hunter2}\n") // which helm's warning quotes
			_, err = load(t, dir, manifest.Options{Helm: realHelm(t), Environ: os.Environ()})
			wantFault(t, name, err, fault.BadInput, tc.want)
			if err != nil && tc.hidden != "" && strings.Contains(strings.Join(fault.Lines(err), "\n"), tc.hidden) {
				t.Errorf("it shows %s: %v", tc.hidden, err)
			}
		})
	}
}

// A chart that needs another one has to have it: nothing is fetched.
func TestHelmFetchesNothing(t *testing.T) {
	t.Parallel()
	dir := created(t, "image: {repository: "+ours+"}\n")
	file := filepath.Join(dir, "checkout", "Chart.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, filepath.Join("checkout", "Chart.yaml"), string(text)+"dependencies: [{name: redis, version: 1.0.0, repository: \"https://charts.example.com\"}]\n")
	_, err = load(t, dir, manifest.Options{Helm: realHelm(t), Environ: os.Environ()})
	wantFault(t, "dependency", err, fault.BadInput, "missing in charts/ directory: redis")
}
