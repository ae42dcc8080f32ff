package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/record"
)

// TestGitHubIsDocumented holds what docs/github.md shows against what is rendered; -update writes it.
func TestGitHubIsDocumented(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "github.md")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.MarshalIndent(NewPayload(rollbackCase().Record), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want := string(data)
	for name, content := range map[string]string{
		"plan":        "> " + strings.ReplaceAll(strings.TrimSpace(render(t, Comment{}, planCase())), "\n", "\n> ") + "\n",
		"conclusions": conclusions(),
		"payload":     "```json\n" + string(payload) + "\n```\n",
	} {
		before, rest, begun := strings.Cut(want, "<!-- example "+name+" -->\n")
		_, after, ended := strings.Cut(rest, "<!-- /example -->")
		if !begun || !ended {
			t.Fatalf("%s has no example %s", path, name)
		}
		want = before + "<!-- example " + name + " -->\n" + content + "<!-- /example -->" + after
	}
	for _, said := range []string{fmt.Sprintf("up to %d of them", annotationLimit), "`" + CheckName(&record.Record{Service: record.Service{Name: "SERVICE"}, Environment: "ENVIRONMENT"}) + "`"} {
		if !strings.Contains(want, said) {
			t.Errorf("%s does not say %q", path, said)
		}
	}
	if *update {
		if err := record.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("%s is not what is rendered; run go test ./internal/report -update (-want +got):\n%s", path, diff)
	}
}

// conclusions is the table of outcomes.
func conclusions() string {
	var b strings.Builder
	b.WriteString("| the delivery | check run | status |\n|---|---|---|\n")
	for _, row := range []struct {
		words   string
		outcome record.Outcome
		awaits  string
	}{
		{"passed, or a plan found nothing wrong", record.Passed, ""}, {"waits for an approval", record.Passed, "somebody"},
		{"failed: a gate said no", record.Failed, ""}, {"could not be determined", record.Error, ""},
	} {
		r := delivery("staging", record.Stage{Name: "sast", Outcome: row.outcome})
		if row.awaits != "" {
			r.Record.Put(waiting(row.awaits))
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row.words, NewCheck(r, nil).Conclusion, NewStatus(r).State)
	}
	return b.String()
}
