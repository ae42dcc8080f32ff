//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	contains(t, "warnings", got.notes("warning"), "title=catalogue: sla", "file=catalog/checkout.yaml", "line=1", "checkout has no availability objective; add sla to its idp.yaml")
	if n := strings.Count(got.notes("warning"), "\n"); n != 1 {
		t.Errorf("%d warnings, want 1", n)
	}
	if errors := got.annotations(); errors != "" {
		t.Errorf("errors of a catalogue that is whole:\n%s", errors)
	}
	contains(t, "summary", got.onlySummary(), "| sla | every service has an availability objective | 0 | 1 |")
}

func catalogueIsNot(t *testing.T) {
	r := newCatalogue(t)
	r.change("catalog/checkout.yaml", "owner: team-payments", "owner: team-payments\n  dependsOn: [component:cart]")
	got := r.run(call{workflow: "catalog-check.yml", event: "merge_group"})
	got.jobs(false, map[string][]string{"check": failure})
	contains(t, "annotations", got.annotations(), "catalog/checkout.yaml", "dependsOn names component:default/cart, which the catalogue does not have")
}

// onPages is the workflow that shows a catalogue, with stand-ins for the three actions that only GitHub can carry out; site is
// where the last of them puts what it was given.
func (r *repository) onPages() (c call, site string) {
	r.t.Helper()
	site = filepath.Join(r.t.TempDir(), "pages")
	c = call{workflow: "portal.yml", env: map[string]string{"IDP_E2E_PAGES": site}, actions: map[string]string{}}
	for _, name := range []string{"configure-pages", "upload-pages-artifact", "deploy-pages"} {
		folder, err := filepath.Abs(inRepo("testdata", "e2e", "pages", name))
		if err != nil {
			r.t.Fatal(err)
		}
		pinned := regexp.MustCompile(`actions/` + name + `@[0-9a-f]{40}`).FindString(r.read(".github/workflows/portal.yml"))
		if pinned == "" {
			r.t.Fatalf("the workflow does not pin actions/%s to a commit", name)
		}
		c.actions[pinned] = folder
	}
	return c, site
}

func portalIsShown(t *testing.T) {
	r := newCatalogue(t)
	c, site := r.onPages()
	for _, event := range []string{"push", "workflow_dispatch"} {
		if err := os.RemoveAll(site); err != nil {
			t.Fatal(err)
		}
		c.event = event
		got := r.run(c)
		got.jobs(true, map[string][]string{"portal": success})
		got.outputs("portal", map[string]string{"path": "portal", "services": "1"})
		contains(t, "summary", got.onlySummary(), "## Portal: 1 service of 1 team, 6 pages", "| ✓ last delivery passed | 1 |")
		contains(t, "log", got.text(nil), "portal: portal/index.html (services: 1, pages: 6)")
		for file, want := range map[string]string{"index.html": "checkout", "services/checkout.html": "What runs where", "teams/team-payments.html": "checkout",
			"organisation.html": "team-payments", "adoption.html": "Adoption", "assets/portal.css": "light-dark(", "assets/portal.js": "services.js", "assets/services.js": "checkout"} {
			data, err := os.ReadFile(filepath.Join(site, filepath.FromSlash(file)))
			if err != nil || !strings.Contains(string(data), want) {
				t.Errorf("%s: %s is not on the site, or has no %q: %v", event, file, want, err)
			}
		}
	}
	if diff := cmp.Diff(map[string]string{"contents": "read", "pages": "write", "id-token": "write"}, permissionsOf(t, r, "portal.yml")); diff != "" {
		t.Error(diff)
	}
}

// leftAlone holds that a run failed with these words, and that nothing reached Pages.
func (r *repository) leftAlone(words string) {
	r.t.Helper()
	c, site := r.onPages()
	got := r.run(c)
	got.jobs(false, map[string][]string{"portal": failure})
	contains(r.t, "annotations", got.annotations(), words)
	got.outputs("portal", map[string]string{"path": "", "services": ""})
	if _, err := os.Stat(site); !os.IsNotExist(err) || len(got.summaries()) > 0 {
		r.t.Errorf("something was shown: %v, summaries %q", err, got.summaries())
	}
}

func portalUnreadable(t *testing.T) {
	r := newCatalogue(t)
	r.add("deliveries/checkout/staging/2026-01.jsonl", "{\"schema\":\n")
	r.leftAlone("deliveries/checkout/staging/2026-01.jsonl: line 1")
}

func portalEmpty(t *testing.T) {
	r := newRepository(t)
	r.add("index.json", `{"schema":"idp.catalog/v1","services":{}}`)
	r.leftAlone("has no service, so there is nothing to show")
}
