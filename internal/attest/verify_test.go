package attest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
)

var (
	digestA = "sha256:" + strings.Repeat("a", 64)
	digestB = "sha256:" + strings.Repeat("b", 64)
)

func TestVerifyAcceptsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	good := bundleOf(t, key, digestA, attest.PredicateSBOM, map[string]string{"bomFormat": "CycloneDX"})
	s, err := key.Verify(t.Context(), good, digestA)
	check(t, err)
	if s.PredicateType != attest.PredicateSBOM || string(s.Predicate) != `{"bomFormat":"CycloneDX"}` {
		t.Errorf("statement is %+v", s)
	}

	two := attest.Statement{Type: attest.StatementType, PredicateType: attest.PredicateSBOM, Subject: []attest.Subject{
		{Digest: map[string]string{"sha256": digestA[7:]}}, {Digest: map[string]string{"sha256": digestB[7:]}}}}
	twoPayload, err := json.Marshal(two)
	check(t, err)
	swapped, err := json.Marshal(attest.Statement{Type: attest.StatementType, PredicateType: attest.PredicateProvenance,
		Subject: two.Subject[:1]})
	check(t, err)
	other := bundleOf(t, newKey(t), digestA, attest.PredicateSBOM, nil)

	tests := map[string]struct {
		bundle []byte
		digest string
		want   string
	}{
		"wrong key":        {other, digestA, "not signed by " + key.Fingerprint()},
		"other digest":     {good, digestB, "is about " + digestA},
		"tampered payload": {edit(t, good, base64.StdEncoding.EncodeToString(swapped), "dsseEnvelope", "payload"), digestA, "not signed by"},
		"two subjects":     {edit(t, good, base64.StdEncoding.EncodeToString(twoPayload), "dsseEnvelope", "payload"), digestA, "exactly one digest"},
		"payload type":     {edit(t, good, "text/plain", "dsseEnvelope", "payloadType"), digestA, "holds no in-toto statement"},
		"no signature":     {edit(t, good, []any{}, "dsseEnvelope", "signatures"), digestA, "not signed by"},
		"certificate": {edit(t, good, map[string]any{"certificate": map[string]any{"rawBytes": base64.StdEncoding.EncodeToString(selfSigned(t))}},
			"verificationMaterial"), digestA, "expected key signature, not certificate"},
		"no material": {edit(t, good, map[string]any{}, "verificationMaterial"), digestA, "not a sigstore bundle"},
		"truncated":   {good[:len(good)/2], digestA, "not a sigstore bundle"},
		"empty":       {nil, digestA, "not a sigstore bundle"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := key.Verify(t.Context(), tc.bundle, tc.digest)
			wantError(t, err, tc.want)
			if s != nil {
				t.Errorf("a statement beside the error: %+v", s)
			}
		})
	}
}

func selfSigned(t *testing.T) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	check(t, err)
	return der
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	s, err := attest.NewStatement(digestA, attest.PredicateSignature, nil)
	check(t, err)
	if _, err := key.Public().Sign(t.Context(), s); fault.KindOf(err) != fault.BadInput {
		t.Errorf("a public key signs: %v", err)
	}
	if _, err := key.Sign(t.Context(), attest.Statement{Type: attest.StatementType}); err == nil {
		t.Error("a statement about nothing is signed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := key.Sign(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, digest := range []string{"", "latest", "sha256:abc", digestA + "0", "sha512:" + digestA[7:], strings.ToUpper(digestA)} {
		if _, err := attest.NewStatement(digest, attest.PredicateSignature, nil); err == nil {
			t.Errorf("a statement about %q", digest)
		}
	}
}

// The example is that of the in-toto specification of digest sets.
func TestDirHash(t *testing.T) {
	t.Parallel()
	got := attest.DirHash("h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48=")["dirHash"]
	if got != "2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f" {
		t.Errorf("dirHash is %s", got)
	}
	for _, sum := range []string{"", "h1:", "h1:AAAA", "h2:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48="} {
		if got := attest.DirHash(sum); got != nil {
			t.Errorf("%q gives %v", sum, got)
		}
	}
}

// FuzzBundle: whatever a registry serves, reading it does not panic, and without the key's signature it never verifies.
func FuzzBundle(f *testing.F) {
	key, err := attest.GenerateKey()
	if err != nil {
		f.Fatal(err)
	}
	stranger, err := attest.GenerateKey()
	if err != nil {
		f.Fatal(err)
	}
	s, err := attest.NewStatement(digestA, attest.PredicateSignature, nil)
	if err != nil {
		f.Fatal(err)
	}
	good, err := stranger.Sign(context.Background(), s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"dsseEnvelope":{}}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"messageSignature":{}}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.1","verificationMaterial":{"x509CertificateChain":{"certificates":[{}]}},"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[null]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		claimed, _, err := attest.Claimed(data)
		if err == nil && claimed != nil {
			_, _ = claimed.Digest()
		}
		if s, err := key.Verify(context.Background(), data, digestA); err == nil {
			t.Fatalf("verified without a signature: %+v", s)
		}
	})
}

func FuzzStatement(f *testing.F) {
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"aa"}}],"predicateType":"x","predicate":{}}`))
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[null],"predicateType":"x"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := attest.ParseStatement(data)
		if err != nil {
			return
		}
		if digest, err := s.Digest(); err == nil && len(digest) != len(digestA) {
			t.Fatalf("digest %q", digest)
		}
	})
}

// cosign attest writes version 0.1 of the statement, whose fields are those of version 1. Of any other version nobody here
// knows what they mean.
func TestVersionsOfStatements(t *testing.T) {
	t.Parallel()
	for version, known := range map[string]bool{"v1": true, "v0.1": true, "v0.2": false, "v2": false, "": false} {
		payload := `{"_type":"https://in-toto.io/Statement/` + version + `","predicateType":"https://cyclonedx.org/bom","subject":[{"name":"ghcr.io/acme/checkout","digest":{"sha256":"` +
			strings.Repeat("a", 64) + `"}}],"predicate":{}}`
		s, err := attest.ParseStatement([]byte(payload))
		if (err == nil) != known {
			t.Errorf("version %q: %v", version, err)
		}
		if known && (s.PredicateType != attest.PredicateSBOM || s.Subject[0].Digest["sha256"] != strings.Repeat("a", 64)) {
			t.Errorf("version %q: %+v", version, s)
		}
	}
}
