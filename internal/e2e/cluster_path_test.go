//go:build e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

// path walks the whole path with what the working tree has, which is committed first.
func (a *app) path(args ...string) outcome {
	a.t.Helper()
	return a.walk(args...).wait(a.t)
}

// walk is path without waiting for its end.
func (a *app) walk(args ...string) *running {
	a.t.Helper()
	if a.repo.git("status", "--porcelain") != "" {
		a.repo.commit()
	}
	args = append([]string{"path", "--registry", a.c.Registry + "/plain", "--key", filepath.Join(a.dir, "key.pem"), "--catalog", a.catalog()}, args...)
	return a.run(args...)
}

// catalog is the catalogue of the case.
func (a *app) catalog() string {
	a.t.Helper()
	dir := filepath.Join(filepath.Dir(a.repo.dir), "catalog.git")
	a.repo.git("init", "--quiet", "--bare", "--initial-branch", "main", dir) // again is no matter
	return dir
}

// soon lets a smoke test end that never passes. A round takes far less, but not where the machine stands still.
var soon = []string{"--timeout", "20s"}

// release walks the path with a version, whose commit comes after those before, unlike is.
func (a *app) release(version string, s settings, args ...string) outcome {
	a.t.Helper()
	a.version = version
	a.repo.git("checkout", "--quiet", a.images[version].commit, "--", "main.go")
	write(a.t, filepath.Join(a.repo.dir, "idp.yaml"), a.yaml(s))
	if !slices.Contains(args, "--timeout") {
		args = append(args, "--timeout", waits)
	}
	o := a.path(args...)
	made := a.images[version]
	made.digest, made.reference = o.record.Artifact.Digest, o.record.Artifact.Image+"@"+o.record.Artifact.Digest
	a.images[version] = made
	return o
}

// A version that is ready and wrong is found out by the smoke test, and everything of the old one comes back.
func TestClusterTakesBackWhatFailsItsSmokeTest(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	fromFiles := settings{deploy: "{manifests: k8s/two}", more: "version: off\n"} // which these files do not tell the service
	a.release(first, fromFiles).want(0, "deploy", "smoke", "catalog")
	a.wantHistory(map[string]string{"v1": "good"})
	a.serves(first, 2)

	write(t, filepath.Join(a.repo.dir, "k8s", "two", "c00.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c00}\ndata: {BEHAVE: broken}\n")
	write(t, filepath.Join(a.repo.dir, "k8s", "two", "c02.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c02}\ndata: {NEW: yes!}\n")
	bad := a.release(second, fromFiles, soon...).want(1, "smoke", "back on", "(healthy)", "500")
	if d := bad.record.deploy(t); d.Restored == nil || d.Restored.Digest != a.images[first].digest || d.Release != "v3" {
		t.Errorf("the evidence of deploy is %+v", d)
	}
	a.serves(first, 2)
	if got := a.get("configmap", "c00", "-o", "jsonpath={.data}"); got != `{"FOLDER":"two","NUMBER":"0"}` {
		t.Errorf("the ConfigMap has %s", got)
	}
	if got := a.get("configmap", "c02", "-o", "name"); got != "" {
		t.Error("what only the failed release had is still there")
	}
	a.wantHistory(map[string]string{"v1": "superseded", "v2": "failed", "v3": "good"})
	a.wantFree()
}

func TestClusterRollsBackByHand(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.is(first, settings{deploy: "{manifests: k8s/two}"})
	a.deploy().want(0)
	a.is(second, settings{deploy: "{manifests: k8s/fifteen}"})
	a.deploy().want(0)
	a.rules("  deploy: {prune-max: 20}\n")
	back := a.run("rollback").wait(t).want(0, "back on", "(healthy)", "v3")
	if s := back.record.stage(t, "rollback"); s.Outcome != "passed" || !strings.Contains(string(s.Evidence), a.images[first].digest) {
		t.Errorf("the stage is %+v, %s", s, s.Evidence)
	}
	a.serves(first, 2)
	if got := a.get("configmap", "c00", "-o", "jsonpath={.data.FOLDER}") + a.get("configmap", "c14", "-o", "name"); got != "two" {
		t.Errorf("the ConfigMaps are not those of before: %s", got)
	}
	a.wantHistory(map[string]string{"v1": "superseded", "v2": "rolled-back", "v3": "live"})

	a.run("rollback", "--to", "v2", "--catalog", a.catalog()).wait(t).want(0, "v4", "delivery 1")
	a.serves(second, 2)
	var line struct {
		Outcome, Digest, Commit string
		Previous                struct{ Digest string }
		Stages                  []struct{ Name string }
	}
	a.logged(&line)
	if line.Outcome != "passed" || line.Digest != a.images[second].digest || line.Commit != a.images[second].commit || line.Previous.Digest != a.images[first].digest ||
		len(line.Stages) != 2 || line.Stages[0].Name != "rollback" || line.Stages[1].Name != "attest" {
		t.Errorf("the catalogue has %+v", line)
	}
	a.run("rollback", "--to", "v9").wait(t).want(2, `there is no release "v9"`)
	a.run("rollback", "--to", "v4").wait(t).want(2, "is live already")
	a.serves(second, 2)
	a.wantFree()
}

// logged reads the newest line of the catalogue's log.
func (a *app) logged(line any) {
	a.t.Helper()
	catalog := &repository{a.t, a.catalog()}
	files := strings.Fields(catalog.git("ls-tree", "-r", "--name-only", "main", "deliveries/plain/staging/"))
	if len(files) == 0 {
		a.t.Fatal("the catalogue has no log")
	}
	lines := strings.Split(catalog.git("show", "main:"+files[len(files)-1]), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), line); err != nil {
		a.t.Fatal(err)
	}
}
