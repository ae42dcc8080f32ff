// Package localtarget makes an image live as a process on this machine: it starts the new release beside the old one, waits
// until it is healthy, and only then retires the old one. When it does not become healthy, what was live before is live
// after. Package local has the releases and processes themselves.
//
// The old release's process is stopped as soon as the new one is healthy, its files are kept, and Rollback starts it
// again. Keeping it running until the smoke test has passed would save a second on that path, at the price of a state in
// which two releases are live and a killed deploy cannot be told from a finished one.
package localtarget

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/awake"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/local"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/target"
)

// Inputs of a deploy.
type Inputs struct {
	Wait        time.Duration // how long a release may take to become healthy, and a deploy to wait for another one to end
	Reference   string        // IMAGE@DIGEST
	Digest      string        // sha256:…
	Commit      string
	Service     *service.Service // resolved for the environment
	Environment string
	StateDir    string // of this service in this environment
	Program     string // what supervises a release, called as "PROGRAM supervise FOLDER"
}

// Image is an image in a registry.
type Image struct {
	OS, Arch   string   // empty: not stated
	Entrypoint []string // entrypoint and command
	Env        []string // NAME=VALUE
	WorkDir    string
	// Unpack writes the image's files to dir, which is empty.
	Unpack func(ctx context.Context, dir string) error
}

// Deps is what a deploy needs of the world.
type Deps struct {
	// Guard is asked once nobody else can deploy. Nothing is changed unless it returns nil.
	Guard    target.Guard
	Pull     func(ctx context.Context, reference string) (Image, error)
	Progress action.Progress // may be nil
	Now      func() time.Time
	Client   *http.Client // asks the health path; nil: the default
}

// Deploy makes the image live. A release that does not become healthy is a failed gate; cancellation is undetermined, and
// both leave what was live before.
func Deploy(ctx context.Context, in Inputs, deps Deps) (target.Outputs, error) {
	out := target.Outputs{Tool: record.Tool{Name: "idp"}}
	out.Evidence = record.Deploy{Target: service.Local, Digest: in.Digest}
	if err := in.check(deps); err != nil {
		return out, err
	}
	d, unlock, err := begin(ctx, in, deps)
	if err != nil {
		return out, err
	}
	defer unlock()
	if err := d.target.Heal(ctx); err != nil {
		return out, fmt.Errorf("putting the state of the last deploy in order: %w", err)
	}
	err = d.converge(ctx, &out)
	return out, err
}

// check refuses what would otherwise pass for want of a check.
func (in Inputs) check(deps Deps) error {
	switch {
	case in.Wait <= 0:
		return errors.New("there is no time to deploy in")
	case deps.Guard == nil || deps.Pull == nil || deps.Now == nil:
		return errors.New("there is no guard, registry or clock to deploy with")
	case in.Reference == "" || in.Digest == "" || in.Commit == "" || in.Service == nil || in.StateDir == "" || in.Program == "":
		return errors.New("the image, commit, service, state folder or supervisor is not known")
	}
	return nil
}

// deployment is one run of the stage, with the lock held.
type deployment struct {
	in     Inputs
	deps   Deps
	target *local.Target
}

// begin opens the target and waits for its lock.
func begin(ctx context.Context, in Inputs, deps Deps) (*deployment, func(), error) {
	place, err := local.Open(in.StateDir, deps.Now)
	if err != nil {
		return nil, nil, err
	}
	limited, cancel := context.WithTimeout(ctx, in.Wait)
	defer cancel()
	who := ""
	unlock, err := place.Lock(limited, func(holder string) {
		who = holder
		deps.say("waiting for another deploy, " + holder)
	})
	var path *fs.PathError
	switch {
	case err == nil:
		return &deployment{in: in, deps: deps, target: place}, unlock, nil
	case ctx.Err() != nil:
		return nil, nil, fmt.Errorf("cancelled while waiting for another deploy: %w", context.Cause(ctx))
	case limited.Err() != nil:
		return nil, nil, fault.Undeterminedf("another deploy, %s, did not end within %s; nothing was changed", who, span(in.Wait)).
			WithNext("Wait for it, or end it, and run this again.")
	case errors.As(err, &path):
		return nil, nil, fault.BadInputf("cannot write the state of the local target: %w", err).
			WithNext("Give another folder with --out, or make this one writable.")
	}
	return nil, nil, err
}

