package projection

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	yaml11 "go.yaml.in/yaml/v2"
	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
	portalsfake "github.com/org/idp/internal/testkit/portals"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	commitA = "4f1c2ab4f1c2ab4f1c2ab4f1c2ab4f1c2ab4f1c2"
	commitB = "77aa03277aa03277aa03277aa03277aa03277aa0"
	digestA = "sha256:9d0c00000000000000000000000000000000000000000000000000000000e1aa"
	digestB = "sha256:77aa00000000000000000000000000000000000000000000000000000000e1bb"
)

var began = time.Date(2026, 11, 23, 15, 0, 0, 500_000_000, time.UTC)

// services are the ones that are written for each portal; the golden file has the name's.
func services() map[string]*service.Service {
	return map[string]*service.Service{
		"checkout": {Name: "checkout", Owner: "group:default/team-payments", Description: "Takes the money.", Tier: 1, System: "shop", SLA: 99.95,
			Runbook: "https://wiki.example.com/checkout", Dashboards: []service.Link{{Title: "Traffic", URL: "https://grafana.example.com/d/1"}},
			DependsOn: []string{"component:stock", "resource:default/ledger", "Component:default/cart"},
			Resources: []service.Resource{{Name: "checkout-db", Type: "database"}, {Name: "jobs", Type: "queue"}, {Name: "images", Type: "bucket"}}},
		"least": {Name: "least", Owner: "b"},
		// What YAML, an expression or a page could take for something else.
		"no": {Name: "no", Owner: "on", Lifecycle: "off", System: "1e3", Tier: 4,
			Description: "null\n- a: b # c {{ .x }} <script>alert(1)</script> & \"'` \u202e"},
	}
}

func names(t *testing.T, lines ...string) Names {
	t.Helper()
	n, err := ParseNames(lines)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func delivered(t *testing.T, outcome record.Outcome, evidence any) *record.Record {
	t.Helper()
	rec := record.New(record.Service{Name: "checkout", Owner: "team-payments", Tier: 1},
		record.Source{Repository: "acme/checkout", Commit: commitA, Ref: "refs/heads/main"},
		record.Run{ID: "42", Attempt: 1, URL: "https://github.com/acme/checkout/actions/runs/42", Actor: "ann"}, "staging")
	rec.SetArtifact(record.Artifact{Image: "ghcr.io/acme/checkout", Digest: digestA})
	s := record.Stage{Name: record.StageDeploy, Outcome: outcome, StartedAt: began, DurationMS: 1500}
	if evidence != nil {
		data, err := json.Marshal(evidence)
		if err != nil {
			t.Fatal(err)
		}
		s.Evidence = data
	}
	rec.Put(s)
	return rec
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what is written now (-update writes it): %v\n%s", name, err, got)
	}
}

// fileForms and bodyForms are the published forms of what each portal reads.
var (
	fileForms = map[string]string{Port: portalsfake.PortEntity, Cortex: portalsfake.CortexDescriptor, OpsLevel: portalsfake.OpsLevelFile, Datadog: portalsfake.DatadogEntity}
	bodyForms = map[string]string{Port: portalsfake.PortEntity, Cortex: portalsfake.CortexDescriptor, OpsLevel: portalsfake.OpsLevelInput, Datadog: portalsfake.DatadogEntity}
	toldForms = map[string]string{Port: portalsfake.PortEntity, Cortex: portalsfake.CortexDeploy, OpsLevel: portalsfake.OpsLevelDeploy, Datadog: portalsfake.DatadogDeployment}
)

