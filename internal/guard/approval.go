package guard

import (
	"fmt"
	"slices"
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

// Approval is one person's word on a version.
type Approval struct {
	By  string // login
	How string // such as "a review of #12"
	URL string
	At  time.Time
	May bool   // By is whom the rule asks for
	Why string // where May is false
}

// Consent is what was said of a version. The zero value is not known.
type Consent struct {
	Known     bool
	Why       string   // where it is not known: why, and what to do about it
	Authors   []string // logins of who wrote the change
	Approvals []Approval
}

// Approved wants one approval of somebody who may give it and did not write the change. Where there is none yet, the error
// is a skip: nobody said no. What is not known is undetermined.
func Approved(now time.Time, environment string, rule Approve, consent Consent) (Decision, error) {
	d := Decision{Guard: GuardApproval, Answer: Clear, Text: environment + " asks for no approval"}
	if rule.By == "" {
		return d, nil
	}
	if !consent.Known || len(consent.Authors) == 0 {
		why := consent.Why
		if why == "" {
			why = "who wrote the change is not known"
		}
		return d, fault.Undeterminedf("whether deploying to %s is approved cannot be told: %s", environment, why)
	}
	var not []string
	for _, a := range consent.Approvals {
		if why := a.flaw(now, rule, consent.Authors); why != "" {
			not = append(not, fmt.Sprintf("%s of @%s does not count: %s", a.How, a.By, why))
			continue
		}
		d.Text = fmt.Sprintf("@%s approved %s by %s, %s ago", a.By, environment, a.How, span(max(now.Sub(a.At), 0)))
		d.By, d.URL = a.By, a.URL
		return d, nil
	}
	d.Answer, d.Text = Waits, fmt.Sprintf("%s waits for the approval of %s who did not write it", environment, rule.Who())
	return d, fault.Skipf("%s", d.Text).
		WithDetail(not...).
		WithNext("An approving review counts, and so does a comment on the pull request: /approve " + environment)
}

// flaw says why an approval does not count; empty when it does.
func (a Approval) flaw(now time.Time, rule Approve, authors []string) string {
	same := func(author string) bool { return strings.EqualFold(author, a.By) }
	switch {
	case a.By == "":
		return "who gave it is not known"
	case slices.ContainsFunc(authors, same):
		return "it is of an author of the change"
	case !a.May && a.Why != "":
		return a.Why
	case !a.May:
		return "it is not of " + rule.Who()
	case a.At.IsZero() || a.At.After(now.Add(skew)):
		return "when it was given is not known"
	case now.Sub(a.At) > rule.Within:
		return fmt.Sprintf("it is %s old, and counts for %s", span(now.Sub(a.At)), span(rule.Within))
	}
	return ""
}
