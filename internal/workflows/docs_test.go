package workflows

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/waiver"
)

// TestBlocks holds every YAML block of the documentation by what it is an example of. One that is nothing known fails.
func TestBlocks(t *testing.T) {
	t.Parallel()
	actions := declared(t)
	seen := map[string]int{}
	for _, b := range blocks(t) {
		kind, err := check(t, b, actions)
		seen[kind]++
		if err != "" {
			t.Errorf("%s: %s\n%s", b.where, err, b.text)
		}
	}
	for _, kind := range []string{"workflow", "service", "policy", "step", "waivers"} {
		if seen[kind] == 0 {
			t.Errorf("no block is a %s", kind)
		}
	}
}

// check tells what a block is, and what is wrong with it.
func check(t *testing.T, b document, actions map[string][]string) (kind, problem string) {
	t.Helper()
	first := strings.TrimLeft(b.text, "\n")
	for strings.HasPrefix(first, "#") {
		_, first, _ = strings.Cut(first, "\n")
	}
	switch {
	case isWorkflow(b.text):
		return "workflow", shown(t, b.text)
	case strings.HasPrefix(first, "- uses:"):
		var steps []step
		if err := yaml.Unmarshal([]byte(b.text), &steps); err != nil {
			return "step", err.Error()
		}
		for _, s := range steps {
			if unknown := unknownInputs(s, actions); len(unknown) > 0 {
				return "step", strings.Join(unknown, "; ")
			}
		}
		return "step", ""
	case strings.Contains("\n"+b.text, "\nowner:"):
		return "service", parsed(service.Parse(service.File, []byte(b.text)))
	case strings.Contains("\n"+b.text, "\ndefaults:"), strings.HasPrefix(first, "environments:"): // a whole idp.yaml has an owner
		return "policy", parsed(policy.Parse("policy.yaml", []byte(b.text)))
	case strings.HasPrefix(first, "waivers:"):
		return "waivers", parsed(waiver.Parse(waiver.FileName, []byte(b.text)))
	}
	return "unknown", "is neither a workflow, a step, an idp.yaml, a policy nor a file of waivers"
}

func parsed[T any](_ T, err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// shown holds that a workflow in a page is one of docs/workflows, which a real runner runs.
func shown(t *testing.T, text string) string {
	t.Helper()
	for _, path := range files(t, "docs/workflows/*.yml") {
		if read(t, path) == text {
			return ""
		}
	}
	return "is not one of docs/workflows"
}
