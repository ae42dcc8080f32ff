// Package verifying tells whose a signed statement is: by a public key, or by the identity in a certificate and the
// TrustedRoot of a sigstore instance. It reads sigstore bundles v0.3 and older around DSSE envelopes, which cosign writes too, and what
// cosign wrote before.
// It asks nobody, but for the TrustedRoot of the public instance, which is fetched by The Update Framework.
//
// It and internal/signing are the only packages that import sigstore-go: they are two because whoever verifies needs neither
// keys, nor tokens, nor the clients of a certificate authority and a log.
package verifying

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/org/idp/internal/attest"
)

// decoded is a bundle, or what stands for one, that has the right form. Nothing in it is verified.
type decoded struct {
	// ways are those in which it can be verified. Each is enough.
	ways []verify.SignedEntity
	// statement is nil for a bundle around something else, such as a blob's signature.
	statement *attest.Statement
	payload   []byte
	// signed is the SHA-256 of what was signed where that is no statement but stands for one.
	signed []byte
}

// decode reads a bundle, or a layer that Tagged packed. An envelope that claims to hold a statement has to hold one.
func decode(data []byte) (*decoded, error) {
	if bytes.HasPrefix(data, taggedStart) {
		return decodeTagged(data)
	}
	b := new(bundle.Bundle)
	if err := b.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("not a sigstore bundle: %w", err)
	}
	content, ok := b.Content.(*protobundle.Bundle_DsseEnvelope)
	if !ok || content.DsseEnvelope.GetPayloadType() != attest.PayloadType {
		return &decoded{ways: []verify.SignedEntity{b}}, nil
	}
	payload := content.DsseEnvelope.GetPayload()
	s, err := attest.ParseStatement(payload)
	if err != nil {
		return nil, err
	}
	return &decoded{ways: []verify.SignedEntity{b}, statement: s, payload: payload}, nil
}

// Claimed gives the statement of a bundle, and the bytes that were signed, without verifying anything; nil for a bundle that
// holds no statement.
func Claimed(data []byte) (*attest.Statement, []byte, error) {
	d, err := decode(data)
	if err != nil {
		return nil, nil, err
	}
	return d.statement, d.payload, nil
}

// about reads a bundle that claims to be about exactly this digest, which is what it has to be verified for.
func about(bundle []byte, digest string) (*decoded, verify.ArtifactPolicyOption, error) {
	d, err := decode(bundle)
	if err != nil {
		return nil, nil, err
	}
	if d.statement == nil {
		return nil, nil, errors.New("the bundle holds no in-toto statement")
	}
	// sigstore-go accepts a statement that has the digest among others, so the subject is held to be the only one first.
	subject, err := d.statement.Digest()
	if err != nil {
		return nil, nil, err
	}
	if subject != digest {
		return nil, nil, fmt.Errorf("the statement is about %s, not about this digest", subject)
	}
	if d.signed != nil {
		return d, verify.WithArtifactDigest("sha256", d.signed), nil
	}
	sum, err := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
	if err != nil {
		return nil, nil, err
	}
	return d, verify.WithArtifactDigest("sha256", sum), nil
}

// verified is the first way in which the verifier accepts it; else the error is that of the first.
func (d *decoded) verified(by *verify.Verifier, policy verify.PolicyBuilder) (verify.SignedEntity, *verify.VerificationResult, error) {
	refused := errors.New("there is nothing to verify")
	for i, way := range d.ways {
		result, err := by.Verify(way, policy)
		if err == nil {
			return way, result, nil
		}
		if i == 0 {
			refused = err
		}
	}
	return nil, nil, refused
}
