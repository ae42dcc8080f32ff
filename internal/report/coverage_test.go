package report

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/org/idp/internal/record"
)

func TestCoverageIsShown(t *testing.T) {
	t.Parallel()
	evidence, err := json.Marshal(record.Scan{Coverage: record.Coverage{Unit: "commits", Expected: 3, Scanned: 2, Files: 7, Bytes: 1536,
		Left: []string{"the content of 1 binary file"}}})
	if err != nil {
		t.Fatal(err)
	}
	rec := &record.Record{Stages: []record.Stage{{Name: record.StageBuild, Evidence: evidence}, {Name: record.StageSecrets, Outcome: record.Error, Evidence: evidence}}}
	var out strings.Builder
	if err := (Markdown{}).Format(&out, Report{Record: rec}); err != nil {
		t.Fatal(err)
	}
	want := "\n## Coverage\n\n* secrets: 2 of 3 commits, 7 files, 1.5 KiB\n  * left out: the content of 1 binary file\n"
	if !strings.Contains(out.String(), want) || strings.Count(out.String(), "left out") != 1 {
		t.Errorf("summary\n%s", out.String())
	}
}
