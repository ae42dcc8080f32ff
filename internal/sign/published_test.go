package sign_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/testkit/expect"
)

// TestPublishedForms reads every statement with in-toto's own definitions, which refuse a field that they do not have, and lets
// their validation judge it.
func TestPublishedForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.inputs.Record.Run = record.Run{ID: "7", Attempt: 2, URL: "https://github.com/acme/checkout/actions/runs/7/attempts/2", Event: "push",
		RepositoryID: "42", OwnerID: "9", Workflow: "acme/checkout/.github/workflows/deliver.yml@refs/heads/main", WorkflowSHA: commit}
	_, err := w.run()
	expect.NoError(t, err)
	seen := map[string]int{}
	for _, s := range w.served() {
		seen[s.PredicateType]++
		data, err := json.Marshal(s)
		expect.NoError(t, err)
		var statement intoto.Statement
		if s.Predicate != nil { // an image signature has none, which their validation does not know
			expect.NoError(t, protojson.Unmarshal(data, &statement))
			if err := statement.Validate(); err != nil {
				t.Errorf("%s: %v", s.PredicateType, err)
			}
		}
		switch s.PredicateType {
		case attest.PredicateProvenance:
			var p provenance.Provenance
			expect.NoError(t, protojson.Unmarshal(s.Predicate, &p))
			if err := p.Validate(); err != nil {
				t.Error(err)
			}
			if got := p.GetBuildDefinition().GetExternalParameters().AsMap()["workflow"].(map[string]any)["path"]; got != ".github/workflows/deliver.yml" {
				t.Errorf("workflow %v", got)
			}
			if n := len(p.GetBuildDefinition().GetResolvedDependencies()); n != 3 {
				t.Errorf("%d dependencies, expected the source, which the workflow is of as well, and two modules", n)
			}
		case attest.PredicateTestResult:
			published(t, s.Predicate, &testresult.TestResult{}, "idpScan")
		}
	}
	want := map[string]int{attest.PredicateSignature: 1, attest.PredicateProvenance: 1, attest.PredicateSBOM: 1, attest.PredicateSPDX: 1, attest.PredicateTestResult: 2}
	if d := cmp.Diff(want, seen); d != "" {
		t.Error(d)
	}
}

// published holds a predicate against its definition; only the extension may be unknown there.
func published(t *testing.T, predicate []byte, into proto.Message, extension string) {
	t.Helper()
	var fields map[string]json.RawMessage
	expect.NoError(t, json.Unmarshal(predicate, &fields))
	delete(fields, extension)
	data, err := json.Marshal(fields)
	expect.NoError(t, err)
	if err := protojson.Unmarshal(data, into); err != nil {
		t.Error(err)
	}
}
