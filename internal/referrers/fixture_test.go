package referrers_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/referrers"
)

// modes are the two ways in which registries list referrers.
var modes = map[string]bool{"referrers API": true, "fallback tag": false}

// at is a registry with one image in it, whose answers a test may change.
type at struct {
	url, ref, digest string
	change           func(w http.ResponseWriter, r *http.Request) (done bool)
}

func newRegistry(t *testing.T, listed bool) *at {
	t.Helper()
	a := &at{}
	handler := registry.New(registry.WithReferrersSupport(listed), registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.change == nil || !a.change(w, r) {
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	a.url = server.URL
	repo := strings.TrimPrefix(server.URL, "http://") + "/acme/checkout"
	img, err := random.Image(256, 1)
	check(t, err)
	tag, err := name.ParseReference(repo + ":base")
	check(t, err)
	check(t, remote.Write(tag, img))
	h, err := img.Digest()
	check(t, err)
	a.digest, a.ref = h.String(), repo+"@"+h.String()
	return a
}

// client does not pause between attempts.
var client = referrers.Registry{Wait: func(context.Context, time.Duration) error { return nil }}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t *testing.T) *attest.Key {
	t.Helper()
	key, err := attest.GenerateKey()
	check(t, err)
	return key
}

func bundleOf(t *testing.T, key *attest.Key, digest, predicateType string, predicate any) []byte {
	t.Helper()
	s, err := attest.NewStatement(digest, predicateType, predicate)
	check(t, err)
	b, err := key.Sign(t.Context(), s)
	check(t, err)
	return b
}

// edit changes one field of a bundle's JSON, given as a path of keys.
func edit(t *testing.T, bundle []byte, value any, path ...string) []byte {
	t.Helper()
	var doc map[string]any
	check(t, json.Unmarshal(bundle, &doc))
	node := doc
	for _, k := range path[:len(path)-1] {
		node = node[k].(map[string]any)
	}
	node[path[len(path)-1]] = value
	data, err := json.Marshal(doc)
	check(t, err)
	return data
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, expected one with %q", part)
	}
	if !strings.Contains(err.Error(), part) {
		t.Fatalf("error %q, expected one with %q", err, part)
	}
}

func file(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cosign.pub")
	check(t, os.WriteFile(path, data, 0o644))
	return path
}

var otherDigest = "sha256:" + strings.Repeat("a", 64)
