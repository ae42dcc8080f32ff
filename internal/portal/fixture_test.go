package portal

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
)

// now is when the sites of the tests are made.
var now = time.Date(2026, time.November, 27, 9, 30, 0, 0, time.UTC)

// catalogue makes the files of a catalogue, as the stage catalog writes them.
type catalogue struct {
	index catalogfile.Index
	files fstest.MapFS
}

func newCatalogue() *catalogue {
	return &catalogue{index: catalogfile.Index{Schema: catalogfile.IndexSchema, Services: map[string]catalogfile.Service{}}, files: fstest.MapFS{}}
}

// sample is a service of a fixture.
type sample struct {
	name, description, owner, system string
	tier                             int
	slo, extra, spec                 string // extra goes into the entity's metadata, spec into its spec
}

func (c *catalogue) add(s sample) {
	c.index.Services[s.name] = catalogfile.Service{Name: s.name, Owner: s.owner, Tier: s.tier, System: s.system, Repository: "acme/" + s.name,
		Entity: "catalog/" + s.name + ".yaml", Environments: map[string]catalogfile.Environment{}}
	quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	text := fmt.Sprintf("apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: %s\n  description: %s\n  annotations:\n"+
		"    backstage.io/source-location: %s\n    github.com/project-slug: %s\n", quote(s.name), quote(s.description),
		quote("url:https://github.com/acme/"+s.name+"/"), quote("acme/"+s.name))
	if s.slo != "" {
		text += "    idp/slo-availability: " + quote(s.slo) + "\n"
	}
	text += s.extra + "spec:\n  type: service\n  lifecycle: production\n  owner: " + quote(s.owner) + "\n" + s.spec
	c.files["catalog/"+s.name+".yaml"] = &fstest.MapFile{Data: []byte(text)}
}

// deliver appends a line to the log and brings the index in line.
func (c *catalogue) deliver(l catalogfile.Line) {
	l.Schema = catalogfile.LineSchema
	s := c.index.Services[l.Service]
	e := s.Environments[l.Environment]
	l.Delivery = e.Latest.Delivery + 1
	l.Owner, l.Repository = s.Owner, s.Repository
	if e.Passed != nil {
		l.Previous = &record.Deployment{Commit: e.Passed.Commit, Digest: e.Passed.Digest}
	}
	if l.ID == "" {
		l.ID = fmt.Sprintf("%s-%s-%d", l.Service, l.Environment, l.Delivery)
	}
	run := catalogfile.Run{Delivery: l.Delivery, ID: l.ID, Time: l.Time, Commit: l.Commit, Digest: l.Digest, Outcome: l.Outcome}
	e.Latest = run
	if l.Outcome == record.Passed {
		e.Passed = &run
	}
	s.Environments[l.Environment] = e
	data, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	name := "deliveries/" + l.Service + "/" + l.Environment + "/" + l.Time.UTC().Format("2006-01") + ".jsonl"
	if c.files[name] == nil {
		c.files[name] = &fstest.MapFile{}
	}
	c.files[name].Data = append(append(c.files[name].Data, data...), '\n')
}

