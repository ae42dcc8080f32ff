package verifying

import (
	"crypto"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

func publicRoot(t *testing.T) *root.TrustedRoot {
	t.Helper()
	tr, err := root.NewTrustedRootFromPath("testdata/public/trusted_root.json")
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func publicBundle(t *testing.T) *bundle.Bundle {
	t.Helper()
	b, err := bundle.LoadJSONFromPath("testdata/public/sigstore-js-2.0.0.sigstore.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What the public instance issued for npm's package sigstore@2.0.0, built by GitHub from
// https://github.com/sigstore/sigstore-js: its bundle meets what is asked by its trusted root, and its certificate is read
// as openssl reads it.
func TestPublicInstance(t *testing.T) {
	t.Parallel()
	const digest = "46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c"
	trust, err := newTrust("public", publicRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	b := publicBundle(t)
	sum, err := hex.DecodeString(digest)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.NewVerifier(trust.material, trust.options...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(b, verify.NewPolicy(verify.WithArtifactDigest("sha512", sum), verify.WithoutIdentitiesUnsafe())); err != nil {
		t.Fatal(err)
	}
	content, err := b.VerificationContent()
	if err != nil {
		t.Fatal(err)
	}
	c, err := CertificateOf(content.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	uri := "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main"
	if c.Issuer != GitHubIssuer || c.Subject != uri || c.Workflow != uri || c.Repository != "https://github.com/sigstore/sigstore-js" ||
		c.RepositoryID != "495574555" || c.OwnerID != "71096353" || c.Commit != "f0b49a04e5a62250e0f60fb128004a73110fe311" ||
		c.Run != "https://github.com/sigstore/sigstore-js/actions/runs/5904696764/attempts/1" || c.Runner != "github-hosted" || c.Event != "push" {
		t.Errorf("the certificate is read as %+v", c)
	}
	if err := (Identity{Issuer: GitHubIssuer, RepositoryID: "495574555", Workflow: ".github/workflows/release.yml", Ref: "refs/heads/main"}).Check(c); err != nil {
		t.Error(err)
	}
	if err := (Identity{Issuer: GitHubIssuer, Repository: "sigstore/cosign"}).Check(c); err == nil {
		t.Error("it is of another repository, too")
	}
}

// Where the trusted root names a certificate log, a certificate that is in none does not count.
func TestCertificateLogIsDemanded(t *testing.T) {
	t.Parallel()
	public := publicRoot(t)
	other := map[string]*root.TransparencyLog{}
	for _, log := range public.RekorLogs() {
		other[strings.Repeat("0", 64)] = &root.TransparencyLog{PublicKey: log.PublicKey, HashFunc: crypto.SHA256, ID: log.ID, SignatureHashFunc: crypto.SHA256}
	}
	material := logs{public, other}
	trust, err := newTrust("public", material)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.NewVerifier(trust.material, trust.options...)
	if err != nil {
		t.Fatal(err)
	}
	b := publicBundle(t)
	if _, err = v.Verify(b, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithoutIdentitiesUnsafe())); err == nil ||
		!strings.Contains(err.Error(), "signed certificate timestamp") {
		t.Errorf("error %v", err)
	}
}

// logs is a trusted root with other certificate logs.
type logs struct {
	root.TrustedMaterial
	other map[string]*root.TransparencyLog
}

func (l logs) CTLogs() map[string]*root.TransparencyLog { return l.other }
