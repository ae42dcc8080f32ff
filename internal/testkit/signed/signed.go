// Package signed makes keys and what they signed, and spoils it.
package signed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"testing"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/sigstorefake"
	"github.com/org/idp/internal/verifying"
)

// Key is a new key.
func Key(t testing.TB) *signing.Key {
	t.Helper()
	key, err := signing.GenerateKey()
	expect.NoError(t, err)
	return key
}

// Bundle is a statement about the digest, signed.
func Bundle(t testing.TB, by attest.Signer, digest, predicateType string, predicate any) []byte {
	t.Helper()
	b, err := by.Sign(t.Context(), statement(t, digest, predicateType, predicate))
	expect.NoError(t, err)
	return b
}

// Keyless is a statement about the digest, signed as sigstore-go signs for a job with these claims.
func Keyless(t testing.TB, i *sigstorefake.Instance, by sigstorefake.Claims, digest, predicateType string, predicate any) []byte {
	t.Helper()
	payload, err := json.Marshal(statement(t, digest, predicateType, predicate))
	expect.NoError(t, err)
	return i.Sign(by, attest.PayloadType, payload)
}

func statement(t testing.TB, digest, predicateType string, predicate any) attest.Statement {
	t.Helper()
	s, err := attest.NewStatement(digest, predicateType, predicate)
	expect.NoError(t, err)
	return s
}

// Edit changes one field of a bundle, given as a path of keys.
func Edit(t testing.TB, bundle []byte, value any, path ...string) []byte {
	t.Helper()
	var doc map[string]any
	expect.NoError(t, json.Unmarshal(bundle, &doc))
	node := doc
	for _, k := range path[:len(path)-1] {
		node = node[k].(map[string]any)
	}
	node[path[len(path)-1]] = value
	data, err := json.Marshal(doc)
	expect.NoError(t, err)
	return data
}

// Trust is whom the instance says to trust.
func Trust(t testing.TB, i *sigstorefake.Instance) *verifying.Trust {
	t.Helper()
	file, _ := i.Files()
	trust, err := verifying.ReadTrust(file)
	expect.NoError(t, err)
	return trust
}

// SelfSigned is a certificate, in DER form, that nobody gave.
func SelfSigned(t testing.TB) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	expect.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	expect.NoError(t, err)
	return der
}
