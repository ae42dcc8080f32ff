package referrers_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
)

// A registry that wants to keep whoever reads it, to fill their memory or to send them somewhere is left, and what it would have listed
// is not known.
func TestHostileList(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	for range 64 {
		_, err := zip.Write(bytes.Repeat([]byte(" "), 1<<20))
		expect.NoError(t, err)
	}
	expect.NoError(t, zip.Close())
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}
	}
	for name, c := range map[string]struct {
		list http.HandlerFunc
		asks int64 // at most, with all attempts
		want string
	}{
		"pages for ever": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", fmt.Sprintf(`<%s?last=x>; rel="next"`, r.URL.Path))
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			page := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: make([]v1.Descriptor, 100)}
			for i := range page.Manifests {
				page.Manifests[i] = v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: 1 << 60, Digest: v1.Hash{Algorithm: "sha256", Hex: otherDigest[7:]}}
			}
			_ = json.NewEncoder(w).Encode(page)
		}, 11, "more than 1000 referrers"},
		"empty pages for ever": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", fmt.Sprintf(`<%s?last=x>; rel="next"`, r.URL.Path))
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			_, _ = fmt.Fprint(w, `{"schemaVersion":2}`)
		}, 1, "goes on after an empty page"},
		"gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, 1, "larger than 16 MiB"},
		"redirects for ever":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, 11, "stopped after 10 redirects"},
		"the cloud's metadata": {redirect("http://169.254.169.254/latest/meta-data/iam/security-credentials/"), 1, "refusing to be led to this machine, its link or the cloud's metadata"},
		"a file":               {redirect("file:///etc/passwd"), 1, "refusing plain HTTP"},
		"a page on another host": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `<https://evil.example/v2/x>; rel="next"`)
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			_, _ = fmt.Fprintf(w, `{"schemaVersion":2,"manifests":[{"digest":%q}]}`, otherDigest)
		}, 1, "on another host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newRegistry(t, true)
			var asked atomic.Int64
			a.change = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/referrers/") {
					return false
				}
				asked.Add(1)
				c.list(w, r)
				return true
			}
			attached, err := client.Read(t.Context(), a.ref)
			expect.Error(t, err, c.want)
			if fault.KindOf(err) != fault.Undetermined || attached != nil || asked.Load() > c.asks {
				t.Errorf("asked %d times, %d attached: %v", asked.Load(), len(attached), err)
			}
		})
	}
}

// A registry that answers a byte at a time, always in time, has no more time than any other.
func TestTricklingList(t *testing.T) {
	t.Parallel()
	a := newRegistry(t, true)
	a.change = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(" ")); err != nil {
				break
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
		return true
	}
	limited := referrers.Registry{Wait: client.Wait, Limits: oci.Limits{Stall: time.Minute, Budget: time.Second}}
	_, err := limited.Read(t.Context(), a.ref)
	expect.Error(t, err, "not done in the time that it has, 1s")
	if fault.KindOf(err) != fault.Undetermined {
		t.Errorf("%v", err)
	}
}

type login struct{}

func (login) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "ann", Password: "s3cr3t"}, nil
}

// Where a registry sends whoever reads a bundle, its credentials do not go; and what is there has to be the bundle.
func TestCredentialsDoNotFollowARedirect(t *testing.T) {
	t.Parallel()
	a, key := newRegistry(t, true), signed.Key(t)
	attach(t, a, key, 1, signed.Bundle(t, key, a.digest, attest.PredicateSignature, nil))
	var followed, told atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		followed.Add(1)
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
			told.Add(1)
		}
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(elsewhere.Close)
	a.change = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, elsewhere.URL+"/x", http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	registry := referrers.Registry{Keychain: login{}, Wait: func(context.Context, time.Duration) error { return nil }}
	attached, err := registry.Read(t.Context(), a.ref)
	if err == nil || fault.KindOf(err) != fault.Undetermined || attached != nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("%v, %d attached", err, len(attached))
	}
	if followed.Load() == 0 || told.Load() != 0 {
		t.Errorf("asked elsewhere %d times, %d times with credentials", followed.Load(), told.Load())
	}
}
