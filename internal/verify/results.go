package verify

import (
	"errors"
	"fmt"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/policy"
)

// result is a test result that counts.
type result struct {
	attest.TestResult
	by *attest.Verified
	at time.Time
}

// newest takes the newest result of one kind that is about the source of this image, so that a later one that failed is not
// outvoted by an earlier one that passed. Of two at the same second both have to pass. Kind says of a result whether it is one,
// of which commit and when; did is what was done with the commit.
func (c *court) newest(what, did string, kind func(attest.TestResult) (commit string, at time.Time, ok bool), judge func(attest.TestResult) error) (*result, error) {
	list, err := c.of(what, attest.PredicateTestResult)
	if err != nil {
		return nil, err
	}
	var results []*result
	var newest *result
	objection := c.absent(what)
	for _, s := range list {
		r := &result{by: s}
		if err := decode(s.Predicate, &r.TestResult); err != nil {
			return nil, err
		}
		commit, at, ok := kind(r.TestResult)
		if !ok {
			continue
		}
		if err := c.sameSource(did, commit, s); err != nil {
			objection = err
			continue
		}
		r.at = at
		results = append(results, r)
		if newest == nil || at.After(newest.at) {
			newest = r
		}
	}
	if newest == nil {
		return nil, objection
	}
	for _, r := range results {
		if !r.at.Equal(newest.at) {
			continue
		}
		if err := judge(r.TestResult); err != nil {
			return nil, err
		}
	}
	return newest, c.dated(newest.at, newest.by)
}

// sameSource refuses what was done with other source than the image was built from. Where the delivery does not say which that
// was, an accepted provenance does.
func (c *court) sameSource(did, commit string, by *attest.Verified) error {
	if want := c.in.Commit; want != "" {
		if commit != want {
			return fmt.Errorf("it %s commit %.12s, the image is of %.12s", did, commit, want)
		}
		if c.in.Repository != "" {
			return signedIn(by, c.in.Repository)
		}
	}
	objection := fmt.Errorf("it %s commit %.12s, from which this image was not built", did, commit)
	origins := c.origins()
	for _, p := range origins {
		source := p.BuildDefinition.ExternalParameters.Source
		if source.Commit != commit {
			continue
		}
		err := signedIn(by, source.Repository)
		if err == nil {
			return nil
		}
		objection = err
	}
	switch {
	case len(origins) > 0:
		return objection
	case c.in.Commit != "" && by.Certificate == nil:
		return nil // it is the commit that is asked for
	}
	return errUnknown
}

func (c *court) ago(t time.Time) string {
	return max(c.now.Sub(t), 0).Round(time.Second).String() + " ago"
}

// tests are the service's own.
func (c *court) tests() (string, error) {
	newest, err := c.newest("result of "+policy.EvidenceTests, "tested", func(r attest.TestResult) (string, time.Time, bool) {
		if r.Tests == nil || r.Scan != nil || r.Smoke != nil {
			return "", time.Time{}, false
		}
		return r.Tests.Commit, r.Tests.FinishedOn, true
	}, passed)
	if err != nil {
		return "", err
	}
	t := newest.Tests
	return fmt.Sprintf("%s passed, %d flaky, %d skipped, %s", finding.Plural(t.Passed, "test"), t.Flaky, t.Skipped, c.ago(t.FinishedOn)), nil
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
