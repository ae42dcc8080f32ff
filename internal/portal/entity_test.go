package portal

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
)

// around is a system of three services, of which two use what the third provides.
func around() *catalogue {
	c := newCatalogue()
	c.add(sample{name: "checkout", owner: "team-payments", system: "shop", spec: "  system: shop\n  providesApis: [orders, gone]\n  dependsOn: ['resource:orders-db', 'component:default/payments']\n"})
	c.add(sample{name: "payments", owner: "team-payments", system: "system:default/shop", spec: "  dependsOn: [resource:orders-db]\n"})
	c.add(sample{name: "mobile", owner: "team-apps", spec: "  consumesApis: [Orders, api:other/orders]\n"})
	for name, text := range map[string]string{
		"catalog/apis.yaml": "kind: API\nmetadata: {name: orders, title: Orders, description: Order things.}\nspec: {type: openapi, lifecycle: production, owner: team-payments, system: shop, definition: {$text: ../apis/checkout/orders.yaml}}\n" +
			"---\nkind: API\nmetadata: {name: unused}\nspec: {type: grpc, lifecycle: production, owner: team-payments, definition: 'syntax = proto3'}\n" +
			"---\nkind: Resource\nmetadata: {name: orders-db}\nspec: {type: postgres, owner: team-payments, system: shop, dependencyOf: ['component:mobile', 'component:checkout']}\n" +
			"---\nkind: Resource\nmetadata: {name: disk}\nspec: {type: volume, owner: somebody, dependencyOf: ['resource:orders-db']}\n",
		"catalog/systems/shop.yaml":         "kind: System\nmetadata: {name: shop, description: Where people buy., links: [{url: 'https://wiki.acme.example/shop', title: Overview}]}\nspec: {owner: team-payments}\n",
		"catalog/systems/next.yaml":         "kind: System\nmetadata: {name: Next, description: Where people will buy.}\nspec: {owner: team-payments}\n---\nkind: System\nmetadata: {name: next, namespace: labs}\nspec: {owner: nobody}\n",
		"catalog/apis-next.yaml":            "kind: API\nmetadata: {name: baskets}\nspec: {type: openapi, lifecycle: experimental, owner: team-payments, system: Next, definition: x}\n",
		"catalog/groups/team-payments.yaml": "kind: Group\nmetadata: {name: team-payments, description: We take the money.}\nspec: {type: team, children: []}\n",
		"catalog/templates/new.yaml":        "kind: Template\nmetadata: {name: new}\nspec: {type: service, owner: team-apps, system: [of, another, form]}\n",
		"apis/checkout/orders.yaml":         "openapi: 3.1.0\ninfo:\n\ttitle: </code><script>alert(1)</script>\n",
	} {
		c.files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return c
}

// TestWhatAServiceWorksWith holds the pages of a system: who provides, who uses, and what is not there.
func TestWhatAServiceWorksWith(t *testing.T) {
	t.Parallel()
	site := made(t, around())
	for file, says := range map[string][]string{
		"services/checkout.html": {`<h3>Provides</h3><ul><li><a href="../apis/default_2forders.html">Orders</a><span class="sub">openapi API</span></li><li>gone<span class="sub">not in the catalogue</span>`,
			`<h3>Depends on</h3><ul><li><a href="../resources/default_2forders-db.html">orders-db</a><span class="sub">postgres resource</span></li><li><a href="../services/payments.html">payments</a><span class="sub">team-payments</span></li></ul>`,
			`<h3>Used by</h3><ul><li><a href="../services/mobile.html">mobile</a><span class="sub">team-apps</span></li></ul>`, `<dt>System</dt><dd><a href="../systems/shop.html">shop</a>`},
		"services/payments.html": {`<h3>Used by</h3><ul><li><a href="../services/checkout.html">checkout</a>`},
		"services/mobile.html": {`<h3>Consumes</h3><ul><li><a href="../apis/default_2forders.html">Orders</a><span class="sub">openapi API of <a href="../services/checkout.html">checkout</a></span></li>`,
			`<li>api:other/orders<span class="sub">not in the catalogue</span></li>`},
		"apis/default_2forders.html": {"Order things.", `<span class="kind">openapi API</span>`, `<dt>Owner</dt><dd><a href="../teams/team-payments.html">team-payments</a></dd>`, `<dt>System</dt><dd><a href="../systems/shop.html">shop</a></dd>`, `<dt>Provided by</dt><dd><a href="../services/checkout.html">checkout</a></dd>`,
			`Consumed by 1 service of 1 owner</h2>`, `<th scope="row"><a href="../services/mobile.html">mobile</a>`, "openapi: 3.1.0\ninfo:\n  title: &lt;/code&gt;&lt;script&gt;alert(1)&lt;/script&gt;\n"},
		"systems/shop.html": {"Where people buy.", `<a href="https://wiki.acme.example/shop" rel="noreferrer">Overview</a>`, "2 services", "checkout", "payments",
			`<h3>APIs</h3><ul><li><a href="../apis/default_2forders.html">Orders</a>`, `<h3>Resources</h3><ul><li><a href="../resources/default_2forders-db.html">orders-db</a>`,
			`<dt>Owner</dt><dd><a href="../teams/team-payments.html">team-payments</a></dd>`, "Delivery performance", "No deployment to production"},
		"systems/_4eext.html": {"Where people will buy.", "No service of the catalogue is part of it.", `<h3>APIs</h3><ul><li><a href="../apis/default_2fbaskets.html">baskets</a>`, `<dt>Cost a month</dt><dd><span class="muted">not known</span>`,
			`<dt>Owner</dt><dd><a href="../teams/team-payments.html">team-payments</a></dd>`},
		"systems/labs_2fnext.html":    {"<h1>labs/next</h1>", `<dt>Owner</dt><dd>nobody</dd>`},
		"apis/default_2fbaskets.html": {`<dt>System</dt><dd><a href="../systems/_4eext.html">Next</a></dd>`},
		"resources/default_2forders-db.html": {`<span class="kind">postgres resource</span>`, `<dt>Owner</dt><dd><a href="../teams/team-payments.html">team-payments</a></dd>`, "Depended on by 3 services of 2 owners</h2>",
			`<a href="../services/checkout.html">checkout</a>`, `<a href="../services/mobile.html">mobile</a>`, `<a href="../services/payments.html">payments</a>`,
			`<h3>Depends on</h3><ul><li><a href="../resources/default_2fdisk.html">disk</a>`},
		"resources/default_2fdisk.html": {`<dt>Owner</dt><dd>somebody</dd>`, "No service of the catalogue says so."},
		"apis/default_2funused.html":    {"grpc API", "No service of the catalogue says so.", `<dt>Provided by</dt><dd><span class="muted">not known</span></dd>`},
		"apis-and-resources.html": {"5 APIs and resources", `<a href="apis/default_2forders.html">Orders</a><span class="sub">Order things.</span></th><td>openapi API</td>`,
			`<a href="resources/default_2forders-db.html">orders-db</a>`, "<td>3 services</td>", `<td><span class="muted">nobody</span></td>`},
		"teams/team-payments.html": {"We take the money."},
		"organisation.html":        {"3 systems", `<a href="systems/shop.html">shop</a>`, `<a href="systems/labs_2fnext.html">labs/next</a>`, `<a href="teams/team-payments.html">team-payments</a>`},
	} {
		page := read(t, site, filepath.FromSlash(file))
		for _, want := range says {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not say %s", file, want)
			}
		}
	}
	if files, _ := filepath.Glob(filepath.Join(site, "apis", "*")); len(files) != 3 {
		t.Errorf("pages of APIs: %v", files)
	}
	if page := read(t, made(t, one()), "services", "checkout.html"); strings.Contains(page, "What it works with") {
		t.Error("a service that works with nothing is said to work with something")
	}
}

