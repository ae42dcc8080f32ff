//go:build e2e

package container_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/idp/internal/container"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/testkit/buildkit"
)

// tool is a program for the images of these tests: called as a step of a build it reads the secret, and as BuildKit's scanner
// it writes an SBOM, by the protocol in https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md
const tool = `package main

import ("fmt"; "os"; "path/filepath")

func main() {
	if dir := os.Getenv("BUILDKIT_SCAN_DESTINATION"); dir != "" {
		statement := ` + "`" + `{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":{"spdxVersion":"SPDX-2.3","packages":[{"name":"tool"}]}}` + "`" + `
		if err := os.WriteFile(filepath.Join(dir, "sbom.spdx.json"), []byte(statement), 0o644); err != nil { panic(err) }
		return
	}
	secret, err := os.ReadFile("/run/secrets/NPM_TOKEN")
	if err != nil { panic(err) }
	if err := os.WriteFile("/checked", []byte(fmt.Sprint(len(secret))), 0o644); err != nil { panic(err) }
}
`

// base is an image with the tool for this machine, in a registry.
func base(t *testing.T, host string) string {
	t.Helper()
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(tool), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/tool\n\ngo 1.26\n"), 0o600))
	cmd := exec.Command("go", "build", "-o", "tool", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile(filepath.Join(dir, "tool"))
	check(t, err)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	check(t, w.WriteHeader(&tar.Header{Name: "tool", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg}))
	_, err = w.Write(program)
	check(t, err)
	check(t, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
	check(t, err)
	img, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), l)
	check(t, err)
	config, err := img.ConfigFile()
	check(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config = "linux", runtime.GOARCH, v1.Config{Entrypoint: []string{"/tool"}}
	img, err = mutate.ConfigFile(img, config)
	check(t, err)
	ref := host + "/tool@" + digest(t, img)
	d, err := name.NewDigest(ref)
	check(t, err)
	check(t, remote.Write(d, img))
	return ref
}

// everything is all text of a layout, layers unpacked.
func everything(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	check(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if z, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			if data, err = io.ReadAll(z); err != nil {
				return err
			}
		}
		all.Write(data)
		return nil
	}))
	return all.String()
}

