package verifying

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/org/idp/internal/attest"
)

// What cosign keeps in tags beside an image, up to version 2: in each layer an envelope or what was signed of the image, and in
// its annotations by what that is to be verified.
// https://github.com/sigstore/cosign/blob/v2.6.5/specs/SIGNATURE_SPEC.md
const (
	TypeEnvelope      = "application/vnd.dsse.envelope.v1+json"
	TypeSimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"

	annotationSignature   = "dev.cosignproject.cosign/signature"
	annotationCertificate = "dev.sigstore.cosign/certificate"
	annotationEntry       = "dev.sigstore.cosign/bundle"
	annotationTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// tagged is such a layer.
type tagged struct {
	MediaType   string            `json:"mediaType"`
	Layer       []byte            `json:"layer"`
	Annotations map[string]string `json:"annotations"`
}

// taggedStart is how a layer starts that Tagged wrote; no bundle starts so.
var taggedStart = []byte(`{"cosignTag":`)

// Tagged packs a layer that cosign keeps in a tag, so that it is verified as a bundle is. Nothing is checked.
func Tagged(mediaType string, layer []byte, annotations map[string]string) ([]byte, error) {
	data, err := json.Marshal(tagged{mediaType, layer, annotations})
	if err != nil {
		return nil, err
	}
	return append(append(bytes.Clone(taggedStart), data...), '}'), nil
}

func decodeTagged(data []byte) (*decoded, error) {
	var packed struct{ CosignTag tagged }
	if err := json.Unmarshal(data, &packed); err != nil {
		return nil, fmt.Errorf("not a layer of cosign: %w", err)
	}
	t := packed.CosignTag
	material, entry, err := t.material()
	if err != nil {
		return nil, err
	}
	switch t.MediaType {
	case TypeEnvelope:
		return t.envelope(material, entry)
	case TypeSimpleSigning:
		return t.signature(material, entry)
	}
	return nil, fmt.Errorf("a layer of cosign of type %q", t.MediaType)
}

// material is whose signature it is, and when it was there, as far as the annotations say; the entry in the log is apart.
func (t tagged) material() (*protobundle.VerificationMaterial, *protorekor.TransparencyLogEntry, error) {
	m := &protobundle.VerificationMaterial{Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}}}
	if text := t.Annotations[annotationCertificate]; text != "" {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return nil, nil, errors.New("annotation with the certificate: not in PEM form")
		}
		m.Content = &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: &protocommon.X509CertificateChain{
			Certificates: []*protocommon.X509Certificate{{RawBytes: block.Bytes}}}}
	}
	if text := t.Annotations[annotationTimestamp]; text != "" {
		var at struct{ SignedRFC3161Timestamp []byte }
		if err := json.Unmarshal([]byte(text), &at); err != nil {
			return nil, nil, fmt.Errorf("annotation with the timestamp: %w", err)
		}
		m.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: at.SignedRFC3161Timestamp}}}
	}
	text := t.Annotations[annotationEntry]
	if text == "" {
		return m, nil, nil
	}
	entry, err := logEntry([]byte(text))
	if err != nil {
		return nil, nil, fmt.Errorf("annotation with the entry in the log: %w", err)
	}
	return m, entry, nil
}

// logEntry reads an entry of Rekor v1 with the log's promise to include it.
func logEntry(data []byte) (*protorekor.TransparencyLogEntry, error) {
	var e struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           []byte
			IntegratedTime int64
			LogIndex       int64
			LogID          string
		}
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(e.Payload.LogID)
	if err != nil {
		return nil, err
	}
	var kind struct{ Kind, APIVersion string }
	if err := json.Unmarshal(e.Payload.Body, &kind); err != nil {
		return nil, err
	}
	return &protorekor.TransparencyLogEntry{LogIndex: e.Payload.LogIndex, LogId: &protocommon.LogId{KeyId: id},
		KindVersion: &protorekor.KindVersion{Kind: kind.Kind, Version: kind.APIVersion}, IntegratedTime: e.Payload.IntegratedTime,
		InclusionPromise: &protorekor.InclusionPromise{SignedEntryTimestamp: e.SignedEntryTimestamp}, CanonicalizedBody: e.Payload.Body}, nil
}