func TestServicesAreOfThePublishedForms(t *testing.T) {
	t.Parallel()
	forms := portalsfake.LoadForms(t)
	for _, portal := range Portals {
		for name, svc := range services() {
			folder := ""
			if name == "checkout" {
				folder = "services/checkout"
			}
			p, err := Service(portal, Of(svc, "git@github.com:acme/checkout.git", folder), names(t))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(name, p.File), p.Data)
			var file any
			if err := yaml.Unmarshal(p.Data, &file); err != nil {
				t.Fatal(err)
			}
			if err := forms.Hold(fileForms[portal], file); err != nil {
				t.Errorf("%s, file of %s: %v", name, portal, err)
			}
			if err := forms.Hold(bodyForms[portal], p.Body); err != nil {
				t.Errorf("%s, body for %s: %v", name, portal, err)
			}
			var old any // as YAML 1.1 has it
			if err := yaml11.Unmarshal(p.Data, &old); err != nil || fmt.Sprint(old) != fmt.Sprint(file) {
				t.Errorf("%s is another thing in YAML 1.1: %v\n%v\n%v", p.File, err, old, file)
			}
			if portal != OpsLevel {
				body, _ := json.Marshal(p.Body)
				again, _ := json.Marshal(file)
				if same, err := equalJSON(body, again); err != nil || !same {
					t.Errorf("the file of %s says something else than the body: %v\n%s\n%s", portal, err, again, body)
				}
			}
		}
	}
}

// TestPersonAsOwner holds what each portal is told of a person who owns a service, by the forms that they publish: by mail where they have
// that and it is known, and never a team of that name.
func TestPersonAsOwner(t *testing.T) {
	t.Parallel()
	forms := portalsfake.LoadForms(t)
	e := Of(&service.Service{Name: "own", Owner: "user:default/jane"}, "", "")
	if e.Person != "jane" || e.Owner != "" {
		t.Fatalf("%+v", e)
	}
	none := `"port":{"blueprint":"service","identifier":"own","properties":{"lifecycle":"production"},"team":[],"title":"own"}`
	for name, tt := range map[string]struct {
		names            []string
		port, cortex, dd string
		untold           []string
	}{
		"an address that nobody knows": {nil, none, `[]`, `null`, []string{Port, Cortex, OpsLevel, Datadog}},
		"another person's":             {[]string{"person.ann = ann@example.com", "port.service.person = owner"}, none, `[]`, `null`, []string{Port, Cortex, OpsLevel, Datadog}},
		"an address": {[]string{"person.jane = jane@example.com"}, none, `[{"email":"jane@example.com","type":"email"}]`,
			`[{"contact":"jane@example.com","name":"jane","type":"email"}]`, []string{Port, OpsLevel}},
		"a property for it": {[]string{"person.jane = jane@example.com", "port.service.person = owner"}, `"port":{"blueprint":"service","identifier":"own","properties":{"lifecycle":"production","owner":"jane@example.com"},"team":[],"title":"own"}`,
			`[{"email":"jane@example.com","type":"email"}]`, `[{"contact":"jane@example.com","name":"jane","type":"email"}]`, []string{OpsLevel}},
		"teams in a property": {[]string{"port.service.owner = squad"}, `"port":{"blueprint":"service","identifier":"own","properties":{"lifecycle":"production","squad":null},"title":"own"}`,
			`[]`, `null`, []string{Port, Cortex, OpsLevel, Datadog}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := names(t, tt.names...)
			if got := Untold(e, n); !slices.Equal(got, tt.untold) {
				t.Errorf("not told: %v, want %v", got, tt.untold)
			}
			got := map[string]any{}
			for _, portal := range Portals {
				p, err := Service(portal, e, n)
				if err != nil {
					t.Fatal(err)
				}
				if err := forms.Hold(bodyForms[portal], p.Body); err != nil {
					t.Errorf("%s: %v", portal, err)
				}
				data, _ := json.Marshal(p.Body)
				var body map[string]any
				if err := json.Unmarshal(data, &body); err != nil {
					t.Fatal(err)
				}
				got[portal] = body
			}
			dig := func(v any, keys ...string) string {
				for _, k := range keys {
					v = v.(map[string]any)[k]
				}
				data, _ := json.Marshal(v)
				return string(data)
			}
			if s := `"port":` + dig(got[Port]); s != tt.port {
				t.Errorf("%s", s)
			}
			if s := dig(got[Cortex], "info", "x-cortex-owners"); s != tt.cortex {
				t.Errorf("cortex: %s", s)
			}
			if s := dig(got[Datadog], "metadata", "contacts"); s != tt.dd || dig(got[Datadog], "metadata", "owner") != "null" {
				t.Errorf("datadog: %s", s)
			}
			if in := got[OpsLevel].(map[string]any); in["ownerInput"] != nil {
				t.Errorf("opslevel: %v", in)
			} else if _, said := in["ownerInput"]; !said {
				t.Error("opslevel keeps the team that was there")
			}
		})
	}
	if got := Untold(Of(&service.Service{Name: "a", Owner: "group:default/jane"}, "", ""), names(t)); got != nil {
		t.Errorf("a team is told: %v", got)
	}
	for _, line := range []string{"person.jane = jane", "person.jane =", "person.jane = a b@example.com"} {
		if _, err := ParseNames([]string{line}); err == nil || !strings.Contains(fmt.Sprint(fault.Lines(err)), "no address of mail") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func equalJSON(a, b []byte) (bool, error) {
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, &y); err != nil {
		return false, err
	}
	a, _ = json.Marshal(x)
	b, _ = json.Marshal(y)
	return bytes.Equal(a, b), nil
}

