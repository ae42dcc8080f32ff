// Package artifacts joins to a delivery what is done to its image: build, sign, verify, and say what became of it.
package artifacts

import (
	"cmp"
	"context"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/build"
	"github.com/org/idp/internal/container"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/sign"
	"github.com/org/idp/internal/verify"
)

// Build makes the image: it compiles it, or takes it from a Dockerfile or from elsewhere.
type Build struct {
	in    build.Inputs
	Other container.Inputs // of an image that is not compiled here
}

func (w *Build) Name() string { return record.StageBuild }

func (w *Build) Declare(s *action.Set) {
	w.in.Declare(s)
	w.Other.Declare(s)
	DeclareImage(s, &w.Other.Image)
}

func (w *Build) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	if w.Other.Given() {
		return w.notCompiled(ctx, d)
	}
	in := w.in
	in.Dir, in.Out, in.Service, in.Main, in.Port = d.Dir(), d.Options.Out, d.Service.Name, d.Service.Main, d.Service.Port
	in.Repository, in.Source, in.Path = d.Record.Source.Repository, d.Repo.Origin, d.Repo.Path
	in.Commit, in.Time, in.Ref, in.Dirty = d.Repo.Commit, d.Repo.Time, d.Record.Source.Ref, d.Record.Source.Dirty
	in.Platform = d.Platform(in.Platform)
	out, err := build.Run(ctx, in, build.Deps{Environ: d.World.Environ, Uncommitted: d.Repo.Uncommitted, Progress: d.Progress(w.Name())})
	if err == nil {
		d.SetArtifact(record.Artifact{Digest: out.Evidence.Digest})
		d.Wrote(w.Name(), d.Out(build.LayoutDir), "the image, as an OCI layout")
		d.Wrote(w.Name(), d.Out(build.SPDXFile), "its modules, as an SPDX SBOM")
		d.Wrote(w.Name(), d.Out(build.SBOMFile), "its modules, as a CycloneDX SBOM")
		for _, i := range out.Evidence.Images {
			d.Wrote(w.Name(), d.Out(filepath.Base(i.SBOM)), "the modules for "+i.Platform+", as CycloneDX")
			d.Wrote(w.Name(), d.Out(filepath.Base(i.SPDX)), "the modules for "+i.Platform+", as SPDX")
		}
	}
	return delivery.ResultOf(out, err)
}

// Sign pushes the image by digest, signs it and attaches the evidence.
type Sign struct {
	In      sign.Inputs
	Keyless delivery.KeylessInputs
}

func (w *Sign) Name() string { return record.StageSign }

func (w *Sign) Declare(s *action.Set) { w.In.Declare(s); w.Keyless.Declare(s) }

func (w *Sign) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	in := w.In
	var err error
	if in.Registry, err = d.Registry(ctx, cmp.Or(w.In.Registry, takenFrom(d))); err != nil {
		return delivery.Result{}, err
	}
	signer, err := d.Signer(ctx, w.In.Key, w.Keyless)
	if err != nil {
		return delivery.Result{}, err
	}
	in.Builder = delivery.BuilderOf(signer)
	in.Record, in.Layout, in.SBOM, in.SPDX = d.Snapshot(), d.Out(build.LayoutDir), d.Out(build.SBOMFile), d.Out(build.SPDXFile)
	in.RepositoryURL, in.Version = build.SourceURL(d.Repo.Origin), cli.Version()
	in.CommitTime = d.Repo.Time
	out, err := sign.Run(ctx, in, sign.Deps{Images: oci.Client{}, Evidence: referrers.Registry{}, Signer: signer, Progress: d.Progress(w.Name())})
	if err == nil {
		d.SetArtifact(record.Artifact{Image: in.Registry, Digest: d.Record.Artifact.Digest})
	}
	return delivery.ResultOf(out, err)
}

// Verify holds the evidence on the image against the policy of the environment.
type Verify struct {
	In          verify.Inputs
	Path        bool // of a whole path, which says itself what the image is from
	trustedRoot string
	from        struct{ repository, commit string }
	foreign     bool
}

func (w *Verify) Name() string { return record.StageVerify }

func (w *Verify) Declare(s *action.Set) {
	w.In.Declare(s)
	delivery.DeclareTrust(s, &w.trustedRoot)
	DeclareImage(s, &w.In.Reference)
	if w.Path {
		return
	}
	s.String(&w.from.repository, action.Input{Name: "repository", Example: "acme/checkout",
		Usage: "Of an image that is verified without an idp.yaml: the repository that it has to be built from; and signed in, where it is signed keyless and the policy names no other."})
	s.String(&w.from.commit, action.Input{Name: "commit", Example: "4f1c2ab…", Usage: "Of an image that is verified without an idp.yaml: the full commit that it has to be built from."})
}

