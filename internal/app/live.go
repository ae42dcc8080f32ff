package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/deploy"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/localtarget"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/smoke"
	"github.com/org/idp/internal/target"
)

type deployWork struct {
	in      deploy.Inputs
	key     string
	keyless keylessInputs
	image   string
	smoke   *smokeWork // of the same path; nil alone
	answers []record.Guard
	set     *manifest.Set // that is deployed, rendered once: putting an old version back must not depend on a tool
	rbac    bool
}

func (w *deployWork) name() string   { return record.StageDeploy }
func (w *deployWork) target() string { return w.in.Target }
func (w *deployWork) Declare(s *action.Set) {
	w.in.Declare(s)
	action.Key(s, &w.key)
	w.keyless.Declare(s)
	declareImage(s, &w.image)
	if w.smoke == nil { // alone
		s.Bool(&w.rbac, action.Input{Name: "print-rbac",
			Usage: "Print the least Kubernetes roles that a deploy of the service needs, for a cluster administrator to apply, and change nothing."})
	}
}

func (w *deployWork) prints() bool { return w.rbac }

func (w *deployWork) stage(ctx context.Context, d *delivery) (result, error) {
	ref, err := d.reference(w.image)
	if err != nil {
		return result{}, err
	}
	_, digest, err := splitReference(ref)
	if err != nil {
		return result{}, err
	}
	image := ref
	if w.in.Target == targetLocal && !manifest.Generated(d.svc) {
		image = "" // it runs the image itself, from a registry that the team's manifests cannot name
	}
	set, manifests, err := d.writeManifests(ctx, image)
	if err != nil {
		return result{}, err
	}
	w.set = &set
	in := w.in
	in.Reference, in.Digest, in.Manifests = ref, digest, manifests
	place, err := w.place(ctx, d, w.name())
	if err != nil {
		return result{}, err
	}
	var accepted *record.Accepted
	out, err := deploy.Run(ctx, in, deploy.Deps{Target: place, Progress: d.progress(w.name()),
		Verify: func(ctx context.Context, reference string) error {
			out, err := d.verify(ctx, reference, w.key, w.keyless.TrustedRoot, nil)
			if err == nil {
				accepted = d.acceptedBy(out.Evidence)
			}
			return err
		},
		Guard: func(ctx context.Context, live *record.Deployment) error {
			err := w.guards(d)(ctx, live)
			if err == nil {
				d.deploying(ctx, live)
			}
			return err
		},
	})
	out.Evidence.Guards, out.Evidence.Accepted = w.answers, accepted
	if warnings := w.warnings(); err == nil && len(warnings) > 0 {
		out.Summary += " · " + strings.Join(warnings, " · ")
	}
	out.Tool.Version = Version() // of this program, which is the tool
	d.previous(out.Evidence.Replaced)
	return resultOf(out, err)
}

// place is a target, also for what comes after a deploy.
type place interface {
	deploy.Target
	Confirm(ctx context.Context, release string) error
	Rollback(ctx context.Context, deployed record.Deploy) (target.Restored, error)
	Return(ctx context.Context, to string) (back target.Restored, from *record.Deployment, err error)
	Releases(ctx context.Context) ([]target.Release, error)
}

// place opens the target for the image of the delivery.
func (w *deployWork) place(ctx context.Context, d *delivery, stage string) (place, error) {
	if w.in.Target == targetKubernetes {
		return w.cluster(ctx, d, stage)
	}
	return w.local(d, stage), nil
}

// local is the service on this machine. What does not depend on the image is there before there is one.
func (w *deployWork) local(d *delivery, stage string) localtarget.Target {
	artifact := d.snapshot().Artifact
	return localtarget.Target{
		Inputs: localtarget.Inputs{Wait: w.in.Wait, Reference: artifact.Reference(), Digest: artifact.Digest, Commit: d.rec.Source.Commit, Service: d.svc,
			Environment: d.rec.Environment, Program: d.world.Program, StateDir: d.out("local", d.rec.Environment, d.svc.Name)},
		Deps: localtarget.Deps{Pull: pull, Progress: d.progress(stage), Now: d.world.Now},
	}
}

// pull opens an image for the local target.
func pull(ctx context.Context, reference string) (localtarget.Image, error) {
	var client oci.Client
	img, err := client.Pull(ctx, reference)
	if err != nil {
		return localtarget.Image{}, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return localtarget.Image{}, fault.Undeterminedf("the configuration of %s cannot be read: %w", reference, err)
	}
	return localtarget.Image{
		OS: config.OS, Arch: config.Architecture, Env: config.Config.Env, WorkDir: config.Config.WorkingDir,
		Entrypoint: entrypoint(config.Config),
		Unpack:     func(ctx context.Context, dir string) error { return client.Unpack(ctx, img, dir) },
	}, nil
}

func entrypoint(c v1.Config) []string { return append(append([]string{}, c.Entrypoint...), c.Cmd...) }

