package deploying

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/artifacts"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/smoke"
)

// Smoke asks the new version whether it answers well, and in a path takes it back when it does not.
type Smoke struct {
	In      smoke.Inputs
	key     string
	keyless delivery.KeylessInputs
	Deploy  *Deploy // of the same path; nil alone
}

func (w *Smoke) Name() string { return record.StageSmoke }

func (w *Smoke) Declare(s *action.Set) {
	w.In.Declare(s)
	action.Key(s, &w.key)
	w.keyless.Declare(s)
}

func (w *Smoke) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	deployed, err := record.EvidenceOf[record.Deploy](d.Snapshot(), record.StageDeploy)
	url, through, addressErr := w.address(ctx, d, deployed)
	if addressErr != nil {
		return delivery.Result{}, addressErr
	}
	if url == "" {
		return delivery.Result{}, fault.BadInputf("where the service answers is not known: %w", err).
			WithNext("Run idp deploy before, or give it: --url https://checkout.staging.example.com")
	}
	out, err := w.test(ctx, d, url, through, w.Name())
	if w.Deploy == nil {
		return delivery.ResultOf(out, err)
	}
	return delivery.ResultOf(out, w.settle(ctx, d, deployed, err))
}

// address is where the service is tested: the input, what deploy says, idp.yaml, or the way through the cluster.
func (w *Smoke) address(ctx context.Context, d *delivery.Delivery, deployed record.Deploy) (url string, through http.RoundTripper, err error) {
	if url = cmp.Or(w.In.URL, deployed.URL, d.Service.Environments[d.Record.Environment].URL); url != "" || w.Deploy == nil || w.Deploy.In.Target != delivery.TargetKubernetes {
		return url, http.DefaultTransport, nil
	}
	t, err := w.Deploy.cluster(ctx, d, w.Name())
	if err != nil {
		return "", nil, err
	}
	return t.Address()
}

// test asks what answers at a URL whether it is the version of this delivery, and well.
func (w *Smoke) test(ctx context.Context, d *delivery.Delivery, url string, through http.RoundTripper, stage string) (smoke.Outputs, error) {
	in := w.In
	in.URL, in.Checks, in.VersionPath = url, d.Service.Smoke, d.Service.Version
	in.WantDigest, in.WantCommit = d.Record.Artifact.Digest, d.Record.Source.Commit
	if in.Rounds == 0 {
		in.Rounds = d.Rules.Smoke.Rounds
	}
	return smoke.Run(ctx, in, smoke.Deps{Transport: through, Now: d.World.Now, Sleep: delivery.Sleep, Progress: d.Progress(stage)})
}

// settle keeps the version that passed, and takes back the one that did not: an unanswered question keeps nothing live.
func (w *Smoke) settle(ctx context.Context, d *delivery.Delivery, deployed record.Deploy, err error) error {
	place, openErr := w.Deploy.place(ctx, d, w.Name())
	if openErr != nil {
		return errors.Join(err, openErr)
	}
	if err == nil {
		return place.Confirm(ctx, deployed.Release)
	}
	if ctx.Err() != nil {
		err = fault.Undeterminedf("%w", context.Cause(ctx))
	}
	back, backErr := place.Rollback(ctx, deployed)
	if backErr != nil {
		if fault.KindOf(backErr) == fault.Undetermined {
			err = fault.Undeterminedf("%w", err).WithDetail(fault.Lines(err)[1:]...) // what is live then is not known
		}
		return delivery.AddTo(err, "; putting the old version back: "+backErr.Error(), fault.Lines(backErr)[1:])
	}
	if back.Release != deployed.Release {
		d.Restored(back)
	}
	return delivery.AddTo(err, "; "+back.Summary, back.Detail)
}

// After is what is said of the image when the test has ended.
func (w *Smoke) After() delivery.Following { return artifacts.AttestWith(&w.key, &w.keyless) }