// Foreign is the image, where one is named. A tag is one of its names too.
func (w *Verify) Foreign() *delivery.Image {
	if w.In.Reference == "" {
		return nil
	}
	w.foreign = true
	name, _, _ := strings.Cut(w.In.Reference[strings.LastIndex(w.In.Reference, "/")+1:], "@")
	name, _, _ = strings.Cut(name, ":")
	return &delivery.Image{Name: name, Repository: w.from.repository, Commit: w.from.commit}
}

// reference is the image by digest.
func (w *Verify) reference(ctx context.Context, d *delivery.Delivery) (string, error) {
	if !w.foreign {
		if w.from.repository != "" || w.from.commit != "" {
			return "", fault.BadInputf("inputs repository and commit are for an image without an idp.yaml; here the delivery says both").WithNext("Leave them out.")
		}
		return Reference(d, w.In.Reference)
	}
	found, err := oci.Client{}.Resolve(ctx, w.In.Reference)
	if err != nil {
		return "", err
	}
	d.SetArtifact(record.Artifact{Image: found.Repository, Digest: found.Digest})
	return found.Reference(), nil
}

func (w *Verify) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	ref, err := w.reference(ctx, d)
	if err != nil {
		return delivery.Result{}, err
	}
	in := verify.Inputs{Reference: ref, Key: w.In.Key, Asked: w.from.repository != "" || w.from.commit != "",
		Unlisted: w.foreign && !d.Policy.Lists(d.Record.Environment)} // a delivery's environment is one of its idp.yaml
	return delivery.ResultOf(VerifyDigest(ctx, d, in, w.trustedRoot, d.Progress(w.Name())))
}

// VerifyDigest holds an image, the Reference, against the policy of the environment.
func VerifyDigest(ctx context.Context, d *delivery.Delivery, in verify.Inputs, trustedRoot string, progress action.Progress) (verify.Outputs, error) {
	var err error
	if in.Signer, err = d.Verifier(ctx, in.Key, trustedRoot); err != nil {
		return verify.Outputs{}, err
	}
	in.Environment, in.Policy, in.PolicyDigest, in.Rules = d.Record.Environment, d.Policy.Name, d.Policy.Digest, d.Rules
	in.Repository, in.Commit = d.Record.Source.Repository, d.Record.Source.Commit
	if d.Repo != nil {
		in.Path = &d.Record.Source.Path
	}
	return verify.Run(ctx, in, verify.Deps{Evidence: referrers.Registry{}, Now: d.World.Now, Progress: progress})
}

// DeclareImage declares the input image of the stages that work on one.
func DeclareImage(s *action.Set, target *string) {
	s.String(target, action.Input{Name: "image", Example: "ghcr.io/acme/checkout@sha256:…",
		Usage: "The image by digest. build, and with it the path, takes one that was built elsewhere, also as an OCI layout or a tar archive of one. Default: the one in the record, or what is built."})
}

// SplitReference takes IMAGE@DIGEST apart. What it refuses is not shown: it may hold a password.
func SplitReference(ref string) (image, digest string, err error) {
	i := strings.LastIndex(ref, "@")
	if i < 0 || !digestForm.MatchString(ref[i+1:]) {
		return "", "", fault.BadInputf("input image does not name an image by digest, such as ghcr.io/acme/checkout@sha256:…")
	}
	return ref[:i], ref[i+1:], oci.CheckRepository(ref[:i])
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Reference is the image that a stage works on: the input, or what an earlier stage of this delivery pushed.
func Reference(d *delivery.Delivery, input string) (string, error) {
	if input != "" {
		return input, adopt(d, input)
	}
	if ref := d.Snapshot().Artifact.Reference(); ref != "" {
		return ref, nil
	}
	return "", fault.BadInputf("the record names no image that was pushed").
		WithNext("Run idp sign before, or give it: --image ghcr.io/acme/checkout@sha256:…")
}

// adopt makes the image that a person named the one of the record, so that what is done with it in this job is said of it.
func adopt(d *delivery.Delivery, reference string) error {
	image, digest, err := SplitReference(reference)
	if err != nil {
		return err
	}
	if known := d.Snapshot().Artifact.Digest; known != "" && known != digest {
		return fault.BadInputf("input image names %s, but this delivery is of %s", digest, known).
			WithNext("Leave image out, or name another record: --record FILE")
	}
	d.SetArtifact(record.Artifact{Image: image, Digest: digest})
	return nil
}
