package deploying

import (
	"context"
	"os/exec"
	"path/filepath"

	"github.com/org/idp/internal/app/artifacts"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// Manifests renders the service as it would be deployed: from idp.yaml, or from the team's own manifests. Without an image
// generated manifests have a reference that no node can pull, and the team's own what they say.
func Manifests(ctx context.Context, d *delivery.Delivery, image string) (manifest.Set, error) {
	opts := rendering(d, d.Dir(), d.Service)
	opts.Image = image
	if image != "" {
		_, digest, err := artifacts.SplitReference(image)
		if err != nil {
			return manifest.Set{}, err
		}
		opts.Digest = digest
	}
	return manifest.Load(ctx, d.Service, opts)
}

// rendering is what a rendering takes of the delivery, whatever the image.
func rendering(d *delivery.Delivery, dir string, svc *service.Service) manifest.Options {
	w := d.World
	opts := Rendering(w, dir, svc)
	opts.Environment, opts.Commit, opts.Sizes = d.Record.Environment, d.Record.Source.Commit, d.Rules.Sizes
	if d.Repo != nil {
		opts.Repository = d.Repo.Origin
	}
	return opts
}

// Rendering is what every rendering takes of the machine.
func Rendering(w cli.World, dir string, svc *service.Service) manifest.Options {
	opts := manifest.Options{Dir: dir, Environ: w.Environ}
	if svc.Deploy.Helm != nil {
		opts.Helm, _ = exec.LookPath("helm") // that there is none is said where it is needed
	}
	return opts
}

// Committed refuses manifests of which the commit does not tell: git may have been told not to look at them.
func Committed(ctx context.Context, d *delivery.Delivery, files []string) error {
	if d.Repo == nil || len(files) == 0 {
		return nil
	}
	paths := make([]string, len(files))
	for i, name := range files {
		paths[i] = filepath.Join(d.Repo.Dir(), filepath.FromSlash(name))
	}
	wrong, err := d.Repo.Uncommitted(ctx, paths, nil)
	if err != nil || len(wrong) == 0 {
		return err
	}
	return fault.BadInputf("%s not what commit %s has, so what would be deployed is not what the record says",
		delivery.CountOf(len(wrong), "file of the manifests is", "files of the manifests are"), delivery.ShortHash(d.Repo.Commit)).
		WithDetail(delivery.FirstFew(wrong, 10)...).WithNext("Commit them, ignored by git or not.")
}

// WriteManifests renders, and leaves the manifests for people in the file that it gives.
func WriteManifests(ctx context.Context, d *delivery.Delivery, image string) (set manifest.Set, path string, err error) {
	if set, err = Manifests(ctx, d, image); err != nil {
		return set, "", err
	}
	data, err := set.YAML()
	if err != nil {
		return set, "", err
	}
	path = d.Out("manifests.yaml")
	if err := record.WriteFile(path, data, 0o644); err != nil {
		return set, "", delivery.Unwritable(d.Options.Out, err)
	}
	d.Wrote(record.StageDeploy, path, "the Kubernetes manifests")
	return set, path, nil
}
