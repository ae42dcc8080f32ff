package build_test

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/org/idp/internal/build"
)

// opened is the image of a layout, and the text of its files by "mode name".
func opened(t *testing.T, dir string) (v1.Image, []map[string]string) {
	t.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("%+v, %v", manifest, err)
	}
	img, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]string
	for _, l := range layers {
		all = append(all, files(t, l))
	}
	return img, all
}

func files(t *testing.T, l v1.Layer) map[string]string {
	t.Helper()
	in, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != 0 || h.Uid != 0 || h.Gid != 0 || h.Uname != "" {
			t.Errorf("%s carries %v %d:%d %s", h.Name, h.ModTime, h.Uid, h.Gid, h.Uname)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprintf("%o %s", h.Mode, h.Name)] = string(data)
	}
}

func TestImage(t *testing.T) {
	t.Parallel()
	in := inputs(t, write(t, t.TempDir(), plain()))
	out, err := build.Run(t.Context(), in, deps())
	if err != nil {
		t.Fatal(err)
	}
	img, layers := opened(t, filepath.Join(in.Out, build.LayoutDir))
	if digest, err := img.Digest(); err != nil || digest.String() != out.Evidence.Digest {
		t.Errorf("digest %s, evidence %s, %v", digest, out.Evidence.Digest, err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.MediaType != types.OCIManifestSchema1 || manifest.Config.MediaType != types.OCIConfigJSON || manifest.Layers[0].MediaType != types.OCILayer {
		t.Errorf("media types of %+v", manifest)
	}
	if got := manifest.Layers[0].Size + manifest.Layers[1].Size; got != out.Evidence.Size {
		t.Errorf("layers have %d bytes, evidence says %d", got, out.Evidence.Size)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{User: "65532:65532", Entrypoint: []string{"/app/plain"}, WorkingDir: "/",
		Env:          []string{"PATH=/app", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "plain",
			"org.opencontainers.image.source":   "https://github.com/acme/plain",
			"org.opencontainers.image.revision": commit,
			"org.opencontainers.image.version":  "v1.2.3",
			"org.opencontainers.image.created":  "2026-03-01T11:30:00Z",
		}}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if config.OS != "linux" || config.Architecture != runtime.GOARCH || !config.Created.Equal(when) {
		t.Errorf("%s/%s of %v", config.OS, config.Architecture, config.Created)
	}
	if len(layers) != 2 || len(layers[0]) != 7 || len(layers[1]) != 2 {
		t.Fatalf("layers %v", layers)
	}
	for _, name := range []string{"1777 tmp/", "644 etc/passwd", "644 etc/group"} {
		if _, ok := layers[0][name]; !ok {
			t.Errorf("the base layer has no %s", name)
		}
	}
	if !strings.HasPrefix(layers[1]["755 app/plain"], "\x7fELF") {
		t.Error("the program is no Linux program")
	}
	roots(t, layers[0]["644 etc/ssl/certs/ca-certificates.crt"])
}

// roots looks at the certificates as a TLS client would.
func roots(t *testing.T, text string) {
	t.Helper()
	var n int
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(bytes.TrimSpace(rest)) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Error(err)
		}
		n++
	}
	if n < 50 || !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
		t.Errorf("%d certificates", n)
	}
}

func TestSourceLabel(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), plain())
	for source, want := range map[string]string{
		"https://github.com/acme/plain.git":             "https://github.com/acme/plain",
		"https://bot:secret@git.example.org/acme/plain": "https://git.example.org/acme/plain",
		"ssh://git@git.example.org:2222/acme/plain.git": "https://git.example.org/acme/plain",
		"git@git.example.org:acme/plain.git":            "https://git.example.org/acme/plain",
		"/srv/git/plain.git":                            "acme/plain",
		"file:///srv/git/plain.git":                     "acme/plain",
		`C:\git\plain`:                                  "acme/plain",
		"":                                              "acme/plain",
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			in := inputs(t, dir)
			in.Source = source
			if _, err := build.Run(t.Context(), in, deps()); err != nil {
				t.Fatal(err)
			}
			img, _ := opened(t, filepath.Join(in.Out, build.LayoutDir))
			config, err := img.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if got := config.Config.Labels["org.opencontainers.image.source"]; got != want {
				t.Errorf("source %q, want %q", got, want)
			}
		})
	}
}

func TestPlatform(t *testing.T) {
	t.Parallel()
	in := inputs(t, write(t, t.TempDir(), plain()))
	in.Platform = runtime.GOOS + "/" + runtime.GOARCH
	out, err := build.Run(t.Context(), in, deps())
	if err != nil {
		t.Fatal(err)
	}
	img, _ := opened(t, filepath.Join(in.Out, build.LayoutDir))
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS+"/"+config.Architecture != in.Platform || out.Evidence.Platform != in.Platform {
		t.Errorf("%s/%s, evidence %s", config.OS, config.Architecture, out.Evidence.Platform)
	}
}
