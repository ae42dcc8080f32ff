package service_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/service"
)

// unpack writes a txtar archive into a folder of its own.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func parse(t *testing.T, yaml string) *service.Service {
	t.Helper()
	s, err := service.Parse("idp.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	return s
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	have := parse(t, "name: checkout\nowner: team-payments\n")
	want := &service.Service{Name: "checkout", Owner: "team-payments", Port: 8080, Health: "/healthz", Version: "/version",
		Main: ".", Size: "small", Scale: service.Scale{Min: 1, Max: 1, CPU: 70},
		Smoke:  []service.Check{{Get: "/healthz", Expect: service.Expect{Status: 200}}},
		Deploy: service.Deploy{Strategy: service.Rolling}}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func TestIn(t *testing.T) {
	t.Parallel()
	s := parse(t, `
name: checkout
owner: team-payments
env: {A: base, B: base}
scale: {min: 2}
environments:
  staging: {}
  one: {scale: {min: 1}}
  many: {scale: {min: 5}, size: large, env: {B: many, C: many}}
  wide: {scale: {max: 9, cpu: 50}}
`)
	for name, want := range map[string]struct {
		scale service.Scale
		size  string
		env   map[string]string
	}{
		"staging": {service.Scale{Min: 2, Max: 2, CPU: 70}, "small", map[string]string{"A": "base", "B": "base"}},
		"local":   {service.Scale{Min: 2, Max: 2, CPU: 70}, "small", map[string]string{"A": "base", "B": "base"}},
		"one":     {service.Scale{Min: 1, Max: 1, CPU: 70}, "small", map[string]string{"A": "base", "B": "base"}},
		"many":    {service.Scale{Min: 5, Max: 5, CPU: 70}, "large", map[string]string{"A": "base", "B": "many", "C": "many"}},
		"wide":    {service.Scale{Min: 2, Max: 9, CPU: 50}, "small", map[string]string{"A": "base", "B": "base"}},
	} {
		have, err := s.In(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff([]any{want.scale, want.size, want.env}, []any{have.Scale, have.Size, have.Env}); diff != "" {
			t.Errorf("%s (-want +have):\n%s", name, diff)
		}
	}
	if s.Env["B"] != "base" || len(s.Env) != 2 {
		t.Errorf("In changed the service itself: %v", s.Env)
	}
}

func TestDeployIn(t *testing.T) {
	t.Parallel()
	s := parse(t, `
name: checkout
owner: team-payments
deploy: {kustomize: base, strategy: canary, steps: [20]}
environments:
  same: {}
  steps: {deploy: {steps: [1, 2]}}
  source: {deploy: {helm: {chart: chart, values: [v.yaml]}}}
  strategy: {deploy: {strategy: blue-green}}
  one: {namespace: shop}
`)
	canary := func(steps ...int) service.Deploy {
		return service.Deploy{Kustomize: "base", Strategy: service.Canary, Steps: steps}
	}
	for name, want := range map[string]service.Deploy{
		"same": canary(20), "local": canary(20), "steps": canary(1, 2),
		"source":   {Helm: &service.Helm{Chart: "chart", Values: []string{"v.yaml"}}, Strategy: service.Canary, Steps: []int{20}},
		"strategy": {Kustomize: "base", Strategy: service.BlueGreen},
	} {
		have, err := s.In(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, have.Deploy); diff != "" {
			t.Errorf("%s (-want +have):\n%s", name, diff)
		}
	}
	if one, other := s.Namespace("one"), s.Namespace("same"); one != "shop" || other != "checkout" {
		t.Errorf("namespaces %s and %s", one, other)
	}
	if d := parse(t, "name: a\nowner: b\ndeploy: {strategy: canary}\n").Deploy; !cmp.Equal(d.Steps, []int{10, 50}) {
		t.Errorf("steps of a canary: %v", d.Steps)
	}
}

func TestInUnknownEnvironment(t *testing.T) {
	t.Parallel()
	s := parse(t, "name: a\nowner: b\nenvironments: {staging: {}, production: {}}\n")
	for name, want := range map[string][]string{
		"stagin": {`environment "stagin" is not in idp.yaml, did you mean "staging"?`,
			"Name one of production, staging, local, or add it under environments in idp.yaml."},
		"moon": {`environment "moon" is not in idp.yaml`,
			"Name one of production, staging, local, or add it under environments in idp.yaml."},
		"": {"no environment was named", "Say it: --environment NAME, one of production, staging, local."},
	} {
		_, err := s.In(name)
		if err == nil || fault.KindOf(err) != fault.BadInput {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, fault.Lines(err)); diff != "" {
			t.Errorf("%q (-want +have):\n%s", name, diff)
		}
	}
}

func TestLoadWithoutFile(t *testing.T) {
	t.Parallel()
	_, err := service.Load(t.TempDir())
	if fault.KindOf(err) != fault.BadInput || !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	// The example that it gives has to work.
	var example []string
	for _, line := range fault.Lines(err) {
		if text, indented := strings.CutPrefix(line, "  "); indented {
			example = append(example, text)
		}
	}
	parse(t, strings.Join(example, "\n"))
}

func TestLoadWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, service.File), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := service.Load(dir); fault.KindOf(err) != fault.BadInput || s != nil {
		t.Errorf("a folder as idp.yaml: %v, %v", s, err)
	}
}

