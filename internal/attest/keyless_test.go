package attest_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/testkit/sigstorefake"
)

// forms are the kinds of instances that there are: who vouches for the time, and which log keeps the signature.
var forms = map[string]sigstorefake.Options{
	"Rekor v1":                {Rekor: 1},
	"Rekor v1, timestamps":    {Rekor: 1, TSA: true},
	"Rekor v2, timestamps":    {Rekor: 2, TSA: true},
	"timestamps without logs": {TSA: true},
}

const (
	repository = "acme/checkout"
	workflow   = ".github/workflows/deliver.yml"
	mainRef    = "refs/heads/main"
)

var ours = attest.Identity{Issuer: attest.GitHubIssuer, Repository: repository}

// signedBy is what sigstore-go's own signing gives.
func signedBy(t *testing.T, i *sigstorefake.Instance, opts sigstorefake.Options, claims sigstorefake.Claims, digest string) []byte {
	t.Helper()
	s, err := attest.NewStatement(digest, attest.PredicateSBOM, map[string]string{"bomFormat": "CycloneDX"})
	check(t, err)
	payload, err := json.Marshal(s)
	check(t, err)
	pair, err := sign.NewEphemeralKeypair(nil)
	check(t, err)
	o := sign.BundleOptions{CertificateProvider: sign.NewFulcio(&sign.FulcioOptions{BaseURL: i.URL}),
		CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: i.IDToken(claims)}, Context: t.Context()}
	if opts.TSA {
		o.TimestampAuthorities = []*sign.TimestampAuthority{sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: i.URL + sigstorefake.TSA})}
	}
	if opts.Rekor != 0 {
		o.TransparencyLogs = []sign.Transparency{sign.NewRekor(&sign.RekorOptions{BaseURL: i.URL, Version: opts.Rekor})}
	}
	b, err := sign.Bundle(&sign.DSSEData{Data: payload, PayloadType: attest.PayloadType}, pair, o)
	check(t, err)
	data, err := protojson.Marshal(b)
	check(t, err)
	return data
}

func trustOf(t *testing.T, i *sigstorefake.Instance) *attest.Trust {
	t.Helper()
	file, _ := i.Files()
	trust, err := attest.ReadTrust(file)
	check(t, err)
	return trust
}

func verifierOf(t *testing.T, i *sigstorefake.Instance, identity attest.Identity) *attest.Keyless {
	t.Helper()
	v, err := attest.NewKeyless(trustOf(t, i), identity)
	check(t, err)
	return v
}

func TestKeylessVerify(t *testing.T) {
	t.Parallel()
	for name, opts := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := sigstorefake.Start(t, opts)
			before := time.Now().Add(-2 * time.Second)
			good := signedBy(t, i, opts, sigstorefake.Workflow(repository, workflow, mainRef), digestA)
			v, err := verifierOf(t, i, ours).Verify(t.Context(), good, digestA)
			check(t, err)
			if v.SignedAt.Before(before) || v.SignedAt.After(time.Now().Add(time.Second)) {
				t.Errorf("signed at %s", v.SignedAt)
			}
			uri := "https://github.com/acme/checkout/.github/workflows/deliver.yml@refs/heads/main"
			sha := strings.Repeat("c", 40)
			want := &attest.Certificate{Issuer: attest.GitHubIssuer, Subject: uri, Workflow: uri, WorkflowSHA: sha, Caller: uri,
				Repository: "https://github.com/acme/checkout", RepositoryID: "1001", OwnerID: "77", Visibility: "public", Commit: sha, Ref: mainRef,
				Event: "push", Runner: "github-hosted", Run: "https://github.com/acme/checkout/actions/runs/42/attempts/1",
				NotBefore: v.Certificate.NotBefore, NotAfter: v.Certificate.NotAfter}
			if diff := cmp.Diff(want, v.Certificate); diff != "" || v.Signer != uri || v.PredicateType != attest.PredicateSBOM {
				t.Errorf("signer %s, %s (-want +have):\n%s", v.Signer, v.PredicateType, diff)
			}
			hostile(t, i, opts, good)
		})
	}
}