// TestDefinitions holds where the definition of an API is taken from, and that nothing outside of the catalogue is.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ definition, says string }{
		"in the entity":    {"{definition: 'syntax = proto3'}", "syntax = proto3"},
		"elsewhere":        {"{definition: {$text: 'https://acme.example/orders.yaml'}}", `<a href="https://acme.example/orders.yaml"`},
		"no link":          {"{definition: {$text: 'javascript:alert(1)'}}", "The catalogue does not have it."},
		"out of it":        {"{definition: {$text: ../../../../etc/passwd}}", "The catalogue does not have it."},
		"gone":             {"{definition: {$text: ./gone.yaml}}", "The catalogue does not have it."},
		"of another form":  {"{definition: [1, 2]}", "The catalogue does not have it."},
		"none":             {"{type: grpc}", "The catalogue does not have it."},
		"a relative place": {"{definition: {$text: here.proto}}", "here it is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCatalogue()
			c.add(sample{name: "checkout", owner: "team-payments", spec: "  providesApis: [orders]\n"})
			c.files["catalog/orders.yaml"] = &fstest.MapFile{Data: []byte("kind: API\nmetadata: {name: orders}\nspec: " + tt.definition + "\n")}
			c.files["catalog/here.proto"] = &fstest.MapFile{Data: []byte("here it is")}
			if page := read(t, made(t, c), "apis", "default_2forders.html"); !strings.Contains(page, tt.says) {
				t.Errorf("the page does not say %q", tt.says)
			}
		})
	}
	c := around()
	c.files["apis/checkout/orders.yaml"].Data = make([]byte, maxDefinition+1)
	if _, err := Run(t.Context(), Inputs{Catalog: c.write(t), Out: filepath.Join(t.TempDir(), "site")}, deps); err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "orders.yaml") {
		t.Errorf("a definition that cannot be read whole: %v", err)
	}
}

