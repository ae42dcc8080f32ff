package signing

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"runtime"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/verifying"
)

// The PEM types that cosign writes: the first since 2.0, the second before.
const (
	pemSigstoreKey = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemCosignKey   = "ENCRYPTED COSIGN PRIVATE KEY"
)

// Key is an ECDSA P-256 key, the kind that cosign makes: a pair, or the public half alone.
type Key struct {
	*verifying.Key                   // the public half
	private        *ecdsa.PrivateKey // nil where only the public half is known
	// remote signs where the private half is in a key management service.
	remote func(ctx context.Context, data []byte) ([]byte, error)
}

// GenerateKey makes a key pair that lives in memory only.
func GenerateKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return newPair("of this run", private)
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
		return nil, fault.BadInputf("key %s is not a PEM file", path).WithNext(verifying.MakeKey)
	}
	switch block.Type {
	case verifying.PEMType:
		public, err := verifying.ParseKey(path, block.Bytes)
		if err != nil {
			return nil, err
		}
		return &Key{Key: public}, nil
	case pemSigstoreKey, pemCosignKey:
		return loadPrivate(path, block.Bytes, password)
	case "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY":
		return nil, fault.BadInputf("key %s is not encrypted", path).
			WithNext("Import it into a cosign key: cosign import-key-pair --key " + path)
	}
	return nil, fault.BadInputf("key %s holds a %s, not a cosign key", path, block.Type).WithNext(verifying.MakeKey)
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
		return nil, fault.BadInputf("key %s holds no private key in PKCS #8 form", path).WithNext(verifying.MakeKey)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, verifying.WrongKind(path)
	}
	return newPair(path, private)
}

func newPair(name string, private *ecdsa.PrivateKey) (*Key, error) {
	public, err := verifying.NewKey(name, &private.PublicKey)
	if err != nil {
		return nil, err
	}
	return &Key{Key: public, private: private}, nil
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

// Public is the same key without its private half.
func (k *Key) Public() *verifying.Key { return k.Key }

// CanSign tells whether the private half is known.
func (k *Key) CanSign() bool { return k.private != nil || k.remote != nil }
