package oci

import (
	"context"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/fault"
)

// Resolved is an image that a person named, and the digest that it is now.
type Resolved struct {
	Repository string // HOST/REPOSITORY
	Tag        string // that was asked; empty where a digest was given
	Digest     string // sha256:HEX
}

// Reference is REPOSITORY@DIGEST.
func (r Resolved) Reference() string { return r.Repository + "@" + r.Digest }

// Resolve reads HOST/REPOSITORY@DIGEST, for which nothing is asked, or HOST/REPOSITORY:TAG, whose digest the registry is
// asked for. Without either it is BadInput: no tag is assumed. Of a tag beside a digest only the digest counts.
func (c Client) Resolve(ctx context.Context, image string) (Resolved, error) {
	rest, digest, pinned := cutLast(image, "@")
	if !pinned || strings.Contains(rest, "@") {
		rest = image
	}
	repo, tag, tagged := cutLast(rest, ":")
	if !tagged || strings.Contains(tag, "/") { // the colon is of a port
		repo, tag = rest, ""
	}
	r, err := repository(repo)
	if err != nil {
		return Resolved{}, err
	}
	if pinned {
		ref, err := reference(r.Name() + "@" + digest)
		return Resolved{Repository: r.Name(), Digest: ref.DigestStr()}, err
	}
	if tag == "" {
		return Resolved{}, fault.BadInputf("image %s has neither a digest nor a tag", r.Name()).
			WithNext("Name one, such as " + r.Name() + "@sha256:… or " + r.Name() + ":v1")
	}
	ref, err := name.NewTag(r.Name()+":"+tag, name.StrictValidation)
	if err != nil {
		return Resolved{}, fault.BadInputf("image %s: %w", r.Name(), err)
	}
	found := Resolved{Repository: r.Name(), Tag: tag}
	err = c.retry(ctx, "find "+r.Name()+":"+tag+" in", ref.RegistryStr(), func(ctx context.Context) error {
		// Getting the manifest, and not its head alone, computes the digest from what is served.
		desc, err := remote.Get(ref, c.options(ctx)...)
		if err == nil {
			found.Digest = desc.Digest.String()
		}
		return err
	})
	return found, err
}
