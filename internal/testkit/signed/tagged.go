package signed

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/sigstorefake"
	"github.com/org/idp/internal/verifying"
)

// Layer is what cosign up to version 2 keeps in a tag.
type Layer struct {
	MediaType   string
	Data        []byte
	Annotations map[string]string
}

// Pack makes of it what is verified.
func (l Layer) Pack(t testing.TB) []byte {
	t.Helper()
	data, err := verifying.Tagged(l.MediaType, l.Data, l.Annotations)
	expect.NoError(t, err)
	return data
}

// parts is a bundle as far as it has a place in a tag.
type parts struct {
	VerificationMaterial struct {
		Certificate struct{ RawBytes []byte }
		TlogEntries []struct {
			LogIndex, IntegratedTime json.Number
			LogID                    struct{ KeyID []byte }
			InclusionPromise         struct{ SignedEntryTimestamp []byte }
			CanonicalizedBody        []byte
		}
		TimestampVerificationData struct {
			RFC3161Timestamps []struct{ SignedTimestamp []byte }
		}
	}
	DSSEEnvelope struct {
		PayloadType string              `json:"payloadType"`
		Payload     []byte              `json:"payload"`
		Signatures  []map[string]string `json:"signatures"`
	}
	MessageSignature struct{ Signature []byte }
}

// annotations are what cosign says beside a layer, in its own form: pkg/oci/static of cosign v2.
func (p parts) annotations(t testing.TB) map[string]string {
	t.Helper()
	text := map[string]string{}
	put := func(key string, value any) {
		data, err := json.Marshal(value)
		expect.NoError(t, err)
		text["dev.sigstore.cosign/"+key] = string(data)
	}
	m := p.VerificationMaterial
	if m.Certificate.RawBytes != nil {
		text["dev.sigstore.cosign/certificate"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.Certificate.RawBytes}))
		text["dev.sigstore.cosign/chain"] = ""
	}
	for _, e := range m.TlogEntries {
		put("bundle", map[string]any{"SignedEntryTimestamp": e.InclusionPromise.SignedEntryTimestamp, "Payload": map[string]any{
			"body":           base64.StdEncoding.EncodeToString(e.CanonicalizedBody),
			"integratedTime": number(t, e.IntegratedTime), "logIndex": number(t, e.LogIndex), "logID": hex.EncodeToString(e.LogID.KeyID)}})
	}
	for _, s := range m.TimestampVerificationData.RFC3161Timestamps {
		put("rfc3161timestamp", map[string]any{"SignedRFC3161Timestamp": s.SignedTimestamp})
	}
	return text
}

// number is zero where the form of JSON leaves a zero out.
func number(t testing.TB, n json.Number) int64 {
	t.Helper()
	if n == "" {
		return 0
	}
	value, err := n.Int64()
	expect.NoError(t, err)
	return value
}

// Attestation is a bundle around a statement as cosign attest of version 2 keeps it; a timestamp is then of the whole envelope, and
// made by the instance, which may be nil.
func Attestation(t testing.TB, bundle []byte, i *sigstorefake.Instance) Layer {
	t.Helper()
	var p parts
	expect.NoError(t, json.Unmarshal(bundle, &p))
	for _, s := range p.DSSEEnvelope.Signatures {
		s["keyid"] = ""
	}
	envelope, err := json.Marshal(p.DSSEEnvelope)
	expect.NoError(t, err)
	stamps := p.VerificationMaterial.TimestampVerificationData.RFC3161Timestamps
	for n := range stamps {
		stamps[n].SignedTimestamp = i.Stamp(envelope)
	}
	layer := Layer{MediaType: "application/vnd.dsse.envelope.v1+json", Data: envelope, Annotations: p.annotations(t)}
	layer.Annotations["dev.cosignproject.cosign/signature"] = ""
	return layer
}

// Image is the signature of an image as cosign sign of version 2 keeps it, by a job with these claims.
func Image(t testing.TB, i *sigstorefake.Instance, by sigstorefake.Claims, digest string) Layer {
	t.Helper()
	payload := []byte(`{"critical":{"identity":{"docker-reference":"ghcr.io/acme/checkout"},"image":{"docker-manifest-digest":"` + digest +
		`"},"type":"cosign container image signature"},"optional":null}`)
	var p parts
	expect.NoError(t, json.Unmarshal(i.SignContent(by, &sign.PlainData{Data: payload}), &p))
	layer := Layer{MediaType: "application/vnd.dev.cosign.simplesigning.v1+json", Data: payload, Annotations: p.annotations(t)}
	layer.Annotations["dev.cosignproject.cosign/signature"] = base64.StdEncoding.EncodeToString(p.MessageSignature.Signature)
	return layer
}

// KeylessTagged is the statement of Keyless as cosign attest of version 2 keeps it.
func KeylessTagged(t testing.TB, i *sigstorefake.Instance, by sigstorefake.Claims, digest, predicateType string, predicate any) Layer {
	t.Helper()
	return Attestation(t, Keyless(t, i, by, digest, predicateType, predicate), i)
}

// BundleTagged is the statement of Bundle in the same form.
func BundleTagged(t testing.TB, by attest.Signer, digest, predicateType string, predicate any) Layer {
	t.Helper()
	return Attestation(t, Bundle(t, by, digest, predicateType, predicate), nil)
}
