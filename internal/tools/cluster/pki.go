//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority signs the certificates of one cluster; it ends with it.
type authority struct {
	dir  string // ca.crt and ca.key are here, so that tests can make further users
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// newAuthority writes ca.crt, ca.key and, for the tokens of service accounts, sa.key and sa.pub.
func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, key: key}
	template := certificate(pkix.Name{CommonName: "idp-cluster"})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = nil
	if a.cert, a.pem, err = a.sign(template, template, &key.PublicKey); err != nil {
		return nil, err
	}
	if err := a.write("ca", a.pem, key); err != nil {
		return nil, err
	}
	tokens, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&tokens.PublicKey)
	if err != nil {
		return nil, err
	}
	if err := a.write("sa", nil, tokens); err != nil {
		return nil, err
	}
	return a, os.WriteFile(filepath.Join(dir, "sa.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600)
}

func certificate(subject pkix.Name) *x509.Certificate {
	return &x509.Certificate{
		Subject:     subject,
		NotBefore:   time.Now().Add(-time.Hour),
		NotAfter:    time.Now().AddDate(1, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
}

func (a *authority) sign(template, parent *x509.Certificate, public *ecdsa.PublicKey) (*x509.Certificate, []byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// write writes NAME.key and, where there is one, NAME.crt.
func (a *authority) write(name string, cert []byte, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	base := filepath.Join(a.dir, name)
	if cert != nil {
		if err := os.WriteFile(base+".crt", cert, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(base+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// issue writes a certificate for a user or server, NAME.crt and NAME.key.
func (a *authority) issue(name, user, group string, hosts ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	subject := pkix.Name{CommonName: user}
	if group != "" {
		subject.Organization = []string{group}
	}
	template := certificate(subject)
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	_, cert, err := a.sign(template, a.cert, &key.PublicKey)
	if err != nil {
		return err
	}
	return a.write(name, cert, key)
}

// kubeconfig issues a certificate for a user and writes NAME.kubeconfig, which needs no other file.
func (a *authority) kubeconfig(name, server, user, group string) error {
	if err := a.issue(name, user, group); err != nil {
		return err
	}
	base := filepath.Join(a.dir, name)
	cert, err := os.ReadFile(base + ".crt") // #nosec G304 -- written above
	if err != nil {
		return err
	}
	key, err := os.ReadFile(base + ".key") // #nosec G304 -- written above
	if err != nil {
		return err
	}
	b64 := base64.StdEncoding.EncodeToString
	return os.WriteFile(base+".kubeconfig", fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
  - name: idp
    cluster: {server: %q, certificate-authority-data: %s}
users:
  - name: %q
    user: {client-certificate-data: %s, client-key-data: %s}
contexts:
  - name: idp
    context: {cluster: idp, user: %q}
current-context: idp
`, server, b64(a.pem), user, b64(cert), b64(key), user), 0o600)
}
