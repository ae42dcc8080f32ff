// Package signing signs statements into sigstore bundles v0.3, which is what cosign writes and reads with --new-bundle-format,
// so either can check the other: with a key from a file, a variable or a key management service, or keyless, with what
// Fulcio, Rekor and a timestamp authority give for a job's identity token. Every signer verifies what it signed.
package signing

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
)

// Sign puts the statement into a bundle that names the key by its hash, as cosign does. Nothing is sent anywhere: a key's
// bundle has neither a certificate nor an entry in a transparency log.
func (k *Key) Sign(ctx context.Context, s attest.Statement) ([]byte, error) {
	if !k.CanSign() {
		return nil, fault.BadInputf("key %s is a public key, which cannot sign", k.Fingerprint()).
			WithNext("Give the private key: --key cosign.key")
	}
	trusted, err := k.Trusted()
	if err != nil {
		return nil, err
	}
	return signBundle(ctx, s, keypair{k}, sign.BundleOptions{TrustedRoot: trusted})
}

// signBundle is what every kind of signer ends in; the options hold what else goes into the bundle. sign.Bundle verifies
// its own work against the trusted root.
func signBundle(ctx context.Context, s attest.Statement, pair sign.Keypair, opts sign.BundleOptions) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := s.Digest(); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	opts.Context = ctx
	b, err := sign.Bundle(&sign.DSSEData{Data: payload, PayloadType: attest.PayloadType}, pair, opts)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", s.PredicateType, err)
	}
	return protojson.Marshal(b)
}

// keypair is a Key in the form that sigstore-go signs with.
type keypair struct{ *Key }

// GetHint is what cosign gives.
func (p keypair) GetHint() []byte { return p.Hint() }

func (keypair) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

func (keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

func (keypair) GetKeyAlgorithm() string { return "ECDSA" }

func (p keypair) GetPublicKey() crypto.PublicKey { return p.PublicKey() }

func (p keypair) GetPublicKeyPem() (string, error) { return string(p.PublicPEM()), nil }

// SignData gives the signature and the digest that was signed.
func (p keypair) SignData(ctx context.Context, data []byte) (sig, digest []byte, err error) {
	sum := sha256.Sum256(data)
	if p.remote != nil {
		sig, err = p.remote(ctx, data)
		return sig, sum[:], err
	}
	sig, err = ecdsa.SignASN1(rand.Reader, p.private, sum[:])
	return sig, sum[:], err
}
