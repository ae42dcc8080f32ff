//go:build e2e

package portal

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

type plan map[string]any

// browse does the steps in a browser. `make e2e-portal` installs what it needs.
func browse(t *testing.T, steps ...plan) {
	t.Helper()
	browseWith(t, "IDP_E2E_BROWSER", "chromium", steps...)
}

func browseWith(t *testing.T, variable, name string, steps ...plan) {
	t.Helper()
	dir, browser := os.Getenv("IDP_E2E_PORTAL"), os.Getenv(variable)
	if dir == "" || browser == "" {
		t.Fatalf("IDP_E2E_PORTAL and %s are not set: run make e2e-portal", variable)
	}
	data, err := json.Marshal(plan{"now": now.Add(time.Hour).UnixMilli(), "browser": name, "steps": steps})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "node", filepath.Join(dir, "portal.mjs"), browser, file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%.20000s", err, out)
	}
	t.Logf("%s", out)
}

// pictures is the folder for them.
func pictures(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("IDP_E2E_SCREENSHOTS")
	if folder == "" {
		t.Fatal("IDP_E2E_SCREENSHOTS is not set: run make e2e-portal")
	}
	return folder
}

// TestPortalInABrowser opens every kind of page, light and dark, on a desktop and a phone, holds it against axe-core, and keeps
// pictures.
func TestPortalInABrowser(t *testing.T) {
	site, folder := made(t, shop()), pictures(t)
	pages := map[string]string{"services": "index.html", "service": "services/checkout.html", "service-unsure": "services/shipping.html", "service-held-back": "services/inventory.html",
		"organisation": "organisation.html", "adoption": "adoption.html", "team": "teams/team-payments.html", "found": "index.html#q=team-payments&tier=1"}
	browse(t, plan{"do": "look", "site": site, "pages": pages, "folder": folder},
		plan{"do": "plain", "site": site, "pages": map[string]string{"services": "index.html", "service": "services/checkout.html"}, "folder": folder})
	for name := range pages {
		for _, look := range []string{"desktop-light", "desktop-dark", "phone-light", "phone-dark"} {
			if info, err := os.Stat(filepath.Join(folder, name+"-"+look+".png")); err != nil || info.Size() < 5000 {
				t.Errorf("no picture of %s, %s: %v", name, look, err)
			}
		}
	}
}

// TestPortalOfACompany looks at what a platform team of forty services has on a Monday, with what was charged.
func TestPortalOfACompany(t *testing.T) {
	c, actual := company(t)
	site, folder := filepath.Join(t.TempDir(), "site"), pictures(t)
	if _, err := Run(t.Context(), Inputs{Catalog: c.write(t), Actual: actual, Out: site}, deps); err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{"company-services": "index.html", "company-service": "services/cart.html", "company-held-back": "services/wishlists.html", "company-unsure": "services/stock-forecasts.html", "company-regions": "services/inventory.html",
		"company-long": "services/carrier-contracts-and-surcharge-calculation-service.html", "company-new": "services/search-indexer.html", "company-organisation": "organisation.html",
		"company-system": "systems/payments.html", "company-api": "apis/default_2fpayments-api.html", "company-team": "teams/team-logistics.html", "company-person": "teams/user_3ajane.html",
		"company-things": "apis-and-resources.html", "company-resource": "resources/default_2fcheckout-db.html", "company-adoption": "adoption.html"}
	browse(t, plan{"do": "look", "site": site, "pages": pages, "folder": folder},
		plan{"do": "plain", "site": site, "pages": map[string]string{"company-service": "services/cart.html", "company-organisation": "organisation.html", "company-services": "index.html"}, "folder": folder},
		plan{"do": "find", "site": site, "total": fmt.Sprintf("%d services", len(c.index.Services)), "searches": []plan{{"q": "parcels", "count": "1 service", "first": "parcel-tracking"}}})
}

