// Package attest makes and verifies signed statements about images: DSSE envelopes around in-toto v1 statements, in sigstore
// bundles v0.3. That is what cosign writes and reads with --new-bundle-format, so either can check the other.
// docs/predicates.md says what is in each statement; internal/referrers attaches them.
//
// It is the only package that imports sigstore-go.
package attest

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/org/idp/internal/record"
)

// Signer signs statements and can verify what it signed. Key is one; a keyless signer has the same form.
type Signer interface {
	Verifier
	// Sign gives the bundle as JSON. It is verified before it is given back.
	Sign(ctx context.Context, s Statement) ([]byte, error)
}

// Verifier knows one signer and tells what is theirs.
type Verifier interface {
	// Identity names the signer: for a key its fingerprint, else what is asked of a certificate.
	Identity() string
	// Verify gives what the bundle says when it is signed by this signer and about exactly this digest. It needs no
	// network: every error means that the bundle does not count.
	Verify(ctx context.Context, bundle []byte, digest string) (*Verified, error)
}

// Verified is a statement whose signature was checked, and what the signature proves besides.
type Verified struct {
	Statement
	// Signer is who signed: a key's fingerprint, or the subject of a certificate.
	Signer string
	// SignedAt is the time that a timestamp authority or a transparency log vouches for; zero for a key, which nobody watches.
	SignedAt time.Time
	// Certificate is what the certificate says; nil for a key.
	Certificate *Certificate
}

const sigstoreModule = "github.com/sigstore/sigstore-go"

// Tool is what signs and verifies.
func Tool() record.Tool {
	tool := record.Tool{Name: "sigstore-go", Version: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return tool
	}
	for _, dep := range info.Deps {
		if dep.Path == sigstoreModule {
			tool.Version = dep.Version
		}
	}
	return tool
}
