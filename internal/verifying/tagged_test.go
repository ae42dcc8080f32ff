package verifying_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
	"github.com/org/idp/internal/testkit/sigstorefake"
	"github.com/org/idp/internal/verifying"
)

const noted = "dev.sigstore.cosign/"

// with is a layer with one annotation changed; an empty one is left out.
func with(l signed.Layer, key, value string) signed.Layer {
	l.Annotations = maps.Clone(l.Annotations)
	if l.Annotations[key] = value; value == "" {
		delete(l.Annotations, key)
	}
	return l
}

// What cosign up to version 2 keeps in tags is verified as bundles are, by the log, by the timestamp or by both, whichever the trusted
// root asks for; and nothing of it stands for something else. Rekor v2 has no such entries.
func TestTagged(t *testing.T) {
	t.Parallel()
	claims := sigstorefake.Workflow(repository, workflow, mainRef)
	for name, opts := range sigstorefake.Forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, stranger := sigstorefake.Start(t, opts), sigstorefake.Start(t, opts)
			v, before := verifierOf(t, i, ours), time.Now().Add(-2*time.Second)
			sbom := func(of *sigstorefake.Instance, by sigstorefake.Claims, digest string) signed.Layer {
				return signed.KeylessTagged(t, of, by, digest, attest.PredicateSBOM, map[string]string{"bomFormat": "CycloneDX"})
			}
			image := func(of *sigstorefake.Instance, by sigstorefake.Claims, digest string) signed.Layer {
				return signed.Image(t, of, by, digest)
			}
			for kind, c := range map[string]struct {
				make func(*sigstorefake.Instance, sigstorefake.Claims, string) signed.Layer
				is   string
			}{"attestation": {sbom, attest.PredicateSBOM}, "signature": {image, attest.PredicateSignature}} {
				good, other := c.make(i, claims, digestA), c.make(i, claims, digestB)
				if opts.Rekor == 2 {
					_, err := v.Verify(t.Context(), good.Pack(t), digestA)
					expect.Error(t, err, "failed to verify log inclusion")
					continue
				}
				got, err := v.Verify(t.Context(), good.Pack(t), digestA)
				if err != nil {
					t.Errorf("%s: %v", kind, err)
					continue
				}
				if digest, err := got.Digest(); err != nil || digest != digestA || got.PredicateType != c.is || got.SignedAt.Before(before) ||
					got.Certificate == nil || got.Certificate.RepositoryID != "1001" || !strings.HasSuffix(got.Signer, workflow+"@"+mainRef) {
					t.Errorf("%s: %+v", kind, got)
				}
				renamed, mixed := good, other
				renamed.Data = []byte(strings.ReplaceAll(string(good.Data), digestA[7:], digestB[7:]))
				mixed.Annotations = good.Annotations
				for what, spoilt := range map[string]signed.Layer{
					"another digest":                       other,
					"of another repository":                c.make(i, sigstorefake.Workflow("acme/other", workflow, mainRef), digestA),
					"of another instance":                  c.make(stranger, claims, digestA),
					"the proofs of another":                mixed,
					"the certificate of another":           with(good, noted+"certificate", other.Annotations[noted+"certificate"]),
					"a certificate that nobody gave":       with(good, noted+"certificate", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed.SelfSigned(t)}))),
					"no certificate":                       with(good, noted+"certificate", ""),
					"nothing that says when":               with(with(good, noted+"bundle", ""), noted+"rfc3161timestamp", ""),
					"the entry and the timestamp of other": with(with(good, noted+"bundle", other.Annotations[noted+"bundle"]), noted+"rfc3161timestamp", other.Annotations[noted+"rfc3161timestamp"]),
				} {
					for _, wanted := range []string{digestA, digestB} {
						if got, err := v.Verify(t.Context(), spoilt.Pack(t), wanted); (err == nil || got != nil) && (what != "another digest" || wanted == digestA) {
							t.Errorf("%s, %s: verified for %s", kind, what, wanted)
						}
					}
				}
				for _, wanted := range []string{digestA, digestB} {
					if _, err := v.Verify(t.Context(), renamed.Pack(t), wanted); err == nil && kind == "signature" {
						t.Errorf("%s about another digest than was signed: verified", kind)
					}
				}
			}
		})
	}
}

// A timestamp of an attestation in a tag is of the whole envelope; one of its signature, as in a bundle, is not, and the other way round.
func TestTimestampsAreOfWhatTheFormSays(t *testing.T) {
	t.Parallel()
	i := sigstorefake.Start(t, sigstorefake.Options{TSA: true})
	claims, v := sigstorefake.Workflow(repository, workflow, mainRef), verifierOf(t, i, ours)
	bundle := signed.Keyless(t, i, claims, digestA, attest.PredicateSBOM, nil)
	tagged := signed.Attestation(t, bundle, i)
	var b struct {
		VerificationMaterial struct {
			TimestampVerificationData struct {
				RFC3161Timestamps []struct{ SignedTimestamp []byte }
			}
		}
	}
	expect.NoError(t, json.Unmarshal(bundle, &b))
	ofSignature := b.VerificationMaterial.TimestampVerificationData.RFC3161Timestamps[0].SignedTimestamp
	text, err := json.Marshal(map[string][]byte{"SignedRFC3161Timestamp": ofSignature})
	expect.NoError(t, err)
	_, err = v.Verify(t.Context(), with(tagged, noted+"rfc3161timestamp", string(text)).Pack(t), digestA)
	expect.Error(t, err, "failed to verify timestamps")
	stamp := base64.StdEncoding.EncodeToString(i.Stamp(tagged.Data))
	_, err = v.Verify(t.Context(), signed.Edit(t, bundle, map[string]any{"rfc3161Timestamps": []any{map[string]any{"signedTimestamp": stamp}}},
		"verificationMaterial", "timestampVerificationData"), digestA)
	expect.Error(t, err, "failed to verify timestamps")
}

