package build

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nonroot is the user that the service runs as, by the number that distroless images made common.
const nonroot = "65532:65532"

// image is an image, or an index of several, and what is known of it.
type image struct {
	content  interface{ Digest() (v1.Hash, error) } // v1.Image or v1.ImageIndex
	digest   string
	size     int64  // bytes of the compressed layers
	platform string // empty for an index
	program  program
}

// assemble puts the program on top of the few files that a Go service needs. The two are layers of their own, so that a
// new version of the service is one new layer.
func assemble(in Inputs, program string) (image, error) {
	base, err := layer(baseEntries())
	if err != nil {
		return image{}, err
	}
	binary, err := os.ReadFile(program) // #nosec G304 -- compiled here
	if err != nil {
		return image{}, err
	}
	entrypoint := "/app/" + path.Base(in.Service)
	if in.os() == "windows" {
		entrypoint += ".exe"
	}
	app, err := layer([]entry{{name: "app/", mode: 0o755}, {name: entrypoint[1:], mode: 0o755, data: binary}})
	if err != nil {
		return image{}, err
	}
	created := v1.Time{Time: in.Time.UTC()}
	img, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		mutate.Addendum{Layer: base, History: v1.History{Created: created, CreatedBy: "idp build", Comment: "users, certificates, /tmp"}},
		mutate.Addendum{Layer: app, History: v1.History{Created: created, CreatedBy: "idp build", Comment: entrypoint}})
	if err != nil {
		return image{}, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return image{}, err
	}
	config = config.DeepCopy()
	config.Created, config.OS, config.Architecture = created, in.os(), in.arch()
	config.Config = v1.Config{User: nonroot, Entrypoint: []string{entrypoint}, WorkingDir: "/", Labels: labels(in),
		Env: []string{"PATH=/app", "SSL_CERT_FILE=/" + certificates}}
	if in.Port > 0 {
		config.Config.ExposedPorts = map[string]struct{}{fmt.Sprintf("%d/tcp", in.Port): {}}
	}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return image{}, err
	}
	return measured(img)
}

func measured(img v1.Image) (image, error) {
	digest, err := img.Digest()
	if err != nil {
		return image{}, err
	}
	layers, err := img.Layers()
	if err != nil {
		return image{}, err
	}
	i := image{content: img, digest: digest.String()}
	for _, l := range layers {
		size, err := l.Size()
		if err != nil {
			return image{}, err
		}
		i.size += size
	}
	return i, nil
}

// labels are the OCI annotations that registries and scanners read:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md
func labels(in Inputs) map[string]string {
	all := map[string]string{"title": in.Service, "source": SourceURL(in.Source), "revision": in.Commit, "version": in.Version,
		"created": in.Time.UTC().Format(time.RFC3339)}
	if all["source"] == "" {
		all["source"] = in.Repository
	}
	prefixed := map[string]string{}
	for key, value := range all {
		if value != "" {
			prefixed["org.opencontainers.image."+key] = value
		}
	}
	return prefixed
}

// scp is git's short form of an SSH address.
var scp = regexp.MustCompile(`^(?:[^@/\\]+@)?([^:/\\]{2,}):([^\\]+)$`)

// SourceURL is the address for a browser of a remote, without credentials; empty for one on this machine.
func SourceURL(remote string) string {
	if m := scp.FindStringSubmatch(remote); m != nil && !strings.Contains(remote, "://") {
		remote = "https://" + m[1] + "/" + strings.TrimPrefix(m[2], "/")
	}
	u, err := url.Parse(remote)
	if err != nil || u.Host == "" {
		return ""
	}
	switch u.Scheme {
	case "http", "https":
	case "ssh", "git", "git+ssh":
		u.Scheme, u.Host = "https", u.Hostname()
	default:
		return ""
	}
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), ".git")}
	return clean.String()
}

// entry is a file of a layer, or a folder where the name ends in a slash.
type entry struct {
	name string
	mode int64
	data []byte
}

const certificates = "etc/ssl/certs/ca-certificates.crt"

func baseEntries() []entry {
	return []entry{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nnonroot:x:65532:\n")},
		{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n")},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: certificates, mode: 0o644, data: roots()},
		{name: "tmp/", mode: 0o1777},
	}
}

// roots is Mozilla's list as PEM. A PEM file can't carry the constraints that some roots have, so those stay out:
// trusting them without is more than Mozilla does.
func roots() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // to a buffer, which never fails
		}
	}
	return out.Bytes()
}

// layer makes a layer whose bytes depend on its entries alone: root owns all, and all is from the epoch.
func layer(entries []entry) (v1.Layer, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.data)), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}
