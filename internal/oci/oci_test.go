package oci_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
)

// impatient is a client that does not wait between attempts, and counts them.
func impatient(waits *int) oci.Client {
	return oci.Client{Wait: func(ctx context.Context, _ time.Duration) error { *waits++; return ctx.Err() }}
}

func serve(t *testing.T) *oci.Server {
	t.Helper()
	s, err := oci.Serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// saved is an OCI layout that holds the images.
func saved(t *testing.T, images ...v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range images {
		if err := l.AppendImage(img); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func anImage(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(2048, 2)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func fails(t *testing.T, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if got := fault.KindOf(err); got != kind {
		t.Errorf("kind %d, want %d: %v", got, kind, err)
	}
	text := strings.Join(fault.Lines(err), "\n")
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in:\n%s", w, text)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("a secret is shown:\n%s", text)
	}
}

func TestPushTagPull(t *testing.T) {
	t.Parallel()
	s, c, img := serve(t), oci.Client{}, anImage(t)
	repo := s.Host() + "/acme/checkout"
	got, err := push(t.Context(), c, saved(t, img), repo)
	if err != nil || got != digest(t, img) {
		t.Fatalf("pushed %s, want %s, %v", got, digest(t, img), err)
	}
	tags := func() string {
		resp, err := http.Get("http://" + s.Host() + "/v2/acme/checkout/tags/list")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if strings.Contains(tags(), "main") {
		t.Errorf("a push made a tag: %s", tags())
	}
	if err := c.Tag(t.Context(), repo, got, "main"); err != nil || !strings.Contains(tags(), `"main"`) {
		t.Errorf("tags %s, %v", tags(), err)
	}
	back, err := c.Pull(t.Context(), repo+"@"+got)
	if err != nil || digest(t, back) != got {
		t.Errorf("pulled %v, %v", back, err)
	}
	if _, err := push(t.Context(), c, saved(t, img), repo); err != nil {
		t.Errorf("the same again: %v", err)
	}
	resp, err := http.Get("http://" + s.Host() + "/v2/acme/checkout/referrers/" + got)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("referrers: %v, %v", resp, err)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	s, c, ctx := serve(t), oci.Client{}, t.Context()
	good := saved(t, anImage(t))
	push := func(dir, repo string) error { _, err := push(ctx, c, dir, repo); return err }
	pull := func(ref string) error { _, err := c.Pull(ctx, ref); return err }
	changed := saved(t, anImage(t))
	index, err := layout.ImageIndexFromPath(changed)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	blob := filepath.Join(changed, "blobs", "sha256", manifest.Manifests[0].Digest.Hex)
	if err := os.WriteFile(blob, []byte(`{"schemaVersion":2,"config":{},"layers":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err   error
		words string
	}{
		"no layout":        {push(t.TempDir(), s.Host()+"/a"), "not an OCI image layout"},
		"two images":       {push(saved(t, anImage(t), anImage(t)), s.Host()+"/a"), "exactly one image"},
		"no image":         {push(saved(t), s.Host()+"/a"), "exactly one image"},
		"changed manifest": {push(changed, s.Host()+"/a"), "layout was changed"},
		"no host":          {push(good, "checkout"), "HOST/REPOSITORY"},
		"a scheme":         {push(good, "https://ghcr.io/acme/checkout"), "HOST/REPOSITORY"},
		"credentials":      {push(good, "bot:hunter2@ghcr.io/acme/checkout"), "docker login"},
		"by tag":           {pull(s.Host() + "/a:latest"), "by digest"},
		"no digest":        {pull(s.Host() + "/a@sha256:12"), s.Host()},
		"pull credentials": {pull("bot:hunter2@ghcr.io/a@sha256:" + strings.Repeat("0", 64)), "docker login"},
		"a bad tag":        {oci.Client{}.Tag(ctx, s.Host()+"/a", "sha256:"+strings.Repeat("0", 64), "a b"), `"a b"`},
	} {
		t.Run(name, func(t *testing.T) { fails(t, c.err, fault.BadInput, c.words) })
	}
}

// front is a registry behind a handler that may answer first.
func front(t *testing.T, first func(w http.ResponseWriter, r *http.Request) (answered bool)) string {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !first(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestRefusedLogin(t *testing.T) {
	t.Parallel()
	for status, body := range map[int]string{
		http.StatusUnauthorized: `{"errors":[{"code":"UNAUTHORIZED","message":"who\n::set-output name=x::y"}]}`,
		http.StatusForbidden:    `denied`,
	} {
		var waits int
		host := front(t, func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		})
		c := impatient(&waits)
		c.Keychain = fixed{&authn.Basic{Username: "bot", Password: "hunter2"}}
		_, err := push(t.Context(), c, saved(t, anImage(t)), host+"/a")
		fails(t, err, fault.Undetermined, host, "docker login "+host)
		if waits != 0 {
			t.Errorf("%d: tried %d times more", status, waits)
		}
		for _, l := range fault.Lines(err) {
			if strings.HasPrefix(l, "::") {
				t.Errorf("the registry's words became a line: %q", l)
			}
		}
	}
}

type fixed struct{ authn.Authenticator }

func (f fixed) Resolve(authn.Resource) (authn.Authenticator, error) { return f.Authenticator, nil }

func TestCredentialsAreUsed(t *testing.T) {
	t.Parallel()
	host := front(t, func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, _ := r.BasicAuth(); user == "bot" && password == "hunter2" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	c := oci.Client{Keychain: fixed{&authn.Basic{Username: "bot", Password: "hunter2"}}}
	if _, err := push(t.Context(), c, saved(t, anImage(t)), host+"/a"); err != nil {
		t.Error(err)
	}
}

func TestRegistryThatRecovers(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	left := 3
	host := front(t, func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodGet && r.URL.Path == "/v2/" || left == 0 {
			return false
		}
		if left--; left == 1 {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	var waits int
	img := anImage(t)
	got, err := push(t.Context(), impatient(&waits), saved(t, img), host+"/a")
	if err != nil || got != digest(t, img) || waits == 0 {
		t.Errorf("%s after %d waits, %v", got, waits, err)
	}
}

func TestRegistryThatStaysBroken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ host, words string }{
		"refused": {"127.0.0.1:1", "connection refused"},
		"5xx": {front(t, func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}), "502 Bad Gateway"},
		"dies half-way": {front(t, func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch || r.Method == http.MethodPut {
				panic(http.ErrAbortHandler)
			}
			return false
		}), "cannot push to registry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var waits int
			_, err := push(t.Context(), impatient(&waits), saved(t, anImage(t)), c.host+"/a")
			fails(t, err, fault.Undetermined, c.host, c.words)
			if waits != 5 {
				t.Errorf("%d attempts after the first, want 5", waits)
			}
		})
	}
}

func TestRegistryThatServesSomethingElse(t *testing.T) {
	t.Parallel()
	other, err := anImage(t).RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	host := front(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
		_, _ = w.Write(other)
		return true
	})
	var waits int
	c := impatient(&waits)
	img := anImage(t)
	_, err = push(t.Context(), c, saved(t, img), host+"/a")
	fails(t, err, fault.Undetermined, host, digest(t, img))
	_, err = c.Pull(t.Context(), host+"/a@"+digest(t, img))
	fails(t, err, fault.Undetermined, host, digest(t, img))
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	host := serve(t).Host()
	none := "sha256:" + strings.Repeat("0", 64)
	_, err := oci.Client{}.Pull(t.Context(), host+"/a@"+none)
	fails(t, err, fault.Undetermined, host, "404")
	fails(t, oci.Client{}.Tag(t.Context(), host+"/a", none, "main"), fault.Undetermined, host, "404")
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	host := front(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch || r.Method == http.MethodPost {
			cancel()
			<-r.Context().Done()
		}
		return false
	})
	_, err := push(ctx, oci.Client{}, saved(t, anImage(t)), host+"/a")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestServerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := oci.Serve(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", s.Host())
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = l.Close()
}

// The library takes private addresses for plain HTTP, and so would send credentials over the wire in the clear.
func TestPlainHTTPIsForLoopback(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{"http://10.1.2.3:5000/v2/": false, "http://registry.localhost.example.com/v2/": false,
		"http://127.0.0.1:1/v2/": true, "http://[::1]:1/v2/": true, "http://localhost:1/v2/": true} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		registry, err := name.NewRegistry(req.URL.Host)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := oci.Transport(oci.Limits{}, registry).RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		if refused := err != nil && strings.Contains(err.Error(), "plain HTTP"); refused == ok {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func layerOf(t *testing.T, headers ...tar.Header) v1.Layer {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		text := []byte(h.Uname) // the tests' file content; headers carry no other text of their own
		h.Uname = ""
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(text))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text[:h.Size]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func imageOf(t *testing.T, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// push pushes the image that the layout lists.
func push(ctx context.Context, c oci.Client, dir, repo string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	var index v1.IndexManifest
	if err == nil {
		err = json.Unmarshal(data, &index)
	}
	digest := "sha256:" + strings.Repeat("0", 64)
	if err == nil && len(index.Manifests) > 0 {
		digest = index.Manifests[0].Digest.String()
	}
	return digest, c.Push(ctx, dir, repo, digest)
}

// What was built is what is pushed, or nothing.
func TestPushRefusesAnotherImage(t *testing.T) {
	t.Parallel()
	host, requests := counted(t)
	dir := saved(t, anImage(t))
	err := oci.Client{}.Push(t.Context(), dir, host+"/a", "sha256:"+strings.Repeat("ab", 32))
	if err == nil || !strings.Contains(err.Error(), "nothing was pushed") || fault.KindOf(err) != fault.Undetermined {
		t.Errorf("%v", err)
	}
	if n := requests(); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

// counted is a registry that counts what it is asked.
func counted(t *testing.T) (host string, requests func() int) {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		http.Error(w, "no", http.StatusTeapot)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), func() int { return int(n.Load()) }
}