// converge makes the wanted release live, unless it is already.
func (d *deployment) converge(ctx context.Context, out *target.Outputs) error {
	current, err := d.target.Current()
	if err != nil {
		return err
	}
	if err := d.deps.Guard(ctx, live(current)); err != nil {
		return err
	}
	in := d.in
	if current == nil || !current.Same(in.Digest, in.Commit, in.Service.Health, in.Service.Env) {
		return d.replace(ctx, current, out)
	}
	run, alive := d.target.Running(current.Name)
	switch {
	case alive && d.answers(ctx, current):
		d.report(out, current, run)
		out.Summary = "already live, nothing changed"
		return nil
	case !alive && current.Runnable() == nil:
		return d.again(ctx, current, out)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// It runs but does not answer, or its files are damaged: a fresh copy takes its place.
	return d.replace(ctx, current, out)
}

// answers gives a live release a few seconds to answer, twice, so that neither one slow answer replaces it, nor that this machine
// stood still until the first of them were over.
func (d *deployment) answers(ctx context.Context, r *local.Release) bool {
	once := func() error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, err := d.target.WaitHealthy(ctx, r, d.deps.Client, nil)
		return err
	}
	err := once()
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = once()
	}
	return err == nil
}

// again starts the current release, which was stopped.
func (d *deployment) again(ctx context.Context, r *local.Release, out *target.Outputs) error {
	b := d.bring(ctx, r)
	if b.err == nil {
		b.err = d.target.Promote(r, b.run)
	}
	if b.err != nil {
		return d.abandon(ctx, r, b, r)
	}
	d.report(out, r, b.run)
	out.Evidence.HealthyMS = b.took.Milliseconds()
	out.Summary = "already the release, started again · healthy after " + seconds(b.took)
	return nil
}

// replace brings up a new release beside the old one and retires that only when the new one is healthy.
func (d *deployment) replace(ctx context.Context, old *local.Release, out *target.Outputs) error {
	r, err := d.stage(ctx)
	if err != nil {
		return err
	}
	b := d.bring(ctx, r)
	if b.err == nil {
		b.err = ctx.Err()
	}
	if b.err == nil {
		b.err = d.target.Promote(r, b.run)
	}
	if b.err != nil {
		return d.abandon(ctx, r, b, old)
	}
	d.report(out, r, b.run)
	out.Evidence.Changed, out.Evidence.HealthyMS = true, b.took.Milliseconds()
	out.Summary = "first release, " + record.ShortDigest(r.Digest)
	if old != nil {
		out.Evidence.Replaced = live(old)
		out.Summary = record.ShortDigest(r.Digest) + " replaces " + record.ShortDigest(old.Digest)
		d.deps.say("retiring " + record.ShortDigest(old.Digest))
		if err := d.target.Stop(ctx, old.Name, local.StopGrace); err != nil {
			return fmt.Errorf("%s is live, but the release before it cannot be stopped: %w", record.ShortDigest(r.Digest), err)
		}
	}
	out.Summary += " · healthy after " + seconds(b.took)
	return d.target.Prune(local.KeepReleases)
}

