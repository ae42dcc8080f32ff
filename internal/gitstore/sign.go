package gitstore

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/ssh"

	"github.com/org/idp/internal/fault"
)

// Signer signs commits. The signature is armoured, as it stands in a commit.
type Signer interface {
	Sign(commit []byte, at time.Time) (signature []byte, err error)
	// Fingerprint is how people know the key: SHA256:… of an ssh key, the hexadecimal digits of an OpenPGP one.
	Fingerprint() string
}

// ParseKey reads the text of a private key, ssh or armoured OpenPGP, without a passphrase. The key stays in this process: no
// program is started with it, and it is in no file. Errors hold nothing of it.
func ParseKey(text string) (Signer, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) + "\n"
	switch head, _, _ := strings.Cut(text, "\n"); {
	case head == "-----BEGIN PGP PRIVATE KEY BLOCK-----":
		return parsePGP(text)
	case strings.HasPrefix(head, "-----BEGIN ") && strings.HasSuffix(head, "PRIVATE KEY-----"):
		return parseSSH(text)
	case strings.HasPrefix(head, "-----BEGIN PGP PUBLIC KEY"), strings.HasPrefix(head, "ssh-"), strings.HasPrefix(head, "ecdsa-"):
		return nil, badKey("it is a public key", "Give the private key that belongs to it.")
	}
	return nil, badKey("it begins like neither", "Give the whole text of the file, with its first line: -----BEGIN OPENSSH PRIVATE KEY----- or -----BEGIN PGP PRIVATE KEY BLOCK-----.")
}

func badKey(why, next string) *fault.Error {
	return fault.BadInputf("input catalog-signing-key is not a private key of ssh or OpenPGP that can sign: %s", why).WithNext(next)
}

const withoutPassphrase = "Make a key of its own for the catalogue, without a passphrase; the secret that it is kept in protects it."

// sshKey makes the signatures of `ssh-keygen -Y sign -n git`.
type sshKey struct{ key ssh.Signer }

func parseSSH(text string) (Signer, error) {
	key, err := ssh.ParsePrivateKey([]byte(text))
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked), strings.HasPrefix(text, "-----BEGIN ENCRYPTED "):
		return nil, badKey("it has a passphrase", withoutPassphrase)
	case err != nil:
		return nil, badKey(err.Error(), "Give the whole text of the file as it is, with all its lines.")
	case key.PublicKey().Type() == "ssh-dss":
		return nil, badKey("it is a DSA key, which is accepted nowhere", "Make one with: ssh-keygen -t ed25519.")
	}
	return &sshKey{key}, nil
}

func (k *sshKey) Fingerprint() string { return ssh.FingerprintSHA256(k.key.PublicKey()) }

// Sign follows PROTOCOL.sshsig of OpenSSH.
func (k *sshKey) Sign(commit []byte, _ time.Time) ([]byte, error) {
	const magic, namespace, hash = "SSHSIG", "git", "sha512"
	sum := sha512.Sum512(commit)
	signed := append([]byte(magic), ssh.Marshal(struct {
		Namespace, Reserved, Hash string
		Sum                       []byte
	}{namespace, "", hash, sum[:]})...)
	sig, err := k.sign(signed)
	if err != nil {
		return nil, err
	}
	blob := append([]byte(magic), ssh.Marshal(struct {
		Version                   uint32
		Key                       []byte
		Namespace, Reserved, Hash string
		Signature                 []byte
	}{1, k.key.PublicKey().Marshal(), namespace, "", hash, ssh.Marshal(sig)})...)
	var b bytes.Buffer
	b.WriteString("-----BEGIN SSH SIGNATURE-----\n")
	for text := base64.StdEncoding.EncodeToString(blob); text != ""; {
		n := min(len(text), 70)
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString("-----END SSH SIGNATURE-----\n")
	return b.Bytes(), nil
}

// sign never uses SHA-1, which an RSA key would by default and OpenSSH refuses.
func (k *sshKey) sign(data []byte) (*ssh.Signature, error) {
	if other, ok := k.key.(ssh.AlgorithmSigner); ok && k.key.PublicKey().Type() == ssh.KeyAlgoRSA {
		return other.SignWithAlgorithm(rand.Reader, data, ssh.KeyAlgoRSASHA512)
	}
	return k.key.Sign(rand.Reader, data)
}

type pgpKey struct{ entity *openpgp.Entity }

func parsePGP(text string) (Signer, error) {
	list, err := openpgp.ReadArmoredKeyRing(strings.NewReader(text))
	switch {
	case err != nil:
		return nil, badKey(err.Error(), "Give what gpg --armor --export-secret-keys writes, with all its lines.")
	case len(list) != 1:
		return nil, badKey(fmt.Sprintf("there are %d keys", len(list)), "Give one: gpg --armor --export-secret-keys FINGERPRINT.")
	}
	parts := []*packet.PrivateKey{list[0].PrivateKey}
	for _, sub := range list[0].Subkeys {
		parts = append(parts, sub.PrivateKey)
	}
	for _, part := range parts {
		if part != nil && !part.Dummy() && part.Encrypted {
			return nil, badKey("it has a passphrase", withoutPassphrase)
		}
	}
	return &pgpKey{list[0]}, nil
}

func (k *pgpKey) Fingerprint() string { return fmt.Sprintf("%X", k.entity.PrimaryKey.Fingerprint) }

func (k *pgpKey) Sign(commit []byte, at time.Time) ([]byte, error) {
	key, ok := k.entity.SigningKey(at)
	if !ok || key.PrivateKey == nil || key.PrivateKey.Dummy() {
		return nil, badKey("no part of it may sign now", "Look with gpg --list-secret-keys whether it has expired, was revoked, or lacks [S].")
	}
	var b bytes.Buffer
	config := &packet.Config{Time: func() time.Time { return at }, SigningKeyId: key.PublicKey.KeyId, DefaultHash: crypto.SHA256}
	err := openpgp.ArmoredDetachSign(&b, k.entity, bytes.NewReader(commit), config)
	return b.Bytes(), err
}
