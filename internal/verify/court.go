package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
)

// skew is how far another machine's clock may be ahead.
const skew = 5 * time.Minute

// court judges. Only what the policy's signer signed about this digest is heard.
type court struct {
	in       Inputs
	digest   string
	now      time.Time
	attached int
	heard    []*attest.Verified
	unheard  []string // why the others are not, each reason once
	oldest   time.Time
	undated  bool // a clause that needs a time has none
}

// admit keeps the statements that count.
func (c *court) admit(ctx context.Context, attached []attest.Attached) error {
	if !c.in.Rules.Signer.Named() || c.in.Signer == nil {
		return nil
	}
	for _, a := range attached {
		s, err := c.in.Signer.Verify(ctx, a.Bundle, c.digest)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			c.heard = append(c.heard, s)
			continue
		}
		if why := err.Error(); !slices.Contains(c.unheard, why) {
			c.unheard = append(c.unheard, why)
		}
	}
	return nil
}

// clauses evaluates all of them: what the policy has to say, the signature, what is required in the policy's order, and the age.
func (c *court) clauses() []record.Clause {
	var list []record.Clause
	if missing := c.in.Rules.Undecided(); len(missing) > 0 {
		list = append(list, record.Clause{Name: "policy", Reason: "it does not say " + strings.Join(missing, ", ")})
	}
	list = append(list, clause("signature", c.signature))
	required := c.in.Rules.Evidence()
	if c.in.Asked && !slices.Contains(required, policy.EvidenceProvenance) {
		required = append(required, policy.EvidenceProvenance)
	}
	for _, name := range required {
		list = append(list, clause(name, func() (string, error) { return c.required(name) }))
	}
	after := c.in.Rules.After
	for _, name := range after.Require {
		list = append(list, clause(name, func() (string, error) { return c.before(name, after.Environment) }))
	}
	for _, asked := range []struct {
		name  string
		of    []string
		judge func() (string, error)
	}{
		{"builder", c.in.Rules.Provenance.Builders, c.builder},
		{"base-image", c.in.Rules.Provenance.BaseImages, c.baseImage},
		{"packages", c.in.Rules.SBOM.DenyPackages, c.packages},
		{"licenses", slices.Concat(c.in.Rules.SBOM.DenyLicenses, c.in.Rules.SBOM.AllowLicenses), c.licenses},
	} {
		if len(asked.of) > 0 {
			list = append(list, clause(asked.name, asked.judge))
		}
	}
	if c.in.Rules.EvidenceMaxAge != "" {
		list = append(list, clause("age", c.age))
	}
	return list
}

// clause turns an objection into a refusal.
func clause(name string, judge func() (string, error)) record.Clause {
	reason, err := judge()
	if err != nil {
		return record.Clause{Name: name, Reason: err.Error()}
	}
	return record.Clause{Name: name, Met: true, Reason: reason}
}

func (c *court) required(name string) (string, error) {
	switch name {
	case policy.EvidenceProvenance:
		return c.provenance()
	case policy.EvidenceSBOM:
		return c.sbom()
	case policy.EvidenceTests:
		return c.tests()
	case record.StageSAST:
		return c.scan(name, c.in.Rules.SAST)
	case record.StageSecrets:
		return c.scan(name, c.in.Rules.Secrets)
	}
	return "", fmt.Errorf("the policy requires evidence that this program does not know")
}

// of gives the statements of some types that count, or says why there are none.
func (c *court) of(what string, predicateTypes ...string) ([]*attest.Verified, error) {
	var list []*attest.Verified
	for _, s := range c.heard {
		if slices.Contains(predicateTypes, s.PredicateType) {
			list = append(list, s)
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	return nil, c.absent(what)
}

func (c *court) absent(what string) error {
	switch {
	case !c.in.Rules.Signer.Named():
		return fmt.Errorf("the policy names no signer, so nothing counts as evidence")
	case c.attached == 0:
		return fmt.Errorf("nothing is attached to this digest")
	case len(c.unheard) == 0:
		return fmt.Errorf("no %s is attached by the signer", what)
	}
	why := c.unheard[0]
	if n := len(c.unheard) - 1; n > 0 {
		why += fmt.Sprintf(" (and %d more reasons)", n)
	}
	return fmt.Errorf("no %s is attached by the signer; of what is attached, some does not count: %s", what, why)
}

// dated notes when evidence was made, for the age. It refuses what was made in the future, or after it was signed: else whoever
// signs could make it look younger than it is.
func (c *court) dated(t time.Time, by *attest.Verified) error {
	if t.IsZero() {
		c.undated = true
		return fmt.Errorf("it does not say when it was made")
	}
	if t.After(c.now.Add(skew)) {
		return fmt.Errorf("it was made at %s, which is in the future", t.Format(time.RFC3339))
	}
	if signed := by.SignedAt; !signed.IsZero() && t.After(signed.Add(skew)) {
		return fmt.Errorf("it was made at %s, after it was signed, at %s", t.Format(time.RFC3339), signed.Format(time.RFC3339))
	}
	if c.oldest.IsZero() || t.Before(c.oldest) {
		c.oldest = t
	}
	return nil
}

func (c *court) age() (string, error) {
	switch {
	case c.undated:
		return "", fmt.Errorf("some evidence does not say when it was made")
	case c.oldest.IsZero():
		return "", fmt.Errorf("there is no evidence whose age could be told")
	}
	allowed, err := policy.ParseAge(c.in.Rules.EvidenceMaxAge)
	if err != nil {
		return "", err
	}
	age := max(c.now.Sub(c.oldest), 0).Round(time.Second)
	if age > allowed {
		return "", fmt.Errorf("the oldest evidence is %s old, allowed are %s", age, c.in.Rules.EvidenceMaxAge)
	}
	return fmt.Sprintf("the oldest evidence is %s old", age), nil
}