const catalogInfo = `
-- catalog-info.yaml --
# a template may hold what YAML calls tags and anchors
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: &m
  name: checkout
  description: Takes the money.
spec: {type: service, owner: "group:default/team-payments", system: shop, lifecycle: production}
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: checkout-api}
`

const score = `
-- score.yaml --
apiVersion: score.dev/v1b1
metadata: {name: checkout}
containers: {web: {image: .}}
service: {ports: {www: {port: 80, targetPort: 9090}}}
`

func TestFactsFromFilesBesideIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		archive string
		want    service.Service
	}{
		"all of it": {"-- idp.yaml --\ntier: 2\n" + catalogInfo + score,
			service.Service{Name: "checkout", Owner: "group:default/team-payments", Description: "Takes the money.", System: "shop", Lifecycle: "production", Tier: 2, Port: 9090}},
		"the same fact twice": {"-- idp.yaml --\nname: checkout\nowner: team-payments\nsystem: default/shop\nport: 9090\n" + catalogInfo + score,
			service.Service{Name: "checkout", Owner: "team-payments", Description: "Takes the money.", System: "default/shop", Lifecycle: "production", Port: 9090}},
		"score alone": {"-- idp.yaml --\nowner: team-a\n" + score,
			service.Service{Name: "checkout", Owner: "team-a", Port: 9090}},
		"two components": {"-- idp.yaml --\nname: cart\nowner: team-a\n" + catalogInfo + "---\nkind: Component\nmetadata: {name: cart}\n",
			service.Service{Name: "cart", Owner: "team-a", Port: 8080}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := service.Load(unpack(t, test.archive))
			if err != nil {
				t.Fatal(strings.Join(fault.Lines(err), "\n"))
			}
			have := service.Service{Name: s.Name, Owner: s.Owner, Description: s.Description, System: s.System, Lifecycle: s.Lifecycle, Tier: s.Tier, Port: s.Port}
			if diff := cmp.Diff(test.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestFilesThatDiffer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		archive string
		want    []string
	}{
		"idp.yaml and both": {"-- idp.yaml --\nname: cart\nowner: team-cart\nport: 80\n" + catalogInfo + score, []string{
			"4 problems in DIR/catalog-info.yaml and DIR/score.yaml",
			`DIR/catalog-info.yaml:5:9: metadata.name is "checkout", but name in idp.yaml is "cart"`,
			`DIR/catalog-info.yaml:7:30: spec.owner is "group:default/team-payments", but owner in idp.yaml is "team-cart"`,
			`DIR/score.yaml:2:18: metadata.name is "checkout", but name in idp.yaml is "cart"`,
			`DIR/score.yaml:4:47: service.ports.www.targetPort is "9090", but port in idp.yaml is "80"`,
			"docs/idp-yaml.md says what each key means.",
		}},
		"the two beside it": {"-- idp.yaml --\nowner: team-a\n-- catalog-info.yaml --\nkind: Component\nmetadata: {name: cart}\n" + score, []string{
			`DIR/score.yaml:2:18: metadata.name is "checkout", but metadata.name in catalog-info.yaml is "cart"`,
			"docs/idp-yaml.md says what each key means.",
		}},
		"a name that is no DNS label": {"-- idp.yaml --\nowner: team-a\nprot: 1\n-- catalog-info.yaml --\nkind: Component\nmetadata: {name: Check_Out}\n", []string{
			"2 problems in DIR/idp.yaml and DIR/catalog-info.yaml",
			`DIR/idp.yaml:2:1: unknown key "prot", did you mean "port"?`,
			`DIR/catalog-info.yaml:2:18: metadata.name "Check_Out": want lower-case letters, digits and hyphens, at most 63 characters, no hyphen at either end`,
			"docs/idp-yaml.md says what each key means.",
		}},
		"one that cannot be read": {"-- idp.yaml --\nname: a\nowner: b\n-- catalog-info.yaml --\nkind: Component\nmetadata: {{ name }}\nx: [\n", []string{
			`DIR/catalog-info.yaml:4:1: not valid YAML: did not find expected node content`,
			"docs/idp-yaml.md says what each key means.",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := unpack(t, test.archive)
			_, err := service.Load(dir)
			if err == nil || fault.KindOf(err) != fault.BadInput {
				t.Fatal(err)
			}
			have := strings.ReplaceAll(strings.Join(fault.Lines(err), "\n"), dir+string(filepath.Separator), "DIR/")
			if diff := cmp.Diff(strings.Join(test.want, "\n"), have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestParseBudget(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]float64{"300 USD/month": 300, "0 EUR/month": 0, "12.50 CHF/month": 12.5} {
		amount, currency, err := service.ParseBudget(s)
		if err != nil || amount != want || currency != strings.Fields(strings.TrimSuffix(s, "/month"))[1] {
			t.Errorf("%s: %v %s %v", s, amount, currency, err)
		}
	}
	for _, s := range []string{"", "300", "300 USD", "300 USD/year", "-1 USD/month", "1e3 USD/month", "300 usd/month", "300  USD/month",
		" 300 USD/month", "300 USD/month\n", "1,000 USD/month", strings.Repeat("9", 400) + " USD/month"} {
		if amount, _, err := service.ParseBudget(s); err == nil {
			t.Errorf("%q is read as %v", s, amount)
		}
	}
}

// The pattern stands in three places, since a struct tag cannot name a variable.
func TestBudgetIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	a, _ := reflect.TypeFor[service.Environment]().FieldByName("Budget")
	b, _ := reflect.TypeFor[policy.Rules]().FieldByName("Budget")
	want := "pattern=" + strings.ReplaceAll(service.BudgetPattern, ",", `\,`)
	for _, f := range []reflect.StructField{a, b} {
		if f.Tag.Get("jsonschema") != want {
			t.Errorf("%s has %s, want %s", f.Name, f.Tag.Get("jsonschema"), want)
		}
	}
}

func TestDefinitions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret.yaml")
	for name, text := range map[string]string{filepath.Join(dir, "good.yaml"): "openapi: 3.1.0\n", filepath.Join(dir, "empty.yaml"): " \n",
		filepath.Join(dir, "binary.yaml"): "\xff\xfe\x00", filepath.Join(dir, "large.yaml"): strings.Repeat("x", service.MaxDefinition+1), outside: "secret"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"good.yaml": "", "empty.yaml": "it is not text", "binary.yaml": "it is not text", "large.yaml": "more than 1048576 bytes",
		"link.yaml": "cannot be read", "none.yaml": "cannot be read", ".": "not a plain file"} {
		idp := "name: checkout\nowner: team-payments\napis: [{name: a, type: openapi, file: " + file + "}]\n"
		if err := os.WriteFile(filepath.Join(dir, service.File), []byte(idp), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := service.Load(dir)
		switch {
		case want != "":
			if text := strings.Join(fault.Lines(err), "\n"); fault.KindOf(err) != fault.BadInput || !strings.Contains(text, want) || !strings.Contains(text, "idp.yaml:3:") {
				t.Errorf("%s: %v\n%s", file, err, text)
			}
		case err != nil:
			t.Errorf("%s: %v", file, err)
		default:
			if text, err := s.APIs[0].Definition(dir); err != nil || string(text) != "openapi: 3.1.0\n" {
				t.Errorf("%q, %v", text, err)
			}
		}
	}
}
