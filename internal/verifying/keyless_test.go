package verifying_test

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

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
	"github.com/org/idp/internal/testkit/sigstorefake"
	"github.com/org/idp/internal/verifying"
)

const (
	repository = "acme/checkout"
	workflow   = ".github/workflows/deliver.yml"
	mainRef    = "refs/heads/main"
)

var ours = verifying.Identity{Issuer: verifying.GitHubIssuer, Repository: repository}

// sbomBy is what a job with these claims said of digestA.
func sbomBy(t *testing.T, i *sigstorefake.Instance, claims sigstorefake.Claims) []byte {
	t.Helper()
	return signed.Keyless(t, i, claims, digestA, attest.PredicateSBOM, map[string]string{"bomFormat": "CycloneDX"})
}

func verifierOf(t *testing.T, i *sigstorefake.Instance, identity verifying.Identity) *verifying.Keyless {
	t.Helper()
	v, err := verifying.NewKeyless(signed.Trust(t, i), identity)
	expect.NoError(t, err)
	return v
}

func TestKeylessVerify(t *testing.T) {
	t.Parallel()
	for name, opts := range sigstorefake.Forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := sigstorefake.Start(t, opts)
			before := time.Now().Add(-2 * time.Second)
			good := sbomBy(t, i, sigstorefake.Workflow(repository, workflow, mainRef))
			v, err := verifierOf(t, i, ours).Verify(t.Context(), good, digestA)
			expect.NoError(t, err)
			if v.SignedAt.Before(before) || v.SignedAt.After(time.Now().Add(time.Second)) {
				t.Errorf("signed at %s", v.SignedAt)
			}
			uri := "https://github.com/acme/checkout/.github/workflows/deliver.yml@refs/heads/main"
			sha := strings.Repeat("c", 40)
			want := &attest.Certificate{Issuer: verifying.GitHubIssuer, Subject: uri, Workflow: uri, WorkflowSHA: sha, Caller: uri,
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
	expect.NoError(t, err)
	stranger := sigstorefake.Start(t, opts)
	claims := sigstorefake.Workflow(repository, workflow, mainRef)
	of := func(change func(*sigstorefake.Claims)) []byte {
		c := claims
		change(&c)
		return sbomBy(t, i, c)
	}
	elsewhere := func(repository string) []byte {
		return sbomBy(t, i, sigstorefake.Workflow(repository, workflow, mainRef))
	}
	missing := "failed to verify"
	tests := map[string]struct {
		bundle []byte
		digest string
		want   string
	}{
		"another instance":   {sbomBy(t, stranger, claims), digestA, missing},
		"another digest":     {good, digestB, "is about " + digestA},
		"tampered":           {signed.Edit(t, good, base64.StdEncoding.EncodeToString(swapped), "dsseEnvelope", "payload"), digestA, missing},
		"key":                {signed.Bundle(t, signed.Key(t), digestA, attest.PredicateSBOM, nil), digestA, missing},
		"self-signed":        {signed.Edit(t, good, map[string]any{"rawBytes": base64.StdEncoding.EncodeToString(signed.SelfSigned(t))}, "verificationMaterial", "certificate"), digestA, "failed to "},
		"no times":           {signed.Edit(t, signed.Edit(t, good, []any{}, "verificationMaterial", "tlogEntries"), nil, "verificationMaterial", "timestampVerificationData"), digestA, missing},
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
		}{signed.Edit(t, good, []any{}, "verificationMaterial", "tlogEntries"), digestA, "not enough verified log entries"}
	}
	if opts.TSA {
		tests["no timestamp"] = struct {
			bundle       []byte
			digest, want string
		}{signed.Edit(t, good, nil, "verificationMaterial", "timestampVerificationData"), digestA, map[bool]string{
			true: "", false: "threshold not met"}[opts.Rekor == 1]} // the entry of Rekor v1 has a time itself
	}
	v := verifierOf(t, i, ours)
	for name, tc := range tests {
		got, err := v.Verify(t.Context(), tc.bundle, tc.digest)
		if tc.want == "" {
			expect.NoError(t, err)
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
		b := sbomBy(t, i, sigstorefake.Workflow(repository, workflow, mainRef))
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
	b := sbomBy(t, i, sigstorefake.Workflow(repository, workflow, mainRef))
	_, err := verifierOf(t, i, ours).Verify(t.Context(), b, digestA)
	expect.Error(t, err, "2 subject alternative names")
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	opts := sigstorefake.Options{TSA: true}
	i := sigstorefake.Start(t, opts)
	claims := sigstorefake.Workflow("Acme/Checkout", workflow, "refs/heads/release/2")
	own := sbomBy(t, i, claims)
	claims.JobWorkflowRef = "acme/golden/.github/workflows/path.yml@refs/tags/v1.2"
	golden := sbomBy(t, i, claims)
	trust := signed.Trust(t, i)
	const issuer = verifying.GitHubIssuer
	for _, tc := range []struct {
		identity verifying.Identity
		bundle   []byte
		want     string // "" where it counts
	}{
		{verifying.Identity{Repository: "acme/checkout"}, own, ""},
		{verifying.Identity{Repository: "https://github.com/acme/checkout"}, own, ""},
		{verifying.Identity{Repository: "https://ghes.example/acme/checkout"}, own, "its repository is"},
		{verifying.Identity{Repository: "acme/*"}, own, ""},
		{verifying.Identity{Repository: "acm/*"}, own, "its repository is"},
		{verifying.Identity{RepositoryID: "1001"}, own, ""},
		{verifying.Identity{RepositoryID: "100"}, own, `its repository id is "1001", not 100`},
		{verifying.Identity{OwnerID: "77"}, own, ""},
		{verifying.Identity{OwnerID: "7"}, own, `its owner id is "77", not 7`},
		{verifying.Identity{Repository: "acme/*", OwnerID: "78", Runner: "self-hosted"}, own, `its owner id is "77", not 78; its runner is "github-hosted", not self-hosted`},
		{verifying.Identity{OwnerID: "77", Ref: "refs/heads/release/*"}, own, ""},
		{verifying.Identity{OwnerID: "77", Ref: "refs/heads/release/2"}, own, ""},
		{verifying.Identity{OwnerID: "77", Ref: "refs/heads/release"}, own, `its ref is "refs/heads/release/2", not refs/heads/release`},
		{verifying.Identity{OwnerID: "77", Ref: "refs/heads/release/2*"}, own, "its ref is"},
		{verifying.Identity{OwnerID: "77", Runner: "github-hosted"}, own, ""},
		{verifying.Identity{OwnerID: "77", Workflow: workflow}, own, ""},
		{verifying.Identity{OwnerID: "77", Workflow: workflow + "@refs/heads/release/2"}, own, ""},
		{verifying.Identity{OwnerID: "77", Workflow: workflow + "@refs/heads/main"}, own, "its workflow is"},
		{verifying.Identity{OwnerID: "77", Workflow: ".github/workflows/deliver"}, own, "its workflow is"},
		{verifying.Identity{OwnerID: "77"}, golden, "not one of its repository"},
		{verifying.Identity{OwnerID: "77", Workflow: workflow}, golden, "its workflow is"},
		{verifying.Identity{Workflow: "acme/golden/.github/workflows/path.yml"}, golden, ""},
		{verifying.Identity{Workflow: "acme/golden/.github/workflows/path.yml@refs/tags/v1*"}, golden, ""},
		{verifying.Identity{Workflow: "acme/golden/.github/workflows/path.yml@refs/tags/v1"}, golden, "its workflow is"},
		{verifying.Identity{Workflow: "https://github.com/acme/golden/.github/workflows/path.yml@refs/tags/v1.2"}, golden, ""},
		{verifying.Identity{Workflow: "golden/.github/workflows/path.yml"}, golden, "its workflow is"},
	} {
		tc.identity.Issuer = issuer
		v, err := verifying.NewKeyless(trust, tc.identity)
		expect.NoError(t, err)
		_, err = v.Verify(t.Context(), tc.bundle, digestA)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, expected %q", tc.identity, err, tc.want)
		}
	}
	for _, nobody := range []verifying.Identity{{}, {Issuer: issuer}, {Repository: "acme/*"}, {Issuer: issuer, Ref: mainRef, Runner: "github-hosted"},
		{Issuer: issuer, Workflow: workflow}} {
		if _, err := verifying.NewKeyless(trust, nobody); err == nil {
			t.Errorf("an identity of everybody: %s", nobody)
		}
	}
}

func TestReadTrust(t *testing.T) {
	t.Parallel()
	write := func(data string) string {
		path := filepath.Join(t.TempDir(), "trusted_root.json")
		expect.NoError(t, os.WriteFile(path, []byte(data), 0o600))
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
		if _, err := verifying.ReadTrust(tc.file); err == nil || !strings.Contains(err.Error(), tc.want) || fault.KindOf(err) != fault.BadInput {
			t.Errorf("%s: %v, expected bad input with %q", name, fmt.Sprint(err), tc.want)
		}
	}
}
