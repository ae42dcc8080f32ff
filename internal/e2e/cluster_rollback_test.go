//go:build e2e

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

// A StatefulSet waits for ever for a pod of a version that crashes, whatever is applied then. A disruption budget that lets no pod
// be evicted does not keep that one.
func TestClusterBringsBackAStatefulSet(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.is(first, settings{deploy: "{manifests: k8s/state}"})
	a.deploy().want(0)
	a.serves(first, 2)
	if !eventually(func() bool {
		return a.get("pdb", "budget", "-o", "jsonpath={.status.expectedPods}/{.status.disruptionsAllowed}") == "2/0"
	}) {
		t.Errorf("the budget is %s", a.get("pdb", "budget", "-o", "jsonpath={.status}"))
	}
	untouched := a.get("pod", "plain-0", "-o", "jsonpath={.metadata.uid}")

	a.is(second, settings{deploy: "{manifests: k8s/broken}"})
	failed := a.deploy().want(1, "pod plain-1", "DATABASE_URL is not set", "back on", "(healthy)")
	if d := failed.record.deploy(t); d.Restored == nil || d.Restored.Digest != a.images[first].digest || d.Release != "v3" {
		t.Errorf("the evidence is %+v", d)
	}
	a.serves(first, 2)
	if got := a.get("pod", "plain-0", "-o", "jsonpath={.metadata.uid}"); got != untouched {
		t.Error("a pod that worked was deleted too")
	}
	a.wantHistory(map[string]string{"v1": "superseded", "v2": "failed", "v3": "live"})
	a.wantFree()
}

// A release that was made in a color comes back in it, after its pods and copies of its configuration were removed: the pods
// first, and no request is lost.
func TestClusterGoesBackToAColor(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	a := newApp(t, c)
	colors := settings{deploy: "{manifests: k8s/colors, strategy: blue-green}", more: "version: off\n"} // which these files do not tell the service
	a.release(first, colors).want(0)
	a.wantColor("blue")
	original := a.images[first]
	a.release(second, colors).want(0, "replaces") // the twelve copies of before go, though ten objects may be pruned
	a.serves(second, 2)
	a.wantColor("green")

	bad := filepath.Join(a.repo.dir, "k8s", "colors", "c00.yaml")
	write(t, bad, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c00}\ndata: {BEHAVE: broken}\n")
	a.release(first, colors, soon...).want(1, "blue beside green", "500", "back on", "(healthy)")
	a.serves(second, 2)
	a.wantColor("green")
	a.images[first] = original

	l := startLoad(t, c, a.ns, "plain")
	a.run("rollback", "--to", "v1").wait(t).want(0, "back on", "(healthy)", "release v5")
	during, answers := l.end()
	t.Logf("%d requests during the rollback, answers %v", during, answers)
	if answers["ok"] == 0 || len(answers) != 1 || during == 0 {
		t.Errorf("%d requests during the rollback, answers %v; a processor stood still for %s\n%s", during, answers, l.stood, strings.Join(l.told, "\n"))
	}
	a.serves(first, 2)
	a.wantColor("blue")
	a.wantHistory(map[string]string{"v1": "superseded", "v2": "superseded", "v3": "failed", "v4": "rolled-back", "v5": "good"})
	a.wantFree()
}

// wantColor holds that there is the Deployment of a color with a copy of each ConfigMap, and nothing of the other color.
func (a *app) wantColor(color string) {
	a.t.Helper()
	a.onlyThese("deployment.apps/plain-"+color, "service/plain")
	names := strings.Fields(a.get("configmaps", "-l", "idp/service=plain", "-o", "name"))
	copies := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasSuffix(name, "-"+color) })
	if len(names) != 24 || len(copies) != 12 {
		a.t.Errorf("there are %d ConfigMaps, %d of them %s: %v", len(names), len(copies), color, names)
	}
}

// What was put back stands for what it is a copy of, however often: there is nothing before the first release.
func TestClusterGoesBackNoFurtherThanThereIs(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.is(first, settings{deploy: "{manifests: k8s/plain}"})
	a.deploy().want(0)
	a.is(second, settings{deploy: "{manifests: k8s/bad-image}"})
	for range 2 {
		a.deploy().want(1, "ImagePullBackOff", "back on", "(healthy)")
	}
	a.run("rollback").wait(t).want(2, "there is no earlier release")
	a.wantHistory(map[string]string{"v1": "superseded", "v2": "failed", "v3": "superseded", "v4": "failed", "v5": "live"})
	a.serves(first, 2)
}