// TestBuildKit builds with a real BuildKit, through docker buildx: the commit's files on a base image, a secret, an argument, an
// SBOM by a scanner, and BuildKit's own provenance.
func TestBuildKit(t *testing.T) {
	environ := buildkit.Start(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	from := base(t, host)

	in, d := inputs(t), deps()
	in.Out = filepath.Join(t.TempDir(), "a, b")
	in.Dockerfile, in.Path, in.Platform, in.Scanner = "Dockerfile", "svc", "linux/"+runtime.GOARCH, from
	in.BuildArgs, in.BuildSecrets = []string{"VARIANT=not-for-provenance"}, []string{"NPM_TOKEN"}
	d.Environ = append(environ, "NPM_TOKEN=hunter2-hunter2", "GITHUB_TOKEN=of-the-job")
	d.Source = commit(map[string]string{"svc/hello.txt": "hello", "elsewhere.txt": "not of the service",
		"svc/Dockerfile": "FROM " + from + "\nARG VARIANT\nCOPY . /app/\nRUN --mount=type=secret,id=NPM_TOKEN [\"/tool\"]\nRUN --mount=type=secret,id=NPM_TOKEN,target=/run/secrets/NPM_TOKEN [\"/tool\"]\n"})
	out, err := container.Run(t.Context(), in, d)
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	e := out.Evidence
	if e.Type != "dockerfile" || len(e.Images) != 1 || e.Images[0].Platform != in.Platform || e.SPDX == "" || e.Components != 1 {
		t.Errorf("%+v", e)
	}
	_, hex, _ := strings.Cut(from, "@")
	found := false
	for _, m := range e.Materials {
		found = found || m.Sum == hex && strings.HasPrefix(m.URI, "pkg:docker/")
	}
	if !found {
		t.Errorf("base image %s is not in %+v", from, e.Materials)
	}
	layout := filepath.Join(in.Out, "image")
	kept, err := oci.Inspect(layout)
	check(t, err)
	kinds := map[string]string{}
	for _, a := range kept.Attestations {
		kinds[a.PredicateType] = string(a.Statement)
	}
	if kinds[provenanceType] == "" || kinds[spdxType] == "" {
		t.Errorf("BuildKit's statements are not kept: %v", kinds)
	}
	evidence, err := json.Marshal(e)
	check(t, err)
	for where, text := range map[string]string{"BuildKit's provenance": kinds[provenanceType], "the evidence": string(evidence)} {
		if strings.Contains(text, "not-for-provenance") {
			t.Errorf("the value of an argument is in %s:\n%s", where, text)
		}
	}
	all := everything(t, layout)
	for _, never := range []string{"hunter2", "of-the-job", "not of the service"} {
		if strings.Contains(all, never) {
			t.Errorf("%q is in the image", never)
		}
	}
	for _, always := range []string{"hello", "checked"} { // of the commit, and of the step that had the secret
		if !strings.Contains(all, always) {
			t.Errorf("%q is not in the image", always)
		}
	}

	// What was built can be pushed and read back whole.
	check(t, oci.Client{}.Push(t.Context(), layout, host+"/acme/checkout", e.Digest))
	in = inputs(t)
	in.Image = host + "/acme/checkout@" + e.Digest
	again, err := container.Run(t.Context(), in, deps())
	check(t, err)
	if again.Evidence.Digest != e.Digest || again.Evidence.SPDXDigest != e.SPDXDigest || again.Evidence.Type != "elsewhere" {
		t.Errorf("taken back: %+v", again.Evidence)
	}
	if other := everything(t, again.Evidence.Layout); !strings.Contains(other, "hello") {
		t.Error("the layers did not come back")
	}
}

// TestBuildKitForPlatforms: one index, in which each image has the statements that are about it.
func TestBuildKitForPlatforms(t *testing.T) {
	environ := buildkit.Start(t)
	in, d := inputs(t), deps()
	in.Dockerfile, in.Platform, in.Scanner = "Dockerfile", "linux/amd64,linux/arm64", "off"
	d.Environ = environ
	d.Source = commit(map[string]string{"Dockerfile": "FROM scratch\nCOPY hello.txt /\n", "hello.txt": "hello"})
	out, err := container.Run(t.Context(), in, d)
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	if e := out.Evidence; e.Platform != in.Platform || len(e.Images) != 2 || e.SPDX != "" || !strings.HasSuffix(out.Summary, "without an SBOM") {
		t.Errorf("%+v, %q", e, out.Summary)
	}
	first := out.Evidence.Images
	again, err := container.Run(t.Context(), in, d)
	check(t, err)
	for i, one := range again.Evidence.Images {
		if one.Digest != first[i].Digest {
			t.Errorf("the image for %s is %s the second time and was %s", one.Platform, one.Digest, first[i].Digest)
		}
	}

	// A step that fails says what BuildKit said of it, and leaves nothing.
	in = inputs(t)
	in.Dockerfile, in.Platform, in.Scanner = "Dockerfile", "linux/amd64", "off"
	d.Source = commit(map[string]string{"Dockerfile": "FROM scratch\nCOPY missing.txt /\n"})
	_, err = container.Run(t.Context(), in, d)
	fails(t, in, err, fault.Undetermined, "Dockerfile does not build", "missing.txt")
}

// TestBuildKitPath walks the whole path with a Dockerfile's image: BuildKit builds it, and what is verified and run is that.
func TestBuildKitPath(t *testing.T) {
	environ := buildkit.Start(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	scanner := base(t, strings.TrimPrefix(server.URL, "http://"))
	dir := t.TempDir()
	service, out := filepath.Join(dir, "svc"), filepath.Join(dir, "out")
	check(t, os.CopyFS(service, os.DirFS("../../testdata/services/hello")))
	check(t, os.WriteFile(filepath.Join(service, "Dockerfile"), []byte("FROM scratch\nCOPY program /program\nENTRYPOINT [\"/program\"]\n"), 0o600))
	policy := filepath.Join(dir, "policy.yaml")
	check(t, os.WriteFile(policy, []byte(`name: containers
defaults:
  signer: {key: run}
  require: [provenance, sbom, sast, secrets]
  provenance: {build-types: [dockerfile]}
  sast: {fail-on: high, new-only: true}
  secrets: {fail-on: low}
  evidence-max-age: 30d
  smoke: {rounds: 3}
  sizes:
    small: {cpu: 100m, memory: 128Mi}
environments:
  local: {}
`), 0o600))
	run := func(folder, name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = folder, append(os.Environ(), append(environ, "HOME="+os.Getenv("HOME"), "CGO_ENABLED=0", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
			"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")...)
		text, err := cmd.CombinedOutput()
		return string(text), err
	}
	for _, step := range [][]string{{"go", "build", "-o", "program", "."}, {"git", "init", "-q", "-b", "main"}, {"git", "add", "-f", "."}, {"git", "commit", "-qm", "all"}} {
		if text, err := run(service, step[0], step[1:]...); err != nil {
			t.Fatalf("%v: %v\n%s", step, err, text)
		}
	}
	idp := os.Getenv("IDP_E2E_IDP")
	text, err := run(dir, idp, "path", "--service", service, "--target", "local", "--out", out, "--policy", policy, "--dockerfile", "Dockerfile", "--sbom-scanner", scanner)
	t.Log(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"built from Dockerfile, for linux/" + runtime.GOARCH + ", with an SBOM", "✓ verify", "healthy after", "✓ smoke"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in what idp said", want)
		}
	}
	// What is wrong with the inputs is said before any work is done.
	if text, err := run(dir, idp, "path", "--service", service, "--target", "local", "--out", out, "--dockerfile", "../Dockerfile"); err == nil || !strings.Contains(text, "not a file below") {
		t.Errorf("a Dockerfile outside of the service: %v\n%s", err, text)
	}
}
