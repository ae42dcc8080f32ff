package app

import (
	"context"
	"os/exec"
	"path/filepath"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/manifest"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// manifests renders the service as it would be deployed: from idp.yaml, or from the team's own manifests. Without an image
// generated manifests have a reference that no node can pull, and the team's own what they say.
func (d *delivery) manifests(ctx context.Context, image string) (manifest.Set, error) {
	opts := d.rendering(d.dir(), d.svc)
	opts.Image = image
	if image != "" {
		_, digest, err := splitReference(image)
		if err != nil {
			return manifest.Set{}, err
		}
		opts.Digest = digest
	}
	return manifest.Load(ctx, d.svc, opts)
}

// rendering is what a rendering takes of the delivery, whatever the image.
func (d *delivery) rendering(dir string, svc *service.Service) manifest.Options {
	opts := d.world.rendering(dir, svc)
	opts.Environment, opts.Commit, opts.Sizes = d.rec.Environment, d.rec.Source.Commit, d.rules.Sizes
	if d.repo != nil {
		opts.Repository = d.repo.Origin
	}
	return opts
}

// rendering is what every rendering takes of the machine.
func (w World) rendering(dir string, svc *service.Service) manifest.Options {
	opts := manifest.Options{Dir: dir, Environ: w.Environ}
	if svc.Deploy.Helm != nil {
		opts.Helm, _ = exec.LookPath("helm") // that there is none is said where it is needed
	}
	return opts
}

// committed refuses manifests of which the commit does not tell: git may have been told not to look at them.
func (d *delivery) committed(ctx context.Context, files []string) error {
	if d.repo == nil || len(files) == 0 {
		return nil
	}
	paths := make([]string, len(files))
	for i, name := range files {
		paths[i] = filepath.Join(d.repo.Dir(), filepath.FromSlash(name))
	}
	wrong, err := d.repo.Uncommitted(ctx, paths, nil)
	if err != nil || len(wrong) == 0 {
		return err
	}
	return fault.BadInputf("%s not what commit %s has, so what would be deployed is not what the record says",
		countOf(len(wrong), "file of the manifests is", "files of the manifests are"), shortHash(d.repo.Commit)).
		WithDetail(firstFew(wrong, 10)...).WithNext("Commit them, ignored by git or not.")
}

// writeManifests renders, and leaves the manifests for people in the file that it gives.
func (d *delivery) writeManifests(ctx context.Context, image string) (set manifest.Set, path string, err error) {
	if set, err = d.manifests(ctx, image); err != nil {
		return set, "", err
	}
	data, err := set.YAML()
	if err != nil {
		return set, "", err
	}
	path = d.out("manifests.yaml")
	if err := record.WriteFile(path, data, 0o644); err != nil {
		return set, "", unwritable(d.opts.Out, err)
	}
	d.wrote(record.StageDeploy, path, "the Kubernetes manifests")
	return set, path, nil
}
