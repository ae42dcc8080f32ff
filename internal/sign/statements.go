package sign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// builderID is who vouches for the provenance. It claims no more than that this program made it: with a key, whoever holds
// the key is the builder.
const builderID = "https://github.com/org/idp"

// statementsOf gives the signature, the provenance, the SBOM and the scans, in that order. All they say comes from the record,
// so a second run on the same record says the same.
func statementsOf(in Inputs, build record.Build) ([]attest.Statement, error) {
	sbom, err := readSBOM(in.SBOM, build.Digest)
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
	add(attest.PredicateSBOM, sbom)
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
	return list, err
}

// readSBOM gives the document as it is, if it is that of the image: another build may have written it since.
func readSBOM(path, digest string) (json.RawMessage, error) {
	if path == "" {
		return nil, fault.BadInputf("no SBOM is given").WithNext("Build first: idp build writes it.")
	}
	data, err := os.ReadFile(path) // #nosec G304 -- the path is that of the build's own output
	if err != nil {
		return nil, fmt.Errorf("SBOM: %w", err)
	}
	var form struct {
		BomFormat string `json:"bomFormat"`
		Metadata  struct {
			Component struct {
				Hashes []struct {
					Alg, Content string
				} `json:"hashes"`
			} `json:"component"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return nil, fmt.Errorf("SBOM %s: %w", path, err)
	}
	if form.BomFormat != "CycloneDX" {
		return nil, fmt.Errorf("SBOM %s is not CycloneDX", path)
	}
	for _, h := range form.Metadata.Component.Hashes {
		if h.Alg == "SHA-256" && "sha256:"+h.Content == digest {
			return data, nil
		}
	}
	return nil, fault.Undeterminedf("SBOM %s is not of the image that was built, %s; nothing was pushed", path, digest).
		WithNext("Build again: the SBOM changed after the build.")
}

func provenanceOf(in Inputs, build record.Build) (attest.Provenance, error) {
	r := in.Record
	stage, _ := r.Stage(record.StageBuild)
	started, finished, err := times(stage)
	if err != nil {
		return attest.Provenance{}, err
	}
	return attest.Provenance{
		BuildDefinition: attest.BuildDefinition{
			BuildType: attest.BuildType,
			ExternalParameters: attest.ExternalParameters{Source: attest.Source{Repository: r.Source.Repository,
				Commit: r.Source.Commit, Ref: r.Source.Ref, Path: r.Source.Path}},
			InternalParameters: attest.InternalParameters{Service: r.Service.Name, Platform: build.Platform, Go: build.Go,
				Parameters: build.Parameters},
			ResolvedDependencies: append([]attest.Resource{source(in)}, modules(build.Materials)...),
		},
		RunDetails: attest.RunDetails{
			Builder:  attest.Builder{ID: builderID, Version: versions(in, build)},
			Metadata: attest.BuildMetadata{InvocationID: invocation(r), StartedOn: started, FinishedOn: finished},
		},
	}, nil
}

func source(in Inputs) attest.Resource {
	s := in.Record.Source
	res := attest.Resource{Name: s.Repository, Digest: map[string]string{"gitCommit": s.Commit}}
	if in.RepositoryURL != "" {
		res.URI = "git+" + strings.TrimSuffix(in.RepositoryURL, ".git")
		if s.Ref != "" {
			res.URI += "@" + s.Ref
		}
	}
	return res
}

func modules(materials []record.Material) []attest.Resource {
	list := make([]attest.Resource, len(materials))
	for i, m := range materials {
		list[i] = attest.Resource{URI: m.URI, Digest: attest.DirHash(m.Sum)}
	}
	return list
}

func versions(in Inputs, build record.Build) map[string]string {
	v := map[string]string{}
	if in.Version != "" {
		v["idp"] = in.Version
	}
	if build.Go != "" {
		v["go"] = build.Go
	}
	return v
}

// invocation tells runs apart: the run on the runner, or the delivery elsewhere.
func invocation(r *record.Record) string {
	if r.Run.URL != "" {
		return r.Run.URL // of the attempt
	}
	return r.ID
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
	return attest.TestResult{Result: attest.ResultPassed, Configuration: []attest.Resource{policyOf(in, s.Name, scan.FailOn)},
		URL: in.Record.Run.URL, PassedTests: []string{s.Name}, Scan: detail}, nil
}

func policyOf(in Inputs, stage, failOn string) attest.Resource {
	res := attest.Resource{Name: "policy", Annotations: map[string]any{stage + ".fail-on": failOn}}
	if in.Policy != "" {
		res.Name = in.Policy
	}
	if hex, ok := strings.CutPrefix(in.PolicyDigest, "sha256:"); ok {
		res.Digest = map[string]string{"sha256": hex}
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