type smokeWork struct {
	in      smoke.Inputs
	key     string
	keyless keylessInputs
	deploy  *deployWork // of the same path; nil alone
}

func (w *smokeWork) name() string { return record.StageSmoke }
func (w *smokeWork) Declare(s *action.Set) {
	w.in.Declare(s)
	action.Key(s, &w.key)
	w.keyless.Declare(s)
}

func (w *smokeWork) stage(ctx context.Context, d *delivery) (result, error) {
	deployed, err := record.EvidenceOf[record.Deploy](d.snapshot(), record.StageDeploy)
	url, through, addressErr := w.address(ctx, d, deployed)
	if addressErr != nil {
		return result{}, addressErr
	}
	if url == "" {
		return result{}, fault.BadInputf("where the service answers is not known: %w", err).
			WithNext("Run idp deploy before, or give it: --url https://checkout.staging.example.com")
	}
	out, err := w.test(ctx, d, url, through, w.name())
	if w.deploy == nil {
		return resultOf(out, err)
	}
	return resultOf(out, w.settle(ctx, d, deployed, err))
}

// address is where the service is tested: the input, what deploy says, idp.yaml, or the way through the cluster.
func (w *smokeWork) address(ctx context.Context, d *delivery, deployed record.Deploy) (url string, through http.RoundTripper, err error) {
	if url = cmp.Or(w.in.URL, deployed.URL, d.svc.Environments[d.rec.Environment].URL); url != "" || w.deploy == nil || w.deploy.in.Target != targetKubernetes {
		return url, http.DefaultTransport, nil
	}
	t, err := w.deploy.cluster(ctx, d, w.name())
	if err != nil {
		return "", nil, err
	}
	return t.Address()
}

// test asks what answers at a URL whether it is the version of this delivery, and well.
func (w *smokeWork) test(ctx context.Context, d *delivery, url string, through http.RoundTripper, stage string) (smoke.Outputs, error) {
	in := w.in
	in.URL, in.Checks, in.VersionPath = url, d.svc.Smoke, d.svc.Version
	in.WantDigest, in.WantCommit = d.rec.Artifact.Digest, d.rec.Source.Commit
	if in.Rounds == 0 {
		in.Rounds = d.rules.Smoke.Rounds
	}
	return smoke.Run(ctx, in, smoke.Deps{Transport: through, Now: d.world.Now, Sleep: sleep, Progress: d.progress(stage)})
}

// settle keeps the version that passed, and takes back the one that did not: an unanswered question keeps nothing live.
func (w *smokeWork) settle(ctx context.Context, d *delivery, deployed record.Deploy, err error) error {
	place, openErr := w.deploy.place(ctx, d, w.name())
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
		return addTo(err, "; putting the old version back: "+backErr.Error(), fault.Lines(backErr)[1:])
	}
	if back.Release != deployed.Release {
		d.restored(back)
	}
	return addTo(err, "; "+back.Summary, back.Detail)
}

// addTo appends to the headline and the detail of a classified error.
func addTo(err error, what string, detail []string) error {
	lines := fault.Lines(err)
	kind := fault.KindOf(err)
	return &fault.Error{Kind: kind, What: lines[0] + what, Detail: append(lines[1:], detail...), Err: err}
}

// previous notes what was live before this delivery.
func (d *delivery) previous(p *record.Deployment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p != nil {
		d.rec.Previous = p
	}
}

// restored notes in the evidence of deploy that its version is not live any more.
func (d *delivery) restored(back target.Restored) {
	d.mu.Lock()
	defer d.mu.Unlock()
	markRestored(d.rec, back)
}

func markRestored(rec *record.Record, back target.Restored) {
	s, ok := rec.Stage(record.StageDeploy)
	var e record.Deploy
	if !ok || json.Unmarshal(s.Evidence, &e) != nil {
		return // without evidence of a deploy there is nothing to correct
	}
	if back.Digest != "" { // after a first delivery there is nothing to put back
		e.Restored = &record.Deployment{Digest: back.Digest, Commit: back.Commit}
	}
	e.Release, e.URL = back.Release, back.URL
	s.Evidence, _ = json.Marshal(e)
	rec.Put(s)
}

// leave ends what the path started, unless the environment was live before or is to stay so.
func (p *pathWork) leave(ctx context.Context, d *delivery) error {
	if p.target() != targetLocal {
		return nil
	}
	if p.keep || p.ranBefore {
		var err error
		d.live, err = p.localLive(d)
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	t := p.deploy.local(d, record.StageDeploy)
	_, err := localtarget.Stop(ctx, t.Inputs, t.Deps)
	return err
}

// running tells whether the environment is live before the path changes it.
func (p *pathWork) running(d *delivery) (bool, error) {
	url, err := p.localLive(d)
	return url != "", err
}

func (p *pathWork) localLive(d *delivery) (string, error) {
	t := p.deploy.local(d, record.StageDeploy)
	return localtarget.Live(t.Inputs, t.Deps)
}

// sleep waits, or gives the context's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
