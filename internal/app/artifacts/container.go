package artifacts

import (
	"context"
	"path/filepath"

	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/build"
	"github.com/org/idp/internal/container"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
)

// notCompiled takes the image from a Dockerfile or from elsewhere.
func (w *Build) notCompiled(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	in := w.Other
	in.Platform, in.Out, in.LayoutDir, in.SPDXFile = w.in.Platform, d.Options.Out, build.LayoutDir, build.SPDXFile
	in.Temp, in.Path, in.Time = d.Runner.TempDir(), d.Repo.Path, d.Repo.Time
	if in.Dockerfile != "" {
		in.Platform = d.Platform(in.Platform)
	}
	out, err := container.Run(ctx, in, container.Deps{Images: oci.Client{}, Environ: d.World.Environ, Progress: d.Progress(w.Name()),
		Source: func(ctx context.Context, dir string) error { return d.Repo.Export(ctx, d.Repo.Commit, dir) }})
	if err == nil {
		d.SetArtifact(record.Artifact{Digest: out.Evidence.Digest})
		d.Wrote(w.Name(), d.Out(build.LayoutDir), "the image, as an OCI layout")
		for _, i := range out.Evidence.Images {
			if i.SPDX != "" {
				d.Wrote(w.Name(), d.Out(filepath.Base(i.SPDX)), "what is in it, as an SPDX SBOM")
			}
		}
	}
	return delivery.ResultOf(out, err)
}

// takenFrom is the repository of an image that was built elsewhere, where it stays when no other is named. The local target
// has a registry of its own, so that a try changes nothing that others see.
func takenFrom(d *delivery.Delivery) string {
	if d.Local.Allowed {
		return ""
	}
	evidence, err := record.EvidenceOf[record.Build](d.Snapshot(), record.StageBuild)
	if err != nil || evidence.Type != record.BuiltElsewhere {
		return ""
	}
	image, _, err := SplitReference(evidence.Origin)
	if err != nil {
		return ""
	}
	return image
}
