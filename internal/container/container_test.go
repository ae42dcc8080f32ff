package container_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/idp/internal/container"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func inputs(t *testing.T) container.Inputs {
	t.Helper()
	return container.Inputs{Out: filepath.Join(t.TempDir(), "out"), LayoutDir: "image", SPDXFile: "sbom.spdx.json", Temp: t.TempDir(), Time: time.Unix(1700000000, 0)}
}

func deps() container.Deps { return container.Deps{Images: oci.Client{}, Environ: os.Environ()} }

// imageFor is an image for linux and the architecture.
func imageFor(t *testing.T, arch string) v1.Image {
	t.Helper()
	img, err := random.Image(512, 2)
	check(t, err)
	config, err := img.ConfigFile()
	check(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	img, err = mutate.ConfigFile(img, config)
	check(t, err)
	return img
}

func digest(t *testing.T, of interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	h, err := of.Digest()
	check(t, err)
	return h.String()
}

const (
	spdxType       = "https://spdx.dev/Document"
	provenanceType = "https://slsa.dev/provenance/v1"
	spdx           = `{"spdxVersion":"SPDX-2.3","packages":[{"name":"busybox"},{"name":"musl"}]}`
)

// attestation is a manifest as BuildKit's documents say:
// https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
func attestation(t *testing.T, predicates map[string]string) v1.Image {
	t.Helper()
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	for kind, predicate := range predicates {
		layer := static.NewLayer([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"`+kind+`","predicate":`+predicate+`}`), "application/vnd.in-toto+json")
		var err error
		img, err = mutate.Append(img, mutate.Addendum{Layer: layer, MediaType: "application/vnd.in-toto+json",
			Annotations: map[string]string{"in-toto.io/predicate-type": kind}})
		check(t, err)
	}
	return img
}

// built is an index as BuildKit makes it: images, and behind them what it says of each.
func built(t *testing.T, images map[string]v1.Image, predicates func(arch string) map[string]string) v1.ImageIndex {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, arch := range []string{"amd64", "arm64"} {
		img, ok := images[arch]
		if !ok {
			continue
		}
		index = mutate.AppendManifests(index,
			mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}},
			mutate.IndexAddendum{Add: attestation(t, predicates(arch)), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"},
				Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest(t, img)}}})
	}
	return index
}

func saved(t *testing.T, content any) string {
	t.Helper()
	dir := t.TempDir()
	l, err := layout.Write(dir, empty.Index)
	check(t, err)
	switch c := content.(type) {
	case v1.Image:
		check(t, l.AppendImage(c))
	case v1.ImageIndex:
		check(t, l.AppendIndex(c))
	}
	return dir
}

func fails(t *testing.T, in container.Inputs, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Errorf("%v, want kind %d", err, kind)
		return
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
	if entries, _ := os.ReadDir(in.Out); len(entries) > 0 {
		t.Errorf("%s was left in the output folder", entries[0].Name())
	}
}

// TestImage: the same image from a registry, a layout and archives has the same digest, and what the evidence says is what was taken.
func TestImage(t *testing.T) {
	t.Parallel()
	img := imageFor(t, "amd64")
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repo := strings.TrimPrefix(server.URL, "http://") + "/acme/checkout"
	tag, err := name.NewTag(repo + ":v1")
	check(t, err)
	check(t, remote.Write(tag, img))
	docker := filepath.Join(t.TempDir(), "docker.tar")
	check(t, tarball.WriteToFile(docker, tag, img))
	manifest, err := img.Manifest()
	check(t, err)
	for from, origin := range map[string]string{
		repo + "@" + digest(t, img): repo + "@" + digest(t, img),
		saved(t, img):               "",
		docker:                      "docker.tar",
	} {
		in := inputs(t)
		in.Image = from
		out, err := container.Run(t.Context(), in, deps())
		check(t, err)
		if origin == "" {
			origin = filepath.Base(from)
		}
		want := record.Build{Platform: "linux/amd64", Size: manifest.Layers[0].Size + manifest.Layers[1].Size, Layout: filepath.Join(in.Out, "image"),
			Type: "elsewhere", Origin: origin, Digest: digest(t, img)}
		if from == docker { // docker save keeps layers uncompressed, so what it holds is another manifest
			want.Digest, want.Size = out.Evidence.Digest, out.Evidence.Size
		}
		if diff := cmp.Diff(want, out.Evidence); diff != "" {
			t.Errorf("%s (-want +got):\n%s", from, diff)
		}
		if found, err := oci.Inspect(out.Evidence.Layout); err != nil || found.Digest != out.Evidence.Digest {
			t.Errorf("the layout has %+v, %v", found, err)
		}
		if !strings.HasSuffix(out.Summary, "built elsewhere, for linux/amd64, without an SBOM") {
			t.Errorf("summary %q", out.Summary)
		}
	}
}

// said is SBOM and base images, in both versions of SLSA's form.
func said(arch string) map[string]string {
	if arch == "amd64" {
		return map[string]string{spdxType: spdx, provenanceType: `{"buildDefinition":{"resolvedDependencies":[{"uri":"pkg:docker/alpine@3","digest":{"sha256":"ab"}}]}}`}
	}
	return map[string]string{"https://slsa.dev/provenance/v0.2": `{"materials":[{"uri":"pkg:docker/alpine@3","digest":{"sha256":"cd"}},{"uri":"https://bot:hunter2@example.com/x.tar"}]}`}
}

// TestWhatBuildKitSays: an SBOM that came with the image is taken, what it was built on is not, and the index stays as it is.
func TestWhatBuildKitSays(t *testing.T) {
	t.Parallel()
	images := map[string]v1.Image{"amd64": imageFor(t, "amd64"), "arm64": imageFor(t, "arm64")}
	index := built(t, images, said)
	in := inputs(t)
	in.Image, in.Platform = saved(t, index), "linux/arm64,linux/amd64"
	out, err := container.Run(t.Context(), in, deps())
	check(t, err)
	e := out.Evidence
	if e.Digest != digest(t, index) || e.Platform != "linux/amd64,linux/arm64" || len(e.Images) != 2 || e.SPDX != "" {
		t.Errorf("%+v", e)
	}
	file := filepath.Join(in.Out, "sbom-linux-amd64.spdx.json")
	if data, err := os.ReadFile(file); err != nil || string(data) != spdx || e.Images[0].SPDX != file || e.Images[0].Components != 2 || e.Images[1].SPDX != "" {
		t.Errorf("%s, %v, %+v", data, err, e.Images)
	}
	if e.Materials != nil { // who built it elsewhere says so, and nobody signed that
		t.Errorf("materials %v", e.Materials)
	}
	if !strings.HasSuffix(out.Summary, "with an SBOM for 1 of 2 platforms") {
		t.Errorf("summary %q", out.Summary)
	}
}

// Of an index around one image, which is what BuildKit makes for one platform, what is said of the image is said of the index.
func TestIndexOfOne(t *testing.T) {
	t.Parallel()
	in := inputs(t)
	in.Image = saved(t, built(t, map[string]v1.Image{"arm64": imageFor(t, "arm64")}, func(string) map[string]string { return map[string]string{spdxType: spdx} }))
	out, err := container.Run(t.Context(), in, deps())
	check(t, err)
	file := filepath.Join(in.Out, "sbom.spdx.json")
	if e := out.Evidence; e.SPDX != file || e.Images[0].SPDX != file || e.SPDXDigest == "" || e.Platform != "linux/arm64" {
		t.Errorf("%+v", e)
	}
}

func TestImageThatCannotBeTaken(t *testing.T) {
	t.Parallel()
	one := map[string]v1.Image{"amd64": imageFor(t, "amd64")}
	nothing := func(string) map[string]string { return nil }
	changed := saved(t, one["amd64"])
	layers, err := one["amd64"].Layers()
	check(t, err)
	check(t, os.WriteFile(filepath.Join(changed, "blobs", "sha256", strings.TrimPrefix(digest(t, layers[0]), "sha256:")), []byte("other"), 0o600))
	text := filepath.Join(t.TempDir(), "text")
	check(t, os.WriteFile(text, []byte("no archive"), 0o600))
	lying := v1.ImageIndex(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: one["amd64"], Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}}))
	statementsOnly := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: attestation(t, map[string]string{spdxType: spdx}),
		Descriptor: v1.Descriptor{Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"}}})
	for name, c := range map[string]struct {
		image, words string
		kind         fault.Kind
	}{
		"a tag":                        {"ghcr.io/acme/checkout:v1", "by digest", fault.BadInput},
		"credentials":                  {"bot:hunter2@ghcr.io/acme/checkout@sha256:" + strings.Repeat("0", 64), "docker login", fault.BadInput},
		"a folder without an image":    {t.TempDir(), "not an OCI image layout", fault.BadInput},
		"a file that is no archive":    {text, "is not a tar archive of an image", fault.BadInput},
		"a changed layer":              {changed, "cannot be read whole", fault.BadInput},
		"listed for another platform":  {saved(t, lying), "is for linux/amd64 and listed for linux/arm64", fault.BadInput},
		"no platform":                  {saved(t, empty.Image), "does not say for which platform", fault.BadInput},
		"statements and no image":      {saved(t, statementsOnly), "no image that can be run", fault.BadInput},
		"an SBOM that cannot be read":  {saved(t, built(t, one, func(string) map[string]string { return map[string]string{spdxType: `"x"`} })), "cannot be read", fault.BadInput},
		"an SBOM of another kind":      {saved(t, built(t, one, func(string) map[string]string { return map[string]string{spdxType: `{}`} })), "no SPDX 2 document", fault.BadInput},
		"provenance that is no object": {saved(t, built(t, one, func(string) map[string]string { return map[string]string{provenanceType: `[]`} })), "cannot be read", fault.BadInput},
		"a registry that is not there": {"127.0.0.1:1/a@sha256:" + strings.Repeat("0", 64), "127.0.0.1:1", fault.Undetermined},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, d := inputs(t), deps()
			d.Images = oci.Client{Wait: func(context.Context, time.Duration) error { return nil }}
			in.Image = c.image
			_, err := container.Run(t.Context(), in, d)
			fails(t, in, err, c.kind, c.words)
		})
	}
	in := inputs(t)
	in.Image, in.Platform = saved(t, built(t, one, nothing)), "linux/s390x"
	_, err = container.Run(t.Context(), in, deps())
	fails(t, in, err, fault.BadInput, "the image is for linux/amd64, not for linux/s390x", "--platform linux/amd64")
}

func TestDockerfileInputs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set   func(*container.Inputs)
		words string
	}{
		"a way out":           {func(in *container.Inputs) { in.Dockerfile = "../Dockerfile" }, "not a file below"},
		"an absolute path":    {func(in *container.Inputs) { in.Dockerfile = "/etc/passwd" }, "not a file below"},
		"a line break":        {func(in *container.Inputs) { in.Dockerfile = "a\nb" }, "not a file below"},
		"args without a file": {func(in *container.Inputs) { in.BuildArgs = []string{"A=b"} }, "none is given"},
		"no value":            {func(in *container.Inputs) { in.Dockerfile, in.BuildArgs = "Dockerfile", []string{"A"} }, "not NAME=VALUE"},
		"no name":             {func(in *container.Inputs) { in.Dockerfile, in.BuildArgs = "Dockerfile", []string{"=hunter2"} }, "not NAME=VALUE"},
		"a secret argument":   {func(in *container.Inputs) { in.Dockerfile, in.BuildArgs = "Dockerfile", []string{"npm_token=hunter2"} }, "--build-secrets npm_token"},
		"a secret's name": {func(in *container.Inputs) {
			in.Dockerfile, in.BuildSecrets = "Dockerfile", []string{"a,src=/etc/shadow"}
		}, "no name of a variable"},
		"no such secret": {func(in *container.Inputs) { in.Dockerfile, in.BuildSecrets = "Dockerfile", []string{"NOT_SET_AT_ALL"} }, "the environment does not have"},
		"both":           {func(in *container.Inputs) { in.Dockerfile, in.Image = "Dockerfile", "x" }, "either the image is there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputs(t)
			c.set(&in)
			_, err := container.Run(t.Context(), in, deps())
			fails(t, in, err, fault.BadInput, c.words)
		})
	}
}

// docker is a program of that name that is no docker: it says what it was called with, and ends as it is told.
func docker(t *testing.T, script string) []string {
	t.Helper()
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n[ \"$2\" = version ] && { echo 'github.com/docker/buildx v0.38.2 abc'; exit 0; }\n"+script), 0o755)) // #nosec G306 -- it is run
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return []string{"PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + dir, "SECRET_THING=hunter2", "GITHUB_TOKEN=hunter2-too"}
}

// commit writes the files as those of the commit.
func commit(files map[string]string) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		for name, text := range files {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if to, ok := strings.CutPrefix(text, "-> "); ok {
				if err := os.Symlink(to, path); err != nil {
					return err
				}
				continue
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestDockerIsCalled: with the commit's files alone, an environment without tokens, and names that stay what they are.
func TestDockerIsCalled(t *testing.T) {
	log := filepath.Join(t.TempDir(), "called")
	in := inputs(t)
	in.Out = filepath.Join(t.TempDir(), "a,b") // buildx takes commas apart
	in.Dockerfile, in.Path, in.Platform = "build/Dockerfile", "svc", "linux/amd64,linux/arm64"
	in.BuildArgs, in.BuildSecrets, in.Scanner = []string{"VARIANT=slim, or not"}, []string{"SECRET_THING"}, "ghcr.io/acme/scanner@sha256:ab"
	image := saved(t, built(t, map[string]v1.Image{"amd64": imageFor(t, "amd64"), "arm64": imageFor(t, "arm64")}, said))
	d := deps()
	d.Environ = docker(t, fmt.Sprintf("{ for a; do printf '%%s\\n' \"$a\"; done; env; ls; } > %s\nfor a; do case $a in --output=*) dest=${a#*dest=}; dest=${dest%%%%\\\"*}; cp -r %s \"$dest\";; esac; done\n", log, image))
	d.Source = commit(map[string]string{"svc/build/Dockerfile": "FROM scratch\n", "svc/main.py": "", "other/x": ""})
	out, err := container.Run(t.Context(), in, d)
	check(t, err)
	data, err := os.ReadFile(log)
	check(t, err)
	text := "\n" + string(data)
	for _, want := range []string{"\nbuildx\nbuild\n", "\n--platform=linux/amd64,linux/arm64\n", "\n--provenance=mode=min\n", "tar=false,rewrite-timestamp=true\n",
		"\n--attest=type=sbom,generator=ghcr.io/acme/scanner@sha256:ab\n", "\n--build-arg=VARIANT=slim, or not\n", "\n--secret=id=SECRET_THING,env=SECRET_THING\n",
		"\nSECRET_THING=hunter2\n", "\nSOURCE_DATE_EPOCH=1700000000\n", "\nbuild\nmain.py\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "hunter2-too") {
		t.Error("a token of the CI reached docker")
	}
	want := []record.Material{{URI: "pkg:docker/alpine@3", Sum: "sha256:ab"}, {URI: "pkg:docker/alpine@3", Sum: "sha256:cd"}, {URI: "https://example.com/x.tar"}}
	if diff := cmp.Diff(want, out.Evidence.Materials); diff != "" {
		t.Errorf("materials (-want +got):\n%s", diff)
	}
	e, err := json.Marshal(out.Evidence)
	check(t, err)
	if s := string(e); strings.Contains(s, "hunter2") || strings.Contains(s, "slim") || !strings.Contains(s, "--build-arg=VARIANT") ||
		out.Evidence.Type != "dockerfile" || out.Evidence.Origin != "build/Dockerfile" || out.Tool.Version != "v0.38.2" {
		t.Errorf("%s %+v", s, out.Tool)
	}
}

func TestDockerfileThatIsNotBuilt(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		files  map[string]string
		kind   fault.Kind
		words  []string
	}{
		"not in the commit": {"exit 0", nil, fault.BadInput, []string{"the commit does not have"}},
		"a link out":        {"exit 0", map[string]string{"Dockerfile": "-> /etc/hostname"}, fault.BadInput, []string{"leads out"}},
		"a folder":          {"exit 0", map[string]string{"Dockerfile/x": ""}, fault.BadInput, []string{"is no file"}},
		"it fails":          {"echo 'step 3' >&2; echo 'RUN failed with hunter2' >&2; exit 1", map[string]string{"Dockerfile": ""}, fault.Undetermined, []string{"Dockerfile does not build: RUN failed with ***", "step 3"}},
		"the wrong driver":  {"echo 'ERROR: OCI exporter is not supported for the docker driver.' >&2; exit 1", map[string]string{"Dockerfile": ""}, fault.Undetermined, []string{"docker/setup-buildx-action"}},
		"it makes nothing":  {"exit 0", map[string]string{"Dockerfile": ""}, fault.BadInput, []string{"not an OCI image layout"}},
	} {
		t.Run(name, func(t *testing.T) {
			in, d := inputs(t), deps()
			in.Dockerfile, in.BuildSecrets, in.Platform = "Dockerfile", []string{"SECRET_THING"}, "linux/amd64"
			d.Environ, d.Source = docker(t, c.script), commit(c.files)
			if c.files == nil {
				in.Path = "svc"
			}
			_, err := container.Run(t.Context(), in, d)
			fails(t, in, err, c.kind, c.words...)
		})
	}
	in, d := inputs(t), deps()
	in.Dockerfile, d.Source = "Dockerfile", func(context.Context, string) error { return errors.New("git broke") }
	d.Environ = docker(t, "exit 0")
	_, err := container.Run(t.Context(), in, d)
	fails(t, in, err, fault.Undetermined, "git broke")
}
