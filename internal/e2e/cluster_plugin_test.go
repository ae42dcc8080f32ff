//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/testkit/cluster"
)

// A login of a cloud gives credentials that end while a rollout is waited for: they are asked for again, and nothing else is noticed.
func TestClusterRenewsWhatAPluginGives(t *testing.T) {
	t.Parallel()
	c := cluster.Own(t)
	sharedBench(t, c)
	const ttl = 8 * time.Second
	slow := func(seconds int) string {
		return strings.Replace(deployment(c.Registry, "", ""), "port: 8080}, periodSeconds", fmt.Sprintf("port: 8080}, initialDelaySeconds: %d, periodSeconds", seconds), 1)
	}
	for name, tc := range map[string]struct {
		version      string
		certificates bool
	}{"tokens v1": {"v1", false}, "tokens v1beta1": {"v1beta1", false}, "certificates v1": {"v1", true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, c)
			write(t, filepath.Join(a.repo.dir, "k8s", "slow", "all.yaml"), slow(12)) // longer than the credentials last
			a.is(first, settings{deploy: "{manifests: k8s/slow}"})
			_ = a.allow()
			p := c.NewPlugin(t, a.ns, "idp-plain", tc.version, ttl, tc.certificates)
			a.kubeconfig = p.Kubeconfig
			a.deploy().want(0, "first release")
			asked := p.Asked()
			if len(asked) < 2 {
				t.Errorf("it was asked %d times", len(asked))
			}
			for _, info := range asked {
				spec, _ := info["spec"].(map[string]any)
				of, _ := spec["cluster"].(map[string]any)
				if info["apiVersion"] != "client.authentication.k8s.io/"+tc.version || spec["interactive"] != false || of["server"] == nil || fmt.Sprint(of["config"]) != "map[region:north]" {
					t.Errorf("it was told %v", info)
				}
			}
			a.serves(first, 2)
			a.wantFree()
		})
	}
	t.Run("until the session ends", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, c)
		write(t, filepath.Join(a.repo.dir, "k8s", "slow", "all.yaml"), slow(50))
		a.is(first, settings{deploy: "{manifests: k8s/slow}"})
		_ = a.allow()
		p := c.NewPlugin(t, a.ns, "idp-plain", "v1", ttl, false)
		a.kubeconfig = p.Kubeconfig
		r := a.start()
		a.until(r, "the rollout", func() bool { return a.get("deployment", "plain", "-o", "name") != "" })
		p.End()
		r.wait(t).want(3, "the login that the kubeconfig names gives no credentials", "log in to the cluster again")
		a.wantHistory(map[string]string{"v1": "pending"})

		a.kubeconfig = c.Kubeconfig
		a.is(second, settings{deploy: "{manifests: k8s/plain}"})
		if d := a.deploy().want(0).record.deploy(t); len(d.Healed) != 1 {
			t.Errorf("it says that it healed %q", d.Healed)
		}
		a.serves(second, 2)
	})
}
