package attest_test

import (
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
)

const password = "correct horse battery staple"

func give(p string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(p), nil }
}

func file(t *testing.T, name string, data []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	check(t, os.WriteFile(path, data, mode))
	check(t, os.Chmod(path, mode))
	return path
}

// The pair is made by cosign, so both halves are in the form that its users have.
func TestLoadKeyOfCosign(t *testing.T) {
	t.Parallel()
	pair, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return []byte(password), nil })
	check(t, err)

	private, err := attest.LoadKey(file(t, "cosign.key", pair.PrivateBytes, 0o600), give(password))
	check(t, err)
	asked := false
	public, err := attest.LoadKey(file(t, "cosign.pub", pair.PublicBytes, 0o644), func() ([]byte, error) { asked = true; return nil, nil })
	check(t, err)

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
	if _, err := public.Verify(t.Context(), bundleOf(t, private, digest, attest.PredicateSignature, nil), digest); err != nil {
		t.Errorf("the public half does not verify what the private half signed: %v", err)
	}
}

func TestLoadKeyRefuses(t *testing.T) {
	t.Parallel()
	pair, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return []byte(password), nil })
	check(t, err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	check(t, err)
	plain := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		check(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	spki := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		check(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	imported, err := cosign.ImportKeyPair(file(t, "rsa.pem", plain(rsaKey), 0o600), func(bool) ([]byte, error) { return []byte(password), nil })
	check(t, err)
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
			_, err := attest.LoadKey(path, give(tc.password))
			wantError(t, err, tc.want)
			if fault.KindOf(err) != fault.BadInput {
				t.Errorf("kind %v, expected bad input", fault.KindOf(err))
			}
			text := strings.Join(fault.Lines(err), "\n") + fmt.Sprintf("%+v %#v", err, errors.Unwrap(err))
			if tc.password != "" && strings.Contains(text, tc.password) {
				t.Errorf("the password is in %q", text)
			}
		})
	}
	_, err = attest.LoadKey(filepath.Join(t.TempDir(), "none.key"), give(password))
	if !errors.Is(err, os.ErrNotExist) || fault.KindOf(err) != fault.BadInput {
		t.Errorf("missing file gives %v", err)
	}
}

func TestKeyPrintsItsFingerprintOnly(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for _, format := range []string{"%v", "%+v", "%s"} {
		if got := fmt.Sprintf(format, key); got != key.Fingerprint() {
			t.Errorf("%s prints %q", format, got)
		}
	}
}
