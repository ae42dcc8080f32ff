package verifying_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
)

var (
	digestA = "sha256:" + strings.Repeat("a", 64)
	digestB = "sha256:" + strings.Repeat("b", 64)
)

func TestVerifyAcceptsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	key := signed.Key(t)
	good := signed.Bundle(t, key, digestA, attest.PredicateSBOM, map[string]string{"bomFormat": "CycloneDX"})
	s, err := key.Verify(t.Context(), good, digestA)
	expect.NoError(t, err)
	if s.PredicateType != attest.PredicateSBOM || string(s.Predicate) != `{"bomFormat":"CycloneDX"}` {
		t.Errorf("statement is %+v", s)
	}

	two := attest.Statement{Type: attest.StatementType, PredicateType: attest.PredicateSBOM, Subject: []attest.Subject{
		{Digest: map[string]string{"sha256": digestA[7:]}}, {Digest: map[string]string{"sha256": digestB[7:]}}}}
	twoPayload, err := json.Marshal(two)
	expect.NoError(t, err)
	swapped, err := json.Marshal(attest.Statement{Type: attest.StatementType, PredicateType: attest.PredicateProvenance,
		Subject: two.Subject[:1]})
	expect.NoError(t, err)
	other := signed.Bundle(t, signed.Key(t), digestA, attest.PredicateSBOM, nil)

	tests := map[string]struct {
		bundle []byte
		digest string
		want   string
	}{
		"wrong key":        {other, digestA, "not signed by " + key.Fingerprint()},
		"other digest":     {good, digestB, "is about " + digestA},
		"tampered payload": {signed.Edit(t, good, base64.StdEncoding.EncodeToString(swapped), "dsseEnvelope", "payload"), digestA, "not signed by"},
		"two subjects":     {signed.Edit(t, good, base64.StdEncoding.EncodeToString(twoPayload), "dsseEnvelope", "payload"), digestA, "exactly one digest"},
		"payload type":     {signed.Edit(t, good, "text/plain", "dsseEnvelope", "payloadType"), digestA, "holds no in-toto statement"},
		"no signature":     {signed.Edit(t, good, []any{}, "dsseEnvelope", "signatures"), digestA, "not signed by"},
		"certificate": {signed.Edit(t, good, map[string]any{"certificate": map[string]any{"rawBytes": base64.StdEncoding.EncodeToString(signed.SelfSigned(t))}},
			"verificationMaterial"), digestA, "expected key signature, not certificate"},
		"no material": {signed.Edit(t, good, map[string]any{}, "verificationMaterial"), digestA, "not a sigstore bundle"},
		"truncated":   {good[:len(good)/2], digestA, "not a sigstore bundle"},
		"empty":       {nil, digestA, "not a sigstore bundle"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := key.Verify(t.Context(), tc.bundle, tc.digest)
			expect.Error(t, err, tc.want)
			if s != nil {
				t.Errorf("a statement beside the error: %+v", s)
			}
		})
	}
}
