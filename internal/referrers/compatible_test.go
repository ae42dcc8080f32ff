package referrers_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/cosign/v2/pkg/cosign"
	ociremote "github.com/sigstore/cosign/v2/pkg/oci/remote"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
)

func get(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	expect.NoError(t, err)
	req.Header.Set("Accept", "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json")
	resp, err := http.DefaultClient.Do(req)
	expect.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	expect.NoError(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s\n%s", url, resp.Status, data)
	}
	return data
}

// fetch takes the bundles from the registry by plain HTTP, as the OCI distribution specification describes, so that
// nothing of ours is between them and whoever verifies.
func fetch(t *testing.T, a *at, listed bool) [][]byte {
	t.Helper()
	base := a.url + "/v2/acme/checkout"
	list := base + "/referrers/" + a.digest
	if !listed {
		list = base + "/manifests/" + strings.Replace(a.digest, ":", "-", 1)
	}
	var index v1.IndexManifest
	expect.NoError(t, json.Unmarshal(get(t, list), &index))
	var bundles [][]byte
	for _, d := range index.Manifests {
		var m struct {
			ArtifactType string            `json:"artifactType"`
			Annotations  map[string]string `json:"annotations"`
			Layers       []v1.Descriptor   `json:"layers"`
			Subject      v1.Descriptor     `json:"subject"`
		}
		expect.NoError(t, json.Unmarshal(get(t, base+"/manifests/"+d.Digest.String()), &m))
		if m.ArtifactType != "application/vnd.dev.sigstore.bundle.v0.3+json" || m.Subject.Digest.String() != a.digest || len(m.Layers) != 1 {
			t.Fatalf("referrer %+v", m)
		}
		if m.Annotations["dev.sigstore.bundle.predicateType"] == "" {
			t.Errorf("annotations %v", m.Annotations)
		}
		bundles = append(bundles, get(t, base+"/blobs/"+m.Layers[0].Digest.String()))
	}
	return bundles
}

func verifierOf(t *testing.T, publicPEM []byte) signature.Verifier {
	t.Helper()
	public, err := cryptoutils.UnmarshalPEMToPublicKey(publicPEM)
	expect.NoError(t, err)
	v, err := signature.LoadVerifier(public, crypto.SHA256)
	expect.NoError(t, err)
	return v
}

// What is attached verifies with sigstore-go alone: nothing of this package is used for the verification.
func TestBundlesVerifyWithSigstoreGo(t *testing.T) {
	t.Parallel()
	for mode, listed := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			a := newRegistry(t, listed)
			key := signed.Key(t)
			attach(t, a, key, 2, signed.Bundle(t, key, a.digest, attest.PredicateSignature, nil),
				signed.Bundle(t, key, a.digest, attest.PredicateSBOM, map[string]any{"bomFormat": "CycloneDX", "note": "<&>"}))
			types := map[string]bool{}
			for _, data := range fetch(t, a, listed) {
				result := sigstoreVerify(t, data, verifierOf(t, key.PublicPEM()), a.digest)
				types[result.Statement.GetPredicateType()] = true
				if got, want := string(*result.Signature.PublicKeyID), hintOf(t, key); got != want {
					t.Errorf("hint %s, cosign gives %s", got, want)
				}
			}
			if len(types) != 2 || !types["https://sigstore.dev/cosign/sign/v1"] || !types["https://cyclonedx.org/bom"] {
				t.Errorf("verified %v", types)
			}
		})
	}
}

// hintOf is how cosign names a key in a bundle (pkg/cosign/bundle.MakeNewBundle).
func hintOf(t *testing.T, key *signing.Key) string {
	t.Helper()
	block, _ := pem.Decode(key.PublicPEM())
	sum := sha256.Sum256(block.Bytes)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func sigstoreVerify(t *testing.T, data []byte, v signature.Verifier, digest string) *verify.VerificationResult {
	t.Helper()
	b := new(bundle.Bundle)
	expect.NoError(t, b.UnmarshalJSON(data))
	if version, err := b.Version(); err != nil || version != "v0.3" {
		t.Fatalf("bundle version %s, %v", version, err)
	}
	trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(v, time.Time{}, time.Time{}), nil
	})
	verifier, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps())
	expect.NoError(t, err)
	sum, err := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
	expect.NoError(t, err)
	result, err := verifier.Verify(b, verify.NewPolicy(verify.WithArtifactDigest("sha256", sum), verify.WithKey()))
	expect.NoError(t, err)
	return result
}

