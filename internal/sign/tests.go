package sign

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/testrun"
)

// skew is how far apart the clocks of who commits and of who tests may be.
const skew = 5 * time.Minute

// Check reads the results of the tests before any work is done, and refuses those of which nothing can be told.
func (in Inputs) Check(ctx context.Context) error {
	if len(in.Tests) == 0 {
		return nil
	}
	_, err := testrun.Load(ctx, in.Tests)
	return err
}

// tested reads the results of the tests, and refuses an image whose tests failed. It is nil where none are given: whether
// there have to be any is for the policy to say.
func tested(ctx context.Context, in Inputs) (*record.Tests, error) {
	if len(in.Tests) == 0 {
		return nil, nil
	}
	tests, err := testrun.Load(ctx, in.Tests)
	if err != nil {
		return nil, err
	}
	if tests.FinishedAt.Add(skew).Before(in.CommitTime) {
		return &tests, fault.Undeterminedf("the test results are of %s, before commit %.7s was made; nothing was pushed or signed",
			tests.FinishedAt.Format(time.RFC3339), in.Record.Source.Commit).WithNext("Run the tests on this commit.")
	}
	if tests.Failed == 0 {
		return &tests, nil
	}
	const shown = 20
	detail := tests.Failures[:min(shown, len(tests.Failures))]
	if n := len(tests.Failures) - len(detail); n > 0 {
		detail = append(detail[:shown:shown], fmt.Sprintf("and %d more", n))
	}
	return &tests, fault.Failedf("%d of %d tests failed: nothing was pushed or signed", tests.Failed, tests.Failed+tests.Passed).WithDetail(detail...)
}

// testsOf names suites and not tests: the names of tests may hold what they are fed with, and there may be thousands.
func testsOf(in Inputs, tests record.Tests) attest.TestResult {
	result := attest.TestResult{Result: attest.ResultPassed, URL: in.Record.Run.URL, PassedTests: tests.PassedSuites, WarnedTests: tests.WarnedSuites,
		Tests: &attest.Tests{Commit: in.Record.Source.Commit, Passed: tests.Passed, Flaky: tests.Flaky, Skipped: tests.Skipped, Failed: tests.Failed,
			FinishedOn: tests.FinishedAt}}
	if tests.Flaky > 0 {
		result.Result = attest.ResultWarned
	}
	for _, f := range tests.Files {
		result.Configuration = append(result.Configuration, attest.Resource{Name: f.Name, Annotations: map[string]any{"form": f.Form, "tests": f.Tests},
			Digest: map[string]string{"sha256": strings.TrimPrefix(f.Digest, "sha256:")}})
	}
	return result
}
