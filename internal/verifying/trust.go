package verifying

import (
	"errors"
	"io"
	"os"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/org/idp/internal/fault"
)

// Trust is a sigstore instance as its TrustedRoot describes it: whose certificates, log entries and timestamps count.
type Trust struct {
	name     string
	material root.TrustedMaterial
	options  []verify.VerifierOption
}

// maxConfig bounds a TrustedRoot and a SigningConfig, in bytes. Those of the public instance have some ten thousand.
const maxConfig = 4 << 20

// ReadTrust reads a TrustedRoot as JSON, such as cosign takes as --trusted-root. What is wrong with it is BadInput.
func ReadTrust(file string) (*Trust, error) {
	data, err := ReadConfig("trusted root", file)
	if err != nil {
		return nil, err
	}
	material, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, fault.BadInputf("%s is no TrustedRoot: %w", file, err).WithNext(makeTrust)
	}
	trust, err := newTrust(file, material)
	if err != nil {
		return nil, fault.BadInputf("trusted root %s: %w", file, err).WithNext(makeTrust)
	}
	return trust, nil
}

const makeTrust = "Make one with: cosign trusted-root create"

// newTrust derives from a TrustedRoot what a bundle has to show: a certificate that is in a certificate log where there is
// one, an entry in a transparency log where there is one, and in any case a time that somebody else vouches for.
func newTrust(name string, material root.TrustedMaterial) (*Trust, error) {
	if len(material.FulcioCertificateAuthorities()) == 0 {
		return nil, errors.New("it names no certificate authority")
	}
	if len(material.RekorLogs()) == 0 && len(material.TimestampingAuthorities()) == 0 {
		return nil, errors.New("it names neither a transparency log nor a timestamp authority, so nothing tells when something was signed")
	}
	t := &Trust{name: name, material: material,
		// The predicate is read by those who know its type; here it would be a tree of a million nodes for nothing.
		options: []verify.VerifierOption{verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate()}}
	if len(material.RekorLogs()) > 0 {
		t.options = append(t.options, verify.WithTransparencyLog(1))
	}
	if len(material.CTLogs()) > 0 {
		t.options = append(t.options, verify.WithSignedCertificateTimestamps(1))
	}
	return t, nil
}

// ReadConfig reads a file that describes a sigstore instance, of a bounded size; what is the matter with it is BadInput.
func ReadConfig(what, file string) ([]byte, error) {
	f, err := os.Open(file) // #nosec G304 -- the path is the caller's own input
	if err != nil {
		return nil, fault.BadInputf("%s: %w", what, err)
	}
	defer f.Close() //nolint:errcheck // only read from
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fault.BadInputf("%s: %w", what, err)
	}
	if len(data) > maxConfig {
		return nil, fault.BadInputf("%s %s is larger than %d MB", what, file, maxConfig>>20)
	}
	return data, nil
}

// String is where the trust comes from.
func (t *Trust) String() string { return t.name }

var errNoCertificate = errors.New("it is signed with a key, not with a certificate")
