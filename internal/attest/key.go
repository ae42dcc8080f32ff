package attest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"runtime"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/org/idp/internal/fault"
)

// The PEM types that cosign writes: the first since 2.0, the second before.
const (
	pemSigstoreKey = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemCosignKey   = "ENCRYPTED COSIGN PRIVATE KEY"
	pemPublicKey   = "PUBLIC KEY"
)

// Key is an ECDSA P-256 key, the kind that cosign makes: a pair, or the public half alone.
type Key struct {
	private *ecdsa.PrivateKey // nil where only the public half is known
	public  *ecdsa.PublicKey
	spki    []byte // DER of the public half
	// remote signs where the private half is in a key management service.
	remote func(ctx context.Context, data []byte) ([]byte, error)
}

// GenerateKey makes a key pair that lives in memory only.
func GenerateKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return newKey(private, &private.PublicKey)
}

// LoadKey reads a cosign key file: a private key, which signs and verifies, or a public one, which verifies. The password
// is asked for only where the file needs one. Errors name the file, never what is in it.
func LoadKey(path string, password func() ([]byte, error)) (*Key, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- the path is the caller's own input
	if err != nil {
		return nil, fault.BadInputf("key: %w", err)
	}
	if block, _ := pem.Decode(data); block != nil && (block.Type == pemSigstoreKey || block.Type == pemCosignKey) {
		if err := checkMode(path); err != nil {
			return nil, err
		}
	}
	return ParseKey(path, data, password)
}

// ParseKey reads what is in a cosign key file. Errors name where it is from, never what is in it.
func ParseKey(path string, data []byte, password func() ([]byte, error)) (*Key, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fault.BadInputf("key %s is not a PEM file", path).WithNext(makeKey)
	}
	switch block.Type {
	case pemPublicKey:
		return loadPublic(path, block.Bytes)
	case pemSigstoreKey, pemCosignKey:
		return loadPrivate(path, block.Bytes, password)
	case "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY":
		return nil, fault.BadInputf("key %s is not encrypted", path).
			WithNext("Import it into a cosign key: cosign import-key-pair --key " + path)
	}
	return nil, fault.BadInputf("key %s holds a %s, not a cosign key", path, block.Type).WithNext(makeKey)
}

const makeKey = "Make a key pair: cosign generate-key-pair"

func loadPublic(path string, der []byte) (*Key, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fault.BadInputf("key %s cannot be read: %w", path, err)
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, wrongKind(path)
	}
	return newKey(nil, public)
}

func loadPrivate(path string, sealed []byte, password func() ([]byte, error)) (*Key, error) {
	var secret []byte
	if password != nil {
		var err error
		if secret, err = password(); err != nil {
			return nil, fmt.Errorf("password of key %s: %w", path, err)
		}
	}
	// The cause is left out of both errors below: it says nothing that helps, and comes from beside the secret.
	der, err := encrypted.Decrypt(sealed, secret)
	if err != nil {
		return nil, fault.BadInputf("key %s cannot be decrypted: the password is wrong, or the file is damaged", path).
			WithNext("Give its password in COSIGN_PASSWORD.")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fault.BadInputf("key %s holds no private key in PKCS #8 form", path).WithNext(makeKey)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, wrongKind(path)
	}
	return newKey(private, &private.PublicKey)
}

func wrongKind(path string) error {
	return fault.BadInputf("key %s is not an ECDSA P-256 key", path).WithNext(makeKey)
}

// checkMode refuses a private key that every user of the machine can read. Windows keeps no such bits.
func checkMode(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fault.BadInputf("key: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		return fault.BadInputf("key %s is a private key that every user of this machine can read (mode %04o)", path, info.Mode().Perm()).
			WithNext("chmod 600 " + path)
	}
	return nil
}

func newKey(private *ecdsa.PrivateKey, public *ecdsa.PublicKey) (*Key, error) {
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	return &Key{private: private, public: public, spki: spki}, nil
}

// PublicPEM is the public half as a file that cosign verify --key takes.
func (k *Key) PublicPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemPublicKey, Bytes: k.spki})
}

// Public is the same key without its private half.
func (k *Key) Public() *Key { return &Key{public: k.public, spki: k.spki} }

// Fingerprint is sha256:HEX of the public key's DER form (SubjectPublicKeyInfo).
func (k *Key) Fingerprint() string {
	sum := sha256.Sum256(k.spki)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Identity is the fingerprint.
func (k *Key) Identity() string { return k.Fingerprint() }

// CanSign tells whether the private half is known.
func (k *Key) CanSign() bool { return k.private != nil || k.remote != nil }

// String is the fingerprint, so that no way of printing a key shows more.
func (k *Key) String() string { return k.Fingerprint() }
