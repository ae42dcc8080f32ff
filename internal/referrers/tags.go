package referrers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/verifying"
)

// tag is that which is named for the digest.
func (s *session) tag(suffix string) name.Tag {
	return s.digest.Context().Tag(strings.Replace(s.digest.DigestStr(), ":", "-", 1) + suffix)
}

// at is what a tag is on; nil where there is no such tag.
func (s *session) at(ctx context.Context, tag name.Tag) (*remote.Descriptor, error) {
	desc, err := s.puller.Get(ctx, tag)
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	return desc, err
}

// tagged reads what cosign up to version 2 keeps in a tag: an image, each layer of which is a signature or an attestation. Anyone who
// may write there can move the tag, as they can hide referrers; what is believed is only what the signature says of which digest.
// https://github.com/sigstore/cosign/blob/v2.6.5/specs/SIGNATURE_SPEC.md
func (s *session) tagged(ctx context.Context, tag name.Tag) ([]attest.Attached, error) {
	desc, err := s.at(ctx, tag)
	if desc == nil || err != nil {
		return nil, err
	}
	if !desc.MediaType.IsImage() {
		return nil, fmt.Errorf("it is on something of type %q, expected an image", desc.MediaType)
	}
	var image v1.Manifest
	if err := json.Unmarshal(desc.Manifest, &image); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if len(image.Layers) > maxReferrers {
		return nil, fmt.Errorf("more than %d layers", maxReferrers)
	}
	var attached []attest.Attached
	for _, l := range image.Layers {
		if l.MediaType != verifying.TypeEnvelope && l.MediaType != verifying.TypeSimpleSigning {
			continue
		}
		layer, err := s.counted(ctx, l)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.Digest, err)
		}
		packed, err := verifying.Tagged(string(l.MediaType), layer, l.Annotations)
		if err != nil {
			return nil, err
		}
		statement, _, err := verifying.Claimed(packed)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.Digest, err)
		}
		attached = append(attached, attest.Attached{Manifest: desc.Digest.String(), Tagged: true, Bundle: packed, Statement: statement})
	}
	return attached, nil
}
