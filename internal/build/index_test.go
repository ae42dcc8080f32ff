package build_test

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/org/idp/internal/build"
	"github.com/org/idp/internal/fault"
)

// portable is a service that links a module on arm64 only.
func portable() map[string]string {
	files := plain()
	files["go.mod"] += "\nrequire example.com/dep v0.0.0\n\nreplace example.com/dep => ./dep\n"
	files["uses_arm64.go"] = "package main\n\nimport \"example.com/dep\"\n\nfunc init() { dep.Do() }\n"
	files["dep/go.mod"] = "module example.com/dep\n\ngo 1.26\n"
	files["dep/dep.go"] = "package dep\n\nfunc Do() {}\n"
	return files
}

// blob reads a file of a layout by its digest, and holds one against the other without the library that wrote it.
func blob(t *testing.T, dir, digest string, into any) []byte {
	t.Helper()
	name := strings.TrimPrefix(digest, "sha256:")
	data, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", name))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != name {
		t.Errorf("blob %s has digest %x", name, sum)
	}
	if into != nil {
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// The form is that of https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
func TestIndex(t *testing.T) {
	t.Parallel()
	in := inputs(t, write(t, t.TempDir(), portable()))
	in.Platform = "linux/amd64, linux/arm64"
	out, err := build.Run(t.Context(), in, deps())
	if err != nil {
		t.Fatal(err)
	}
	type descriptor struct {
		MediaType, Digest string
		Size              int
		Platform          *struct{ OS, Architecture string }
	}
	type index struct {
		SchemaVersion int
		MediaType     string
		Manifests     []descriptor
		Annotations   map[string]string
	}
	dir := filepath.Join(in.Out, build.LayoutDir)
	var top, whole index
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &top); err != nil {
		t.Fatal(err)
	}
	const indexType = "application/vnd.oci.image.index.v1+json"
	if len(top.Manifests) != 1 || top.Manifests[0].MediaType != indexType || top.Manifests[0].Digest != out.Evidence.Digest {
		t.Fatalf("the layout lists %+v, evidence says %s", top.Manifests, out.Evidence.Digest)
	}
	blob(t, dir, out.Evidence.Digest, &whole)
	if whole.SchemaVersion != 2 || whole.MediaType != indexType || len(whole.Manifests) != 2 ||
		whole.Annotations["org.opencontainers.image.revision"] != commit {
		t.Fatalf("%+v", whole)
	}
	var size int64
	for i, want := range []struct {
		arch    string
		machine elf.Machine
		modules int // the program's own, the standard library, and on arm64 dep
	}{{"amd64", elf.EM_X86_64, 2}, {"arm64", elf.EM_AARCH64, 3}} {
		d, e := whole.Manifests[i], out.Evidence.Images[i]
		if d.MediaType != "application/vnd.oci.image.manifest.v1+json" || d.Platform == nil || d.Platform.OS != "linux" || d.Platform.Architecture != want.arch {
			t.Errorf("image %d is %+v %+v", i, d, d.Platform)
		}
		if e.Digest != d.Digest || e.Platform != "linux/"+want.arch || e.Components != want.modules || len(e.Materials) != want.modules-1 {
			t.Errorf("evidence of %s: %+v", want.arch, e)
		}
		if got := machineOf(t, dir, d.Digest); got != want.machine {
			t.Errorf("the program for %s is for %s", want.arch, got)
		}
		size += e.Size
		described(t, filepath.Join(in.Out, "sbom-linux-"+want.arch+".cdx.json"), e.Digest, want.modules)
	}
	described(t, filepath.Join(in.Out, build.SBOMFile), out.Evidence.Digest, 3) // what any of them has
	if e := out.Evidence; e.Size != size || e.Platform != "linux/amd64,linux/arm64" || e.Components != 3 || len(e.Materials) != 2 || len(e.Each()) != 3 {
		t.Errorf("evidence %+v", e)
	}
	if !strings.Contains(out.Summary, "for 2 platforms") {
		t.Errorf("summary %q", out.Summary)
	}

	// The same again is the same, and an image of an index is the image that its platform alone would have.
	in.Out = filepath.Join(t.TempDir(), "again")
	again, err := build.Run(t.Context(), in, deps())
	if err != nil || again.Evidence.Digest != out.Evidence.Digest {
		t.Errorf("again: %s, first %s, %v", again.Evidence.Digest, out.Evidence.Digest, err)
	}
	in.Platform, in.Out = "linux/arm64", filepath.Join(t.TempDir(), "alone")
	alone, err := build.Run(t.Context(), in, deps())
	if err != nil || alone.Evidence.Digest != out.Evidence.Images[1].Digest || alone.Evidence.Images != nil {
		t.Errorf("alone: %s, in the index %s, %v", alone.Evidence.Digest, out.Evidence.Images[1].Digest, err)
	}
	one, err1 := os.ReadFile(filepath.Join(in.Out, build.SBOMFile))
	two, err2 := os.ReadFile(out.Evidence.Images[1].SBOM)
	if err1 != nil || err2 != nil || !bytes.Equal(one, two) {
		t.Errorf("the SBOM of an image alone differs from that in an index: %v %v\n%s", err1, err2, cmp.Diff(string(one), string(two)))
	}
}

// machineOf is the machine that the program of an image was compiled for.
func machineOf(t *testing.T, dir, digest string) elf.Machine {
	t.Helper()
	root, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := root.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	index, err := root.ImageIndex(listed.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(hash)
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
	program, err := elf.NewFile(strings.NewReader(files(t, layers[1])["755 app/plain"]))
	if err != nil {
		t.Fatal(err)
	}
	return program.Machine
}

// described holds that an SBOM is of the digest and has so many components.
func described(t *testing.T, file, digest string, components int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Metadata struct {
			Component struct{ Hashes []struct{ Content string } }
		}
		Components []struct{ Name string }
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if hashes := doc.Metadata.Component.Hashes; len(hashes) != 1 || "sha256:"+hashes[0].Content != digest || len(doc.Components) != components {
		t.Errorf("%s is of %v with %+v, want %s with %d", filepath.Base(file), hashes, doc.Components, digest, components)
	}
}

func TestIndexBadInput(t *testing.T) {
	t.Parallel()
	for platform, words := range map[string]string{
		"linux/amd64,":            `platform "" is not OS/ARCH`,
		",":                       `platform "" is not OS/ARCH`,
		"linux/amd64,linux/amd64": "platform linux/amd64 is given twice",
		"linux/amd64 linux/arm64": `platform "linux/amd64 linux/arm64" is not OS/ARCH`,
		"linux/amd64,linux/../x":  "is not OS/ARCH",
	} {
		in := inputs(t, write(t, t.TempDir(), plain()))
		in.Platform = platform
		_, err := build.Run(t.Context(), in, deps())
		fails(t, in, err, fault.BadInput, words)
	}
}

// An index is built whole or not at all.
func TestIndexWhereOnePlatformDoesNotCompile(t *testing.T) {
	t.Parallel()
	files := plain()
	files["broken_arm64.go"] = "package main\n\nfunc init() { missing() }\n"
	in := inputs(t, write(t, t.TempDir(), files))
	in.Platform = "linux/amd64,linux/arm64"
	_, err := build.Run(t.Context(), in, deps())
	fails(t, in, err, fault.Undetermined, "does not compile", "broken_arm64.go")
}
