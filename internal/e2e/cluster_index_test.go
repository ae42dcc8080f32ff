//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	gcr "github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/testkit/cluster"
)

// An index of two platforms is deployed by its own digest: the node takes the image of its platform, what is live is known by the
// index, and going back to it says so on the index.
func TestClusterDeploysAnIndex(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	files := settings{deploy: "{manifests: k8s/two}", more: "version: off\n"} // which these files do not tell the service
	a.release(first, files, "--platform", "linux/amd64,linux/arm64").want(0, "for 2 platforms", "healthy")
	ref, err := name.NewDigest(a.images[first].reference, name.Insecure)
	check(t, err)
	served, err := gcr.Get(ref)
	check(t, err)
	if !served.MediaType.IsIndex() {
		t.Fatalf("what was deployed is %s", served.MediaType)
	}
	a.serves(first, 2)
	if got := a.get("deployment", "plain", "-o", "jsonpath={.spec.template.spec.containers[0].image}"); got != a.images[first].reference {
		t.Errorf("the Deployment has image %s, want %s", got, a.images[first].reference)
	}
	a.release(second, files).want(0)
	a.serves(second, 2)
	back := a.run("rollback", "--key", a.dir+"/key.pem").wait(t).want(0, "back on", "(healthy)", "deployment → "+a.c.Registry)
	if s := back.record.stage(t, "attest"); !strings.Contains(string(s.Evidence), a.images[first].digest) {
		t.Errorf("said of another image: %s", s.Evidence)
	}
	a.serves(first, 2)
	a.wantFree()
}