// TestPortalIsSearched holds search, filters and paging, and that the rows which the script writes are those of the page.
func TestPortalIsSearched(t *testing.T) {
	browse(t, plan{"do": "find", "site": made(t, shop()), "total": "12 services", "unread": "4 services", "searches": []plan{
		{"q": "ledger", "count": "1 service", "first": "payments"},
		{"q": "TEAM-PAYMENTS order", "count": "2 services", "first": "checkout"},
		{"q": "warehouse", "count": "3 services", "first": "inventory"},
		{"q": "no such thing", "count": "No service is like that.", "first": nil},
	}})
}

// TestPortalOnTheWeb walks the site as GitHub Pages serves it, below a path: every page and every file of it is found from where it is.
func TestPortalOnTheWeb(t *testing.T) {
	for name, c := range map[string]*catalogue{"shop": shop(), "hostile": hostileCatalogue(func(i int) string { return hostile[i%len(hostile)] })} {
		site := made(t, c)
		var names []string
		for _, pattern := range []string{"*.html", "*/*.html"} {
			files, err := filepath.Glob(filepath.Join(site, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				name, err := filepath.Rel(site, f)
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, filepath.ToSlash(name))
			}
		}
		steps := []plan{{"do": "walk", "site": site, "pages": names}}
		if name == "shop" {
			steps = append(steps, plan{"do": "find", "site": site, "web": true, "total": "12 services", "searches": []plan{{"q": "ledger", "count": "1 service", "first": "payments"}}},
				plan{"do": "turn", "site": made(t, many(120)), "web": true, "second": "51–100 of 120 services", "state": "kept", "count": "2 services"})
		}
		browse(t, steps...)
	}
}

// TestPortalInFirefox does the main things in another browser, from a folder and from a web server.
func TestPortalInFirefox(t *testing.T) {
	site, folder := made(t, shop()), pictures(t)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, web := range []bool{false, true} {
		browseWith(t, "IDP_E2E_FIREFOX", "firefox", plan{"do": "visit", "site": site, "web": web, "q": "ledger", "first": "payments", "owner": "team-payments", "owned": "4 services", "folder": folder})
	}
}

// TestPortalOfTenThousand is the first view of a large catalogue, and what is found in it.
func TestPortalOfTenThousand(t *testing.T) {
	c := many(10_000)
	dir := c.write(t)
	out := filepath.Join(t.TempDir(), "site")
	begun := time.Now()
	if _, err := Run(t.Context(), Inputs{Catalog: dir, Out: out}, deps); err != nil {
		t.Fatal(err)
	}
	t.Logf("10,000 services written in %s", time.Since(begun).Round(10*time.Millisecond))
	browse(t, plan{"do": "measure", "site": out, "page": "index.html", "limit": 300_000},
		plan{"do": "measure", "site": out, "page": "services/service-00042.html", "limit": 300_000},
		plan{"do": "find", "site": out, "total": "1–50 of 10,000 services", "searches": []plan{
			{"q": "service-07777", "count": "1 service", "first": "service-07777"},
			{"q": "team-013", "count": "50 services", "first": "service-00013"},
		}},
		plan{"do": "turn", "site": out, "second": "51–100 of 10,000 services", "state": "kept", "count": "1–50 of 100 services"})
}

// TestHostilePortalInABrowser opens pages that are full of strings which would do something if they were not texts.
func TestHostilePortalInABrowser(t *testing.T) {
	site := made(t, hostileCatalogue(func(i int) string { return hostile[i%len(hostile)] }))
	pages := map[string]string{"services": "index.html", "organisation": "organisation.html", "adoption": "adoption.html"}
	files, err := filepath.Glob(filepath.Join(site, "*", "*.html"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d pages: %v", len(files), err)
	}
	for i, f := range files {
		name, err := filepath.Rel(site, f)
		if err != nil {
			t.Fatal(err)
		}
		if i%9 == 0 { // the structure of every page is held by TestHostileTextsAreOnlyTexts
			pages[fmt.Sprint(i)] = filepath.ToSlash(name)
		}
	}
	browse(t, plan{"do": "look", "site": site, "pages": pages, "folder": t.TempDir(), "schemes": []string{"light"}},
		plan{"do": "find", "site": site, "total": fmt.Sprintf("%d services", len(hostile)), "searches": []plan{}})
}
