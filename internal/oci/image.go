package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

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
		if err := found.write(target.Digest(want), c.options(ctx, target.Registry)); err != nil {
			return err
		}
		for _, digest := range append(found.parts, want) {
			// Getting by digest fails unless the bytes that are served have that digest.
			if _, err := remote.Get(target.Digest(digest), c.options(ctx, target.Registry)...); err != nil {
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
		if img, err = remote.Image(from, append(c.options(own, from.Registry), remote.WithPlatform(here()))...); err == nil {
			err = smallConfig(img, ref)
		}
		if err == nil {
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

// Tag moves a tag of HOST/REPOSITORY to a digest that is there already, and reads it back. A tag that is on the digest
// already is left alone: registries whose tags are immutable refuse to write even what is there.
func (c Client) Tag(ctx context.Context, repo, digest, tag string) error {
	from, err := reference(repo + "@" + digest)
	if err != nil {
		return err
	}
	to, err := name.NewTag(from.Context().Name()+":"+tag, name.StrictValidation)
	if err != nil {
		return fault.BadInputf("tag %q of %s: %w", tag, repo, err)
	}
	return c.retry(ctx, "tag in", to.RegistryStr(), func(ctx context.Context) error {
		manifest, err := remote.Get(from, c.options(ctx, from.Registry)...)
		if err != nil {
			return err
		}
		before, err := c.tagged(ctx, to)
		if err != nil || before == manifest.Digest {
			return err
		}
		if err := remote.Tag(to, manifest, c.options(ctx, to.Registry)...); err != nil {
			return kept(err, to, before, manifest.Digest)
		}
		now, err := c.tagged(ctx, to)
		if err == nil && now != manifest.Digest {
			err = fmt.Errorf("tag %s is on %s and not on %s: did something else move it?", tag, now, manifest.Digest)
		}
		return err
	})
}

// tagged is the digest that a tag is on; the zero value where there is no such tag.
func (c Client) tagged(ctx context.Context, tag name.Tag) (v1.Hash, error) {
	now, err := remote.Get(tag, c.options(ctx, tag.Registry)...)
	var status *transport.Error
	if errors.As(err, &status) && status.StatusCode == http.StatusNotFound {
		return v1.Hash{}, nil
	}
	if err != nil {
		return v1.Hash{}, err
	}
	return now.Digest, nil
}

// kept says so when a registry refuses to move a tag. Registries have no common answer for it: Amazon's is 400, Harbor's 412,
// Docker Hub's 403. That something else holds the tag, and that the answer is a refusal, is what they share.
func kept(err error, tag name.Tag, before, wanted v1.Hash) error {
	var status *transport.Error
	if before == (v1.Hash{}) || !errors.As(err, &status) || status.StatusCode == http.StatusUnauthorized ||
		status.StatusCode >= 500 || temporary(err) {
		return err
	}
	e := fault.Failedf("tag %s stays on %s, the registry does not let it be moved to %s: %s", tag, before, wanted, answer(status))
	e.Err = err
	return e.WithNext(
		fmt.Sprintf("Where tags are immutable: deploy the image that is tagged, %s@%s, or deliver a new commit.", tag.Context(), before),
		"Or let tags be moved: that is a setting of the repository in the registry.")
}

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
		desc, err := remote.Get(ref, c.options(ctx, ref.Registry)...)
		if err == nil {
			found.Digest = desc.Digest.String()
		}
		return err
	})
	return found, err
}