// hostile is everything that is signed, and not by whom it has to be.
func hostile(t *testing.T, i *sigstorefake.Instance, opts sigstorefake.Options, good []byte) {
	t.Helper()
	swapped, err := json.Marshal(attest.Statement{Type: attest.StatementType, PredicateType: attest.PredicateProvenance,
		Subject: []attest.Subject{{Digest: map[string]string{"sha256": digestA[7:]}}}})
	check(t, err)
	stranger := sigstorefake.Start(t, opts)
	claims := sigstorefake.Workflow(repository, workflow, mainRef)
	of := func(change func(*sigstorefake.Claims)) []byte {
		c := claims
		change(&c)
		return signedBy(t, i, opts, c, digestA)
	}
	elsewhere := func(repository string) []byte {
		return signedBy(t, i, opts, sigstorefake.Workflow(repository, workflow, mainRef), digestA)
	}
	missing := "failed to verify"
	tests := map[string]struct {
		bundle []byte
		digest string
		want   string
	}{
		"another instance":   {signedBy(t, stranger, opts, claims, digestA), digestA, missing},
		"another digest":     {good, digestB, "is about " + digestA},
		"tampered":           {edit(t, good, base64.StdEncoding.EncodeToString(swapped), "dsseEnvelope", "payload"), digestA, missing},
		"key":                {bundleOf(t, newKey(t), digestA, attest.PredicateSBOM, nil), digestA, missing},
		"self-signed":        {edit(t, good, map[string]any{"rawBytes": base64.StdEncoding.EncodeToString(selfSigned(t))}, "verificationMaterial", "certificate"), digestA, "failed to "},
		"no times":           {edit(t, edit(t, good, []any{}, "verificationMaterial", "tlogEntries"), nil, "verificationMaterial", "timestampVerificationData"), digestA, missing},
		"another repository": {elsewhere("acme/other"), digestA, `its repository is "https://github.com/acme/other", not acme/checkout`},
		"longer name":        {elsewhere("acme/checkout-evil"), digestA, "its repository is"},
		"another owner":      {elsewhere("acme-evil/checkout"), digestA, "its repository is"},
		"another issuer": {of(func(c *sigstorefake.Claims) { c.Issuer = "https://gitlab.com" }), digestA,
			`its issuer is "https://gitlab.com", not https://token.actions.githubusercontent.com`},
		"a person": {of(func(c *sigstorefake.Claims) { *c = sigstorefake.Claims{Issuer: c.Issuer, Subject: "eve@acme.example"} }), digestA,
			`its workflow is "eve@acme.example", not one of its repository`},
		"a workflow of another repository": {of(func(c *sigstorefake.Claims) { c.JobWorkflowRef = "eve/tools/.github/workflows/x.yml@refs/heads/main" }), digestA,
			`its workflow is "https://github.com/eve/tools/.github/workflows/x.yml@refs/heads/main", not one of its repository`},
	}
	if opts.Rekor != 0 {
		tests["no log entry"] = struct {
			bundle       []byte
			digest, want string
		}{edit(t, good, []any{}, "verificationMaterial", "tlogEntries"), digestA, "not enough verified log entries"}
	}
	if opts.TSA {
		tests["no timestamp"] = struct {
			bundle       []byte
			digest, want string
		}{edit(t, good, nil, "verificationMaterial", "timestampVerificationData"), digestA, map[bool]string{
			true: "", false: "threshold not met"}[opts.Rekor == 1]} // the entry of Rekor v1 has a time itself
	}
	v := verifierOf(t, i, ours)
	for name, tc := range tests {
		got, err := v.Verify(t.Context(), tc.bundle, tc.digest)
		if tc.want == "" {
			check(t, err)
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || got != nil {
			t.Errorf("%s: %v, error %v, expected one with %q", name, got, err, tc.want)
		}
	}
}

// A certificate that was expired, or not valid yet, when it signed.
func TestKeylessCertificateTimes(t *testing.T) {
	t.Parallel()
	opts := sigstorefake.Options{Rekor: 2, TSA: true}
	for name, at := range map[string]time.Duration{"expired": -time.Hour, "not yet valid": 30 * time.Minute} {
		i := sigstorefake.Start(t, opts)
		i.Taint(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(at), time.Now().Add(at+10*time.Minute)
		})
		b := signedBy(t, i, opts, sigstorefake.Workflow(repository, workflow, mainRef), digestA)
		_, err := verifierOf(t, i, ours).Verify(t.Context(), b, digestA)
		if err == nil || !strings.Contains(err.Error(), "failed to verify leaf certificate") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A certificate with two names is of whoever reads the one or the other first.
func TestKeylessTwoNames(t *testing.T) {
	t.Parallel()
	opts := sigstorefake.Options{TSA: true}
	i := sigstorefake.Start(t, opts)
	i.Taint(func(c *x509.Certificate) {
		c.URIs = append(c.URIs, &url.URL{Scheme: "https", Host: "github.com", Path: "/eve/tools/.github/workflows/x.yml@refs/heads/main"})
	})
	b := signedBy(t, i, opts, sigstorefake.Workflow(repository, workflow, mainRef), digestA)
	_, err := verifierOf(t, i, ours).Verify(t.Context(), b, digestA)
	wantError(t, err, "2 subject alternative names")
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	opts := sigstorefake.Options{TSA: true}
	i := sigstorefake.Start(t, opts)
	claims := sigstorefake.Workflow("Acme/Checkout", workflow, "refs/heads/release/2")
	own := signedBy(t, i, opts, claims, digestA)
	claims.JobWorkflowRef = "acme/golden/.github/workflows/path.yml@refs/tags/v1.2"
	golden := signedBy(t, i, opts, claims, digestA)
	trust := trustOf(t, i)
	const issuer = attest.GitHubIssuer
	for _, tc := range []struct {
		identity attest.Identity
		bundle   []byte
		want     string // "" where it counts
	}{
		{attest.Identity{Repository: "acme/checkout"}, own, ""},
		{attest.Identity{Repository: "https://github.com/acme/checkout"}, own, ""},
		{attest.Identity{Repository: "https://ghes.example/acme/checkout"}, own, "its repository is"},
		{attest.Identity{Repository: "acme/*"}, own, ""},
		{attest.Identity{Repository: "acm/*"}, own, "its repository is"},
		{attest.Identity{RepositoryID: "1001"}, own, ""},
		{attest.Identity{RepositoryID: "100"}, own, `its repository id is "1001", not 100`},
		{attest.Identity{OwnerID: "77"}, own, ""},
		{attest.Identity{OwnerID: "7"}, own, `its owner id is "77", not 7`},
		{attest.Identity{Repository: "acme/*", OwnerID: "78", Runner: "self-hosted"}, own, `its owner id is "77", not 78; its runner is "github-hosted", not self-hosted`},
		{attest.Identity{OwnerID: "77", Ref: "refs/heads/release/*"}, own, ""},
		{attest.Identity{OwnerID: "77", Ref: "refs/heads/release/2"}, own, ""},
		{attest.Identity{OwnerID: "77", Ref: "refs/heads/release"}, own, `its ref is "refs/heads/release/2", not refs/heads/release`},
		{attest.Identity{OwnerID: "77", Ref: "refs/heads/release/2*"}, own, "its ref is"},
		{attest.Identity{OwnerID: "77", Runner: "github-hosted"}, own, ""},
		{attest.Identity{OwnerID: "77", Workflow: workflow}, own, ""},
		{attest.Identity{OwnerID: "77", Workflow: workflow + "@refs/heads/release/2"}, own, ""},
		{attest.Identity{OwnerID: "77", Workflow: workflow + "@refs/heads/main"}, own, "its workflow is"},
		{attest.Identity{OwnerID: "77", Workflow: ".github/workflows/deliver"}, own, "its workflow is"},
		{attest.Identity{OwnerID: "77"}, golden, "not one of its repository"},
		{attest.Identity{OwnerID: "77", Workflow: workflow}, golden, "its workflow is"},
		{attest.Identity{Workflow: "acme/golden/.github/workflows/path.yml"}, golden, ""},
		{attest.Identity{Workflow: "acme/golden/.github/workflows/path.yml@refs/tags/v1*"}, golden, ""},
		{attest.Identity{Workflow: "acme/golden/.github/workflows/path.yml@refs/tags/v1"}, golden, "its workflow is"},
		{attest.Identity{Workflow: "https://github.com/acme/golden/.github/workflows/path.yml@refs/tags/v1.2"}, golden, ""},
		{attest.Identity{Workflow: "golden/.github/workflows/path.yml"}, golden, "its workflow is"},
	} {
		tc.identity.Issuer = issuer
		v, err := attest.NewKeyless(trust, tc.identity)
		check(t, err)
		_, err = v.Verify(t.Context(), tc.bundle, digestA)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, expected %q", tc.identity, err, tc.want)
		}
	}
	for _, nobody := range []attest.Identity{{}, {Issuer: issuer}, {Repository: "acme/*"}, {Issuer: issuer, Ref: mainRef, Runner: "github-hosted"},
		{Issuer: issuer, Workflow: workflow}} {
		if _, err := attest.NewKeyless(trust, nobody); err == nil {
			t.Errorf("an identity of everybody: %s", nobody)
		}
	}
}

func TestReadTrust(t *testing.T) {
	t.Parallel()
	write := func(data string) string {
		path := filepath.Join(t.TempDir(), "trusted_root.json")
		check(t, os.WriteFile(path, []byte(data), 0o600))
		return path
	}
	whole := string(sigstorefake.Start(t, sigstorefake.Options{}).TrustedRoot())
	for name, tc := range map[string]struct{ file, want string }{
		"none":       {filepath.Join(t.TempDir(), "none.json"), "trusted root: open"},
		"no JSON":    {write("x"), "is no TrustedRoot"},
		"empty":      {write(""), "is no TrustedRoot"},
		"another":    {write("{}"), "is no TrustedRoot"},
		"nobody":     {write(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`), "names no certificate authority"},
		"no times":   {write(whole), "neither a transparency log nor a timestamp authority"},
		"a too long": {write(strings.Repeat(" ", 5<<20)), "is larger than 4 MB"},
	} {
		if _, err := attest.ReadTrust(tc.file); err == nil || !strings.Contains(err.Error(), tc.want) || fault.KindOf(err) != fault.BadInput {
			t.Errorf("%s: %v, expected bad input with %q", name, fmt.Sprint(err), tc.want)
		}
	}
}
