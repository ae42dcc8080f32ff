package referrers_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ggcr "github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	cosignmutate "github.com/sigstore/cosign/v2/pkg/oci/mutate"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/cosign/v2/pkg/oci/static"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
	"github.com/org/idp/internal/verifying"
)

// tagName is where cosign up to version 2 keeps what it signs of a digest.
func (a *at) tagName(suffix string) string {
	return strings.Replace(a.digest, ":", "-", 1) + suffix
}

// bySignerOfCosign makes a pair of keys, and gives its public half and what signs with the other.
func bySignerOfCosign(t *testing.T) (*verifying.Key, signature.Signer) {
	t.Helper()
	signer, _, err := signature.NewDefaultECDSASignerVerifier()
	expect.NoError(t, err)
	public, err := signer.PublicKey()
	expect.NoError(t, err)
	key, err := verifying.NewKey("cosign", public)
	expect.NoError(t, err)
	return key, signer
}

// keepsInTags writes a signature and attestations with cosign's own library, as cosign sign and cosign attest of version 2 do.
func keepsInTags(t *testing.T, a *at, signer signature.Signer, predicateTypes ...string) {
	t.Helper()
	ref, err := name.NewDigest(a.ref)
	expect.NoError(t, err)
	sign := func(data []byte) []byte {
		sig, err := signer.SignMessage(bytes.NewReader(data))
		expect.NoError(t, err)
		return sig
	}
	image, err := ociremote.SignedEntity(ref)
	expect.NoError(t, err)
	payload := []byte(`{"critical":{"identity":{"docker-reference":"x"},"image":{"docker-manifest-digest":"` + a.digest + `"},"type":"cosign container image signature"},"optional":null}`)
	sig, err := static.NewSignature(payload, base64.StdEncoding.EncodeToString(sign(payload)))
	expect.NoError(t, err)
	image, err = cosignmutate.AttachSignatureToEntity(image, sig)
	expect.NoError(t, err)
	expect.NoError(t, ociremote.WriteSignatures(ref.Context(), image))
	for _, predicateType := range predicateTypes {
		statement := `{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"` + predicateType + `","subject":[{"name":"x","digest":{"sha256":"` + a.digest[7:] + `"}}],"predicate":{}}`
		signed := fmt.Sprintf("DSSEv1 %d %s %d %s", len(attest.PayloadType), attest.PayloadType, len(statement), statement)
		envelope, err := json.Marshal(map[string]any{"payloadType": attest.PayloadType, "payload": []byte(statement), "signatures": []any{map[string]any{"keyid": "", "sig": sign([]byte(signed))}}})
		expect.NoError(t, err)
		att, err := static.NewAttestation(envelope, static.WithLayerMediaType(verifying.TypeEnvelope))
		expect.NoError(t, err)
		image, err = cosignmutate.AttachAttestationToEntity(image, att)
		expect.NoError(t, err)
	}
	expect.NoError(t, ociremote.WriteAttestations(ref.Context(), image))
}

// What cosign keeps in tags is read beside the referrers, and does not count as attached where idp attaches.
func TestTagsOfCosign(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, a *at) {
		key, signer := bySignerOfCosign(t)
		keepsInTags(t, a, signer, attest.PredicateSBOM, attest.PredicateProvenance)
		found := map[string]int{}
		for _, got := range read(t, a, 3) {
			s, err := key.Verify(t.Context(), got.Bundle, a.digest)
			expect.NoError(t, err)
			if got.Statement.PredicateType != s.PredicateType || got.Manifest == "" || !got.Tagged {
				t.Errorf("%+v", got)
			}
			found[s.PredicateType]++
			if _, err := key.Verify(t.Context(), got.Bundle, otherDigest); err == nil {
				t.Errorf("%s counts for another digest", s.PredicateType)
			}
			if _, err := signed.Key(t).Verify(t.Context(), got.Bundle, a.digest); err == nil {
				t.Errorf("%s counts by another key", s.PredicateType)
			}
		}
		if len(found) != 3 || found[attest.PredicateSignature] != 1 {
			t.Errorf("found %v", found)
		}
		own := signed.Key(t)
		attach(t, a, own, 2, signed.Bundle(t, own, a.digest, attest.PredicateSignature, nil), signed.Bundle(t, own, a.digest, attest.PredicateSBOM, nil))
		read(t, a, 5)
	})
}

