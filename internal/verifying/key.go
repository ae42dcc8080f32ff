package verifying

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
)

// PEMType is that of the file of a public key.
const PEMType = "PUBLIC KEY"

// MakeKey says what to do about a key that is none.
const MakeKey = "Make a key pair: cosign generate-key-pair"

// Key is an ECDSA P-256 public key, the kind that cosign makes.
type Key struct {
	public *ecdsa.PublicKey
	spki   []byte // in DER form
}

// NewKey takes a public key; errors call it by the name.
func NewKey(name string, public crypto.PublicKey) (*Key, error) {
	p256, ok := public.(*ecdsa.PublicKey)
	if !ok || p256.Curve != elliptic.P256() {
		return nil, WrongKind(name)
	}
	spki, err := x509.MarshalPKIXPublicKey(p256)
	if err != nil {
		return nil, err
	}
	return &Key{public: p256, spki: spki}, nil
}

// WrongKind is the error for a key of another kind.
func WrongKind(name string) error {
	return fault.BadInputf("key %s is not an ECDSA P-256 key", name).WithNext(MakeKey)
}

// ParseKey reads a public key in DER form.
func ParseKey(name string, der []byte) (*Key, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fault.BadInputf("key %s cannot be read: %w", name, err)
	}
	return NewKey(name, parsed)
}

// PublicPEM is a file that cosign verify --key takes.
func (k *Key) PublicPEM() []byte { return pem.EncodeToMemory(&pem.Block{Type: PEMType, Bytes: k.spki}) }

// PublicKey is the key itself.
func (k *Key) PublicKey() *ecdsa.PublicKey { return k.public }

// Fingerprint is sha256:HEX of the DER form (SubjectPublicKeyInfo).
func (k *Key) Fingerprint() string {
	sum := sha256.Sum256(k.spki)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Hint is by what a bundle names the key, as cosign does: the base64 of the same hash.
func (k *Key) Hint() []byte {
	sum := sha256.Sum256(k.spki)
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}

// Identity is the fingerprint.
func (k *Key) Identity() string { return k.Fingerprint() }

// String is the fingerprint, so that no way of printing a key shows more.
func (k *Key) String() string { return k.Fingerprint() }

// Trusted is the key as the only thing to trust. It never expires: its owner ends its use in the policy.
func (k *Key) Trusted() (root.TrustedMaterial, error) {
	verifier, err := signature.LoadECDSAVerifier(k.public, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	expiring := root.NewExpiringKey(verifier, time.Time{}, time.Time{})
	return root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		// The hint is not looked at: it is the signer's word, and there is one key only.
		return expiring, nil
	}), nil
}

// Verify gives what the bundle says when this key signed it and it is about exactly this digest.
func (k *Key) Verify(ctx context.Context, bundle []byte, digest string) (*attest.Verified, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, artifact, err := about(bundle, digest)
	if err != nil {
		return nil, err
	}
	trusted, err := k.Trusted()
	if err != nil {
		return nil, err
	}
	// No observer of the time: a key, unlike a certificate, is valid until the policy drops it.
	verifier, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps())
	if err != nil {
		return nil, err
	}
	policy := verify.NewPolicy(artifact, verify.WithKey())
	if _, _, err := d.verified(verifier, policy); err != nil {
		return nil, fmt.Errorf("not signed by %s: %w", k.Fingerprint(), err)
	}
	return &attest.Verified{Statement: *d.statement, Signer: k.Identity()}, nil
}
