//go:build e2e

package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

// unpublish deletes an image from the registry. Pods that run it go on.
func (a *app) unpublish(version string) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodDelete, "http://"+a.c.Registry+"/v2/plain/manifests/"+a.images[version].digest, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusAccepted {
		a.t.Fatalf("deleting the image: %s", res.Status)
	}
}

// Where the image of the old version is gone from the registry, a rollback keeps what still runs, and never says that the old
// version is back when its pods cannot start.
func TestClusterRollsBackToAnImageThatIsGone(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	const missing = "The registry does not have this image: check that it was pushed, under this name and digest, and not deleted since."
	s := settings{deploy: "{manifests: k8s/pulled}", more: "version: off\n"}
	write(t, filepath.Join(a.repo.dir, "k8s", "pulled", "all.yaml"), deployment(a.c.Registry, "", "imagePullPolicy: Always\n          envFrom: [{configMapRef: {name: c00}}]"))
	behave := func(how string) {
		write(t, filepath.Join(a.repo.dir, "k8s", "pulled", "c00.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c00}\ndata: {BEHAVE: "+how+"}\n")
	}
	behave("well")
	a.release(first, s).want(0)
	old := a.images[first]
	a.unpublish(first)

	// The pods of the old version were not replaced yet.
	behave("crash")
	a.release(second, s).want(1, "CrashLoopBackOff", "back on", "(healthy)")
	a.serves(first, 2)
	a.wantHistory(map[string]string{"v1": "superseded", "v2": "failed", "v3": "good"})

	// They were: nothing can bring them back, and those of the version that failed its smoke test are all that there is.
	behave("broken")
	bad := a.release(second, s, soon...).want(1, "500", "putting the old version back", "ImagePullBackOff", missing)
	if strings.Contains(bad.text, "back on") {
		t.Error("it says that the old version is back")
	}
	if d := bad.record.deploy(t); d.Restored != nil {
		t.Errorf("the evidence of deploy is %+v", d)
	}
	if pods := a.get("pods", "-o", `jsonpath={range .items[?(@.status.phase=="Running")]}{.spec.containers[0].image} {end}`); strings.Count(pods, a.images[second].digest) != 2 {
		t.Errorf("these pods run: %s", pods)
	}
	a.wantHistory(map[string]string{"v1": "superseded", "v2": "failed", "v3": "superseded", "v4": "failed", "v5": "failed"})
	a.wantFree()

	behave("well")
	a.release(second, s).want(0, "takes the place of a release that failed")
	a.serves(second, 2)

	// By hand: what is live stays live.
	back := a.run("rollback", "--to", "v1").wait(t).want(1, "release v1 did not become healthy again", "back on "+a.images[second].digest[7:11], "(healthy)", "ImagePullBackOff", missing)
	if !strings.Contains(string(back.record.stage(t, "rollback").Evidence), a.images[second].digest) || old.digest == a.images[second].digest {
		t.Errorf("the stage is %+v", back.record.stage(t, "rollback"))
	}
	a.serves(second, 2)
	a.wantFree()
}
