//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

const canary = "{strategy: canary, steps: [25, 50]}"

func TestClusterCanary(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	a.release(first, settings{deploy: canary, replicas: 4}).want(0)
	a.serves(first, 4)

	bad := a.release(second, settings{deploy: canary, replicas: 4, env: "BEHAVE: broken"}).want(1, "canary 25%", "500", "back on", "(healthy)")
	if d := bad.record.deploy(t); d.Restored == nil || d.Restored.Digest != a.images[first].digest {
		t.Errorf("the evidence is %+v", d)
	}
	a.onlyThese("deployment.apps/plain", "service/plain")
	a.serves(first, 4)
	crashed := a.release(second, settings{deploy: canary, replicas: 4, env: "BEHAVE: crash"}).want(1, "DATABASE_URL is not set", "back on")
	if s := crashed.record.stage(t, "smoke"); s.Outcome != "skipped" {
		t.Errorf("smoke is %+v", s)
	}
	a.onlyThese("deployment.apps/plain", "service/plain")
	a.serves(first, 4)

	good := a.release(second, settings{deploy: canary, replicas: 4}).want(0, "replaces")
	if d := good.record.deploy(t); d.Strategy != "canary" || !d.Changed {
		t.Errorf("the evidence is %+v", d)
	}
	a.onlyThese("deployment.apps/plain", "service/plain")
	a.serves(second, 4)
	a.wantFree()
}

func TestClusterBlueGreen(t *testing.T) {
	t.Parallel()
	a := newApp(t, cluster.Open(t))
	colors := settings{deploy: "{strategy: blue-green}"}
	a.release(first, colors).want(0)
	a.serves(first, 2)
	color := func() string { return a.get("service", "plain", "-o", "jsonpath={.spec.selector.idp/color}") }
	before := color()
	if before == "" {
		t.Fatal("the Service selects no color")
	}

	bad := colors
	bad.env = "BEHAVE: broken"
	failed := a.release(second, bad).want(1, "beside", "500", "back on", "(healthy)")
	if d := failed.record.deploy(t); d.Restored == nil || d.Restored.Digest != a.images[first].digest {
		t.Errorf("the evidence is %+v", d)
	}
	if got := color(); got != before {
		t.Errorf("the Service leads to %s, before to %s", got, before)
	}
	a.onlyThese("deployment.apps/plain-"+before, "service/plain")
	a.serves(first, 2)

	good := a.release(second, colors).want(0, "replaces")
	if d := good.record.deploy(t); d.Strategy != "blue-green" || !d.Changed {
		t.Errorf("the evidence is %+v", d)
	}
	after := color()
	if after == before || after == "" {
		t.Errorf("the Service leads to %q, before to %q", after, before)
	}
	a.onlyThese("deployment.apps/plain-"+after, "service/plain")
	a.serves(second, 2)
	a.wantFree()
}

// onlyThese holds that the service has these Deployments and Services, and no others.
func (a *app) onlyThese(want ...string) {
	a.t.Helper()
	if got := strings.Fields(a.get("deployments,services", "-o", "name")); strings.Join(got, " ") != strings.Join(want, " ") {
		a.t.Errorf("there are %q, want %q", got, want)
	}
}
