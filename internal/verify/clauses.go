package verify

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/policy"
)

func (c *court) signature() (string, error) {
	if _, err := c.of(attest.PredicateSignature, "image signature"); err != nil {
		return "", err
	}
	return "signed by " + c.in.Signer.Identity(), nil
}

func (c *court) sbom() (string, error) {
	list, err := c.of(attest.PredicateSBOM, "SBOM")
	if err != nil {
		return "", err
	}
	var bom struct {
		BomFormat   string            `json:"bomFormat"`
		SpecVersion string            `json:"specVersion"`
		Components  []json.RawMessage `json:"components"`
	}
	// Of several, the last that the registry lists stands for all: they describe the same digest.
	if err := decode(list[len(list)-1].Predicate, &bom); err != nil {
		return "", err
	}
	if bom.BomFormat != "CycloneDX" {
		return "", fmt.Errorf("its SBOM is not CycloneDX")
	}
	return fmt.Sprintf("CycloneDX %s, %s", bom.SpecVersion, finding.Plural(len(bom.Components), "component")), nil
}

// provenance takes the newest that names what is expected: two commits may well build the same image.
func (c *court) provenance() (string, error) {
	list, err := c.of(attest.PredicateProvenance, "provenance")
	if err != nil {
		return "", err
	}
	var newest *attest.Provenance
	var objection error
	for _, s := range list {
		var p attest.Provenance
		if err := decode(s.Predicate, &p); err != nil {
			return "", err
		}
		if err := c.origin(p); err != nil {
			objection = err
			continue
		}
		if newest == nil || p.RunDetails.Metadata.FinishedOn.After(newest.RunDetails.Metadata.FinishedOn) {
			newest = &p
		}
	}
	if newest == nil {
		return "", objection
	}
	if err := c.dated(newest.RunDetails.Metadata.FinishedOn); err != nil {
		return "", err
	}
	source := newest.BuildDefinition.ExternalParameters.Source
	return fmt.Sprintf("built from %s at %.12s", source.Repository, source.Commit), nil
}

func (c *court) origin(p attest.Provenance) error {
	source := p.BuildDefinition.ExternalParameters.Source
	switch {
	case p.BuildDefinition.BuildType != attest.BuildType:
		return fmt.Errorf("its build type is %q, whose parameters this program does not know", p.BuildDefinition.BuildType)
	case source.Repository == "" || source.Commit == "":
		return fmt.Errorf("it does not say which commit of which repository was built")
	case c.in.Repository != "" && source.Repository != c.in.Repository:
		return fmt.Errorf("it was built from %s, not from %s", source.Repository, c.in.Repository)
	case c.in.Commit != "" && source.Commit != c.in.Commit:
		return fmt.Errorf("it was built from commit %.12s, not from %.12s", source.Commit, c.in.Commit)
	case source.Dirty:
		return fmt.Errorf("it was built from a working tree that differs from commit %.12s", source.Commit)
	}
	return nil
}

// scan takes the newest result of the stage, so that a later scan of the same image that failed is not outvoted by an
// earlier one that passed. Of two at the same second both have to pass.
func (c *court) scan(stage string, gate policy.Gate) (string, error) {
	results, err := c.results(stage)
	if err != nil {
		return "", err
	}
	newest := slices.MaxFunc(results, func(a, b attest.TestResult) int { return a.Scan.FinishedOn.Compare(b.Scan.FinishedOn) })
	for _, r := range results {
		if !r.Scan.FinishedOn.Equal(newest.Scan.FinishedOn) {
			continue
		}
		if err := c.judge(r, stage, gate); err != nil {
			return "", err
		}
	}
	if err := c.dated(newest.Scan.FinishedOn); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s passed at fail-on %s, %s ago", newest.Scan.Tool.Name, newest.Scan.FailOn,
		max(c.now.Sub(newest.Scan.FinishedOn), 0).Round(time.Second)), nil
}

