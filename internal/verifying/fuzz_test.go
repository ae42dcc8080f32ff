package verifying_test

import (
	"context"
	"testing"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
	"github.com/org/idp/internal/testkit/sigstorefake"
	"github.com/org/idp/internal/verifying"
)

// FuzzBundle: whatever a registry serves, reading it does not panic, and what verifies by a key or keyless is what was signed,
// about the digest that was asked for, and nothing else.
func FuzzBundle(f *testing.F) {
	const said = "https://example.com/said"
	key, stranger := signed.Key(f), signed.Key(f)
	verifiers := map[string]attest.Verifier{"a key": key.Public()}
	claims, others := sigstorefake.Workflow(repository, workflow, mainRef), sigstorefake.Workflow("acme/other", workflow, mainRef)
	for name, form := range sigstorefake.Forms {
		i := sigstorefake.Start(f, form)
		v, err := verifying.NewKeyless(signed.Trust(f, i), ours)
		expect.NoError(f, err)
		verifiers[name] = v
		f.Add(signed.Keyless(f, i, claims, digestA, said, map[string]string{"a": "b"}))
		f.Add(signed.Keyless(f, i, claims, digestB, "https://example.com/unsaid", nil))
		f.Add(signed.Keyless(f, i, others, digestA, "https://example.com/unsaid", nil))
		f.Add(signed.KeylessTagged(f, i, claims, digestA, said, map[string]string{"a": "b"}).Pack(f))
		f.Add(signed.KeylessTagged(f, i, others, digestA, "https://example.com/unsaid", nil).Pack(f))
		f.Add(signed.Image(f, i, others, digestA).Pack(f))
	}
	f.Add(signed.Bundle(f, key, digestA, said, map[string]string{"a": "b"}))
	good := signed.Bundle(f, stranger, digestA, "https://example.com/unsaid", nil)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(signed.BundleTagged(f, key, digestA, said, map[string]string{"a": "b"}).Pack(f))
	f.Add(signed.BundleTagged(f, stranger, digestA, "https://example.com/unsaid", nil).Pack(f))
	f.Add([]byte(`{"cosignTag":{"mediaType":"application/vnd.dsse.envelope.v1+json","layer":"e30=","annotations":{"dev.sigstore.cosign/bundle":"{\"Payload\":{\"body\":\"e30=\"}}"}}}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"dsseEnvelope":{}}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{}},"messageSignature":{}}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.1","verificationMaterial":{"x509CertificateChain":{"certificates":[{}]}},"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[null]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		claimed, _, err := verifying.Claimed(data)
		if err == nil && claimed != nil {
			_, _ = claimed.Digest()
		}
		for name, v := range verifiers {
			got, err := v.Verify(context.Background(), data, digestA)
			if err != nil {
				continue
			}
			if digest, err := got.Digest(); err != nil || digest != digestA || got.PredicateType != said || string(got.Predicate) != `{"a":"b"}` {
				t.Fatalf("%s: verified what nobody signed: %+v", name, got)
			}
		}
	})
}

// FuzzTagged is the same of what cosign keeps in tags, part by part.
func FuzzTagged(f *testing.F) {
	const said = "https://example.com/said"
	i := sigstorefake.Start(f, sigstorefake.Options{Rekor: 1, TSA: true})
	claims, key := sigstorefake.Workflow(repository, workflow, mainRef), signed.Key(f)
	v, err := verifying.NewKeyless(signed.Trust(f, i), ours)
	expect.NoError(f, err)
	verifiers := []attest.Verifier{v, key.Public()}
	for _, l := range []signed.Layer{
		signed.KeylessTagged(f, i, claims, digestA, said, map[string]string{"a": "b"}),
		signed.BundleTagged(f, key, digestA, said, map[string]string{"a": "b"}),
		signed.Image(f, i, claims, digestA), signed.Image(f, i, claims, digestB),
	} {
		a := l.Annotations
		f.Add(l.MediaType, l.Data, a["dev.cosignproject.cosign/signature"], a[noted+"certificate"], a[noted+"bundle"], a[noted+"rfc3161timestamp"])
	}
	f.Fuzz(func(t *testing.T, mediaType string, layer []byte, signature, certificate, entry, timestamp string) {
		packed := signed.Layer{MediaType: mediaType, Data: layer, Annotations: map[string]string{"dev.cosignproject.cosign/signature": signature,
			noted + "certificate": certificate, noted + "bundle": entry, noted + "rfc3161timestamp": timestamp}}.Pack(t)
		for _, v := range verifiers {
			got, err := v.Verify(context.Background(), packed, digestA)
			if err != nil {
				continue
			}
			digest, err := got.Digest()
			statement := got.PredicateType == said && string(got.Predicate) == `{"a":"b"}`
			if err != nil || digest != digestA || !statement && (got.PredicateType != attest.PredicateSignature || got.Predicate != nil) {
				t.Fatalf("%s: verified what nobody signed: %+v", v.Identity(), got)
			}
		}
	})
}
