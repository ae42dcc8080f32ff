package verify_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/verify"
)

// hears is a registry with statements whose signature nobody doubts: what is fuzzed is what the signer says.
type hears struct{ statements []attest.Statement }

func (h hears) Identity() string { return "signer" }

func (h hears) Read(context.Context, string) ([]attest.Attached, error) {
	list := make([]attest.Attached, len(h.statements))
	for i := range h.statements {
		list[i] = attest.Attached{Bundle: []byte{byte(i)}, Statement: &h.statements[i]}
	}
	return list, nil
}

func (h hears) Verify(_ context.Context, bundle []byte, _ string) (*attest.Verified, error) {
	return &attest.Verified{Statement: h.statements[bundle[0]], Signer: "signer"}, nil
}

// FuzzPredicate: whatever a signed predicate says, every clause comes to an answer, and one predicate never meets them all: those
// that need another are always refused.
func FuzzPredicate(f *testing.F) {
	types := []string{attest.PredicateProvenance, attest.PredicateSBOM, attest.PredicateSPDX, attest.PredicateTestResult, attest.PredicateSignature, attest.PredicateDeployment, "x"}
	for i, p := range []piece{provenance(nil), sbom(), spdxOf("pkg:npm/a@1", "MIT"), scan("sast", nil), testRun(nil)} {
		data, err := json.Marshal(p.predicate)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(min(i, 3), data)
	}
	f.Add(0, []byte(`{"runDetails":{"metadata":{"finishedOn":"9999-12-31T23:59:59-23:59"}},"buildDefinition":{"resolvedDependencies":[{"uri":"pkg:docker/%","digest":null}]}}`))
	f.Add(5, []byte(`{"attributes":[{"attribute":"DEPLOYED","conditions":{"environment":"staging","finishedOn":"2026-03-02T09:00:00Z"}}]}`))
	f.Add(3, []byte(`{"idpScan":{"stage":"sast","gate":{"waivers":{"count":1}},"new":{"x":-1}},"idpTests":null}`))
	f.Fuzz(func(t *testing.T, kind int, predicate []byte) {
		if !json.Valid(predicate) {
			return // no statement holds such a thing: attest.FuzzStatement
		}
		h := hears{statements: []attest.Statement{{PredicateType: types[max(kind, -kind, 0)%len(types)], Predicate: predicate}}}
		digest := "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		in := verify.Inputs{Reference: "ghcr.io/acme/checkout@" + digest, Policy: "fuzz", Signer: h, Rules: policy.Rules{Signer: policy.Signer{Key: "k"},
			Require: []string{"provenance", "sbom", "sast", "secrets", "tests"}, SAST: policy.Gate{FailOn: "low"}, Secrets: policy.Gate{FailOn: "low"}, EvidenceMaxAge: "7d",
			After:      policy.After{Environment: "staging", Require: []string{"deployment", "smoke"}},
			Provenance: policy.Provenance{Builders: []string{"**"}, BaseImages: []string{"docker.io/**"}, Repositories: []string{"acme/*"}},
			SBOM:       policy.SBOM{DenyPackages: []string{"pkg:npm/x"}, DenyLicenses: []string{"GPL-*"}}}}
		out, err := verify.Run(context.Background(), in, verify.Deps{Evidence: h, Now: func() time.Time { return now }})
		if err == nil || fault.KindOf(err) != fault.Failed {
			t.Fatalf("%v", err)
		}
		met := map[string]bool{}
		for _, c := range out.Evidence.Clauses {
			met[c.Name] = c.Met
		}
		if len(met) != 13 || met["signature"] && met["provenance"] || met["provenance"] && met["sbom"] || met["sast"] && met["secrets"] || met["tests"] || met["smoke"] || met["deployment"] {
			t.Errorf("%v", out.Evidence.Clauses)
		}
	})
}
