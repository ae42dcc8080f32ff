package app

import (
	"cmp"
	"context"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/build"
	"github.com/org/idp/internal/container"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/sign"
	"github.com/org/idp/internal/verify"
)

type buildWork struct {
	in    build.Inputs
	other container.Inputs // of an image that is not compiled here
}

func (w *buildWork) name() string { return record.StageBuild }
func (w *buildWork) Declare(s *action.Set) {
	w.in.Declare(s)
	w.other.Declare(s)
	declareImage(s, &w.other.Image)
}

func (w *buildWork) stage(ctx context.Context, d *delivery) (result, error) {
	if w.other.Given() {
		return w.notCompiled(ctx, d)
	}
	in := w.in
	in.Dir, in.Out, in.Service, in.Main, in.Port = d.dir(), d.opts.Out, d.svc.Name, d.svc.Main, d.svc.Port
	in.Repository, in.Source, in.Path = d.rec.Source.Repository, d.repo.Origin, d.repo.Path
	in.Commit, in.Time, in.Ref, in.Dirty = d.repo.Commit, d.repo.Time, d.rec.Source.Ref, d.rec.Source.Dirty
	in.Platform = d.platform(in.Platform)
	out, err := build.Run(ctx, in, build.Deps{Environ: d.world.Environ, Uncommitted: d.repo.Uncommitted, Progress: d.progress(w.name())})
	if err == nil {
		d.setArtifact(record.Artifact{Digest: out.Evidence.Digest})
		d.wrote(w.name(), d.out(build.LayoutDir), "the image, as an OCI layout")
		d.wrote(w.name(), d.out(build.SPDXFile), "its modules, as an SPDX SBOM")
		d.wrote(w.name(), d.out(build.SBOMFile), "its modules, as a CycloneDX SBOM")
		for _, i := range out.Evidence.Images {
			d.wrote(w.name(), d.out(filepath.Base(i.SBOM)), "the modules for "+i.Platform+", as CycloneDX")
			d.wrote(w.name(), d.out(filepath.Base(i.SPDX)), "the modules for "+i.Platform+", as SPDX")
		}
	}
	return resultOf(out, err)
}

// platform is what the service is compiled for: the input, for the local target this machine, else linux. It is empty in a
// folder that is no service, of which nothing is built.
func (d *delivery) platform(input string) string {
	switch {
	case input != "":
		return strings.Join(action.Platforms(input), ",")
	case !record.Exists(filepath.Join(d.dir(), service.File)):
		return ""
	case d.local.allowed:
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	return "linux/" + runtime.GOARCH
}

type signWork struct {
	in      sign.Inputs
	keyless keylessInputs
}

func (w *signWork) name() string          { return record.StageSign }
func (w *signWork) Declare(s *action.Set) { w.in.Declare(s); w.keyless.Declare(s) }

func (w *signWork) stage(ctx context.Context, d *delivery) (result, error) {
	in := w.in
	var err error
	if in.Registry, err = d.registry(ctx, cmp.Or(w.in.Registry, d.takenFrom())); err != nil {
		return result{}, err
	}
	signer, err := d.signer(ctx, w.in.Key, w.keyless)
	if err != nil {
		return result{}, err
	}
	in.Builder = builderOf(signer)
	in.Record, in.Layout, in.SBOM, in.SPDX = d.snapshot(), d.out(build.LayoutDir), d.out(build.SBOMFile), d.out(build.SPDXFile)
	in.RepositoryURL, in.Policy, in.PolicyDigest, in.Version = d.repo.Origin, d.policy.Name, d.policy.Digest, Version()
	in.CommitTime = d.repo.Time
	out, err := sign.Run(ctx, in, sign.Deps{Images: oci.Client{}, Evidence: referrers.Registry{}, Signer: signer, Progress: d.progress(w.name())})
	if err == nil {
		d.setArtifact(record.Artifact{Image: in.Registry, Digest: d.rec.Artifact.Digest})
	}
	return resultOf(out, err)
}

type verifyWork struct {
	in          verify.Inputs
	trustedRoot string
}

func (w *verifyWork) name() string { return record.StageVerify }
func (w *verifyWork) Declare(s *action.Set) {
	w.in.Declare(s)
	declareTrust(s, &w.trustedRoot)
	declareImage(s, &w.in.Reference)
}

func (w *verifyWork) stage(ctx context.Context, d *delivery) (result, error) {
	ref, err := d.reference(w.in.Reference)
	if err != nil {
		return result{}, err
	}
	return resultOf(d.verify(ctx, ref, w.in.Key, w.trustedRoot, d.progress(w.name())))
}

// verify holds an image against the policy of the environment.
func (d *delivery) verify(ctx context.Context, reference, keyFile, trustedRoot string, progress action.Progress) (verify.Outputs, error) {
	signer, err := d.verifier(ctx, keyFile, trustedRoot)
	if err != nil {
		return verify.Outputs{}, err
	}
	in := verify.Inputs{Reference: reference, Environment: d.rec.Environment, Policy: d.policy.Name, PolicyDigest: d.policy.Digest,
		Rules: d.rules, Signer: signer, Repository: d.rec.Source.Repository, Commit: d.rec.Source.Commit}
	return verify.Run(ctx, in, verify.Deps{Evidence: referrers.Registry{}, Now: d.world.Now, Progress: progress})
}

func declareImage(s *action.Set, target *string) {
	s.String(target, action.Input{Name: "image", Example: "ghcr.io/acme/checkout@sha256:…",
		Usage: "The image by digest. build, and with it the path, takes one that was built elsewhere, also as an OCI layout or a tar archive of one. Default: the one in the record, or what is built."})
}

// splitReference takes IMAGE@DIGEST apart. What it refuses is not shown: it may hold a password.
func splitReference(ref string) (image, digest string, err error) {
	i := strings.LastIndex(ref, "@")
	if i < 0 || !digestForm.MatchString(ref[i+1:]) {
		return "", "", fault.BadInputf("input image does not name an image by digest, such as ghcr.io/acme/checkout@sha256:…")
	}
	return ref[:i], ref[i+1:], oci.CheckRepository(ref[:i])
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// reference is the image that a stage works on: the input, or what an earlier stage of this delivery pushed.
func (d *delivery) reference(input string) (string, error) {
	if input != "" {
		return input, d.adopt(input)
	}
	if ref := d.snapshot().Artifact.Reference(); ref != "" {
		return ref, nil
	}
	return "", fault.BadInputf("the record names no image that was pushed").
		WithNext("Run idp sign before, or give it: --image ghcr.io/acme/checkout@sha256:…")
}

// adopt makes the image that a person named the one of the record, so that what is done with it in this job is said of it.
func (d *delivery) adopt(reference string) error {
	image, digest, err := splitReference(reference)
	if err != nil {
		return err
	}
	if known := d.snapshot().Artifact.Digest; known != "" && known != digest {
		return fault.BadInputf("input image names %s, but this delivery is of %s", digest, known).
			WithNext("Leave image out, or name another record: --record FILE")
	}
	d.setArtifact(record.Artifact{Image: image, Digest: digest})
	return nil
}
