//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/cluster"
)

func TestClusterDeploys(t *testing.T) {
	t.Parallel()
	c := cluster.Open(t)
	a := newApp(t, c)

	one := a.deploy().want(0, "deploy", "first release", "4 created", "healthy after")
	if d := one.record.deploy(t); !d.Changed || d.Release != "v1" || d.Strategy != "rolling" || d.Replaced != nil || d.Digest != a.images[first].digest {
		t.Errorf("the first deploy is %+v", d)
	}
	a.serves(first, 2)
	a.wantHistory(map[string]string{"v1": "live"})
	a.wantFree()

	// All but what controllers write of it whenever they look: its status, and the version of the object that tells of that.
	const ours = `jsonpath={.metadata.uid} {.metadata.generation} {.metadata.labels} {.metadata.annotations} {.spec} {.metadata.managedFields[?(@.manager=="idp")]}`
	before := a.get("deployment", "plain", "--show-managed-fields", "-o", ours)
	if !strings.Contains(before, `"operation":"Apply"`) {
		t.Errorf("who set what is not told: %s", before)
	}
	again := a.deploy().want(0, "already live, nothing changed")
	if d := again.record.deploy(t); d.Changed || d.Release != "v1" {
		t.Errorf("the same again is %+v", d)
	}
	if after := a.get("deployment", "plain", "--show-managed-fields", "-o", ours); after != before {
		t.Errorf("nothing was to change: %s, then %s", before, after)
	}
	a.wantHistory(map[string]string{"v1": "live"})

	a.is(second, settings{})
	upgrade := a.deploy().want(0, "replaces", "4 updated")
	if d := upgrade.record.deploy(t); !d.Changed || d.Release != "v2" || d.Replaced == nil || d.Replaced.Digest != a.images[first].digest {
		t.Errorf("the upgrade is %+v", d)
	}
	a.serves(second, 2)
	a.wantHistory(map[string]string{"v1": "superseded", "v2": "live"})
	a.wantFree()
}