// The forms have to be able to say no, or their yes means nothing.
func TestThePublishedFormsRefuseWhatIsWrong(t *testing.T) {
	t.Parallel()
	forms := portalsfake.LoadForms(t)
	for form, wrong := range map[string][]string{
		portalsfake.PortEntity:        {`{}`, `{"identifier":"a b","blueprint":"service","properties":{}}`, `{"identifier":"a","blueprint":"service","properties":{},"owner":"x"}`},
		portalsfake.CortexDescriptor:  {`{}`, `{"openapi":"3.0.1","info":{"title":"a"}}`, `{"openapi":"3.0.1","info":{"title":"a","x-cortex-tag":"a","x-cortex-groups":["tier 1"]}}`},
		portalsfake.CortexDeploy:      {`{}`, `{"timestamp":"yesterday","title":"a","type":"DEPLOY"}`, `{"timestamp":"2026-11-23T15:00:00Z","title":"a","type":"deploy"}`},
		portalsfake.OpsLevelFile:      {`{}`, `{"version":1,"service":{"name":"a","teir":"x"}}`, `{"version":1,"service":{"name":false}}`},
		portalsfake.OpsLevelInput:     {`{"ownerAlais":"x"}`, `{"ownerInput":"x"}`},
		portalsfake.OpsLevelDeploy:    {`{}`, `{"service":"a","deployer":{},"deployed_at":"2026-11-23T15:00:00Z","description":"d"}`},
		portalsfake.DatadogEntity:     {`{}`, `{"apiVersion":"v3","kind":"service","metadata":{"name":"a"},"tier":1}`, `{"apiVersion":"v3","kind":"service","metadata":{"name":"a"},"spec":{"tier":1}}`, `{"apiVersion":"v3","kind":"service","metadata":{"name":"a","links":[{"url":"x"}]}}`},
		portalsfake.DatadogDeployment: {`{}`, `{"data":{"attributes":{"service":"a","started_at":1}}}`, `{"data":{"attributes":{"service":"a","started_at":1,"finished_at":2,"environment":"x"}}}`, `{"data":{"attributes":{"service":"a","started_at":1,"finished_at":2,"git":{"commit_sha":"abc","repository_url":"x"}}}}`},
	} {
		for _, text := range wrong {
			if err := forms.Hold(form, json.RawMessage(text)); err == nil {
				t.Errorf("%s takes %s", form, text)
			}
		}
	}
}

