package attest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/verify"
)

// Verify gives what the bundle says when this key signed it and it is about exactly this digest.
func (k *Key) Verify(ctx context.Context, bundle []byte, digest string) (*Verified, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, artifact, err := about(bundle, digest)
	if err != nil {
		return nil, err
	}
	trusted, err := k.trusted()
	if err != nil {
		return nil, err
	}
	// No observer of the time: a key, unlike a certificate, is valid until the policy drops it.
	verifier, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps())
	if err != nil {
		return nil, err
	}
	policy := verify.NewPolicy(artifact, verify.WithKey())
	if _, err := verifier.Verify(d.bundle, policy); err != nil {
		return nil, fmt.Errorf("not signed by %s: %w", k.Fingerprint(), err)
	}
	return &Verified{Statement: *d.statement, Signer: k.Identity()}, nil
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
	sum, err := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
	if err != nil {
		return nil, nil, err
	}
	return d, verify.WithArtifactDigest("sha256", sum), nil
}
