package referrers_test

import (
	"context"
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

	"github.com/org/idp/internal/referrers"
	"github.com/org/idp/internal/testkit/expect"
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
	expect.NoError(t, err)
	tag, err := name.ParseReference(repo + ":base")
	expect.NoError(t, err)
	expect.NoError(t, remote.Write(tag, img))
	h, err := img.Digest()
	expect.NoError(t, err)
	a.digest, a.ref = h.String(), repo+"@"+h.String()
	return a
}

// client does not pause between attempts.
var client = referrers.Registry{Wait: func(context.Context, time.Duration) error { return nil }}

func file(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cosign.pub")
	expect.NoError(t, os.WriteFile(path, data, 0o644))
	return path
}

var otherDigest = "sha256:" + strings.Repeat("a", 64)