func TestDeploysAreOfThePublishedForms(t *testing.T) {
	t.Parallel()
	forms := portalsfake.LoadForms(t)
	first := record.Deploy{Target: "kubernetes", Release: "r1", Digest: digestA, Changed: true}
	second := first
	second.Replaced = &record.Deployment{Digest: digestB, Commit: commitB}
	back := second
	back.Restored = back.Replaced
	outside := delivered(t, record.Passed, first) // of a run that is none
	outside.Run, outside.Source.Ref = record.Run{}, ""
	unknown := back
	unknown.Restored = &record.Deployment{Digest: digestB}
	for name, rec := range map[string]*record.Record{
		"deployed": delivered(t, record.Passed, first), "upgraded": delivered(t, record.Passed, second),
		"rolledback": delivered(t, record.Failed, back), "outside": outside, "unknown": delivered(t, record.Failed, unknown),
	} {
		h, err := Happened(rec)
		if err != nil {
			t.Fatal(err)
		}
		for _, portal := range Portals {
			body := Deployed(portal, Of(services()["checkout"], "https://github.com/acme/checkout", ""), h, names(t))
			if err := forms.Hold(toldForms[portal], body); err != nil {
				t.Errorf("%s to %s: %v", name, portal, err)
			}
			data, err := json.MarshalIndent(body, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("deploys", name+"-"+portal+".json"), append(data, '\n'))
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	n := names(t, "port.service = microservice", "port.service.tier=criticality", "port.service.sla =", "port.service.system = domain", "port.service.depends-on = uses",
		"port.service.owner = owned_by", "cortex.provider = GITHUB", "opslevel.lifecycle.production = ga", "opslevel.lifecycle.off = dark")
	e := Of(services()["checkout"], "", "")
	p := portService(e, n)
	if p.Blueprint != "microservice" || p.Properties["criticality"] != 1 || p.Properties["owned_by"] != "team-payments" || p.Team != nil ||
		p.Relations["domain"] != "shop" || fmt.Sprint(p.Relations["uses"]) != "[stock cart]" || p.Properties["tier"] != nil || p.Properties["sla"] != nil {
		t.Errorf("%+v", p)
	}
	if c := cortexService(e, n); c.Info.Owners[0].Provider != "GITHUB" {
		t.Errorf("%+v", c)
	}
	if in := opsLevelInput(e, n); in.Lifecycle != "ga" || in.Tier != "tier_1" || in.System.Alias != "shop" {
		t.Errorf("%+v", in)
	}
	if in := opsLevelInput(Of(services()["no"], "", ""), n); in.Lifecycle != "dark" {
		t.Errorf("%+v", in)
	}
	for line, want := range map[string]string{
		"port.service":                 "want OURS = THEIRS",
		"port.servce = x":              `did you mean "port.service"?`,
		"port.service = ../../admin?a": "cannot be a name",
		"port.service = $team":         "cannot be a name",
		"port.service =":               "cannot be left out",
	} {
		_, err := ParseNames([]string{line, "port.service.tier = ok"})
		if err == nil || fault.KindOf(err) != fault.BadInput || !strings.Contains(strings.Join(fault.Lines(err), "\n"), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// Nothing to tell is the business of internal/events too; its tests hold every reason.
func TestWhatHappened(t *testing.T) {
	t.Parallel()
	if h, err := Happened(delivered(t, record.Passed, record.Deploy{Release: "r1", Digest: digestA})); err != nil || h != (Happening{}) {
		t.Errorf("%+v %v", h, err)
	}
	if _, err := Happened(delivered(t, record.Failed, nil)); fault.KindOf(err) != fault.Skipped {
		t.Errorf("%v", err)
	}
}

// A rollback by hand after the deploy, in the same record, is what happened: the new version is not live any more.
func TestARollbackByHandIsWhatHappened(t *testing.T) {
	t.Parallel()
	rec := delivered(t, record.Passed, record.Deploy{Release: "r2", Digest: digestA, Changed: true})
	deployed, _ := rec.Stage(record.StageDeploy)
	at := func(after time.Duration, outcome record.Outcome, evidence string) {
		rec.Put(record.Stage{Name: record.StageRollback, Outcome: outcome, StartedAt: deployed.StartedAt.Add(after), DurationMS: 2000, Evidence: []byte(evidence)})
	}
	to := `{"to":{"digest":"` + digestB + `","commit":"` + commitB + `"}}`
	at(time.Minute, record.Passed, to)
	h, err := Happened(rec)
	if err != nil || h.Kind != RolledBack || h.Digest != digestB || h.Commit != commitB || !h.Time.Equal(deployed.StartedAt.Add(time.Minute+2*time.Second)) {
		t.Errorf("%+v %v", h, err)
	}
	at(time.Minute, record.Passed, `{}`)
	if _, err := Happened(rec); fault.KindOf(err) != fault.Undetermined {
		t.Errorf("to what is not known: %v", err)
	}
	for name, put := range map[string]func(){"one that failed": func() { at(time.Minute, record.Failed, to) }, "one before the deploy": func() { at(-time.Minute, record.Passed, to) }} {
		put()
		if h, err := Happened(rec); err != nil || h.Digest != digestA {
			t.Errorf("%s: %+v %v", name, h, err)
		}
	}
}

func TestEveryGoldenFileIsOfATest(t *testing.T) {
	t.Parallel()
	known := []string{"deploys"}
	for name := range services() {
		known = append(known, name)
	}
	entries, err := os.ReadDir("testdata")
	if err != nil || len(entries) != len(known) {
		t.Fatalf("%d folders, %v", len(entries), err)
	}
	for _, e := range entries {
		if !slices.Contains(known, e.Name()) {
			t.Errorf("testdata/%s is of no test", e.Name())
		}
	}
}

func TestSourceLocation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ origin, folder, location, slug string }{
		{"https://github.com/acme/checkout.git", "", "url:https://github.com/acme/checkout/", "acme/checkout"},
		{"https://github.com/acme/mono", "services/checkout", "url:https://github.com/acme/mono/tree/HEAD/services/checkout/", "acme/mono"},
		{"git@github.com:acme/checkout.git", "", "url:https://github.com/acme/checkout/", "acme/checkout"},
		{"ssh://git@github.com:22/acme/checkout.git", "", "url:https://github.com/acme/checkout/", "acme/checkout"},
		{"https://gitlab.example.com/a/b/c.git", "x", "url:https://gitlab.example.com/a/b/c/-/tree/HEAD/x/", ""},
		{"https://git.example.com:8443/a/b.git", "x", "url:https://git.example.com:8443/a/b/", ""},
		{"/srv/git/checkout.git", "", "", ""},
		{"file:///srv/git/checkout.git", "", "", ""},
		{`C:\git\checkout`, "", "", ""},
		{"", "", "", ""},
	} {
		location, slug := Source(test.origin, test.folder)
		if location != test.location || slug != test.slug {
			t.Errorf("%s %s: %s %s", test.origin, test.folder, location, slug)
		}
	}
}

// docs/portals.md has every name with its default, an example that is read, and blueprints that fit.
func TestDocs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/portals.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	var table strings.Builder
	table.WriteString("<!-- names -->\n| ours | theirs, unless you say |\n|---|---|\n")
	for _, ours := range slices.Sorted(maps.Keys(defaults)) {
		theirs := "`" + defaults[ours] + "`"
		if defaults[ours] == "" {
			theirs = "left out"
		}
		fmt.Fprintf(&table, "| `%s` | %s |\n", ours, theirs)
	}
	if !strings.Contains(doc, table.String()+"<!-- /names -->") {
		t.Errorf("the table of names has to be\n%s", table.String())
	}
	_, rest, _ := strings.Cut(doc, "\n```\nport.service")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("there is no example of names")
	}
	names(t, strings.Split(strings.TrimSpace("port.service"+example), "\n")...)
	_, rest, _ = strings.Cut(doc, "```json\n")
	text, _, _ := strings.Cut(rest, "```")
	blueprints(t, text)
}

// blueprints holds what Port is told by default against blueprints: it takes no property that these do not have.
func blueprints(t *testing.T, text string) {
	t.Helper()
	var list []struct {
		Identifier string
		Schema     struct{ Properties map[string]any }
		Relations  map[string]any
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	h, err := Happened(delivered(t, record.Passed, record.Deploy{Release: "r1", Digest: digestA, Changed: true}))
	if err != nil {
		t.Fatal(err)
	}
	e := Of(services()["checkout"], "https://github.com/acme/checkout", "")
	for i, entity := range []portEntity{portService(e, names(t)), portDeployment(e, h, names(t))} {
		b := list[i]
		if b.Identifier != entity.Blueprint || len(b.Schema.Properties) != len(entity.Properties) || len(b.Relations) != len(entity.Relations) {
			t.Errorf("blueprint %s does not fit %+v", b.Identifier, entity)
		}
		closed := map[string]any{"type": "object", "additionalProperties": false, "properties": b.Schema.Properties}
		doc, err := json.Marshal(closed)
		if err != nil {
			t.Fatal(err)
		}
		if err := portalsfake.HoldSchema(doc, entity.Properties); err != nil {
			t.Errorf("blueprint %s: %v", b.Identifier, err)
		}
		for name := range entity.Relations {
			if b.Relations[name] == nil {
				t.Errorf("blueprint %s has no relation %s", b.Identifier, name)
			}
		}
	}
}
