package policy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/policy"
)

func TestAllows(t *testing.T) {
	t.Parallel()
	const workflow = "https://github.com/acme/idp/.github/workflows/path.yml@refs/"
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"acme/*", "acme/checkout", true}, {"acme/*", "acme/", true}, {"acme/*", "acme", false}, {"acme/*", "acme/a/b", false}, {"acme/*", "evil/acme/a", false},
		{"acme/*", "ACME/checkout", false}, {"acme/check*", "acme/checkout", true}, {"*/checkout", "acme/checkout", true}, {"acme/a.b", "acme/axb", false},
		{"**", "", true}, {"**", "anything/at@all\n", true}, {"*", "a\nb", true}, {"", "", true}, {"", "a", false}, {"acme/**", "acme/a/b@c", true},
		{workflow + "tags/v*", workflow + "tags/v1.2.3", true}, {workflow + "tags/v*", workflow + "heads/v1", false},
		{"https://github.com/acme/idp/.github/workflows/*@refs/tags/v*", workflow + "heads/x@refs/tags/v1", false},
		{"a***b", "ab", true}, {"a(b|c)", "ab", false},
	} {
		if got := policy.Allows([]string{"never", c.pattern}, c.text); got != c.want {
			t.Errorf("%q allows %q: %t", c.pattern, c.text, got)
		}
	}
	if policy.Allows(nil, "") {
		t.Error("no pattern allows something")
	}
}

// What a key asks something of has to be there.
func TestEvidence(t *testing.T) {
	t.Parallel()
	one := []string{"x"}
	for _, c := range []struct {
		rules policy.Rules
		want  []string
	}{
		{policy.Rules{}, nil},
		{policy.Rules{Require: []string{"sast", "sast"}}, []string{"sast"}},
		{policy.Rules{Require: []string{"sbom"}, Provenance: policy.Provenance{Builders: one}, SBOM: policy.SBOM{DenyPackages: one}}, []string{"sbom", "provenance"}},
		{policy.Rules{Provenance: policy.Provenance{Repositories: one}}, []string{"provenance"}},
		{policy.Rules{Provenance: policy.Provenance{BaseImages: one}, SBOM: policy.SBOM{DenyLicenses: one}}, []string{"provenance", "sbom"}},
		{policy.Rules{SBOM: policy.SBOM{AllowLicenses: one}}, []string{"sbom"}},
		{policy.Rules{Provenance: policy.Provenance{BaseImages: []string{}}, SBOM: policy.SBOM{WithoutLicense: one}}, nil},
	} {
		if got := c.rules.Evidence(); !slices.Equal(got, c.want) {
			t.Errorf("%+v asks for %v, expected %v", c.rules, got, c.want)
		}
	}
}

// The example of docs/verify.md is a policy that can decide.
func TestExampleOfTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "verify.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	p, err := policy.Parse("verify.md", []byte(example))
	if err != nil || !found {
		t.Fatal(fault.Lines(err))
	}
	rules, err := p.For("production")
	if missing := rules.Missing(); err != nil || len(missing) > 0 || len(rules.After.Require) != 2 || len(rules.Evidence()) != 5 {
		t.Errorf("%v, %v, %+v", err, missing, rules)
	}
}

// FuzzParse: any bytes are a policy or bad input, and what decides nothing is not said to decide.
func FuzzParse(f *testing.F) {
	for _, folder := range []string{"good", "bad"} {
		names, err := filepath.Glob(filepath.Join(table, folder, "*.yaml"))
		if err != nil || len(names) == 0 {
			f.Fatal(names, err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add(policy.Default)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse("policy.yaml", data)
		if err != nil {
			if p != nil || fault.KindOf(err) != fault.BadInput {
				t.Fatalf("%v, %v", p, err)
			}
			return
		}
		for _, environment := range []string{"staging", "production"} {
			rules, err := p.For(environment)
			if err != nil {
				t.Fatal(err)
			}
			if missing := rules.Missing(); len(rules.Require) == 0 && !slices.Contains(missing, "require") ||
				rules.EvidenceMaxAge == "" && !slices.Contains(missing, "evidence-max-age") {
				t.Errorf("only %v is missing of %+v", missing, rules)
			}
			if rules.EvidenceMaxAge != "" {
				if age, err := policy.ParseAge(rules.EvidenceMaxAge); err != nil || age <= 0 {
					t.Errorf("an age of %v: %v", age, err)
				}
			}
		}
	})
}
