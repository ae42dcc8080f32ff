package verifying

import (
	"context"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/org/idp/internal/attest"
)

// Keyless knows a signer by the identity in a certificate that lived for minutes: who it was is what the certificate says,
// and when is what a timestamp authority or a transparency log says.
type Keyless struct {
	trust    *Trust
	identity Identity
	verifier *verify.Verifier
}

// NewKeyless makes a verifier. An identity that names nobody is an error.
func NewKeyless(trust *Trust, identity Identity) (*Keyless, error) {
	if err := identity.validate(); err != nil {
		return nil, err
	}
	verifier, err := verify.NewVerifier(trust.material, trust.options...)
	if err != nil {
		return nil, err
	}
	return &Keyless{trust: trust, identity: identity, verifier: verifier}, nil
}

// Identity describes whose certificates count.
func (k *Keyless) Identity() string { return k.identity.String() }

// Verify gives what the bundle says when a certificate with this identity signed it. The signer of what it gives is the
// certificate's subject.
func (k *Keyless) Verify(ctx context.Context, bundle []byte, digest string) (*attest.Verified, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, artifact, err := about(bundle, digest)
	if err != nil {
		return nil, err
	}
	// The identity is held against all that is asked below, with a reason for each part that differs.
	way, result, err := d.verified(k.verifier, verify.NewPolicy(artifact, verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return nil, fmt.Errorf("not signed keyless as %s says: %w", k.trust, err)
	}
	content, err := way.VerificationContent()
	if err != nil {
		return nil, err
	}
	leaf := content.Certificate()
	if leaf == nil || result.Signature == nil || result.Signature.Certificate == nil {
		return nil, errNoCertificate
	}
	certificate, err := CertificateOf(leaf)
	if err != nil {
		return nil, err
	}
	if err := k.identity.Check(certificate); err != nil {
		return nil, err
	}
	v := &attest.Verified{Statement: *d.statement, Signer: certificate.Subject, Certificate: certificate}
	v.SignedAt = earliest(result.VerifiedTimestamps)
	return v, nil
}

// earliest is when the signature is known to have been there.
func earliest(timestamps []verify.TimestampVerificationResult) time.Time {
	var first time.Time
	for _, t := range timestamps {
		if first.IsZero() || t.Timestamp.Before(first) {
			first = t.Timestamp
		}
	}
	return first
}
