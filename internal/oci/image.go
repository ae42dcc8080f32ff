package oci

import (
	"context"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/fault"
)

// Push puts the one image or index of the OCI layout in layoutDir into HOST/REPOSITORY, by digest and without a tag, and
// reads back its manifest and, of an index, those of its images. Nothing is sent unless it is the wanted one, sha256:HEX.
func (c Client) Push(ctx context.Context, layoutDir, repo, want string) error {
	target, err := repository(repo)
	if err != nil {
		return err
	}
	found, err := single(layoutDir)
	if err != nil {
		return err
	}
	if found.digest.String() != want {
		return fault.Undeterminedf("the image in %s is %s, but %s was built; nothing was pushed", layoutDir, found.digest, want).
			WithNext("Build again: the layout changed after the build.")
	}
	return c.retry(ctx, "push to", target.RegistryStr(), func(ctx context.Context) error {
		if err := found.write(target.Digest(want), c.options(ctx)); err != nil {
			return err
		}
		for _, digest := range append(found.parts, want) {
			// Getting by digest fails unless the bytes that are served have that digest.
			if _, err := remote.Get(target.Digest(digest), c.options(ctx)...); err != nil {
				return err
			}
		}
		return nil
	})
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