// cosign itself finds and accepts what is attached, and refuses it under another key.
func TestCosignAcceptsWhatIsAttached(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, a *at) {
		key := signed.Key(t)
		attach(t, a, key, 2, signed.Bundle(t, key, a.digest, attest.PredicateSignature, nil),
			signed.Bundle(t, key, a.digest, attest.PredicateSBOM, map[string]any{"bomFormat": "CycloneDX"}))
		ref, err := name.ParseReference(a.ref)
		expect.NoError(t, err)
		options := func(k *signing.Key) *cosign.CheckOpts {
			return &cosign.CheckOpts{SigVerifier: verifierOf(t, k.PublicPEM()), IgnoreTlog: true, NewBundleFormat: true,
				TrustedMaterial: &root.BaseTrustedMaterial{}, ClaimVerifier: cosign.IntotoSubjectClaimVerifier}
		}
		checked, verified, err := cosign.VerifyImageAttestations(t.Context(), ref, options(key))
		if err != nil || !verified || len(checked) != 2 {
			t.Errorf("cosign verified %v, %d of 2: %v", verified, len(checked), err)
		}
		if _, verified, err := cosign.VerifyImageAttestations(t.Context(), ref, options(signed.Key(t))); err == nil || verified {
			t.Errorf("cosign accepts another key: %v, %v", verified, err)
		}
	})
}

// What cosign signs with a key, in the way of cosign sign and cosign attest, is read and verified here.
func TestCosignSignaturesVerifyHere(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, a *at) {
		pair, err := sign.NewEphemeralKeypair(nil)
		expect.NoError(t, err)
		public, err := pair.GetPublicKeyPem()
		expect.NoError(t, err)
		key, err := signing.LoadKey(file(t, []byte(public)), nil)
		expect.NoError(t, err)
		payload := `{"_type":"https://in-toto.io/Statement/v1", "subject":[{"digest":{"sha256":"` + a.digest[7:] + `"}}], "predicateType":"https://sigstore.dev/cosign/sign/v1"}`
		b, err := sign.Bundle(&sign.DSSEData{Data: []byte(payload), PayloadType: "application/vnd.in-toto+json"}, pair, sign.BundleOptions{Context: context.Background()})
		expect.NoError(t, err)
		data, err := protojson.Marshal(b)
		expect.NoError(t, err)
		digest, err := name.NewDigest(a.ref)
		expect.NoError(t, err)
		expect.NoError(t, ociremote.WriteAttestationNewBundleFormat(digest, data, attest.PredicateSignature))

		s, err := key.Verify(t.Context(), read(t, a, 1)[0].Bundle, a.digest)
		expect.NoError(t, err)
		if s.PredicateType != attest.PredicateSignature {
			t.Errorf("statement %+v", s)
		}
	})
}

// Older ones of cosign take what is not signed for signed: https://github.com/sigstore/cosign/security/advisories/GHSA-fx35-mq7g-6g98.
// That holds for the library here, and for the command line that tells the tests what is signed.
func TestCosignIsMended(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../../go.mod", "../../testdata/sigstore/cosign-v2/go.mod"} {
		data, err := os.ReadFile(file)
		expect.NoError(t, err)
		parsed, err := modfile.Parse(file, data, nil)
		expect.NoError(t, err)
		found := false
		for _, r := range parsed.Require {
			if r.Mod.Path != "github.com/sigstore/cosign/v2" {
				continue
			}
			if found = true; semver.Compare(r.Mod.Version, "v2.6.5") < 0 {
				t.Errorf("%s has cosign %s", file, r.Mod.Version)
			}
		}
		if !found || len(parsed.Replace) > 0 {
			t.Errorf("%s: cosign is named: %v, %d replacements", file, found, len(parsed.Replace))
		}
	}
}