// TestThingsArePaged holds that no API is missing from the list, however many there are.
func TestThingsArePaged(t *testing.T) {
	t.Parallel()
	c := one()
	var all strings.Builder
	for i := range 2*thingsOnPage + 1 {
		fmt.Fprintf(&all, "---\nkind: API\nmetadata: {name: api-%04d}\nspec: {type: openapi, owner: team-payments}\n", i)
	}
	c.files["catalog/apis.yaml"] = &fstest.MapFile{Data: []byte(all.String())}
	site := made(t, c)
	listed := 0
	for file, says := range map[string][]string{
		"apis-and-resources.html":   {"1–500 of 1,001 APIs and resources", `<a class="turn" href="apis-and-resources-2.html">Next</a>`},
		"apis-and-resources-2.html": {"501–1,000 of 1,001 APIs and resources", `<a class="turn" href="apis-and-resources.html">Previous</a>`, `<a class="turn" href="apis-and-resources-3.html">Next</a>`},
		"apis-and-resources-3.html": {"1,001–1,001 of 1,001 APIs and resources", `<a class="turn" href="apis-and-resources-2.html">Previous</a>`, "api-1000"},
	} {
		page := read(t, site, file)
		listed += strings.Count(page, `<th scope="row"><a href="apis/`)
		for _, want := range says {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not say %s", file, want)
			}
		}
	}
	if listed != 2*thingsOnPage+1 {
		t.Errorf("%d are listed", listed)
	}
	if page := read(t, made(t, one()), "apis-and-resources.html"); !strings.Contains(page, "The catalogue has none.") {
		t.Error("a catalogue without APIs does not say so")
	}
}

// TestSystemHasFigures holds what a system delivers and costs, and that owners who are written in two ways are one.
func TestSystemHasFigures(t *testing.T) {
	t.Parallel()
	c := newCatalogue()
	for i, s := range []sample{{name: "a", owner: "group:default/team-a", system: "shop"}, {name: "b", owner: "team-a", system: "system:shop"}, {name: "c", owner: "user:default/jane", system: "shop"}, {name: "d", owner: "team-a"}} {
		c.add(s)
		for day := range 3 {
			l := line(s.name, "production", day, now.AddDate(0, 0, -20+day))
			l.Cost = &catalogfile.Cost{Currency: "USD", Min: 10, Max: 20}
			if i == 2 {
				l.Cost = nil
			}
			c.deliver(l)
		}
	}
	site := made(t, c)
	// Nine deployments in the 21 days from 7 to 27 November, both included: three a week.
	for file, says := range map[string][]string{
		"systems/shop.html": {"3.0 a week", "9 deployments in 21 days", "<dt>Cost a month</dt><dd>$20.00–$40.00<span class=\"sub\">without 1 service</span>", "Estimated cost a month",
			`<th scope="row">Nov</th><td class="number">9</td>`, `<th scope="row">Oct</th><td class="number"><span class="muted">not known</span>`}, // there was no log
		"teams/team-a.html":       {"3 services", "9 deployments in 21 days", "$30.00–$60.00</dd>"},
		"teams/user_3ajane.html":  {"<h1>jane</h1>", "person", "1 service", "3 deployments in 21 days", `<dt>Cost a month</dt><dd><span class="muted">not known</span></dd>`},
		"organisation.html":       {"1 team and 1 person", `<a href="teams/user_3ajane.html">jane (person)</a>`, `<a href="systems/shop.html">shop</a></th><td class="owner"><a href="teams/team-a.html">team-a</a>, <a href="teams/user_3ajane.html">jane (person)</a></td>`},
		"services/c.html":         {`<dt>Owner</dt><dd><a href="../teams/user_3ajane.html">jane (person)</a></dd>`},
		"services/a.html":         {`<dt>Owner</dt><dd><a href="../teams/team-a.html">team-a</a></dd>`, `<a href="../systems/shop.html">shop</a>`},
		"assets/services.js":      {`"jane (person)"`},
		"apis-and-resources.html": {"The catalogue has none."},
	} {
		page := read(t, site, filepath.FromSlash(file))
		for _, want := range says {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not say %s", file, want)
			}
		}
	}
}

// TestManyUsers holds that the page of what everybody needs can still be opened, and leaves nobody out.
func TestManyUsers(t *testing.T) {
	t.Parallel()
	const all = 1000
	c := newCatalogue()
	for i := range all {
		name := fmt.Sprintf("service-%04d", i)
		c.add(sample{name: name, owner: "team-a", system: "shop", spec: "  consumesApis: [orders]\n"})
		c.deliver(line(name, "production", i, now.Add(-time.Hour)))
	}
	c.files["catalog/orders.yaml"] = &fstest.MapFile{Data: []byte("kind: API\nmetadata: {name: orders}\nspec: {type: openapi, owner: team-a}\n")}
	site := made(t, c)
	for _, file := range []string{"apis/default_2forders.html", "teams/team-a.html", "systems/shop.html"} {
		page := read(t, site, filepath.FromSlash(file))
		if rows, links := strings.Count(page, `<th scope="row"><a href="../services/`), strings.Count(page, `<a href="../services/`); rows != rowsOnPage || links != all || len(page) > 300_000 || !strings.Contains(page, "And 900 services more") {
			t.Errorf("%s has %d rows, %d services in %d bytes", file, rows, links, len(page))
		}
	}
}
