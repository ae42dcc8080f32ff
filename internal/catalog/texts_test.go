package catalog

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/gitstore"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
	cataloguetest "github.com/org/idp/internal/testkit/catalogue"
)

// estimated is a row as the stage cost makes it.
func estimated(svc *service.Service) func(time.Time) ([]byte, error) {
	return func(time.Time) ([]byte, error) {
		var b bytes.Buffer
		const from, to = "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"
		err := catalogfile.WriteCosts(&b, []catalogfile.CostRow{{BilledCost: "0", BillingCurrency: "USD", BillingPeriodStart: from, BillingPeriodEnd: to,
			ChargeCategory: "Usage", ChargeDescription: "Estimate of requested CPU", ChargePeriodStart: from, ChargePeriodEnd: to, ListCost: "6.922809",
			ListUnitPrice: "0.031611", PricingQuantity: "219", PricingUnit: "Core-Hours", ResourceName: "Deployment web/app", ServiceCategory: "Compute",
			ServiceName: svc.Name, Tags: catalogfile.CostTags{Service: svc.Name, Team: svc.Owner, Environment: "staging"}, Estimate: true,
			ListCostMin: "2.307603", Prices: "opencost-defaults 2026-11-23"}})
		return b.Bytes(), err
	}
}

// published is a catalogue with every kind of delivery.
func published(t *testing.T) string {
	t.Helper()
	url, dir := bare(t), filepath.Join(t.TempDir(), "catalog")
	least := &service.Service{Name: "least", Owner: "user:ann"}
	for i, change := range []func(*Inputs){
		func(in *Inputs) {
			in.Service, in.Suite, in.Adopted = least, "v1.2.3", time.Unix(1, 0)
			in.Record = delivered(t, least, "1", commitA, digestA, record.Passed)
		},
		func(in *Inputs) { in.Record.Run = record.Run{} },
		func(in *Inputs) {
			in.Record = record.New(in.Record.Service, in.Record.Source, record.Run{ID: "7"}, "production") // it came to nothing
			in.Record.Put(record.Stage{Name: record.StageSecrets, Outcome: record.Error, Reason: "no git"})
		},
		func(in *Inputs) {
			in.Record.Previous = &record.Deployment{Digest: digestA, Commit: commitA}
			in.Brings = &catalogfile.Brings{Since: commitA, Commits: []catalogfile.Commit{{ID: commitA, Time: time.Unix(2, 0)}}, More: 3}
			in.CI = &catalogfile.CI{Minutes: 2, Runner: "linux", Currency: "USD", Amount: 0.012, Prices: "GitHub 2026-01"}
			in.Costs = estimated(in.Service)
		},
		func(in *Inputs) {
			in.Record.Put(record.Stage{Name: record.StageRollback, Outcome: record.Passed, StartedAt: time.Now(),
				Evidence: []byte(`{"from":{"digest":"` + digestA + `","commit":"` + commitA + `"},"to":{"digest":"` + digestA + `"},"release":"r0"}`)})
		},
	} {
		in := delivery(t, url, full(), i+1)
		in.Record.Source.Commit = strings.Repeat(string(rune('a'+i)), 40)
		change(&in)
		in.Checkout = dir
		mustRun(t, in)
	}
	return dir
}

func TestEveryFileIsOfItsSchemaInTheCatalogue(t *testing.T) {
	t.Parallel()
	held, err := cataloguetest.Check(os.DirFS(published(t)))
	if err != nil || held["index"] != 1 || held["state"] != 2 || held["line"] != 5 || held["cost"] != 1 {
		t.Errorf("%v, %v", held, err)
	}
}

