package app

import (
	"context"
	"path/filepath"

	"github.com/org/idp/internal/build"
	"github.com/org/idp/internal/container"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
)

// notCompiled takes the image from a Dockerfile or from elsewhere.
func (w *buildWork) notCompiled(ctx context.Context, d *delivery) (result, error) {
	in := w.other
	in.Platform, in.Out, in.LayoutDir, in.SPDXFile = w.in.Platform, d.opts.Out, build.LayoutDir, build.SPDXFile
	in.Temp, in.Path, in.Time = d.runner.TempDir(), d.repo.Path, d.repo.Time
	if in.Dockerfile != "" {
		in.Platform = d.platform(in.Platform)
	}
	out, err := container.Run(ctx, in, container.Deps{Images: oci.Client{}, Environ: d.world.Environ, Progress: d.progress(w.name()),
		Source: func(ctx context.Context, dir string) error { return d.repo.Export(ctx, d.repo.Commit, dir) }})
	if err == nil {
		d.setArtifact(record.Artifact{Digest: out.Evidence.Digest})
		d.wrote(w.name(), d.out(build.LayoutDir), "the image, as an OCI layout")
		for _, i := range out.Evidence.Images {
			if i.SPDX != "" {
				d.wrote(w.name(), d.out(filepath.Base(i.SPDX)), "what is in it, as an SPDX SBOM")
			}
		}
	}
	return resultOf(out, err)
}

// takenFrom is the repository of an image that was built elsewhere, where it stays when no other is named. The local target
// has a registry of its own, so that a try changes nothing that others see.
func (d *delivery) takenFrom() string {
	if d.local.allowed {
		return ""
	}
	evidence, err := record.EvidenceOf[record.Build](d.snapshot(), record.StageBuild)
	if err != nil || evidence.Type != record.BuiltElsewhere {
		return ""
	}
	image, _, err := splitReference(evidence.Origin)
	if err != nil {
		return ""
	}
	return image
}

// takeImage makes the image that is given the one that build takes: what the later stages look at is what sign pushed.
func (p *pathWork) takeImage() {
	image := p.build.other.Image
	if image == "" {
		return
	}
	p.verify.in.Reference, p.deploy.image = "", ""
	if repository, _, err := splitReference(image); err == nil && p.sign.in.Registry == "" && p.target() != targetLocal {
		p.sign.in.Registry = repository
	}
}

// image refuses inputs of an image that is not compiled here, and a way to build that the policy does not have: the image
// would be pushed, and refused only then.
func (p *pathWork) image(d *delivery) error {
	in := p.build.other
	if !in.Given() {
		return nil
	}
	if err := in.Check(d.world.Environ); err != nil {
		return err
	}
	how := record.BuiltByDockerfile
	if in.Image != "" {
		how = record.BuiltElsewhere
	}
	if !d.rules.Provenance.AllowsBuild(how) {
		return fault.BadInputf("policy %s does not let an image be delivered to %s that is built by: %s", d.policy.Name, d.rec.Environment, how).
			WithNext("The platform team decides it, in the policy: provenance: {build-types: [go-image, dockerfile, elsewhere]}")
	}
	return nil
}
