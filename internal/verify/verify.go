// Package verify holds the evidence that is attached to one digest against the policy of an environment, clause by clause.
// Every clause is evaluated and says what met it or why it is refused; one refused clause refuses the digest.
package verify

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
)

// Inputs are what verifying needs to know.
type Inputs struct {
	Key string

	// Filled in by the app.
	Reference    string // IMAGE@DIGEST
	Environment  string // empty for the policy's defaults
	Policy       string // name of the policy
	PolicyDigest string // sha256:HEX of its file
	Rules        policy.Rules
	Signer       attest.Verifier // who the rules' signer is; nil only where they name none
	Repository   string          // that the provenance must name; empty where it is not known
	Commit       string          // that the provenance and the scans must name; empty where it is not known
	Path         *string         // folder of the service in the repository that the provenance must name; nil where it is not known
	Asked        bool            // somebody asks for them: the provenance must be there, also where the policy does not require it
	Unlisted     bool            // the environment was named by hand, and the policy does not list it: it may be a slip
}

// Declare declares the inputs.
func (in *Inputs) Declare(s *action.Set) {
	action.Key(s, &in.Key)
}

// reader gives all evidence that is attached to IMAGE@DIGEST.
type reader interface {
	Read(ctx context.Context, ref string) ([]attest.Attached, error)
}

// Deps are what verifying works with.
type Deps struct {
	Evidence reader
	Now      func() time.Time
	Progress action.Progress
}

// Outputs are the result.
type Outputs = action.Result[record.Verify]

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

var reference = regexp.MustCompile(`^[^@\s]+@(sha256:[0-9a-f]{64})$`)

// Run verifies. It fails when a clause is refused, and is undetermined when the registry cannot be asked or lists evidence
// that cannot be read.
func Run(ctx context.Context, in Inputs, deps Deps) (Outputs, error) {
	out := Outputs{Tool: attest.Tool()}
	out.Evidence = record.Verify{Reference: in.Reference, Policy: strings.TrimSpace(in.Policy + " " + in.PolicyDigest),
		Environment: in.Environment}
	m := reference.FindStringSubmatch(in.Reference)
	if m == nil {
		return out, fault.BadInputf("an image is verified by digest, such as ghcr.io/acme/checkout@sha256:…, not as %q", in.Reference)
	}
	if in.Rules.Signer.Named() && in.Signer == nil {
		return out, fault.BadInputf("policy %s names a signer, and nothing tells how theirs can be told from others'", in.name()).
			WithNext("Give the public key: --key cosign.pub", "Or, where it was signed keyless, its repository: --repository acme/checkout")
	}
	if deps.Now == nil {
		return out, fault.Undeterminedf("without a clock the age of evidence cannot be told")
	}
	if deps.Progress != nil {
		deps.Progress("reading the evidence")
	}
	attached, err := deps.Evidence.Read(ctx, in.Reference)
	if err != nil {
		return out, err
	}
	c := &court{in: in, digest: m[1], now: deps.Now(), attached: len(attached)}
	if err := c.admit(ctx, attached); err != nil {
		return out, err
	}
	out.Evidence.Clauses = c.clauses()
	return conclude(out, in, m[1], len(attached))
}

func (in Inputs) name() string {
	if in.Environment == "" {
		return in.Policy
	}
	if in.Unlisted {
		return in.Policy + "/" + in.Environment + " (which it does not list: its defaults)"
	}
	return in.Policy + "/" + in.Environment
}

func conclude(out Outputs, in Inputs, digest string, attached int) (Outputs, error) {
	var refused []string
	all := out.Evidence.Clauses
	for _, c := range all {
		if !c.Met {
			refused = append(refused, c.Name+": "+c.Reason)
		}
	}
	out.Summary = fmt.Sprintf("policy %s: %d of %d clauses", in.name(), len(all)-len(refused), len(all))
	if len(refused) == 0 && len(all) > 0 {
		return out, nil
	}
	err := fault.Failedf("policy %s refuses %s: %d of %d clauses", in.name(), digest, len(refused), len(all)).WithDetail(refused...)
	if attached == 0 {
		return out, err.WithNext("Nothing is attached to this digest: it is unsigned. Sign it in the job that builds it: idp sign")
	}
	return out, err.WithNext("docs/predicates.md says what meets each clause. New evidence comes from a new run on this commit.")
}
