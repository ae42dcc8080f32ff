package app

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/catalogcheck"
	"github.com/org/idp/internal/record"
)

var update = flag.Bool("update", false, "write the generated files")

func inRepo(path string) string { return filepath.Join("..", "..", filepath.FromSlash(path)) }

// TestGenerated holds every generated file against the declarations it comes from.
func TestGenerated(t *testing.T) {
	files := generated()
	readme, err := os.ReadFile(inRepo("README.md"))
	if err != nil {
		t.Fatal(err)
	}
	text, ok := section(string(readme), "actions", actionsTable("docs/actions.md#"))
	if !ok {
		t.Fatal("README.md has no section of actions")
	}
	files["README.md"] = text
	for path, want := range files {
		if *update {
			if err := record.WriteFile(inRepo(path), []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(inRepo(path))
		if err != nil {
			t.Errorf("%v: run `make generate`", err)
			continue
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not what the declarations say; run `make generate` (-want +got):\n%s", path, diff)
		}
	}
}

// TestNoActionIsLeftOver finds folders of actions that are not in the registry any more.
func TestNoActionIsLeftOver(t *testing.T) {
	dirs, err := os.ReadDir(inRepo("actions"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		if !slices.ContainsFunc(registry, func(a delivery.Action) bool { return a.Name == d.Name() }) {
			t.Errorf("actions/%s is not in the registry", d.Name())
		}
	}
	if len(dirs) != len(registry)-1 {
		t.Errorf("%d folders of actions for %d actions", len(dirs), len(registry)-1)
	}
}

// TestActionYAMLIsWhatARunnerReads parses action.yml as a runner would and holds it against the declarations.
func TestActionYAMLIsWhatARunnerReads(t *testing.T) {
	for _, a := range registry {
		var doc struct {
			Name, Description string
			Inputs            map[string]struct {
				Description, Default string
				Required             bool
			}
			Outputs map[string]struct{ Description string }
			Runs    struct {
				Using, Main, Post string
				PostIf            string `yaml:"post-if"`
			}
		}
		dec := yaml.NewDecoder(strings.NewReader(actionYAML(a, "dist")))
		dec.KnownFields(true)
		if err := dec.Decode(&doc); err != nil {
			t.Errorf("%s: %v", a.Name, err)
			continue
		}
		if doc.Description != a.Does || doc.Runs.Using != "node24" {
			t.Errorf("%s: %+v", a.Name, doc)
		}
		if r := doc.Runs; r.Main != "dist/"+a.Name+".js" || (r.Post == "dist/"+a.Name+"-post.js") != a.Post || (r.PostIf == "always()") != a.Post {
			t.Errorf("%s: %+v", a.Name, r)
		}
		inputs := a.Inputs().Inputs()
		if len(doc.Inputs) != len(inputs) {
			t.Errorf("%s has %d inputs, want %d", a.Name, len(doc.Inputs), len(inputs))
		}
		for _, in := range inputs {
			want := in.Default
			if in.Workflow != "" {
				want = in.Workflow
			}
			if got := doc.Inputs[in.Name]; !strings.HasPrefix(got.Description, in.Usage) || got.Default != want {
				t.Errorf("%s: input %s is %+v", a.Name, in.Name, got)
			}
		}
		for name := range doc.Outputs {
			given := delivery.Outputs[name] != nil
			if a.Reads != nil {
				_, given = a.Reads().Values()[name]
			}
			if !given {
				t.Errorf("%s: output %s never gets a value", a.Name, name)
			}
		}
	}
}

func TestEveryInputIsExplained(t *testing.T) {
	for _, a := range registry {
		for _, in := range a.Inputs().Inputs() {
			if !strings.HasSuffix(in.Usage, ".") || strings.ContainsAny(in.Usage, "\n") {
				t.Errorf("%s: usage of %s is not whole sentences: %q", a.Name, in.Name, in.Usage)
			}
			if in.Example == "" && !a.Inputs().IsBool(in.Name) {
				t.Errorf("%s: input %s has no example", a.Name, in.Name)
			}
			if in.Name != strings.ToLower(in.Name) || strings.ContainsAny(in.Name, " _") {
				t.Errorf("%s: input %q is not in lower case with hyphens", a.Name, in.Name)
			}
		}
	}
}

func TestHelpNamesEveryInput(t *testing.T) {
	for _, a := range registry {
		var out bytes.Buffer
		printActionHelp(&out, a)
		for _, in := range a.Inputs().Inputs() {
			want := "--" + in.Name
			if in.Secret { // others can read the arguments of a program
				want = action.Variable(in.Name)
			}
			if !strings.Contains(out.String(), want) {
				t.Errorf("idp %s --help does not name %s", a.Name, want)
			}
		}
	}
}

// TestRulesOfTheCatalogueAreExplained holds the page for people against the rules.
func TestRulesOfTheCatalogueAreExplained(t *testing.T) {
	var rows strings.Builder
	rows.WriteString("| rule | asks |\n|---|---|\n")
	for _, r := range catalogcheck.Rules {
		rows.WriteString("| `" + string(r.Name) + "` | " + r.Asks + " |\n")
	}
	page, err := os.ReadFile(inRepo("docs/catalog.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want, ok := section(string(page), "rules", rows.String()); !ok || want != string(page) {
		t.Errorf("docs/catalog.md has other rules than:\n%s", rows.String())
	}
}
