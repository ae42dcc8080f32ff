package artifacts

import (
	"context"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/sign"
)

// Attest says of the image what became of it, after it is live: a registry that is down then makes the delivery
// undetermined, and takes nothing down. Running it again adds what is missing.
type Attest struct {
	key     *string
	keyless *delivery.KeylessInputs
}

// AttestWith says it with what another stage signs with.
func AttestWith(key *string, keyless *delivery.KeylessInputs) *Attest {
	return &Attest{key: key, keyless: keyless}
}

func (*Attest) Name() string { return record.StageAttest }

func (*Attest) Declare(s *action.Set) {}

func (w *Attest) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	if sign.Became(d.Snapshot()).Reference() == "" {
		return delivery.Result{}, fault.Skipf("which image this is about is not known")
	}
	if !w.Signs(ctx, d) {
		return delivery.Result{}, fault.Skipf("nothing is given to sign it with")
	}
	signer, err := d.Signer(ctx, *w.key, *w.keyless)
	if err != nil {
		return delivery.Result{}, err
	}
	out, err := sign.Append(ctx, d.Snapshot(), sign.Deps{Evidence: referrers.Registry{}, Signer: signer, Progress: d.Progress(w.Name()), Wait: delivery.Sleep})
	return delivery.ResultOf(out, err)
}

// Signs tells whether there is something to sign with: a private key, or where the policy wants it keyless the job itself.
// Where there is nothing, whoever needs such evidence asks for it in the policy of the next environment.
func (w *Attest) Signs(ctx context.Context, d *delivery.Delivery) bool {
	switch {
	case *w.key != "":
		key, err := d.Key(ctx, *w.key)
		return err != nil || key.CanSign() // what is wrong with it is said when it signs
	case d.Local.Allowed:
		return true
	}
	return d.Rules.Signer.Keyless != nil && d.Runner.MayAskForToken()
}

// AcceptedBy is the verdict of the policy, of which no clause was refused.
func AcceptedBy(d *delivery.Delivery, said record.Verify) *record.Accepted {
	a := &record.Accepted{At: d.World.Now().UTC(), Policy: d.Policy.Name, PolicyDigest: d.Policy.Digest}
	for _, c := range said.Clauses {
		a.Clauses = append(a.Clauses, c.Name)
	}
	return a
}

// Ready tells what is wrong with the key, where there is one.
func (w *Attest) Ready(ctx context.Context, d *delivery.Delivery) error {
	if *w.key == "" {
		return nil
	}
	_, err := d.Key(ctx, *w.key)
	return err
}