// results gives those of one stage that are about the source of this image.
func (c *court) results(stage string) ([]attest.TestResult, error) {
	list, err := c.of(attest.PredicateTestResult, stage+" result")
	if err != nil {
		return nil, err
	}
	var results []attest.TestResult
	objection := c.absent(stage + " result")
	for _, s := range list {
		var r attest.TestResult
		if err := decode(s.Predicate, &r); err != nil {
			return nil, err
		}
		if r.Scan == nil || r.Scan.Stage != stage {
			continue
		}
		if err := c.sameCommit(r.Scan.Commit); err != nil {
			objection = err
			continue
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return nil, objection
	}
	return results, nil
}

// judge holds one result against today's gate, also when it passed under the gate of its own day.
func (c *court) judge(r attest.TestResult, stage string, gate policy.Gate) error {
	if r.Result != attest.ResultPassed || !slices.Contains(r.PassedTests, stage) || len(r.FailedTests) > 0 {
		return fmt.Errorf("the scan did not pass, its result is %q", r.Result)
	}
	scan := r.Scan
	if scan.Coverage.Expected != scan.Coverage.Scanned {
		return fmt.Errorf("the scan covered %d of %d %s", scan.Coverage.Scanned, scan.Coverage.Expected, scan.Coverage.Unit)
	}
	today, err := gate.Rules(stage, "")
	if err != nil {
		return fmt.Errorf("the policy sets no threshold: %w", err)
	}
	then, err := policy.RulesOf(scan.Scan)
	if err != nil {
		return fmt.Errorf("the scan's threshold: %w", err)
	}
	suppressed := finding.Counts(scan.Suppressed).Total()
	if scan.Gate == nil && today.Suppressions != "" && today.Suppressions != finding.Allow {
		return fmt.Errorf("it does not say what was suppressed, and the policy says %s", today.Suppressions)
	}
	if err := then.Weaker(today, finding.Counts(scan.Known).Total(), suppressed); err != nil {
		return err
	}
	if err := c.waived(scan); err != nil {
		return err
	}
	if today.MinConfidence != "" || len(today.CWE) > 0 {
		return nil // severity alone does not tell which findings count; the scan's own gate was at least as strict
	}
	for severity, n := range scan.New {
		if n > 0 && today.FailOn.Reaches(finding.Severity(severity)) {
			return fmt.Errorf("the scan has %s", finding.Plural(n, "new "+severity+" finding"))
		}
	}
	return nil
}

// waived refuses what was let pass until a day that has come, or under looser rules than today's.
func (c *court) waived(scan *attest.Scan) error {
	if scan.Gate == nil || scan.Gate.Waivers == nil || scan.Gate.Waivers.Count == 0 {
		return nil
	}
	w, rules := scan.Gate.Waivers, c.in.Rules.Waivers.Rules()
	n := finding.Plural(w.Count, "finding")
	earliest, err1 := time.Parse(time.DateOnly, w.Earliest)
	latest, err2 := time.Parse(time.DateOnly, w.Latest)
	const day = 24 * time.Hour
	switch {
	case rules.MaxDays == 0:
		return fmt.Errorf("%s passed by a waiver, and the policy allows none", n)
	case err1 != nil || err2 != nil:
		return fmt.Errorf("%s passed by a waiver, and it does not say until when", n)
	case c.now.UTC().Truncate(day).After(earliest):
		return fmt.Errorf("%s passed by a waiver, one of which ran out on %s", n, w.Earliest)
	case latest.Sub(scan.FinishedOn.UTC().Truncate(day)) > time.Duration(rules.MaxDays)*day:
		return fmt.Errorf("%s passed by a waiver, one of which runs until %s; the policy allows %d days", n, w.Latest, rules.MaxDays)
	case rules.NeedReason && !w.NeedReason:
		return fmt.Errorf("%s passed by a waiver that needed no reason, and the policy asks for one", n)
	}
	return nil
}

// sameCommit refuses a scan of other source than the image was built from. Where the delivery does not say which commit
// that was, an accepted provenance does.
func (c *court) sameCommit(scanned string) error {
	want := c.in.Commit
	if want != "" {
		if scanned != want {
			return fmt.Errorf("it scanned commit %.12s, the image is of %.12s", scanned, want)
		}
		return nil
	}
	built := map[string]bool{}
	for _, s := range c.heard {
		var p attest.Provenance
		if s.PredicateType == attest.PredicateProvenance && decode(s.Predicate, &p) == nil && c.origin(p) == nil {
			built[p.BuildDefinition.ExternalParameters.Source.Commit] = true
		}
	}
	if len(built) > 0 && !built[scanned] {
		return fmt.Errorf("it scanned commit %.12s, from which this image was not built", scanned)
	}
	return nil
}

func decode(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("its predicate cannot be read: %w", err)
	}
	return nil
}
