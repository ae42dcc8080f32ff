package oci

import (
	"bytes"
	"io"

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
	if err := onlyImages(inside, s.digest.String()+" in "+dir); err != nil {
		return s, err
	}
	for _, d := range inside.Manifests {
		if _, err := imageIn(s.index, d.Digest, dir); err != nil {
			return s, err
		}
		s.parts = append(s.parts, d.Digest.String())
	}
	return s, nil
}

// onlyImages refuses an index that is in another one, or that has too many images.
func onlyImages(index *v1.IndexManifest, name string) error {
	if len(index.Manifests) == 0 || len(index.Manifests) > maxImages {
		return fault.BadInputf("index %s has %d images, 1 to %d are allowed", name, len(index.Manifests), maxImages)
	}
	for _, d := range index.Manifests {
		if !d.MediaType.IsImage() {
			return fault.BadInputf("index %s holds %s, which is a %s and no image", name, d.Digest, d.MediaType)
		}
	}
	return nil
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

// Contents is what a layout holds.
type Contents struct {
	Digest       string
	Index        bool
	Images       []Listed
	Attestations []Attestation
}

// Listed is an image that can be run.
type Listed struct {
	Digest, Platform string
	Size             int64 // bytes of the compressed layers
}

// Attestation is an in-toto statement that BuildKit put into an index, beside the image that it is about.
// https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
type Attestation struct {
	Image         string // digest
	PredicateType string
	Statement     []byte
}

// Inspect says what the one image or index of a layout is.
func Inspect(dir string) (Contents, error) {
	found, err := single(dir)
	if err != nil {
		return Contents{}, err
	}
	c := Contents{Digest: found.digest.String(), Index: found.index != nil}
	if !c.Index {
		one, err := listed(found.image, nil)
		c.Images = []Listed{one}
		return c, err
	}
	manifest, err := found.index.IndexManifest()
	if err != nil {
		return c, err
	}
	for _, d := range manifest.Manifests {
		img, err := found.index.Image(d.Digest)
		if err != nil {
			return c, err
		}
		switch kind := d.Annotations["vnd.docker.reference.type"]; {
		case kind == "attestation-manifest":
			err = c.attested(img, d.Annotations["vnd.docker.reference.digest"])
		case kind == "":
			var one Listed
			one, err = listed(img, d.Platform)
			c.Images = append(c.Images, one)
		}
		if err != nil {
			return c, fault.BadInputf("%s in %s: %w", d.Digest, dir, err)
		}
	}
	if len(c.Images) == 0 {
		return c, fault.BadInputf("index %s in %s has no image that can be run", c.Digest, dir)
	}
	return c, nil
}

func listed(img v1.Image, platform *v1.Platform) (Listed, error) {
	digest, err := img.Digest()
	if err != nil {
		return Listed{}, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return Listed{}, err
	}
	own := config.Platform()
	if own == nil || own.OS == "" || own.Architecture == "" {
		return Listed{}, fault.BadInputf("image %s does not say for which platform it is", digest)
	}
	if platform != nil && (platform.OS != own.OS || platform.Architecture != own.Architecture) {
		return Listed{}, fault.BadInputf("image %s is for %s and listed for %s", digest, own, platform)
	}
	one := Listed{Digest: digest.String(), Platform: own.String()}
	manifest, err := img.Manifest()
	if err != nil {
		return one, err
	}
	for _, l := range manifest.Layers {
		one.Size += l.Size
	}
	return one, nil
}

// maxStatement bounds one statement; SBOMs are the largest.
const maxStatement = 64 << 20

func (c *Contents) attested(img v1.Image, about string) error {
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	for _, l := range manifest.Layers {
		kind := l.Annotations["in-toto.io/predicate-type"]
		if l.MediaType != "application/vnd.in-toto+json" || kind == "" {
			continue
		}
		if l.Size > maxStatement {
			return fault.BadInputf("its %s is larger than %d MiB", kind, maxStatement>>20)
		}
		layer, err := img.LayerByDigest(l.Digest)
		if err != nil {
			return err
		}
		data, err := whole(layer)
		if err != nil {
			return err
		}
		c.Attestations = append(c.Attestations, Attestation{Image: about, PredicateType: kind, Statement: data})
	}
	return nil
}

// whole reads a blob and holds it against its digest.
func whole(l v1.Layer) ([]byte, error) {
	want, err := l.Digest()
	if err != nil {
		return nil, err
	}
	in, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	data, err := io.ReadAll(io.LimitReader(in, maxStatement+1))
	if err != nil {
		return nil, err
	}
	if got, _, err := v1.SHA256(bytes.NewReader(data)); err != nil || got != want {
		return nil, fault.BadInputf("blob %s has digest %s: the layout was changed", want, got)
	}
	return data, nil
}
