package evidence

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
)

// unknown is the kind of what this program cannot read.
const unknown = "other"

// order is that in which a delivery comes about.
var order = []string{"signature", "provenance", "sbom", record.StageSAST, record.StageSecrets, "tests", "verdict", "approval", "deployment", record.StageSmoke}

// rank puts what is verified before claims, and kinds that are not listed last.
func rank(i Item) int {
	at := slices.Index(order, i.Kind)
	if at < 0 {
		at = len(order)
	}
	if !i.Verified {
		at += len(order) + 1
	}
	return at
}

// said is what a statement says, for a person.
type said struct {
	kind  string
	lines []string
	at    time.Time
}

// describe reads a statement as far as this program knows its type. The texts in it are anyone's until they are printed.
func describe(s attest.Statement) said {
	read := map[string]func(json.RawMessage) (said, bool){
		attest.PredicateProvenance: provenance, attest.PredicateTestResult: testResult, attest.PredicateSBOM: cycloneDX,
		spdxType: spdx, attest.PredicateVerdict: verdict, attest.PredicateApproval: approval, attest.PredicateDeployment: deployment,
	}
	typ := s.PredicateType
	if strings.HasPrefix(typ, spdxType+"/") {
		typ = spdxType
	}
	switch {
	case typ == attest.PredicateSignature:
		return said{kind: "signature", lines: []string{"of the image"}}
	case read[typ] == nil:
		return said{kind: unknown, lines: []string{s.PredicateType}}
	}
	if what, ok := read[typ](s.Predicate); ok {
		return what
	}
	return said{kind: unknown, lines: []string{s.PredicateType, "it does not have the form of its type"}}
}

const (
	// https://github.com/in-toto/attestation/blob/main/spec/predicates/spdx.md
	spdxType = attest.PredicateSPDX
)

func provenance(data json.RawMessage) (said, bool) {
	p, err := attest.ReadProvenance(data)
	if err != nil && p.BuildDefinition.BuildType == "" {
		return said{}, false
	}
	out := said{kind: "provenance", at: p.RunDetails.Metadata.FinishedOn}
	deps := p.BuildDefinition.ResolvedDependencies
	if how, source := attest.HowBuilt(p.BuildDefinition.BuildType), p.BuildDefinition.ExternalParameters.Source; err == nil && how != "" && source.Repository != "" {
		text := fmt.Sprintf("%s %s at %s", how, source.Repository, source.Commit)
		if source.Ref != "" {
			text += " (" + short(source.Ref) + ")"
		}
		if source.Dirty {
			text += ", from a working tree that differs from it"
		}
		out.lines = append(out.lines, text)
	} else {
		out.lines = append(out.lines, "built as "+p.BuildDefinition.BuildType)
		if len(deps) > 0 {
			out.lines = append(out.lines, "from "+deps[0].URI)
		}
	}
	out.lines = append(out.lines, "by "+p.RunDetails.Builder.ID+fmt.Sprintf(", %d resolved dependencies", len(deps)))
	if id := p.RunDetails.Metadata.InvocationID; id != "" {
		out.lines = append(out.lines, "run "+id)
	}
	return out, true
}

// short takes the form of a full ref away.
func short(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		if name, ok := strings.CutPrefix(ref, prefix); ok {
			return name
		}
	}
	return ref
}

