package oci

import (
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/fault"
)

// stored is the one thing that a layout holds: an image or an index.
type stored struct {
	digest v1.Hash
	image  v1.Image      // nil for an index
	index  v1.ImageIndex // nil for an image
	parts  []string      // digests of the manifests in an index
}

func (s stored) write(ref name.Digest, options []remote.Option) error {
	if s.index != nil {
		return remote.WriteIndex(ref, s.index, options...)
	}
	return remote.Write(ref, s.image, options...)
}

// single opens the only image or index of a layout. Every manifest has the digest that it is listed under.
func single(dir string) (stored, error) {
	root, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return stored{}, fault.BadInputf("%s is not an OCI image layout: %w", dir, err)
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		return stored{}, fault.BadInputf("%s is not an OCI image layout: %w", dir, err)
	}
	if len(manifest.Manifests) != 1 || !manifest.Manifests[0].MediaType.IsImage() && !manifest.Manifests[0].MediaType.IsIndex() {
		return stored{}, fault.BadInputf("%s must hold exactly one image or index, it lists %d manifests", dir, len(manifest.Manifests))
	}
	s := stored{digest: manifest.Manifests[0].Digest}
	if manifest.Manifests[0].MediaType.IsImage() {
		s.image, err = imageIn(root, s.digest, dir)
		return s, err
	}
	if s.index, err = root.ImageIndex(s.digest); err != nil {
		return s, fault.BadInputf("index %s in %s: %w", s.digest, dir, err)
	}
	if err := as(s.digest, s.index, "index", dir); err != nil {
		return s, err
	}
	inside, err := s.index.IndexManifest()
	if err != nil {
		return s, fault.BadInputf("index %s in %s: %w", s.digest, dir, err)
	}
	if len(inside.Manifests) == 0 || len(inside.Manifests) > maxImages {
		return s, fault.BadInputf("index %s in %s has %d images, 1 to %d are allowed", s.digest, dir, len(inside.Manifests), maxImages)
	}
	for _, d := range inside.Manifests {
		if !d.MediaType.IsImage() {
			return s, fault.BadInputf("index %s in %s holds %s, which is a %s and no image", s.digest, dir, d.Digest, d.MediaType)
		}
		if _, err := imageIn(s.index, d.Digest, dir); err != nil {
			return s, err
		}
		s.parts = append(s.parts, d.Digest.String())
	}
	return s, nil
}

// maxImages bounds what one index makes this program do. Docker's official images have about 20, with their attestations.
const maxImages = 100

func imageIn(index v1.ImageIndex, digest v1.Hash, dir string) (v1.Image, error) {
	img, err := index.Image(digest)
	if err != nil {
		return nil, fault.BadInputf("image %s in %s: %w", digest, dir, err)
	}
	return img, as(digest, img, "image", dir)
}

// as refuses a manifest that is not the one it is listed as.
func as(listed v1.Hash, content interface{ Digest() (v1.Hash, error) }, what, dir string) error {
	actual, err := content.Digest()
	if err != nil {
		return fault.BadInputf("%s %s in %s: %w", what, listed, dir, err)
	}
	if actual != listed {
		return fault.BadInputf("%s %s in %s has digest %s: the layout was changed", what, listed, dir, actual)
	}
	return nil
}
