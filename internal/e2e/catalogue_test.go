//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"
)

// newCatalogue makes a repository that is a catalogue of one service.
func newCatalogue(t *testing.T) *repository {
	t.Helper()
	r := newRepository(t)
	now := time.Now().UTC()
	run := fmt.Sprintf(`"delivery":1,"id":"a","time":%q,"commit":"4f1c2ab","digest":"sha256:9d0c","outcome":"passed"`, now.Format(time.RFC3339))
	r.add("index.json", `{"schema":"idp.catalog/v1","services":{"checkout":{"name":"checkout","owner":"team-payments","repository":"acme/checkout",`+
		`"entity":"catalog/checkout.yaml","environments":{"staging":{"latest":{`+run+`}}}}}}`)
	r.add("catalog/checkout.yaml", `apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: checkout
  links: [{url: 'https://wiki.example.com/checkout', title: Runbook, type: runbook}]
spec:
  type: service
  lifecycle: production
  owner: team-payments
`)
	r.add("catalog/groups/team-payments.yaml", "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: team-payments}\nspec: {type: team, children: []}\n")
	r.add("deliveries/checkout/staging/"+now.Format("2006-01")+".jsonl",
		`{"schema":"idp.delivery-line/v1","service":"checkout","environment":"staging",`+run+"}\n")
	return r
}

func catalogueIsWhole(t *testing.T) {
	r := newCatalogue(t)
	got := r.run(call{workflow: "catalog-check.yml", event: "merge_group"})
	got.jobs(true, map[string][]string{"check": success})
	contains(t, "log", got.text(nil), "1 service, 2 entities: 0 problems, 1 warning")
	contains(t, "summary", got.onlySummary(), "| sla | every service has an availability objective | 0 | 1 |")
}

func catalogueIsNot(t *testing.T) {
	r := newCatalogue(t)
	r.change("catalog/checkout.yaml", "owner: team-payments", "owner: team-payments\n  dependsOn: [component:cart]")
	got := r.run(call{workflow: "catalog-check.yml", event: "merge_group"})
	got.jobs(false, map[string][]string{"check": failure})
	contains(t, "annotations", got.annotations(), "catalog/checkout.yaml", "dependsOn names component:default/cart, which the catalogue does not have")
}