// stage unpacks the image into a release of its own.
func (d *deployment) stage(ctx context.Context) (*local.Release, error) {
	in := d.in
	d.deps.say("unpacking " + record.ShortDigest(in.Digest))
	img, err := d.deps.Pull(ctx, in.Reference)
	if err != nil {
		return nil, err
	}
	if img.OS != "" && img.OS != runtime.GOOS || img.Arch != "" && img.Arch != runtime.GOARCH {
		return nil, fault.BadInputf("the image is for %s/%s, this machine is %s/%s", img.OS, img.Arch, runtime.GOOS, runtime.GOARCH).
			WithNext("Build it for the platform of the target.")
	}
	if img.Unpack == nil {
		return nil, errors.New("the image cannot be unpacked")
	}
	meta := local.Meta{Reference: in.Reference, Digest: in.Digest, Commit: in.Commit, Entrypoint: img.Entrypoint, ImageEnv: img.Env,
		WorkDir: img.WorkDir, Env: in.Service.Env, Health: in.Service.Health}
	r, err := d.target.Stage(ctx, meta, img.Unpack)
	if errors.Is(err, local.ErrEntrypoint) {
		return nil, fault.Failedf("image sha256:%s is not deployed: %w", record.ShortDigest(in.Digest), err).
			WithNext("The local target runs the image's entrypoint without a container, so it must be a file of the image.")
	}
	return r, err
}

// brought is how starting a release went.
type brought struct {
	run      local.Running
	seen     local.Observation
	took     time.Duration // from start to the first healthy answer
	timedOut bool
	err      error
}

// bring starts a release and waits until it is healthy, for as long as the input says. Where it was given up while another process
// had the port that was free a moment before, it is started once more, on another one.
func (d *deployment) bring(ctx context.Context, r *local.Release) brought {
	d.deps.say("starting " + record.ShortDigest(r.Digest))
	limited, cancel := awake.WithTimeout(ctx, d.in.Wait)
	defer cancel()
	begun := d.deps.Now()
	b := d.launch(limited, r)
	if errors.Is(b.err, local.ErrGaveUp) && !b.owned() && local.PortTaken(b.run.Port) {
		b = d.launch(limited, r)
	}
	b.took = d.deps.Now().Sub(begun)
	b.timedOut = b.err != nil && ctx.Err() == nil && limited.Err() != nil
	return b
}

func (d *deployment) launch(ctx context.Context, r *local.Release) (b brought) {
	if b.run, b.err = d.target.Start(ctx, r, d.in.Program); b.err != nil {
		return b
	}
	d.deps.say("waiting for " + r.Health)
	b.seen, b.err = d.target.WaitHealthy(ctx, r, d.deps.Client, func(seen local.Observation) {
		d.deps.say("waiting for " + r.Health + soFar(seen))
	})
	return b
}

// owned tells whether the port was seen to be the service's own.
func (b brought) owned() bool {
	return b.seen.Code != 0 || slices.Contains(b.seen.Listening, b.run.Port)
}

func (d *deployment) report(out *target.Outputs, r *local.Release, run local.Running) {
	out.Evidence.Release, out.Evidence.URL = r.Name, run.URL
}

// live is what people know of a release; nil for none.
func live(r *local.Release) *record.Deployment {
	if r == nil {
		return nil
	}
	return &record.Deployment{Digest: r.Digest, Commit: r.Commit}
}

func (deps Deps) say(what string) {
	if deps.Progress != nil {
		deps.Progress(what)
	}
}

// Target is one service in one environment on this machine.
type Target struct {
	Inputs
	Deps
}

// Deploy makes the image live; see the function.
func (t Target) Deploy(ctx context.Context, guard target.Guard) (target.Outputs, error) {
	t.Guard = guard
	return Deploy(ctx, t.Inputs, t.Deps)
}

// Confirm records that the release passed its smoke test.
func (t Target) Confirm(ctx context.Context, release string) error {
	return MarkGood(ctx, t.Inputs, t.Deps, release)
}

// Rollback takes back a deploy whose smoke test failed; see the function.
func (t Target) Rollback(ctx context.Context, deployed record.Deploy) (target.Restored, error) {
	return Rollback(ctx, t.Inputs, t.Deps, deployed)
}
