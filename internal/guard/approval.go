package guard

import (
	"fmt"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
)

// Approve is who has to agree before a version comes to an environment.
type Approve struct {
	By     string        // CodeOwners, or ORG/TEAM; empty: nobody has to
	Within time.Duration // how long an approval counts
}

// CodeOwners is the value of Approve.By that asks for an owner of what changed.
const CodeOwners = "codeowners"

// Who says it for people.
func (a Approve) Who() string {
	if a.By == CodeOwners {
		return "a code owner of what changed"
	}
	return "a member of " + a.By
}

// Approval is one person's word on a version, of somebody who may give it and wrote none of the change.
type Approval struct {
	By  string // login
	URL string
	At  time.Time
}

// Consent is what was said of a version. The zero value is not known.
type Consent struct {
	Known     bool
	Why       string // where it is not known: why, and what to do about it
	Approvals []Approval
	Missing   string // what is missing, in words; empty where the approvals are enough
}

// Approved wants the approvals that the rule asks for. Where they are not there yet, the error is a skip: nobody said no. What
// is not known is undetermined.
func Approved(now time.Time, environment string, rule Approve, consent Consent) (Decision, error) {
	d := Decision{Guard: GuardApproval, Answer: Clear, Text: environment + " asks for no approval"}
	if rule.By == "" {
		return d, nil
	}
	if !consent.Known {
		why := consent.Why
		if why == "" {
			why = "nobody was asked"
		}
		return d, fault.Undeterminedf("whether deploying to %s is approved cannot be told: %s", environment, why)
	}
	var said, not []string
	if consent.Missing != "" {
		not = append(not, consent.Missing)
	}
	for _, a := range consent.Approvals {
		if why := a.flaw(now, rule); why != "" {
			not = append(not, fmt.Sprintf("the approval of @%s does not count: %s", a.By, why))
			continue
		}
		said = append(said, "@"+a.By)
		d.URL = a.URL
	}
	if len(said) > 0 && len(not) == 0 {
		d.By = strings.Join(said, ", ")
		d.Text = d.By + " approved this for " + environment
		return d, nil
	}
	d.URL = ""
	d.Answer, d.Text = Waits, fmt.Sprintf("%s waits for the approval of %s who did not write it", environment, rule.Who())
	return d, fault.Skipf("%s", d.Text).
		WithDetail(not...).
		WithNext("An approving review counts, and so does a comment on the pull request: /approve " + environment)
}

// flaw says why an approval does not count; empty when it does.
func (a Approval) flaw(now time.Time, rule Approve) string {
	switch {
	case a.By == "":
		return "who gave it is not known"
	case a.At.IsZero() || a.At.After(now.Add(skew)):
		return "when it was given is not known"
	case now.Sub(a.At) > rule.Within:
		return fmt.Sprintf("it is %s old, and counts for %s", span(now.Sub(a.At)), span(rule.Within))
	}
	return ""
}
