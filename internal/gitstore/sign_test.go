package gitstore

import (
	"bytes"
	"context"
	"crypto"
	//lint:ignore SA1019 a key of it is refused
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/ssh"

	"github.com/org/idp/internal/fault"
)

func armoured(t *testing.T, kind string, write func(*bytes.Buffer) error) string {
	t.Helper()
	var raw, b bytes.Buffer
	if err := write(&raw); err != nil {
		t.Fatal(err)
	}
	w, err := armor.Encode(&b, kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(raw.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sshText(t *testing.T, key crypto.PrivateKey, passphrase string) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

func pgpEntity(t *testing.T, seconds uint32) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("ann", "", "ann@example.com", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, KeyLifetimeSecs: seconds,
		Time: func() time.Time { return time.Now().Add(-time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func private(e *openpgp.Entity) func(*bytes.Buffer) error {
	return func(b *bytes.Buffer) error { return e.SerializePrivateWithoutSigning(b, nil) }
}

func TestKeysThatCannotSign(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	whole, locked, entity := sshText(t, key, ""), pgpEntity(t, 0), pgpEntity(t, 0)
	if err := locked.EncryptPrivateKeys([]byte("passphrase"), nil); err != nil {
		t.Fatal(err)
	}
	pgp := armoured(t, openpgp.PrivateKeyType, private(entity))
	two := armoured(t, openpgp.PrivateKeyType, func(b *bytes.Buffer) error { return errors.Join(private(entity)(b), private(pgpEntity(t, 0))(b)) })
	for name, test := range map[string]struct{ text, want string }{
		"ssh with a passphrase":     {sshText(t, key, "passphrase"), "it has a passphrase"},
		"OpenPGP with a passphrase": {armoured(t, openpgp.PrivateKeyType, private(locked)), "it has a passphrase"},
		"ssh cut short":             {whole[:len(whole)/2], "is not a private key"},
		"ssh damaged":               {strings.Replace(whole, "b3Bl", "b3Bm", 1), "is not a private key"},
		"OpenPGP cut short":         {pgp[:len(pgp)/2], "is not a private key"},
		"OpenPGP without lines":     {"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "is not a private key"},
		"ssh public":                {string(ssh.MarshalAuthorizedKey(public)), "it is a public key"},
		"OpenPGP public":            {armoured(t, openpgp.PublicKeyType, func(b *bytes.Buffer) error { return entity.Serialize(b) }), "it is a public key"},
		"two keys":                  {two, "there are 2 keys"},
		"DSA":                       {dsaText(t), "DSA"},
		"a token":                   {"not-a-key", "it begins like neither"},
		"lines lost":                {strings.ReplaceAll(whole, "\n", " "), "no key found"},
	} {
		signer, err := ParseKey(test.text)
		text := ""
		if err != nil {
			text = strings.Join(fault.Lines(err), "\n")
		}
		if signer != nil || fault.KindOf(err) != fault.BadInput || !strings.Contains(text, test.want) {
			t.Errorf("%s: %v, %s", name, signer, text)
		}
		for line := range strings.Lines(test.text) {
			if line = strings.TrimSpace(line); len(line) > 8 && !strings.HasPrefix(line, "-----") && strings.Contains(text, line) {
				t.Errorf("%s: the error shows the key: %s", name, text)
			}
		}
	}
}

// dsaText is a DSA key as ssh-keygen wrote them: PEM of six numbers.
func dsaText(t *testing.T) string {
	t.Helper()
	var key dsa.PrivateKey
	if err := dsa.GenerateParameters(&key.Parameters, rand.Reader, dsa.L1024N160); err != nil {
		t.Fatal(err)
	}
	if err := dsa.GenerateKey(&key, rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal([]*big.Int{new(big.Int), key.P, key.Q, key.G, key.Y, key.X})
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "DSA PRIVATE KEY", Bytes: der}))
}

// A key that has expired in the meantime, or a signer that fails: no commit, and above all none without a signature.
func TestNothingIsPushedUnsigned(t *testing.T) {
	t.Parallel()
	expired, err := ParseKey(armoured(t, openpgp.PrivateKeyType, private(pgpEntity(t, 60))))
	if err != nil {
		t.Fatal(err)
	}
	for want, signer := range map[string]Signer{"no part of it may sign now": expired, "the token is asleep": broken{}} {
		url := bare(t)
		s := open(t, url)
		s.o.Signer = signer
		_, pushed, err := s.Publish(t.Context(), func(context.Context, *Tip) (Change, error) {
			return Change{Files: map[string][]byte{"a": nil}, Message: "m\n"}, nil
		})
		if err == nil || pushed || !strings.Contains(err.Error(), want) || git(t, url, "for-each-ref") != "" {
			t.Errorf("%s: %v, %v", want, pushed, err)
		}
	}
}

type broken struct{}

func (broken) Sign([]byte, time.Time) ([]byte, error) { return nil, errors.New("the token is asleep") }
func (broken) Fingerprint() string                    { return "" }

// The signatures of ssh keys, by the form that OpenSSH publishes. `make e2e-catalog` has git check them.
func TestSSHSignature(t *testing.T) {
	t.Parallel()
	_, small, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for format, key := range map[string]crypto.PrivateKey{"ssh-ed25519": small, "rsa-sha2-512": large, "ecdsa-sha2-nistp256": curve} {
		signer, err := ParseKey(strings.ReplaceAll(sshText(t, key, ""), "\n", "\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := signer.Sign([]byte("a commit"), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		if block == nil || block.Type != "SSH SIGNATURE" || !bytes.HasPrefix(block.Bytes, []byte("SSHSIG\x00\x00\x00\x01")) || !bytes.Contains(block.Bytes, []byte("\x00\x00\x00\x03git")) ||
			!bytes.Contains(block.Bytes, []byte(format)) {
			t.Errorf("%s: %s", format, text)
		}
		if !strings.HasPrefix(signer.Fingerprint(), "SHA256:") {
			t.Error(signer.Fingerprint())
		}
	}
}
