// Package attest has what is said of images: in-toto v1 statements, the predicates in them, and who signs and verifies them
// for whoever does not care how. internal/signing and internal/verifying do it; internal/referrers attaches what is signed.
// docs/predicates.md says what is in each statement.
package attest

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/org/idp/internal/record"
)

// Signer signs statements and can verify what it signed.
type Signer interface {
	Verifier
	// Sign gives a sigstore bundle as JSON. It is verified before it is given back.
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

// Certificate is what a certificate of Fulcio says about who signed: the claims of the identity token, by the extensions of
// https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md. A field is empty where the issuer does not say it.
type Certificate struct {
	Issuer       string    `json:"issuer"`                 // of the identity token, as a URL
	Subject      string    `json:"subject"`                // subject alternative name; of a job the URI of its workflow at a ref
	Workflow     string    `json:"workflow,omitempty"`     // URI of the workflow that holds the job, at a ref: a reusable one, or Caller
	WorkflowSHA  string    `json:"workflowSHA,omitempty"`  // commit of the workflow
	Caller       string    `json:"caller,omitempty"`       // URI of the workflow that was started, at a ref
	Repository   string    `json:"repository,omitempty"`   // URL
	RepositoryID string    `json:"repositoryID,omitempty"` // stays the same when the repository is renamed, and is never used again
	OwnerID      string    `json:"ownerID,omitempty"`
	Visibility   string    `json:"visibility,omitempty"` // public, private or internal
	Commit       string    `json:"commit,omitempty"`
	Ref          string    `json:"ref,omitempty"`
	Event        string    `json:"event,omitempty"`
	Runner       string    `json:"runner,omitempty"` // github-hosted or self-hosted
	Run          string    `json:"run,omitempty"`    // URL of the attempt of the run
	NotBefore    time.Time `json:"notBefore"`
	NotAfter     time.Time `json:"notAfter"`
}

// BundleType is the media type of the bundles that are written here; older ones are read as well.
const BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// BundleTypePrefix is common to the media types of all versions.
const BundleTypePrefix = "application/vnd.dev.sigstore.bundle"

// Attached is a bundle that a registry lists for a digest, or what cosign keeps of one in a tag. Nothing in it is verified.
type Attached struct {
	Manifest  string     // digest of the referrer, or of what the tag is on
	Tagged    bool       // it is in a tag of cosign, and no referrer
	Bundle    []byte     // JSON
	Statement *Statement // what it claims; nil for a bundle that holds no statement
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
