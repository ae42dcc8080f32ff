package entityfile

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func sample() Component {
	return Component{Name: "checkout", Description: "Takes the money.", Owner: "team-payments", Lifecycle: "production",
		Tier: "1", SLO: "99.9", Links: []Link{{"https://wiki.example.com/new", "Runbook", "runbook"}}}
}

// edited is what people made of an entity. Backstage reads it too, in the tests of the stage.
func edited(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("testdata/edited.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestHumanEditsSurvive(t *testing.T) {
	t.Parallel()
	const want = `# Who to call: #payments
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: checkout # do not rename
  title: Checkout
  tags: [go, money]
  annotations:
    pagerduty.com/integration-key: abc # rotated in May
    idp/slo-availability: "99.9"
  links:
    # kept by the SRE team
    - url: https://wiki.example.com/new
      title: Runbook
      type: runbook
      icon: help
    - url: https://status.example.com
  description: Takes the money.
  labels:
    idp/tier: "1"
spec:
  type: website
  owner: team-payments # since 2019
  dependsOn:
    - resource:ledger
  x-cost-center: "0042"
  lifecycle: production
---
# the other half
apiVersion: backstage.io/v1alpha1
kind: API
metadata:
  name: checkout
spec:
  type: openapi
  lifecycle: production
  owner: team-api
  definition: |
    openapi: 3.1.0
`
	got, fields, err := Edit([]byte(edited(t)), sample(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	wantFields := []string{"metadata.description", "metadata.labels", "metadata.annotations", "metadata.links", "spec.lifecycle", "spec.owner"}
	if diff := cmp.Diff(wantFields, fields); diff != "" {
		t.Error(diff)
	}
	again, fields, err := Edit(got, sample(), nil, nil)
	if err != nil || len(fields) > 0 || string(again) != want {
		t.Errorf("the second edit changed %v, %v", fields, err)
	}
}

// A file that says the right thing already keeps its form, however unusual.
// A folded text with an indented line, which the library does not write as it reads it, keeps its value; YAML 1.2, example 8.10.
func TestFoldedTextsKeepTheirValue(t *testing.T) {
	t.Parallel()
	const text = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: checkout\n  notes: >-\n    one\n    two\n\n    three\n      indented\nspec: {type: service, owner: old}\n"
	out := []byte(text)
	for _, owner := range []string{"team-a", "team-b"} { // what grows does so with each edit
		c := sample()
		c.Owner = owner
		var err error
		out, _, err = Edit(out, c, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Metadata struct{ Notes string } }
		if err := yaml.Unmarshal(out, &got); err != nil || got.Metadata.Notes != "one two\nthree\n  indented" {
			t.Errorf("%q %v\n%s", got.Metadata.Notes, err, out)
		}
	}
}

func TestRightTextIsLeftAlone(t *testing.T) {
	t.Parallel()
	const text = "{apiVersion: 'backstage.io/v1alpha1', kind: Component,\n\n metadata: {name: \"checkout\"}, spec: {owner: a, type: x,   lifecycle: production}}\n---\n"
	got, fields, err := Edit([]byte(text), Component{Name: "checkout", Owner: "a", Lifecycle: "production"}, nil, nil)
	if err != nil || len(fields) > 0 || string(got) != text {
		t.Errorf("%v %v\n%s", fields, err, got)
	}
}

func TestWhatIdpYAMLStopsSaying(t *testing.T) {
	t.Parallel()
	full, _, err := Edit(nil, sample(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := Edit(full, Component{Name: "checkout", Owner: "team-payments", Lifecycle: "production"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(got); strings.Contains(text, "idp/") || !strings.Contains(text, "Takes the money.") {
		t.Errorf("only keys that are ours alone are to be taken away:\n%s", text)
	}
}

// A system that idp.yaml named before and names no more goes; one that a person put there stays.
func TestSystemThatIsLeft(t *testing.T) {
	t.Parallel()
	api := Thing{Kind: "API", Name: "pay", Class: "openapi", Lifecycle: "production", Owner: "team-payments", System: "shop", File: "apis/checkout/pay.yaml"}
	in := sample()
	in.System = "shop"
	text, _, err := Edit(nil, in, []Thing{api}, nil)
	if err != nil || strings.Count(string(text), "system: shop") != 2 {
		t.Fatalf("%v\n%s", err, text)
	}
	in.System, in.SystemBefore, api.System, api.SystemBefore = "", "shop", "", "shop"
	got, fields, err := Edit(text, in, []Thing{api}, nil)
	if err != nil || strings.Contains(string(got), "system") || cmp.Diff([]string{"spec.system", "api pay"}, fields) != "" {
		t.Errorf("%v %v\n%s", fields, err, got)
	}
	persons := []byte(strings.ReplaceAll(string(text), "system: shop", "system: bazaar"))
	if got, fields, err := Edit(persons, in, []Thing{api}, nil); err != nil || string(got) != string(persons) {
		t.Errorf("%v %v\n%s", fields, err, got)
	}
}

func TestTextsThatYAMLReadsAsSomethingElse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"null", "yes", "2026-11-23", "0x1f", "1.0", "~", "- a", "a: b", "#x", "&a", "*a", "!x", "line\nbreak", "ümlaut", "'", `"`, " "} {
		c := Component{Name: "checkout", Owner: text, Lifecycle: "production", Description: text, Tier: "1"}
		out, _, err := Edit(nil, c, nil, nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		docs, err := Documents(out)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var e struct {
			Spec struct{ Owner any }
		}
		if err := docs[0].Decode(&e); err != nil || e.Spec.Owner != any(text) {
			t.Errorf("%q became %#v, %v", text, e.Spec.Owner, err)
		}
	}
}

func TestFilesThatAreNotEntities(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: checkout\n"
	for name, text := range map[string]string{
		"not YAML":         "a: [",
		"binary":           "\x00\x01\xff\xfe",
		"a list":           "- a\n",
		"a text":           "hello\n",
		"twice the key":    head + "spec: {owner: a}\nspec: {owner: b}\n",
		"twice the entity": head + "---\n" + head,
		"another version":  strings.Replace(head, "v1alpha1", "v2", 1),
		"labels a list":    head + "  labels: [a]\n",
		"links a mapping":  head + "  links: {a: b}\n",
		"owner a mapping":  head + "spec: {owner: {name: a}}\n",
		"name a mapping":   strings.Replace(head, "name: checkout", "name: {a: b}", 1),
		"anchor":           head + "  title: &a x\nspec: {owner: &o old, x: *o}\n",
		"alias":            head + "  a: &l {x: y}\n  labels: *l\n",
	} {
		if out, fields, err := Edit([]byte(text), sample(), nil, nil); err == nil {
			t.Errorf("%s: changed %v\n%s", name, fields, out)
		}
	}
}

func TestEmptyFilesBecomeEntities(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# nothing yet\n", "---\n", "---\n---\n", "kind: System\nmetadata: {name: checkout}\n"} {
		out, _, err := Edit([]byte(text), sample(), nil, nil)
		if err != nil || !strings.Contains(string(out), "owner: team-payments") {
			t.Errorf("%q: %v\n%s", text, err, out)
		}
		if strings.Contains(text, "#") && !strings.Contains(string(out), "# nothing yet") {
			t.Errorf("the comment is gone:\n%s", out)
		}
		if strings.Contains(text, "System") && !strings.Contains(string(out), "System") {
			t.Errorf("the other entity is gone:\n%s", out)
		}
	}
}
