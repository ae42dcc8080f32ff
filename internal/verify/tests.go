package verify

import (
	"errors"
	"fmt"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/policy"
)

// tests takes the newest run of the service's own tests, as scan does: a later run that failed is not outvoted by an earlier one.
func (c *court) tests() (string, error) {
	list, err := c.of("test result", attest.PredicateTestResult)
	if err != nil {
		return "", err
	}
	var runs []attest.TestResult
	objection := c.absent("result of " + policy.EvidenceTests)
	for _, s := range list {
		var r attest.TestResult
		if err := decode(s.Predicate, &r); err != nil {
			return "", err
		}
		if r.Tests == nil || r.Scan != nil {
			continue
		}
		if err := c.sameCommit("tested", r.Tests.Commit); err != nil {
			objection = err
			continue
		}
		runs = append(runs, r)
	}
	if len(runs) == 0 {
		return "", objection
	}
	newest := runs[0].Tests
	for _, r := range runs {
		if r.Tests.FinishedOn.After(newest.FinishedOn) {
			newest = r.Tests
		}
	}
	for _, r := range runs {
		if !r.Tests.FinishedOn.Equal(newest.FinishedOn) {
			continue
		}
		if err := passed(r); err != nil {
			return "", err
		}
	}
	if err := c.dated(newest.FinishedOn); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s passed, %d flaky, %d skipped, %s ago", finding.Plural(newest.Passed, "test"), newest.Flaky, newest.Skipped,
		max(c.now.Sub(newest.FinishedOn), 0).Round(time.Second)), nil
}

// passed refuses a run in which something failed, and one in which nothing passed. A run with flaky tests only warns.
func passed(r attest.TestResult) error {
	t := r.Tests
	switch {
	case r.Result != attest.ResultPassed && r.Result != attest.ResultWarned:
		return fmt.Errorf("the tests did not pass, their result is %q", r.Result)
	case t.Failed != 0 || len(r.FailedTests) > 0:
		return fmt.Errorf("%s failed", finding.Plural(max(t.Failed, len(r.FailedTests)), "test"))
	case t.Passed <= 0:
		return errors.New("no test passed")
	}
	return nil
}
