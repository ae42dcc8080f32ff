package schema_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/schema"
	"github.com/org/idp/internal/service"
)

var update = flag.Bool("update", false, "write the generated pages anew")

func TestPagesAreGenerated(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]string{"idp-yaml.md": schema.ServiceDoc(), "policy.md": schema.PolicyDoc()} {
		file := filepath.Join("..", "..", "docs", name)
		if *update {
			if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(page, string(have)); diff != "" {
			t.Errorf("docs/%s is not what the types say; run go test ./internal/schema -update (-want +have):\n%s", name, diff)
		}
	}
}

var block = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func TestExamplesInPagesAreValid(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]struct {
		text  string
		parse func([]byte) error
		want  int
	}{
		"idp-yaml.md": {schema.ServiceDoc(), func(b []byte) error { _, err := service.Parse("idp.yaml", b); return err }, 2},
		"policy.md":   {schema.PolicyDoc(), func(b []byte) error { _, err := policy.Parse("policy.yaml", b); return err }, 2},
	} {
		blocks := block.FindAllStringSubmatch(page.text, -1)
		if len(blocks) != page.want {
			t.Errorf("%s: %d examples, want %d", name, len(blocks), page.want)
		}
		for i, b := range blocks {
			if err := page.parse([]byte(b[1])); err != nil {
				t.Errorf("%s, example %d: %v", name, i+1, err)
			}
		}
	}
}