// The schemas have to be able to say no, or their yes means nothing.
func TestSchemasRefuseWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := published(t)
	read := func(pattern string) string {
		list, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %v, %v", pattern, list, err)
		}
		data, err := os.ReadFile(list[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	lines := strings.Split(read("deliveries/checkout/staging/*.jsonl"), "\n")
	rows := strings.Split(read("cost/checkout/staging/*.csv"), "\n")
	row := map[string]string{}
	for i, column := range strings.Split(rows[0], ",") {
		row[column] = strings.Split(strings.ReplaceAll(rows[1], `"{""service"":""checkout"",""team"":""team-payments"",""environment"":""staging""}"`, "TAGS"), ",")[i]
	}
	row["Tags"] = `{"service":"checkout","team":"team-payments","environment":"staging"}`
	cell, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text  string
		wrong map[string]string
	}{
		"index": {read("index.json"), map[string]string{`"idp.catalog/v1"`: `"idp.catalog/v2"`, `"services": {`: `"service": {`, `"owner": "team-payments"`: `"owner": ""`,
			`"entity": "catalog/checkout.yaml"`: `"entity": 1`, `"tier": 1`: `"tier": "1"`}},
		"state": {read("deliveries/checkout/state.json"), map[string]string{`"idp.service/v1"`: `"x"`, `"name": "checkout",`: ``, `"delivery": 1`: `"delivery": 0`,
			`"outcome": "passed"`: `"outcome": "fine"`, `"digest": "sha256:`: `"digest": "md5:`, `"providesApis": [`: `"providesApis": {"a": [`}},
		"line": {lines[1], map[string]string{`"idp.delivery-line/v1"`: `"x"`, `"commit":"dddd`: `"commit":"main`, `"outcome":"passed"`: `"outcome":""`, `"time":"20`: `"time":"x`,
			`"currency":"USD"`: `"currency":"$"`, `"stages":[`: `"stages":["x",`, `"minutes":2`: `"minutes":"2"`}},
		"cost": {string(cell), map[string]string{`"BilledCost":"0"`: `"BilledCost":"free"`, `"ListCost":"6.922809"`: `"ListCost":""`, `"x_Estimate":"true"`: `"x_Estimate":"yes"`,
			`"ChargeCategory":"Usage"`: `"ChargeCategory":"Tax"`, `"BillingCurrency":"USD"`: `"BillingCurrency":"$"`, `"2026-11-01T00:00:00Z"`: `"November"`, `\"service\":\"checkout\"`: ``}},
	} {
		schema, err := cataloguetest.Schema(os.DirFS(dir), name)
		if err != nil {
			t.Fatal(err)
		}
		valid := func(text string) error {
			var doc any
			if err := json.Unmarshal([]byte(text), &doc); err != nil {
				return nil // the change made no JSON of it, which says nothing of the schema
			}
			return schema.Validate(doc)
		}
		if err := valid(test.text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for old, changed := range test.wrong {
			text := strings.Replace(test.text, old, changed, 1)
			if strings.HasSuffix(changed, `{"a": [`) {
				text = strings.Replace(text, `"checkout-api"`+"\n    ]", `"checkout-api"]}`, 1)
			}
			if text == test.text || valid(text) == nil {
				t.Errorf("%s takes %s for %s", name, changed, old)
			}
		}
	}
}

func TestTextsAreBroughtUpToDate(t *testing.T) {
	t.Parallel()
	texts, written, err := Texts()
	if err != nil || len(texts) != 5 || len(written) < 10 {
		t.Fatalf("%d, %d, %v", len(texts), len(written), err)
	}
	for name, text := range texts {
		if !written[gitstore.ID(text)] {
			t.Errorf("%s is not known as ours", name)
		}
	}
	// The README as the first version wrote it.
	const first = "testdata/readme-before-states.md"
	old, err := os.ReadFile(first)
	if err != nil || !written[gitstore.ID(old)] {
		t.Fatalf("%s is no text that was ever written: %v", first, err)
	}
	const later, edited = "{\"$comment\": \"of a later version\"}\n", "# Our catalogue\n"
	for name, test := range map[string]struct{ readme, line, want string }{
		"older":  {string(old), "", string(texts["README.md"])},
		"edited": {edited, later, edited},
		"newest": {string(texts["README.md"]), string(texts["schemas/line.json"]), string(texts["README.md"])},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := bare(t)
			deliver(t, url, full(), 1)
			files := map[string]string{"README.md": test.readme}
			if test.line != "" {
				files["schemas/line.json"] = test.line
			}
			if name != "newest" {
				edit(t, url, files)
			}
			deliver(t, url, full(), 2)
			if got := show(t, url, "README.md"); got != test.want {
				t.Errorf("README: %s", got)
			}
			want := string(texts["schemas/line.json"])
			if test.line != "" {
				want = test.line
			}
			if got := show(t, url, "schemas/line.json"); got != want {
				t.Errorf("schema: %s", got)
			}
			before := commits(t, url)
			if deliver(t, url, full(), 2); commits(t, url) != before {
				t.Error("a second run changed something")
			}
		})
	}
}

// A README that a person took away stays away; a schema that is gone is written again with the next delivery.
func TestTextsThatAreGone(t *testing.T) {
	t.Parallel()
	url, dir := bare(t), t.TempDir()
	deliver(t, url, full(), 1)
	git(t, dir, "clone", "--quiet", url, "work")
	git(t, dir+"/work", "rm", "--quiet", "-r", "README.md", "schemas")
	git(t, dir+"/work", "commit", "--quiet", "--message", "by hand")
	git(t, dir+"/work", "push", "--quiet", "origin", "HEAD:main")
	deliver(t, url, full(), 2)
	if got := git(t, url, "ls-tree", "-r", "--name-only", "main"); strings.Contains(got, "README") || !strings.Contains(got, "schemas/index.json") {
		t.Errorf("%s", got)
	}
}