// A key has no certificate, and needs nobody who says when. An entry of a kind that is not known here proves nothing and hides nothing.
func TestTaggedByAKey(t *testing.T) {
	t.Parallel()
	key := signed.Key(t)
	good := signed.BundleTagged(t, key, digestA, attest.PredicateSBOM, map[string]string{"bomFormat": "CycloneDX"})
	unknown, err := json.Marshal(map[string]any{"SignedEntryTimestamp": "AAAA", "Payload": map[string]any{"logID": "00", "integratedTime": 1, "logIndex": 1,
		"body": base64.StdEncoding.EncodeToString([]byte(`{"kind":"intoto","apiVersion":"0.0.1","spec":{}}`))}})
	expect.NoError(t, err)
	for name, l := range map[string]signed.Layer{"as it is": good, "with an entry of another kind": with(good, noted+"bundle", string(unknown))} {
		got, err := key.Verify(t.Context(), l.Pack(t), digestA)
		if err != nil || got.PredicateType != attest.PredicateSBOM || string(got.Predicate) != `{"bomFormat":"CycloneDX"}` {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	payload := strings.Replace(string(good.Data), `"payload":"`, `"payload":"`+base64.StdEncoding.EncodeToString([]byte("   ")), 1)
	spaced := good
	spaced.Data = []byte(payload) // the same statement, which nobody signed so
	twice := good
	twice.Data = []byte(strings.Replace(string(good.Data), `"signatures":[`, `"signatures":[{"sig":"AAAA"},`, 1))
	for name, c := range map[string]struct {
		layer signed.Layer
		want  string
	}{
		"another key":    {signed.BundleTagged(t, signed.Key(t), digestA, attest.PredicateSBOM, nil), "not signed by " + key.Fingerprint()},
		"another digest": {signed.BundleTagged(t, key, digestB, attest.PredicateSBOM, nil), "is about " + digestB},
		"changed":        {spaced, "not signed by"},
		"two signatures": {twice, "not signed by"},
		"a certificate": {with(good, noted+"certificate", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed.SelfSigned(t)}))),
			"expected key signature, not certificate"},
	} {
		got, err := key.Verify(t.Context(), c.layer.Pack(t), digestA)
		if err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, expected %s", name, err, c.want)
		}
	}
}

// What cannot be read is an error, and never reads as nothing.
func TestTaggedThatCannotBeRead(t *testing.T) {
	t.Parallel()
	good := signed.BundleTagged(t, signed.Key(t), digestA, attest.PredicateSBOM, nil)
	data := func(l signed.Layer, mediaType, data string) signed.Layer {
		l.MediaType, l.Data = mediaType, []byte(data)
		return l
	}
	const image = "application/vnd.dev.cosign.simplesigning.v1+json"
	for name, c := range map[string]struct {
		layer signed.Layer
		want  string
	}{
		"truncated envelope":   {data(good, good.MediaType, string(good.Data[:len(good.Data)/2])), "not an envelope"},
		"no statement":         {data(good, good.MediaType, `{"payloadType":"application/vnd.in-toto+json","payload":"e30="}`), "statement of type"},
		"another type":         {data(good, "text/plain", "x"), `of type "text/plain"`},
		"certificate":          {with(good, noted+"certificate", "<html>"), "not in PEM form"},
		"timestamp":            {with(good, noted+"rfc3161timestamp", "<html>"), "annotation with the timestamp"},
		"entry":                {with(good, noted+"bundle", "<html>"), "annotation with the entry"},
		"entry of a body":      {with(good, noted+"bundle", `{"Payload":{"body":"AAAA"}}`), "annotation with the entry"},
		"log":                  {with(good, noted+"bundle", `{"Payload":{"body":"e30=","logID":"x"}}`), "annotation with the entry"},
		"truncated signature":  {data(good, image, `{"critical":{"ima`), "not what cosign signs"},
		"signature of base64":  {data(with(good, "dev.cosignproject.cosign/signature", "?"), image, `{}`), "annotation with the signature"},
		"signature of nothing": {data(good, image, `{"critical":{"type":"cosign container image signature"}}`), "is not a sha256 digest"},
	} {
		_, _, err := verifying.Claimed(c.layer.Pack(t))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, expected %s", name, err, c.want)
		}
	}
	statement, _, err := verifying.Claimed(data(good, image, `{"critical":{"type":"atomic container signature"}}`).Pack(t))
	if err != nil || statement != nil {
		t.Errorf("a signature of another kind: %+v, %v", statement, err)
	}
}
