package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/policy"
)

func (c *court) signature() (string, error) {
	by := ""
	if _, err := c.of("image signature", attest.PredicateSignature); err != nil {
		// GitHub signs no image: its provenance is what it signs of one.
		p, absent := c.accepted()
		if absent != nil || p.BuildDefinition.BuildType != attest.BuildTypeGitHub {
			return "", err
		}
		by = ", by GitHub's provenance"
	}
	return "signed by " + c.in.Signer.Identity() + by, nil
}

// scan holds the newest result of the stage against today's gate.
func (c *court) scan(stage string, gate policy.Gate) (string, error) {
	newest, err := c.newest(stage+" result", "scanned", func(r attest.TestResult) (string, time.Time, bool) {
		if r.Scan == nil || r.Scan.Stage != stage {
			return "", time.Time{}, false
		}
		return r.Scan.Commit, r.Scan.FinishedOn, true
	}, func(r attest.TestResult) error { return c.judge(r, stage, gate) })
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s passed at fail-on %s, %s", newest.Scan.Tool.Name, newest.Scan.FailOn, c.ago(newest.Scan.FinishedOn)), nil
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
	if scan.Coverage.Scanned <= 0 && scan.Coverage.Files <= 0 {
		return errors.New("the scan covered nothing")
	}
	for _, counts := range []map[string]int{scan.New, scan.Known, scan.Suppressed} {
		for severity, n := range counts {
			if n < 0 { // it would take others from the sum
				return fmt.Errorf("the scan counts %d findings of severity %s", n, severity)
			}
		}
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

func decode(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("its predicate cannot be read: %w", err)
	}
	return nil
}
