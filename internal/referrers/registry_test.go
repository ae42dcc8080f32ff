package referrers_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
)

func eachMode(t *testing.T, test func(t *testing.T, a *at)) {
	t.Helper()
	for name, listed := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newRegistry(t, listed))
		})
	}
}

func attach(t *testing.T, a *at, key *signing.Key, want int, bundles ...[]byte) {
	t.Helper()
	added, err := client.Attach(t.Context(), a.ref, key, bundles...)
	expect.NoError(t, err)
	if added != want {
		t.Fatalf("%d added, expected %d", added, want)
	}
}

func read(t *testing.T, a *at, want int) []attest.Attached {
	t.Helper()
	attached, err := client.Read(t.Context(), a.ref)
	expect.NoError(t, err)
	if len(attached) != want {
		t.Fatalf("%d attached, expected %d", len(attached), want)
	}
	return attached
}

func TestAttachConverges(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, a *at) {
		read(t, a, 0)
		key, other := signed.Key(t), signed.Key(t)
		one := signed.Bundle(t, key, a.digest, attest.PredicateSignature, nil)
		same := signed.Bundle(t, key, a.digest, attest.PredicateSignature, nil) // ECDSA: another signature of the same statement
		sbom := signed.Bundle(t, key, a.digest, attest.PredicateSBOM, map[string]int{"version": 1})
		newer := signed.Bundle(t, key, a.digest, attest.PredicateSBOM, map[string]int{"version": 2})

		attach(t, a, key, 2, one, same, sbom)
		attach(t, a, key, 0, same, sbom)
		attach(t, a, key, 1, newer)
		attach(t, a, other, 1, signed.Bundle(t, other, a.digest, attest.PredicateSignature, nil))
		for _, got := range read(t, a, 4) {
			if _, err := key.Verify(t.Context(), got.Bundle, a.digest); err != nil {
				if _, err := other.Verify(t.Context(), got.Bundle, a.digest); err != nil {
					t.Errorf("%s: %v", got.Manifest, err)
				}
			}
		}
	})
}

// A broken copy of a statement must not keep the true one out.
func TestAttachIsNotBlockedByABrokenCopy(t *testing.T) {
	t.Parallel()
	a := newRegistry(t, true)
	key := signed.Key(t)
	good := signed.Bundle(t, key, a.digest, attest.PredicateSignature, nil)
	broken := signed.Edit(t, good, []any{map[string]any{"sig": base64.StdEncoding.EncodeToString([]byte("no"))}}, "dsseEnvelope", "signatures")
	if _, err := client.Attach(t.Context(), a.ref, key, broken); err == nil {
		t.Fatal("a broken signature is attached")
	}
	put(t, a, broken, attest.BundleType)
	attach(t, a, key, 1, good)
	read(t, a, 2)
}

// put attaches any bytes as a referrer with a single layer of the given type.
func put(t *testing.T, a *at, layer []byte, mediaType string) v1.Hash {
	t.Helper()
	subject, err := name.NewDigest(a.ref)
	expect.NoError(t, err)
	desc, err := remote.Head(subject)
	expect.NoError(t, err)
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.MediaType("application/vnd.oci.empty.v1+json")), types.OCIManifestSchema1)
	img, err = mutate.AppendLayers(img, static.NewLayer(layer, types.MediaType(mediaType)))
	expect.NoError(t, err)
	img = mutate.Subject(img, *desc).(v1.Image)
	h, err := img.Digest()
	expect.NoError(t, err)
	expect.NoError(t, remote.Write(subject.Context().Digest(h.String()), img))
	return h
}

func TestReadLeavesOutOtherReferrers(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, a *at) {
		put(t, a, []byte("a signature of another kind"), "application/pgp-signature")
		key := signed.Key(t)
		attach(t, a, key, 1, signed.Bundle(t, key, a.digest, attest.PredicateSignature, nil))
		read(t, a, 1)
	})
}

func TestReadRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	notStatement := func(t *testing.T, a *at) []byte {
		good := signed.Bundle(t, signed.Key(t), a.digest, attest.PredicateSignature, nil)
		return signed.Edit(t, good, base64.StdEncoding.EncodeToString([]byte(`{"_type":"x"}`)), "dsseEnvelope", "payload")
	}
	tests := map[string]struct {
		layer func(t *testing.T, a *at) []byte
		want  string
	}{
		"truncated": {func(t *testing.T, a *at) []byte {
			return signed.Bundle(t, signed.Key(t), a.digest, attest.PredicateSignature, nil)[:200]
		}, "not a sigstore bundle"},
		"no JSON":      {func(*testing.T, *at) []byte { return []byte("<html>") }, "not a sigstore bundle"},
		"no statement": {notStatement, `statement of type "x"`},
		"a version to come": {func(*testing.T, *at) []byte {
			return []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.9+json"}`)
		}, "not a sigstore bundle"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newRegistry(t, true)
			h := put(t, a, tc.layer(t, a), attest.BundleType)
			attached, err := client.Read(t.Context(), a.ref)
			expect.Error(t, err, tc.want)
			expect.Error(t, err, h.String())
			if fault.KindOf(err) != fault.Undetermined || attached != nil {
				t.Errorf("kind %v, %d attached beside the error", fault.KindOf(err), len(attached))
			}
		})
	}
}

// What is more than a job can hold is not read, so that nobody ends the job by attaching it; and never reads as nothing.
func TestReadStopsAtItsLimit(t *testing.T) {
	t.Parallel()
	a := newRegistry(t, true)
	subject, err := name.NewDigest(a.ref)
	expect.NoError(t, err)
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%[1]q,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%[2]q,"size":2},`+
		`"layers":[{"mediaType":%[3]q,"digest":%[2]q,"size":%[4]d}],"subject":{"mediaType":%[1]q,"digest":%[5]q,"size":1}}`,
		types.OCIManifestSchema1, otherDigest, attest.BundleType, 257<<20, a.digest)
	h, _, err := v1.SHA256(strings.NewReader(manifest))
	expect.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, a.url+"/v2/"+subject.Context().RepositoryStr()+"/manifests/"+h.String(), strings.NewReader(manifest))
	expect.NoError(t, err)
	req.Header.Set("Content-Type", string(types.OCIManifestSchema1))
	resp, err := http.DefaultClient.Do(req)
	expect.NoError(t, err)
	expect.NoError(t, resp.Body.Close())
	attached, err := client.Read(t.Context(), a.ref)
	expect.Error(t, err, "more than 256 MiB of evidence")
	if fault.KindOf(err) != fault.Undetermined || attached != nil {
		t.Errorf("%v, %d attached", err, len(attached))
	}
}

// A registry that answers badly must never make evidence look absent.
func TestReadWhenTheRegistryFails(t *testing.T) {
	t.Parallel()
	answer := func(part string, status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, part) {
				return false
			}
			w.WriteHeader(status)
			return true
		}
	}
	cut := func(part string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, part) {
				return false
			}
			w.Header().Set("Content-Length", "5000")
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			_, _ = w.Write([]byte(`{"schemaVersion":2,"mani`))
			return true
		}
	}
	page := func(contentType, link, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Link", link)
			_, _ = fmt.Fprint(w, body)
			return true
		}
	}
	index := string(types.OCIImageIndex)
	tests := map[string]struct {
		change func(http.ResponseWriter, *http.Request) bool
		want   string
	}{
		"list 500":           {answer("/referrers/", 500), ": 500 "},
		"list 403":           {answer("/referrers/", 403), ": 403 "},
		"blob 404":           {answer("/blobs/", 404), ": 404 "},
		"blob 503":           {answer("/blobs/", 503), ": 503 "},
		"ping 503":           {answer("/v2/", 503), ": 503 "},
		"list cut off":       {cut("/referrers/"), "unexpected EOF"},
		"blob cut off":       {cut("/blobs/"), "unexpected EOF"},
		"list of no type":    {page("text/html", "", "<html>"), "came as"},
		"list that is none":  {page(index, "", `[]`), "list of referrers"},
		"list of version 1":  {page(index, "", `{"schemaVersion":1}`), "not an OCI image index"},
		"next page far away": {page(index, `<https://elsewhere.example/v2/>; rel="next"`, `{"schemaVersion":2}`), "another host"},
		"pages without end":  {page(index, `</v2/acme/checkout/referrers/x>; rel="next"`, `{"schemaVersion":2,"manifests":[]}`), "empty page"},
		"listed, not there": {page(index, "", `{"schemaVersion":2,"manifests":[{"digest":"`+otherDigest+`","size":1,"mediaType":"application/vnd.oci.image.manifest.v1+json"}]}`),
			": 404 "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newRegistry(t, true)
			key := signed.Key(t)
			attach(t, a, key, 1, signed.Bundle(t, key, a.digest, attest.PredicateSignature, nil))
			a.change = tc.change
			_, err := client.Read(t.Context(), a.ref)
			expect.Error(t, err, tc.want)
			if fault.KindOf(err) != fault.Undetermined {
				t.Errorf("kind %v, expected undetermined", fault.KindOf(err))
			}
			if _, err := client.Attach(t.Context(), a.ref, key, signed.Bundle(t, key, a.digest, attest.PredicateSBOM, nil)); err == nil {
				t.Error("something was attached, though what is there could not be read")
			}
		})
	}
}

