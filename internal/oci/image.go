package oci

import (
	"context"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/fault"
)

// Push puts the one image of the OCI layout in layoutDir into HOST/REPOSITORY, by digest and without a tag, and reads its
// manifest back. Nothing is sent unless the image is the wanted one, sha256:HEX.
func (c Client) Push(ctx context.Context, layoutDir, repo, want string) error {
	target, err := repository(repo)
	if err != nil {
		return err
	}
	img, digest, err := single(layoutDir)
	if err != nil {
		return err
	}
	if digest.String() != want {
		return fault.Undeterminedf("the image in %s is %s, but %s was built; nothing was pushed", layoutDir, digest, want).
			WithNext("Build again: the layout changed after the build.")
	}
	ref := target.Digest(want)
	return c.retry(ctx, "push to", target.RegistryStr(), func(ctx context.Context) error {
		if err := remote.Write(ref, img, c.options(ctx)...); err != nil {
			return err
		}
		// Getting by digest fails unless the bytes that are served have that digest.
		_, err := remote.Get(ref, c.options(ctx)...)
		return err
	})
}

// single opens the only image of a layout.
func single(layoutDir string) (v1.Image, v1.Hash, error) {
	index, err := layout.ImageIndexFromPath(layoutDir)
	if err != nil {
		return nil, v1.Hash{}, fault.BadInputf("%s is not an OCI image layout: %w", layoutDir, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, v1.Hash{}, fault.BadInputf("%s is not an OCI image layout: %w", layoutDir, err)
	}
	if len(manifest.Manifests) != 1 || !manifest.Manifests[0].MediaType.IsImage() {
		return nil, v1.Hash{}, fault.BadInputf("%s must hold exactly one image, it lists %d manifests", layoutDir, len(manifest.Manifests))
	}
	listed := manifest.Manifests[0].Digest
	img, err := index.Image(listed)
	if err != nil {
		return nil, listed, fault.BadInputf("image %s in %s: %w", listed, layoutDir, err)
	}
	actual, err := img.Digest()
	if err != nil {
		return nil, listed, fault.BadInputf("image %s in %s: %w", listed, layoutDir, err)
	}
	if actual != listed {
		return nil, listed, fault.BadInputf("image %s in %s has digest %s: the layout was changed", listed, layoutDir, actual)
	}
	return img, listed, nil
}

// pulled is an image that knows where it is from, for errors while its layers are read.
type pulled struct {
	v1.Image
	from name.Digest
}

// Pull opens HOST/REPOSITORY@DIGEST. Manifest and configuration are read and have the digests that name them; layers
// are read when the image is used, under the same ctx. From an index it takes the image for this machine.
func (c Client) Pull(ctx context.Context, ref string) (v1.Image, error) {
	from, err := reference(ref)
	if err != nil {
		return nil, err
	}
	var img v1.Image
	err = c.retry(ctx, "pull from", from.RegistryStr(), func(limited context.Context) error {
		// The image keeps its context, so this attempt's own must not end with the budget once it has succeeded.
		own, cancel := context.WithCancelCause(ctx)
		stop := context.AfterFunc(limited, func() { cancel(context.Cause(limited)) })
		var err error
		if img, err = remote.Image(from, append(c.options(own), remote.WithPlatform(here()))...); err == nil {
			_, err = img.ConfigFile()
		}
		if err != nil || !stop() {
			cancel(nil)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return pulled{Image: img, from: from}, nil
}

func here() v1.Platform { return v1.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH} }
