package sign

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/record"
)

// statementsOf gives the signature, the provenance, the SBOMs, the scans and the tests, in that order. All they say comes from the record,
// so a second run on the same record says the same.
func statementsOf(in Inputs, build record.Build, tests *record.Tests) ([]attest.Statement, error) {
	sbom, spdx, err := sbomsOf(in, build)
	if err != nil {
		return nil, err
	}
	provenance, err := provenanceOf(in, build)
	if err != nil {
		return nil, err
	}
	var list []attest.Statement
	add := func(predicateType string, predicate any) {
		if err != nil {
			return
		}
		var s attest.Statement
		s, err = attest.NewStatement(build.Digest, predicateType, predicate)
		list = append(list, s)
	}
	add(attest.PredicateSignature, nil)
	add(attest.PredicateProvenance, provenance)
	if sbom != nil {
		add(attest.PredicateSBOM, sbom)
	}
	for _, one := range spdx {
		add(attest.PredicateSPDX, one)
	}
	for _, stage := range []string{record.StageSAST, record.StageSecrets} {
		s, _ := in.Record.Stage(stage)
		if s.Outcome == record.Skipped {
			continue
		}
		result, scanErr := scanOf(in, s)
		if scanErr != nil {
			return nil, scanErr
		}
		add(attest.PredicateTestResult, result)
	}
	if tests != nil {
		add(attest.PredicateTestResult, testsOf(in, *tests))
	}
	return list, err
}

func scanOf(in Inputs, s record.Stage) (attest.TestResult, error) {
	scan, err := record.EvidenceOf[record.Scan](in.Record, s.Name)
	if err != nil {
		return attest.TestResult{}, err
	}
	started, finished, err := times(s)
	if err != nil {
		return attest.TestResult{}, err
	}
	detail := &attest.Scan{Stage: s.Name, StartedOn: started, FinishedOn: finished, Scan: scan}
	if s.Tool != nil {
		detail.Tool = *s.Tool
	}
	return attest.TestResult{Result: attest.ResultPassed, Configuration: []attest.Resource{policyOf(s.Name, scan)},
		URL: in.Record.Run.URL, PassedTests: []string{s.Name}, Scan: detail}, nil
}

// policyOf is the policy that the scan was held to, which is not always the one that it is signed under.
func policyOf(stage string, scan record.Scan) attest.Resource {
	res := attest.Resource{Name: "policy", Annotations: map[string]any{stage + ".fail-on": scan.FailOn}}
	if i := strings.LastIndex(scan.Policy, " sha256:"); i >= 0 {
		res.Name = cmp.Or(scan.Policy[:i], res.Name)
		res.Digest = map[string]string{"sha256": scan.Policy[i+len(" sha256:"):]}
	}
	return res
}

// times are when a stage began and ended, to the second in UTC. Evidence without a time could never be told to be old.
func times(s record.Stage) (started, finished time.Time, err error) {
	if s.StartedAt.IsZero() {
		return started, finished, fmt.Errorf("the delivery record does not say when %s ran", s.Name)
	}
	started = s.StartedAt.UTC()
	finished = started.Add(time.Duration(s.DurationMS) * time.Millisecond)
	return started.Truncate(time.Second), finished.Truncate(time.Second), nil
}

// equal compares what is said, not the bytes it was signed as.
func equal(a, b attest.Statement) bool {
	one, err1 := json.Marshal(a)
	two, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(one, two)
}
