package app

import (
	"context"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/sign"
)

// attestWork says of the image what became of it, after it is live: a registry that is down then makes the delivery
// undetermined, and takes nothing down. Running it again adds what is missing.
type attestWork struct {
	key     *string
	keyless *keylessInputs
}

func (*attestWork) name() string          { return record.StageAttest }
func (*attestWork) Declare(s *action.Set) {}

func (w *attestWork) stage(ctx context.Context, d *delivery) (result, error) {
	if d.snapshot().Artifact.Reference() == "" {
		return result{}, fault.Skipf("which image this is about is not known")
	}
	if !w.signs(ctx, d) {
		return result{}, fault.Skipf("nothing is given to sign it with")
	}
	signer, err := d.signer(ctx, *w.key, *w.keyless)
	if err != nil {
		return result{}, err
	}
	out, err := sign.Append(ctx, d.snapshot(), sign.Deps{Evidence: referrers.Registry{}, Signer: signer, Progress: d.progress(w.name()), Wait: sleep})
	return resultOf(out, err)
}

// signs tells whether there is something to sign with: a private key, or where the policy wants it keyless the job itself.
// Where there is nothing, whoever needs such evidence asks for it in the policy of the next environment.
func (w *attestWork) signs(ctx context.Context, d *delivery) bool {
	switch {
	case *w.key != "":
		key, err := d.key(ctx, *w.key)
		return err != nil || key.CanSign() // what is wrong with it is said when it signs
	case d.local.allowed:
		return true
	}
	return d.rules.Signer.Keyless != nil && d.runner.MayAskForToken()
}

// acceptedBy is the verdict of the policy, of which no clause was refused.
func (d *delivery) acceptedBy(said record.Verify) *record.Accepted {
	a := &record.Accepted{At: d.world.Now().UTC(), Policy: d.policy.Name, PolicyDigest: d.policy.Digest}
	for _, c := range said.Clauses {
		a.Clauses = append(a.Clauses, c.Name)
	}
	return a
}

// appending is implemented by stages that leave something to be said of the image.
type appending interface{ after() *attestWork }

func (w *deployWork) after() *attestWork { return &attestWork{&w.key, &w.keyless} }
func (w *smokeWork) after() *attestWork  { return &attestWork{&w.key, &w.keyless} }
