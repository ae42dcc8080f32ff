package signing_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sigstore/cosign/v2/pkg/cosign"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
)

const password = "correct horse battery staple"

func give(p string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(p), nil }
}

func file(t *testing.T, name string, data []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	expect.NoError(t, os.WriteFile(path, data, mode))
	expect.NoError(t, os.Chmod(path, mode))
	return path
}

// The pair is made by cosign, so both halves are in the form that its users have.
func TestLoadKeyOfCosign(t *testing.T) {
	t.Parallel()
	pair, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return []byte(password), nil })
	expect.NoError(t, err)

	private, err := signing.LoadKey(file(t, "cosign.key", pair.PrivateBytes, 0o600), give(password))
	expect.NoError(t, err)
	asked := false
	public, err := signing.LoadKey(file(t, "cosign.pub", pair.PublicBytes, 0o644), func() ([]byte, error) { asked = true; return nil, nil })
	expect.NoError(t, err)

	if !private.CanSign() || public.CanSign() || asked {
		t.Errorf("private can sign: %v, public can sign: %v, password asked for a public key: %v", private.CanSign(), public.CanSign(), asked)
	}
	block, _ := pem.Decode(pair.PublicBytes)
	sum := sha256.Sum256(block.Bytes)
	want := "sha256:" + hex.EncodeToString(sum[:])
	if private.Fingerprint() != want || public.Fingerprint() != want {
		t.Errorf("fingerprints %s and %s, expected %s", private.Fingerprint(), public.Fingerprint(), want)
	}
	if string(private.PublicPEM()) != string(pair.PublicBytes) {
		t.Errorf("public half is\n%s\nexpected\n%s", private.PublicPEM(), pair.PublicBytes)
	}
	digest := "sha256:" + strings.Repeat("a", 64)
	if _, err := public.Verify(t.Context(), signed.Bundle(t, private, digest, attest.PredicateSignature, nil), digest); err != nil {
		t.Errorf("the public half does not verify what the private half signed: %v", err)
	}
}

func TestLoadKeyRefuses(t *testing.T) {
	t.Parallel()
	pair, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return []byte(password), nil })
	expect.NoError(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	expect.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	expect.NoError(t, err)
	plain := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		expect.NoError(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	spki := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		expect.NoError(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	imported, err := cosign.ImportKeyPair(file(t, "rsa.pem", plain(rsaKey), 0o600), func(bool) ([]byte, error) { return []byte(password), nil })
	expect.NoError(t, err)
	damaged := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: []byte(`{"kdf":{}}`)})

	tests := map[string]struct {
		data     []byte
		mode     os.FileMode
		password string
		want     string
	}{
		"wrong password":          {pair.PrivateBytes, 0o600, "hunter2-guess", "cannot be decrypted: the password is wrong"},
		"no password":             {pair.PrivateBytes, 0o600, "", "cannot be decrypted: the password is wrong"},
		"damaged":                 {damaged, 0o600, password, "cannot be decrypted"},
		"world-readable":          {pair.PrivateBytes, 0o644, password, "every user of this machine can read (mode 0644)"},
		"not encrypted":           {plain(p384), 0o600, password, "is not encrypted"},
		"RSA":                     {imported.PrivateBytes, 0o600, password, "is not an ECDSA P-256 key"},
		"RSA public":              {spki(&rsaKey.PublicKey), 0o600, password, "is not an ECDSA P-256 key"},
		"P-384 public":            {spki(&p384.PublicKey), 0o600, password, "is not an ECDSA P-256 key"},
		"certificate":             {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), 0o600, password, "holds a CERTIFICATE, not a cosign key"},
		"no PEM":                  {[]byte("-----BEGIN"), 0o600, password, "is not a PEM file"},
		"empty":                   {nil, 0o600, password, "is not a PEM file"},
		"public key that is none": {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}), 0o600, password, "cannot be read"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if name == "world-readable" && runtime.GOOS == "windows" {
				return // has no such bits
			}
			path := file(t, "some.key", tc.data, tc.mode)
			_, err := signing.LoadKey(path, give(tc.password))
			expect.Error(t, err, tc.want)
			if fault.KindOf(err) != fault.BadInput {
				t.Errorf("kind %v, expected bad input", fault.KindOf(err))
			}
			text := strings.Join(fault.Lines(err), "\n") + fmt.Sprintf("%+v %#v", err, errors.Unwrap(err))
			if tc.password != "" && strings.Contains(text, tc.password) {
				t.Errorf("the password is in %q", text)
			}
		})
	}
	_, err = signing.LoadKey(filepath.Join(t.TempDir(), "none.key"), give(password))
	if !errors.Is(err, os.ErrNotExist) || fault.KindOf(err) != fault.BadInput {
		t.Errorf("missing file gives %v", err)
	}
}

func TestKeyPrintsItsFingerprintOnly(t *testing.T) {
	t.Parallel()
	key := signed.Key(t)
	for _, format := range []string{"%v", "%+v", "%s"} {
		if got := fmt.Sprintf(format, key); got != key.Fingerprint() {
			t.Errorf("%s prints %q", format, got)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	key := signed.Key(t)
	s, err := attest.NewStatement(digestA, attest.PredicateSignature, nil)
	expect.NoError(t, err)
	public, err := signing.ParseKey("cosign.pub", key.PublicPEM(), nil)
	expect.NoError(t, err)
	if _, err := public.Sign(t.Context(), s); fault.KindOf(err) != fault.BadInput {
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
}
