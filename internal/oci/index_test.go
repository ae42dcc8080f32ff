package oci_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
)

// joined is an index of images for linux and these architectures.
func joined(t *testing.T, images map[string]v1.Image) v1.ImageIndex {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for arch, img := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: runtime.GOOS, Architecture: arch}}})
	}
	return index
}

// savedIndex is a layout that holds an index.
func savedIndex(t *testing.T, index v1.ImageIndex) (dir, digest string) {
	t.Helper()
	dir = t.TempDir()
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil { // which the library leaves out for an empty index
		t.Fatal(err)
	}
	if err := l.AppendIndex(index); err != nil {
		t.Fatal(err)
	}
	h, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return dir, h.String()
}

func TestPushIndex(t *testing.T) {
	t.Parallel()
	mine, other := anImage(t), anImage(t)
	dir, want := savedIndex(t, joined(t, map[string]v1.Image{runtime.GOARCH: mine, "s390x": other}))
	c, repo := oci.Client{}, serve(t).Host()+"/acme/checkout"
	if err := c.Push(t.Context(), dir, repo, want); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{want, digest(t, mine), digest(t, other)} {
		resp, err := http.Get("http://" + strings.Replace(repo, "/acme", "/v2/acme", 1) + "/manifests/" + d)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s is not served: %s", d, resp.Status)
		}
	}
	// Of an index, what is run here is the image for this machine.
	got, err := c.Pull(t.Context(), repo+"@"+want)
	if err != nil || digest(t, got) != digest(t, mine) {
		t.Errorf("pulled %v, %v", got, err)
	}
	if err := c.Tag(t.Context(), repo, want, "main"); err != nil {
		t.Error(err)
	}
}

// A machine for which the index has no image gets none, rather than another one's.
func TestPullWithoutAnImageForThisMachine(t *testing.T) {
	t.Parallel()
	dir, want := savedIndex(t, joined(t, map[string]v1.Image{"s390x": anImage(t)}))
	c, repo := oci.Client{}, serve(t).Host()+"/a"
	if err := c.Push(t.Context(), dir, repo, want); err != nil {
		t.Fatal(err)
	}
	_, err := c.Pull(t.Context(), repo+"@"+want)
	fails(t, err, fault.Undetermined, runtime.GOOS+"/"+runtime.GOARCH)
}

func TestPushIndexRefuses(t *testing.T) {
	t.Parallel()
	host := serve(t).Host()
	nested, _ := savedIndex(t, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: joined(t, map[string]v1.Image{"amd64": anImage(t)})}))
	nothing, _ := savedIndex(t, empty.Index)
	img := anImage(t)
	changed, digestOfChanged := savedIndex(t, joined(t, map[string]v1.Image{"amd64": img}))
	blob := filepath.Join(changed, "blobs", "sha256", strings.TrimPrefix(digest(t, img), "sha256:"))
	if err := os.WriteFile(blob, []byte(`{"schemaVersion":2,"config":{},"layers":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, words string }{
		"an index in an index": {nested, "no image"},
		"no image":             {nothing, "has 0 images"},
		"a changed image":      {changed, "the layout was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			err := oci.Client{}.Push(t.Context(), c.dir, host+"/a", digestOfChanged)
			fails(t, err, fault.BadInput, c.words)
		})
	}
}

// Indexes that name each other twice, 60 deep, would be 2⁶⁰ copies; they are refused before the first.
func TestSaveRefusesIndexesInAnIndex(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	repo := strings.TrimPrefix(server.URL, "http://") + "/a"
	put := func(manifest, kind string) (digest string, size int) {
		h, _, err := v1.SHA256(strings.NewReader(manifest))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/v2/a/manifests/"+h.String(), strings.NewReader(manifest))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != http.StatusCreated {
			t.Fatal(resp.Status)
		}
		return h.String(), len(manifest)
	}
	const index = string(types.OCIImageIndex)
	digest, size := put(`{"schemaVersion":2,"mediaType":"`+index+`","manifests":[]}`, index)
	for range 60 {
		one := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, index, digest, size)
		digest, size = put(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s,%s]}`, index, one, one), index)
	}
	huge, _ := put(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`,
		types.OCIManifestSchema1, "sha256:"+strings.Repeat("a", 64), int64(1)<<40), string(types.OCIManifestSchema1))
	for digest, want := range map[string]string{digest: "and no image", huge: "has a configuration of 1099511627776 bytes"} {
		before := asked.Load()
		err := oci.Client{}.Save(t.Context(), repo+"@"+digest, filepath.Join(t.TempDir(), "image"))
		if err == nil || fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), want) || asked.Load()-before > 5 {
			t.Errorf("asked %d times: %v", asked.Load()-before, err)
		}
	}
	before := asked.Load()
	if _, err := (oci.Client{}).Pull(t.Context(), repo+"@"+huge); fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), "1099511627776 bytes") {
		t.Errorf("pulled after %d requests: %v", asked.Load()-before, err)
	}
}
