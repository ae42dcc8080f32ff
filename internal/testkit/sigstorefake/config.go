package sigstorefake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"time"

	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
)

// TrustedRoot is whom to trust, as JSON.
func (i *Instance) TrustedRoot() []byte {
	from, to := time.Now().Add(-time.Hour), time.Now().Add(4*time.Hour)
	logs := map[string]*root.TransparencyLog{}
	if i.opts.Rekor != 0 {
		logs[hex.EncodeToString(i.logID())] = &root.TransparencyLog{BaseURL: i.URL, ID: i.logID(), ValidityPeriodStart: from,
			HashFunc: crypto.SHA256, PublicKey: i.logBy.Public(), SignatureHashFunc: crypto.SHA256}
	}
	var tsas []root.TimestampingAuthority
	if i.opts.TSA {
		tsas = append(tsas, &root.SigstoreTimestampingAuthority{URI: i.URL + TSA, Root: i.root, Intermediates: i.tsa[1:], Leaf: i.tsa[0],
			ValidityPeriodStart: from, ValidityPeriodEnd: to})
	}
	fulcio := &root.FulcioCertificateAuthority{URI: i.URL, Root: i.root, Intermediates: []*x509.Certificate{i.inter},
		ValidityPeriodStart: from, ValidityPeriodEnd: to}
	tr, err := root.NewTrustedRoot(root.TrustedRootMediaType01, []root.CertificateAuthority{fulcio}, nil, tsas, logs)
	i.check(err)
	data, err := tr.MarshalJSON()
	i.check(err)
	return data
}

// SigningConfig is whom to ask, as JSON.
func (i *Instance) SigningConfig() []byte {
	from := time.Now().Add(-time.Hour)
	any1 := root.ServiceConfiguration{Selector: prototrustroot.ServiceSelector_ANY}
	at := func(url string, version uint32) []root.Service {
		return []root.Service{{URL: url, MajorAPIVersion: version, ValidityPeriodStart: from, Operator: "test"}}
	}
	var logs, tsas []root.Service
	if i.opts.Rekor != 0 {
		logs = at(i.URL, i.opts.Rekor)
	}
	if i.opts.TSA {
		tsas = at(i.URL+TSA, 1)
	}
	sc, err := root.NewSigningConfig(root.SigningConfigMediaType02, at(i.URL, 1), nil, logs, any1, tsas, any1)
	i.check(err)
	data, err := sc.MarshalJSON()
	i.check(err)
	return data
}

// logID is that of the log's key.
func (i *Instance) logID() []byte {
	der, err := x509.MarshalPKIXPublicKey(i.logBy.Public())
	i.check(err)
	sum := sha256.Sum256(der)
	return sum[:]
}

// lengthen signs a certificate again, for as long as root is valid.
func lengthen(c, root, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	template := *c
	template.NotBefore, template.NotAfter = root.NotBefore, root.NotAfter
	for _, e := range c.Extensions {
		if e.Critical && e.Id.String() == "2.5.29.37" { // extended key usage, which has to be critical
			template.ExtraExtensions, template.ExtKeyUsage = append(template.ExtraExtensions, e), nil
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, c.PublicKey, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
