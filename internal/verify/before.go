package verify

import (
	"errors"
	"fmt"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/record"
)

// before judges what became of the image in the environment that comes before this one.
func (c *court) before(name, environment string) (string, error) {
	switch {
	case environment == "":
		return "", errors.New("the policy does not say in which environment")
	case name == record.StageSmoke:
		return c.smoked(environment)
	case name == "deployment":
		return c.deployed(environment)
	}
	return "", errors.New("the policy requires evidence that this program does not know")
}

// smoked takes the newest smoke test in an environment.
func (c *court) smoked(environment string) (string, error) {
	newest, err := c.newest("smoke result in "+environment, "tested", func(r attest.TestResult) (string, time.Time, bool) {
		if r.Smoke == nil || r.Smoke.Environment != environment {
			return "", time.Time{}, false
		}
		return r.Smoke.Commit, r.Smoke.FinishedOn, true
	}, func(r attest.TestResult) error {
		switch {
		case r.Result != attest.ResultPassed || len(r.FailedTests) > 0:
			return fmt.Errorf("the smoke test in %s did not pass, its result is %q", environment, r.Result)
		case len(r.PassedTests) == 0 || r.Smoke.Rounds <= 0:
			return fmt.Errorf("the smoke test in %s checked nothing", environment)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("passed in %s, %s", environment, c.ago(newest.at)), nil
}

// deployed takes the newest word that the image is live in an environment.
func (c *court) deployed(environment string) (string, error) {
	what := "deployment to " + environment
	list, err := c.of(what, attest.PredicateDeployment)
	if err != nil {
		return "", err
	}
	var newest *attest.DeployedWhen
	var by *attest.Verified
	objection := c.absent(what)
	for _, s := range list {
		var d attest.Deployment
		if err := decode(s.Predicate, &d); err != nil {
			return "", err
		}
		for _, a := range d.Attributes {
			when := a.Conditions
			if a.Attribute != attest.Deployed || when.Environment != environment {
				continue
			}
			if err := c.sameSource("deployed", when.Commit, s); err != nil {
				objection = err
				continue
			}
			if newest == nil || when.FinishedOn.After(newest.FinishedOn) {
				newest, by = &when, s
			}
		}
	}
	if newest == nil {
		return "", objection
	}
	if err := c.dated(newest.FinishedOn, by); err != nil {
		return "", err
	}
	return fmt.Sprintf("went live in %s at %s", environment, newest.FinishedOn.UTC().Format(time.RFC3339)), nil
}
