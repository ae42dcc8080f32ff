package portal

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

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
			"---\nkind: Resource\nmetadata: {name: orders-db}\nspec: {type: postgres, owner: team-payments, system: shop}\n",
		"catalog/systems/shop.yaml":         "kind: System\nmetadata: {name: shop, description: Where people buy., links: [{url: 'https://wiki.acme.example/shop', title: Overview}]}\nspec: {owner: team-payments}\n",
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
		"services/checkout.html": {`<h3>Provides</h3><ul><li><a href="../apis/default_2forders.html">Orders</a><span class="sub">openapi</span></li><li>gone<span class="sub">not in the catalogue</span>`,
			`<h3>Depends on</h3><ul><li>orders-db<span class="sub">postgres</span></li><li><a href="../services/payments.html">payments</a><span class="sub">team-payments</span></li></ul>`,
			`<h3>Used by</h3><ul><li><a href="../services/mobile.html">mobile</a><span class="sub">team-apps</span></li></ul>`, `<dt>System</dt><dd><a href="../systems/shop.html">shop</a>`},
		"services/payments.html": {`<h3>Used by</h3><ul><li><a href="../services/checkout.html">checkout</a>`},
		"services/mobile.html": {`<h3>Consumes</h3><ul><li><a href="../apis/default_2forders.html">Orders</a><span class="sub">openapi of <a href="../services/checkout.html">checkout</a></span></li>`,
			`<li>api:other/orders<span class="sub">not in the catalogue</span></li>`},
		"apis/default_2forders.html": {"Order things.", "<dt>Type</dt><dd>openapi</dd>", `<dt>Provided by</dt><dd><a href="../services/checkout.html">checkout</a></dd>`,
			`<dt>Consumed by</dt><dd><a href="../services/mobile.html">mobile</a></dd>`, "openapi: 3.1.0\ninfo:\n  title: &lt;/code&gt;&lt;script&gt;alert(1)&lt;/script&gt;\n"},
		"systems/shop.html": {"Where people buy.", `<a href="https://wiki.acme.example/shop" rel="noreferrer">Overview</a>`, "2 services", "checkout", "payments",
			`<h3>APIs</h3><ul><li><a href="../apis/default_2forders.html">Orders</a>`, `<h3>Resources</h3><ul><li>orders-db`},
		"teams/team-payments.html": {"We take the money."},
		"organisation.html":        {"1 system", `<a href="systems/shop.html">shop</a>`, `<a href="teams/team-payments.html">team-payments</a>`},
	} {
		page := read(t, site, filepath.FromSlash(file))
		for _, want := range says {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not say %s", file, want)
			}
		}
	}
	if files, _ := filepath.Glob(filepath.Join(site, "apis", "*")); len(files) != 1 {
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