// proofs adds to d in which ways it can be verified, each of which is enough: with the entry in the log, and with the timestamp alone,
// which of an envelope is about all of it and not about its signature. An entry of a kind that nobody here can read proves nothing.
func (d *decoded) proofs(b *protobundle.Bundle, entry *protorekor.TransparencyLogEntry, envelope []byte) error {
	b.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.1" // the version in which a promise is enough
	plain, err := bundle.NewBundle(b)
	if err != nil {
		return err
	}
	d.ways = []verify.SignedEntity{plain}
	if envelope != nil {
		d.ways[0] = stamped{Bundle: plain, envelope: envelope}
	}
	if entry == nil {
		return nil
	}
	material := &protobundle.VerificationMaterial{Content: b.VerificationMaterial.Content, TlogEntries: []*protorekor.TransparencyLogEntry{entry}}
	if envelope == nil {
		material.TimestampVerificationData = b.VerificationMaterial.TimestampVerificationData
	}
	logged, err := bundle.NewBundle(&protobundle.Bundle{MediaType: b.MediaType, VerificationMaterial: material, Content: b.Content})
	if err == nil {
		d.ways = []verify.SignedEntity{logged, d.ways[0]}
	}
	return nil
}

// envelope reads an attestation.
func (t tagged) envelope(material *protobundle.VerificationMaterial, entry *protorekor.TransparencyLogEntry) (*decoded, error) {
	var e struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct {
			KeyID string
			Sig   []byte
		}
	}
	if err := json.Unmarshal(t.Layer, &e); err != nil {
		return nil, fmt.Errorf("not an envelope: %w", err)
	}
	envelope := &protodsse.Envelope{PayloadType: e.PayloadType, Payload: e.Payload}
	for _, s := range e.Signatures {
		envelope.Signatures = append(envelope.Signatures, &protodsse.Signature{Keyid: s.KeyID, Sig: s.Sig})
	}
	d := &decoded{payload: e.Payload}
	if e.PayloadType == attest.PayloadType {
		statement, err := attest.ParseStatement(e.Payload)
		if err != nil {
			return nil, err
		}
		d.statement = statement
	}
	b := &protobundle.Bundle{VerificationMaterial: material, Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: envelope}}
	return d, d.proofs(b, entry, t.Layer)
}

// stamped is an envelope whose timestamp is about the whole of it.
type stamped struct {
	*bundle.Bundle
	envelope []byte
}

// SignatureContent has the whole as what was timestamped; the signature itself is verified from the envelope.
func (s stamped) SignatureContent() (verify.SignatureContent, error) {
	content, err := s.Bundle.SignatureContent()
	if err != nil {
		return nil, err
	}
	return stampedContent{content, s.envelope}, nil
}

type stampedContent struct {
	verify.SignatureContent
	envelope []byte
}

func (s stampedContent) Signature() []byte { return s.envelope }

// imageSignature is the type of what cosign sign signs.
const imageSignature = "cosign container image signature"

// signature reads the signature of an image, which says what the statement of one says that has no predicate.
func (t tagged) signature(material *protobundle.VerificationMaterial, entry *protorekor.TransparencyLogEntry) (*decoded, error) {
	var said struct {
		Critical struct {
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			}
			Type string
		}
	}
	if err := json.Unmarshal(t.Layer, &said); err != nil {
		return nil, fmt.Errorf("not what cosign signs of an image: %w", err)
	}
	signature, err := base64.StdEncoding.DecodeString(t.Annotations[annotationSignature])
	if err != nil {
		return nil, fmt.Errorf("annotation with the signature: %w", err)
	}
	sum := sha256.Sum256(t.Layer)
	d := &decoded{payload: t.Layer, signed: sum[:]}
	if said.Critical.Type == imageSignature {
		statement, err := attest.NewStatement(said.Critical.Image.Digest, attest.PredicateSignature, nil)
		if err != nil {
			return nil, err
		}
		d.statement = &statement
	}
	b := &protobundle.Bundle{VerificationMaterial: material, Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
		MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum[:]}, Signature: signature}}}
	return d, d.proofs(b, entry, nil)
}