func testResult(data json.RawMessage) (said, bool) {
	var r attest.TestResult
	if !decode(data, &r) {
		return said{}, false
	}
	verdict := strings.ToLower(r.Result)
	if s := r.Smoke; s != nil && r.Scan == nil {
		text := fmt.Sprintf("%s in %s: %d checks, %d failed, %s, p95 %.0f ms", verdict, s.Environment, len(r.PassedTests)+len(r.FailedTests), len(r.FailedTests),
			finding.Plural(s.Rounds, "round"), s.P95MS)
		return said{kind: record.StageSmoke, at: s.FinishedOn, lines: withRun([]string{text}, r.URL)}, true
	}
	if t := r.Tests; t != nil && r.Scan == nil {
		text := fmt.Sprintf("%s: %d passed, %d flaky, %d skipped, %d failed, at %s", verdict, t.Passed, t.Flaky, t.Skipped, t.Failed, t.Commit)
		return said{kind: "tests", at: t.FinishedOn, lines: withRun([]string{text}, r.URL)}, true
	}
	if r.Scan == nil {
		text := fmt.Sprintf("%s: %d passed, %d warned, %d failed", verdict, len(r.PassedTests), len(r.WarnedTests), len(r.FailedTests))
		return said{kind: "tests", lines: withRun([]string{text}, r.URL)}, true
	}
	s := r.Scan
	if s.Stage != record.StageSAST && s.Stage != record.StageSecrets {
		return said{}, false
	}
	text := fmt.Sprintf("%s: %s %s, %d of %d %s, fail-on %s", verdict, s.Tool.Name, s.Tool.Version, s.Coverage.Scanned, s.Coverage.Expected,
		s.Coverage.Unit, s.FailOn)
	counts := fmt.Sprintf("%d new, %d known, %d suppressed", finding.Counts(s.New).Total(), finding.Counts(s.Known).Total(),
		finding.Counts(s.Suppressed).Total())
	return said{kind: s.Stage, at: s.FinishedOn, lines: withRun([]string{text, counts + ", at " + s.Commit}, r.URL)}, true
}

func withRun(lines []string, url string) []string {
	if url == "" {
		return lines
	}
	return append(lines, "run "+url)
}

func cycloneDX(data json.RawMessage) (said, bool) {
	var bom struct {
		BomFormat, SpecVersion string
		Components             []json.RawMessage
		Metadata               struct{ Timestamp string }
	}
	if !decode(data, &bom) || bom.BomFormat != "CycloneDX" {
		return said{}, false
	}
	return said{kind: "sbom", at: parsed(bom.Metadata.Timestamp),
		lines: []string{"CycloneDX " + bom.SpecVersion + ", " + finding.Plural(len(bom.Components), "component")}}, true
}

func spdx(data json.RawMessage) (said, bool) {
	var doc struct {
		SPDXVersion  string `json:"spdxVersion"`
		Packages     []json.RawMessage
		CreationInfo struct{ Created string }
	}
	if !decode(data, &doc) || doc.SPDXVersion == "" {
		return said{}, false
	}
	return said{kind: "sbom", at: parsed(doc.CreationInfo.Created),
		lines: []string{doc.SPDXVersion + ", " + finding.Plural(len(doc.Packages), "package")}}, true
}

func verdict(data json.RawMessage) (said, bool) {
	var v attest.Verdict
	if !decode(data, &v) || v.VerificationResult == "" {
		return said{}, false
	}
	text := strings.ToLower(v.VerificationResult) + " under policy " + v.Policy.URI
	if e := v.Detail.Environment; e != "" {
		text += " for " + e + ": " + strings.Join(v.Detail.Clauses, ", ")
	}
	return said{kind: "verdict", at: v.TimeVerified, lines: []string{text, "by " + v.Verifier.ID}}, true
}

func approval(data json.RawMessage) (said, bool) {
	var a attest.Approval
	if !decode(data, &a) || !slices.Contains(a.Properties, attest.Approved) {
		return said{}, false
	}
	lines := []string{fmt.Sprintf("by %s for %s, of %s", a.Detail.By, a.Detail.Environment, a.Detail.Commit)}
	if a.Detail.URL != "" {
		lines = append(lines, "at "+a.Detail.URL)
	}
	return said{kind: "approval", at: a.TimeCreated, lines: lines}, true
}

func deployment(data json.RawMessage) (said, bool) {
	var d attest.Deployment
	if !decode(data, &d) || len(d.Attributes) != 1 || d.Attributes[0].Attribute != attest.Deployed {
		return said{}, false
	}
	when := d.Attributes[0].Conditions
	lines := []string{fmt.Sprintf("live in %s as %s, on %s", when.Environment, when.Release, when.Target)}
	if d.Producer != nil {
		lines = withRun(lines, d.Producer.URI)
	}
	return said{kind: "deployment", at: when.FinishedOn, lines: lines}, true
}

// parsed is the zero time for a text that is none.
func parsed(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t
}