// fs gives the files, with the index.
func (c *catalogue) fs(t testing.TB) fs.FS {
	t.Helper()
	data, err := json.MarshalIndent(c.index, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	c.files["index.json"] = &fstest.MapFile{Data: data}
	return c.files
}

// write puts the catalogue into a folder.
func (c *catalogue) write(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "catalogue")
	if err := os.CopyFS(dir, c.fs(t)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// took is how long stages take, in milliseconds.
var took = map[string]int64{"sast": 8_100, "secrets": 1_300, "build": 21_000, "cost": 10, "sign": 2_200, "verify": 900, "deploy": 41_000, "smoke": 62_000, "events": 400}

// stages of a delivery that ended at one of them.
func stages(outcome record.Outcome, at string) []catalogfile.Stage {
	var list []catalogfile.Stage
	for _, name := range []string{"sast", "secrets", "build", "cost", "sign", "verify", "deploy", "smoke", "events"} {
		if name == at {
			return append(list, catalogfile.Stage{Name: name, Outcome: outcome, DurationMS: 2 * took[name]})
		}
		list = append(list, catalogfile.Stage{Name: name, Outcome: record.Passed, DurationMS: took[name]})
	}
	return list
}

// line is a delivery that passed; number makes commit and digest its own.
func line(service, environment string, number int, when time.Time) catalogfile.Line {
	sum := sha256.Sum256(fmt.Append(nil, service, number))
	digest, commit := fmt.Sprintf("sha256:%x", sum), fmt.Sprintf("%x", sum[12:])
	return catalogfile.Line{Service: service, Environment: environment, Time: when, Commit: commit,
		Image: "ghcr.io/acme/" + service + "@" + digest, Digest: digest, Outcome: record.Passed, Stages: stages(record.Passed, ""),
		Cost:  &catalogfile.Cost{Currency: "USD", Min: 11.4 + float64(number%5), Max: 34.2 + 2*float64(number%5)},
		Run:   &catalogfile.CIRun{ID: fmt.Sprint(9_000_000 + number), URL: fmt.Sprintf("https://github.com/acme/%s/actions/runs/%d", service, 9_000_000+number)},
		Suite: "v1.4.0", Signer: "https://github.com/acme/idp/.github/workflows/golden-path.yml@refs/tags/v1",
		Evidence: []string{"https://slsa.dev/provenance/v1", "https://cyclonedx.org/bom", "https://in-toto.io/attestation/test-result/v0.1"},
		Brings:   &catalogfile.Brings{Since: fmt.Sprintf("%040x", number), Commits: []catalogfile.Commit{{ID: fmt.Sprintf("%040x", number), Time: when.Add(-3 * time.Hour)}}}}
}

// failed makes a delivery one that ended at a stage.
func failed(l catalogfile.Line, outcome record.Outcome, at string, back bool) catalogfile.Line {
	l.Outcome, l.Stages, l.RolledBack = outcome, stages(outcome, at), back
	return l
}

// shop is a small organisation with some history: what the pictures show.
func shop() *catalogue {
	c := newCatalogue()
	for i, s := range []sample{
		{"checkout", "Takes a cart to a paid order: prices, taxes, payment, receipt.", "team-payments", "shop", 1, "99.95", links("checkout"), "  providesApis: [orders]\n  consumesApis: [payment-intents]\n  dependsOn: [component:fraud-scores, component:accounts, resource:checkout-db]\n"},
		{"payments", "Talks to card processors and banks, and keeps the ledger.", "team-payments", "shop", 1, "99.99", links("payments"), "  providesApis: [payment-intents]\n  dependsOn: [resource:ledger]\n"},
		{"invoices", "Writes invoices and sends them, once.", "team-payments", "billing", 2, "99.9", links("invoices"), "  consumesApis: [orders]\n"},
		{"catalogue-search", "Finds products by words, filters and pictures.", "team-discovery", "shop", 2, "99.9", links("catalogue-search"), ""},
		{"recommendations", "Says what goes well with what is in the cart.", "team-discovery", "shop", 3, "", "", ""},
		{"inventory", "Knows what is in which warehouse, and what is promised already.", "team-logistics", "warehouse", 1, "99.95", links("inventory"), "  providesApis: [stock]\n"},
		{"shipping", "Chooses carriers, prints labels, follows parcels.", "team-logistics", "warehouse", 2, "99.5", links("shipping"), "  consumesApis: [orders, stock]\n"},
		{"returns", "Takes things back and gives the money back.", "team-logistics", "warehouse", 3, "99", "", "  consumesApis: [orders]\n  dependsOn: [component:shipping]\n"},
		{"accounts", "Sign-in, addresses, consent.", "team-identity", "shop", 1, "99.99", links("accounts"), ""},
		{"notifications", "Mail, SMS and push, with quiet hours.", "team-identity", "shop", 3, "99", links("notifications"), ""},
		{"image-resizer", "Makes pictures small.", "team-discovery", "", 4, "", "", ""},
		{"fraud-scores", "Scores orders before they are paid.", "team-payments", "", 2, "99.9", "", ""},
	} {
		c.add(s)
		c.history(s.name, i)
	}
	c.things("shop", "orders", "payment-intents")
	c.things("warehouse", "stock")
	return c
}

// things are a system, its APIs with their definitions, and resources.
func (c *catalogue) things(system string, apis ...string) {
	text := fmt.Sprintf("kind: System\nmetadata: {name: %[1]s, description: What people see of the %[1]s.}\nspec: {owner: team-payments}\n", system)
	for _, name := range []string{"checkout-db", "ledger"} {
		if system == "shop" {
			text += fmt.Sprintf("---\nkind: Resource\nmetadata: {name: %s}\nspec: {type: postgres, owner: team-payments, system: shop}\n", name)
		}
	}
	for _, name := range apis {
		text += fmt.Sprintf("---\nkind: API\nmetadata: {name: %[1]s, description: Everything about %[1]s.}\nspec: {type: openapi, lifecycle: production, owner: team-payments, system: %[2]s, definition: {$text: ../../apis/%[1]s.yaml}}\n", name, system)
		c.files["apis/"+name+".yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, "openapi: 3.1.0\ninfo:\n  title: %[1]s\n  version: 1.4.0\npaths:\n  /%[1]s/{id}:\n    get:\n      parameters:\n        - {name: id, in: path, required: true, schema: {type: string}}\n      responses:\n        \"200\": {description: One of the %[1]s.}\n", name)}
	}
	c.files["catalog/systems/"+system+".yaml"] = &fstest.MapFile{Data: []byte(text)}
}

func links(name string) string {
	return fmt.Sprintf("  links:\n    - {url: https://runbooks.acme.example/%[1]s, title: Runbook, type: runbook}\n    - {url: https://grafana.acme.example/d/%[1]s, title: Golden signals, type: dashboard}\n", name)
}

// history of a service of the shop: regular deliveries, of which some fail, and an end that is its own.
func (c *catalogue) history(name string, i int) {
	n := 0
	for day := 175 - i*i; day > i%4; day -= 2 + (i*3+day)%7 {
		n++
		when := now.Add(-time.Duration(day)*24*time.Hour + time.Duration(n*37%500)*time.Minute)
		staging := line(name, "staging", n, when)
		switch {
		case n%9 == 4:
			c.deliver(failed(staging, record.Failed, "sast", false))
			continue
		case n%13 == 6:
			c.deliver(failed(staging, record.Error, "secrets", false))
			continue
		}
		hours := time.Duration(2+(n*n+i*5)%31+day/12) * time.Hour
		staging.Suite = []string{"v1.4.0", "v1.4.0", "v1.3.2", "v1.4.0", "v1.2.0"}[i%5]
		staging.Brings.Commits[0].Time = when.Add(-hours)
		if n == 1 {
			adopted := when.Add(-time.Duration(5+i*3) * time.Hour)
			staging.Adopted = &adopted
		}
		c.deliver(staging)
		if n%2 == 1 || i%3 == 0 {
			production := line(name, "production", n, when.Add(2*time.Hour))
			production.Suite, production.Brings.Commits[0].Time = staging.Suite, when.Add(-hours)
			production.Cost.Min, production.Cost.Max = production.Cost.Min*float64(2+i%4), production.Cost.Max*float64(2+i%4)
			changed := true
			switch production.Changed = &changed; {
			case n%11 == 5:
				production = failed(production, record.Failed, "smoke", true)
			case n%17 == 7:
				production = failed(production, record.Failed, "deploy", false)
			}
			c.deliver(production)
		}
	}
	last := line(name, "production", n+1, now.Add(-50*time.Minute))
	switch name {
	case "inventory":
		c.deliver(failed(last, record.Failed, "smoke", true))
	case "shipping":
		last.Suite = "v1.4.0"
		c.deliver(failed(last, record.Error, "deploy", false))
	case "invoices":
		c.deliver(failed(last, record.Failed, "sast", false))
	}
}
