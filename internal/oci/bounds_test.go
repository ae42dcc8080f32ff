package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/idp/internal/fault"
)

func TestBounds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files int
		size  int
		fits  bool
	}{
		"fits":           {2, 5, true},
		"too many files": {3, 1, false},
		"too many bytes": {2, 6, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			w := tar.NewWriter(&out)
			for i := range c.files {
				h := tar.Header{Name: strings.Repeat("x", i+1), Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(c.size)}
				if err := w.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write(make([]byte, c.size)); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			x, err := newExtractor(filepath.Join(t.TempDir(), "root"), bounds{bytes: 10, entries: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = x.Close() }()
			err = x.layer(t.Context(), bytes.NewReader(out.Bytes()))
			if (err == nil) != c.fits || err != nil && !strings.Contains(err.Error(), "too large") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestFetchStopsAtItsLimit(t *testing.T) {
	t.Parallel()
	layer, err := random.Layer(10_000, types.OCILayer)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "layer"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	err = fetch(t.Context(), layer, file, 100)
	info, statErr := file.Stat()
	if err == nil || fault.KindOf(err) != fault.Undetermined || statErr != nil || info.Size() > 101 {
		t.Errorf("%v after %d bytes, %v", err, info.Size(), statErr)
	}
}

func TestStall(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
		}
		<-release
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	client := http.Client{Transport: watched{inner: http.DefaultTransport, idle: 50 * time.Millisecond}}
	for _, path := range []string{"/header", "/body"} {
		resp, err := client.Get(s.URL + path)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		var silent stalled
		if !errors.As(err, &silent) || silent.Error() != "no data for 50ms" || !temporary(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
