// Package deploying joins to a delivery what is done to an environment: render, plan, deploy and smoke-test, on this machine or
// in a cluster.
package deploying

import (
	"context"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/artifacts"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/deploy"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/localtarget"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/target"
	"github.com/org/idp/internal/verify"
)

// Deploy deploys the image, once its evidence has been held against the policy and the guards let it.
type Deploy struct {
	In      deploy.Inputs
	Key     string
	Keyless delivery.KeylessInputs
	Image   string
	Smoke   *Smoke // of the same path; nil alone
	answers []record.Guard
	set     *manifest.Set // that is deployed, rendered once: putting an old version back must not depend on a tool
	rbac    bool
}

func (w *Deploy) Name() string { return record.StageDeploy }

func (w *Deploy) Target() string { return w.In.Target }

func (w *Deploy) Declare(s *action.Set) {
	w.In.Declare(s)
	action.Key(s, &w.Key)
	w.Keyless.Declare(s)
	artifacts.DeclareImage(s, &w.Image)
	if w.Smoke == nil { // alone
		s.Bool(&w.rbac, action.Input{Name: "print-rbac",
			Usage: "Print the least Kubernetes roles that a deploy of the service needs, for a cluster administrator to apply, and change nothing."})
	}
}

func (w *Deploy) Prints() bool { return w.rbac }

func (w *Deploy) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	ref, err := artifacts.Reference(d, w.Image)
	if err != nil {
		return delivery.Result{}, err
	}
	_, digest, err := artifacts.SplitReference(ref)
	if err != nil {
		return delivery.Result{}, err
	}
	image := ref
	if w.In.Target == delivery.TargetLocal && !manifest.Generated(d.Service) {
		image = "" // it runs the image itself, from a registry that the team's manifests cannot name
	}
	set, manifests, err := WriteManifests(ctx, d, image)
	if err != nil {
		return delivery.Result{}, err
	}
	w.set = &set
	in := w.In
	in.Reference, in.Digest, in.Manifests = ref, digest, manifests
	place, err := w.place(ctx, d, w.Name())
	if err != nil {
		return delivery.Result{}, err
	}
	var accepted *record.Accepted
	out, err := deploy.Run(ctx, in, deploy.Deps{Target: place, Progress: d.Progress(w.Name()),
		Verify: func(ctx context.Context, reference string) error {
			out, err := artifacts.VerifyDigest(ctx, d, verify.Inputs{Reference: reference, Key: w.Key}, w.Keyless.TrustedRoot, nil)
			if err == nil {
				accepted = artifacts.AcceptedBy(d, out.Evidence)
			}
			return err
		},
		Guard: func(ctx context.Context, live *record.Deployment) error {
			err := w.guards(d)(ctx, live)
			if err == nil {
				d.Deploying(ctx, live)
			}
			return err
		},
	})
	out.Evidence.Guards, out.Evidence.Accepted = w.answers, accepted
	if warnings := w.warnings(); err == nil && len(warnings) > 0 {
		out.Summary += " · " + strings.Join(warnings, " · ")
	}
	out.Tool.Version = cli.Version() // of this program, which is the tool
	d.Previous(out.Evidence.Replaced)
	return delivery.ResultOf(out, err)
}

// Place is a target, also for what comes after a deploy.
type Place interface {
	deploy.Target
	Confirm(ctx context.Context, release string) error
	Rollback(ctx context.Context, deployed record.Deploy) (target.Restored, error)
	Return(ctx context.Context, to string) (back target.Restored, from *record.Deployment, err error)
	Releases(ctx context.Context) ([]target.Release, error)
}

// place opens the target for the image of the delivery.
func (w *Deploy) place(ctx context.Context, d *delivery.Delivery, stage string) (Place, error) {
	if w.In.Target == delivery.TargetKubernetes {
		return w.cluster(ctx, d, stage)
	}
	return w.Local(d, stage), nil
}

// Local is the service on this machine. What does not depend on the image is there before there is one.
func (w *Deploy) Local(d *delivery.Delivery, stage string) localtarget.Target {
	artifact := d.Snapshot().Artifact
	return localtarget.Target{
		Inputs: localtarget.Inputs{Wait: w.In.Wait, Reference: artifact.Reference(), Digest: artifact.Digest, Commit: d.Record.Source.Commit, Service: d.Service,
			Environment: d.Record.Environment, Program: d.World.Program, StateDir: d.Out("local", d.Record.Environment, d.Service.Name)},
		Deps: localtarget.Deps{Pull: pull, Progress: d.Progress(stage), Now: d.World.Now},
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

// After is what is said of the image when the deploy has ended.
func (w *Deploy) After() delivery.Following { return artifacts.AttestWith(&w.Key, &w.Keyless) }

// Deployment is the deploy itself, as that of a path is one of its stages.
func (w *Deploy) Deployment() *Deploy { return w }