// A tag that cannot be read whole is an error, whatever else is there; layers of other kinds are not evidence.
func TestTagsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	layers := func(media string, data ...string) func(t *testing.T, a *at) {
		return func(t *testing.T, a *at) {
			img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
			for _, d := range data {
				var err error
				img, err = mutate.AppendLayers(img, ggcr.NewLayer([]byte(d), types.MediaType(media)))
				expect.NoError(t, err)
			}
			a.writes(t, img)
		}
	}
	answers := func(part string, status int, media, body string) func(*testing.T, *at) {
		return func(t *testing.T, a *at) {
			layers(verifying.TypeEnvelope, `{"payloadType":"text/plain"}`)(t, a)
			a.change = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, part) {
					return false
				}
				w.Header().Set("Content-Type", media)
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
				return true
			}
		}
	}
	manifest := string(types.OCIManifestSchema1)
	large := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"layers":[{"mediaType":%q,"digest":%q,"size":%d}]}`, manifest, verifying.TypeEnvelope, otherDigest, 257<<20)
	short := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"layers":[{"mediaType":%q,"digest":%q,"size":-1}]}`, manifest, verifying.TypeEnvelope, otherDigest)
	many := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"layers":[{}%s]}`, manifest, strings.Repeat(",{}", 1000))
	for name, c := range map[string]struct {
		make func(*testing.T, *at)
		want string // empty: nothing is attached
	}{
		"500":                   {answers(".att", 500, manifest, ""), ": 500 "},
		"403":                   {answers(".att", 403, manifest, ""), ": 403 "},
		"signatures 403":        {answers(".sig", 403, manifest, ""), ": 403 "},
		"no JSON":               {answers(".att", 200, manifest, "<html>"), "manifest: "},
		"an index":              {answers(".att", 200, string(types.OCIImageIndex), `{"schemaVersion":2,"manifests":[]}`), "expected an image"},
		"too large":             {answers(".att", 200, manifest, large), "more than 256 MiB of evidence"},
		"a size below nothing":  {answers(".att", 200, manifest, short), ": 404 "},
		"too many":              {answers(".att", 200, manifest, many), "more than 1000 layers"},
		"blob 404":              {answers("/blobs/", 404, "", ""), ": 404 "},
		"blob of other bytes":   {answers("/blobs/", 200, "", "other"), "error verifying"},
		"truncated":             {layers(verifying.TypeEnvelope, `{"payloadType":"application/vnd.in-toto+j`), "not an envelope"},
		"no statement":          {layers(verifying.TypeEnvelope, `{"payloadType":"application/vnd.in-toto+json","payload":"e30="}`), "statement of type"},
		"layers of other kinds": {layers("application/vnd.oci.image.layer.v1.tar", "x"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newRegistry(t, true)
			c.make(t, a)
			if c.want == "" {
				read(t, a, 0)
				return
			}
			attached, err := client.Read(t.Context(), a.ref)
			expect.Error(t, err, c.want)
			if fault.KindOf(err) != fault.Undetermined || attached != nil {
				t.Errorf("kind %v, %d attached beside the error", fault.KindOf(err), len(attached))
			}
		})
	}
}

// writes puts an image where cosign keeps attestations.
func (a *at) writes(t *testing.T, img v1.Image) {
	t.Helper()
	ref, err := name.NewDigest(a.ref)
	expect.NoError(t, err)
	expect.NoError(t, remote.Write(ref.Context().Tag(a.tagName(".att")), img))
}