// An outage that passes is not seen.
func TestReadTriesAgain(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, a *at) {
		failures := 2
		a.change = func(w http.ResponseWriter, r *http.Request) bool {
			if failures == 0 || !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			failures--
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		read(t, a, 0)
		if failures != 0 {
			t.Errorf("%d failures were not met", failures)
		}
	})
}

func TestReadFollowsPages(t *testing.T) {
	t.Parallel()
	a := newRegistry(t, true)
	key := signed.Key(t)
	attach(t, a, key, 3, signed.Bundle(t, key, a.digest, attest.PredicateSignature, nil),
		signed.Bundle(t, key, a.digest, attest.PredicateSBOM, nil), signed.Bundle(t, key, a.digest, attest.PredicateProvenance, nil))
	all := rawList(t, a)
	a.change = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		n := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("last"), &n)
		if n+1 < len(all.Manifests) {
			w.Header().Set("Link", fmt.Sprintf(`<%s?last=%d>; rel="next"`, r.URL.Path, n+1))
		}
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		_ = json.NewEncoder(w).Encode(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: all.Manifests[n : n+1]})
		return true
	}
	read(t, a, 3)
}

func rawList(t *testing.T, a *at) v1.IndexManifest {
	t.Helper()
	var index v1.IndexManifest
	expect.NoError(t, json.Unmarshal(get(t, a.url+"/v2/acme/checkout/referrers/"+a.digest), &index))
	return index
}

func TestRegistryThatIsNotThere(t *testing.T) {
	t.Parallel()
	if _, err := client.Read(t.Context(), "127.0.0.1:1/acme/checkout@"+otherDigest); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("registry down gives %v", err)
	}
	a := newRegistry(t, true)
	_, err := client.Read(t.Context(), strings.Replace(a.ref, a.digest, otherDigest, 1))
	expect.Error(t, err, ": 404 ")
	if fault.KindOf(err) != fault.Undetermined {
		t.Errorf("an image that is not there gives kind %v", fault.KindOf(err))
	}
	for _, ref := range []string{"", "checkout:latest", "acme/checkout@sha256:abc"} {
		if _, err := client.Read(t.Context(), ref); fault.KindOf(err) != fault.BadInput {
			t.Errorf("%q gives %v", ref, err)
		}
	}
}

// The wait between attempts ends with the context.
func TestCancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	a := newRegistry(t, true)
	ctx, cancel := context.WithCancel(t.Context())
	a.change = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		cancel()
		return true
	}
	waits := referrers.Registry{Wait: func(ctx context.Context, _ time.Duration) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	if _, err := waits.Read(ctx, a.ref); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
