package sign_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/testkit/expect"
)

// indexed makes what the world has built an index of two images.
func (w *world) indexed() []record.Image {
	w.t.Helper()
	dir := w.t.TempDir()
	index, build := v1.ImageIndex(empty.Index), record.Build{Platform: "linux/amd64,linux/arm64", SBOM: "out/sbom.cdx.json", Go: "1.26.0"}
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := random.Image(64, 1)
		expect.NoError(w.t, err)
		h, err := img.Digest()
		expect.NoError(w.t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
		name := "sbom-linux-" + arch
		expect.NoError(w.t, os.WriteFile(filepath.Join(dir, name+".cdx.json"), bomOf(h.String()), 0o600))
		expect.NoError(w.t, os.WriteFile(filepath.Join(dir, name+".spdx.json"), spdxOf(h.String()), 0o600))
		build.Images = append(build.Images, record.Image{Digest: h.String(), Platform: "linux/" + arch, SBOM: "out/" + name + ".cdx.json",
			SPDX: "out/" + name + ".spdx.json", Parameters: []string{"GOARCH=" + arch}})
	}
	path, err := layout.Write(filepath.Join(dir, "image"), empty.Index)
	expect.NoError(w.t, err)
	expect.NoError(w.t, path.AppendIndex(index))
	h, err := index.Digest()
	expect.NoError(w.t, err)
	w.digest, build.Digest = h.String(), h.String()
	w.inputs.Layout, w.inputs.SBOM, w.inputs.SPDX = string(path), filepath.Join(dir, "sbom.cdx.json"), filepath.Join(dir, "sbom.spdx.json")
	expect.NoError(w.t, os.WriteFile(w.inputs.SPDX, spdxOf(w.digest), 0o600))
	expect.NoError(w.t, os.WriteFile(w.inputs.SBOM, bomOf(w.digest), 0o600))
	w.stage(record.StageBuild, record.Passed, build)
	scan := scanned("high")
	scan.Platform = build.Platform
	w.stage(record.StageSAST, record.Passed, scan)
	return build.Images
}

// TestIndexIsSignedWithItsImages: each image has the evidence of its own, the index comes after them, and the tag is on the index.
func TestIndexIsSignedWithItsImages(t *testing.T) {
	t.Parallel()
	for mode, listed := range map[string]bool{"referrers API": true, "fallback tag": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, listed)
			images := w.indexed()
			out, err := w.run()
			expect.NoError(t, err)
			if out.Evidence.Reference != w.inputs.Registry+"@"+w.digest || w.tagged(commit) != w.digest || !slices.Equal(out.Evidence.Predicates, predicates) ||
				!slices.Equal(out.Evidence.Images, []string{w.inputs.Registry + "@" + images[0].Digest, w.inputs.Registry + "@" + images[1].Digest}) {
				t.Errorf("%+v, the tag is on %s", out.Evidence, w.tagged(commit))
			}
			whole := w.digest
			for _, one := range append([]record.Image{{Digest: whole, Platform: "linux/amd64,linux/arm64"}}, images...) {
				w.digest = one.Digest
				var types []string
				for _, s := range w.served() {
					types = append(types, s.PredicateType)
					if s.PredicateType == attest.PredicateProvenance && !strings.Contains(string(s.Predicate), `"platform":"`+one.Platform+`"`) {
						t.Errorf("the provenance of %s is not for %s:\n%s", one.Digest, one.Platform, s.Predicate)
					}
					if s.PredicateType == attest.PredicateSBOM && !strings.Contains(string(s.Predicate), strings.TrimPrefix(one.Digest, "sha256:")) {
						t.Errorf("the SBOM of %s is of another image", one.Digest)
					}
				}
				slices.Sort(types)
				if want := slices.Sorted(slices.Values(predicates)); !slices.Equal(types, want) {
					t.Errorf("%s has %v, want %v", one.Digest, types, want)
				}
			}
			w.digest = whole
			if w.puts[len(w.puts)-1] != commit {
				t.Errorf("the tag is not last: %v", w.puts)
			}
			again, err := w.run()
			expect.NoError(t, err)
			if !strings.HasPrefix(again.Summary, "nothing new: ") {
				t.Errorf("a second run says %q", again.Summary)
			}
		})
	}
}

// TestIndexWhoseImagesCannotBeSigned: no evidence on the index, and no tag, before its images have theirs.
func TestIndexWhoseImagesCannotBeSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	images := w.indexed()
	w.failOn(func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/referrers/"+images[1].Digest)
	})
	if _, err := w.run(); fault.KindOf(err) != fault.Undetermined {
		t.Fatalf("%v", err)
	}
	if len(w.served()) != 0 || w.tagged(commit) != "" {
		t.Errorf("%d statements on the index, tag on %q", len(w.served()), w.tagged(commit))
	}
	w.failOn(nil)
	if _, err := w.run(); err != nil || w.tagged(commit) != w.digest {
		t.Errorf("when the registry is back: %v", err)
	}
}

// An SBOM that is of another image of the index is found before anything is pushed.
func TestIndexWithSBOMsMixedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.indexed()
	dir := filepath.Dir(w.inputs.SBOM)
	for _, form := range []string{".cdx.json", ".spdx.json"} {
		mine := filepath.Join(dir, "sbom-linux-amd64"+form)
		kept, err := os.ReadFile(mine)
		expect.NoError(t, err)
		other, err := os.ReadFile(filepath.Join(dir, "sbom-linux-arm64"+form))
		expect.NoError(t, err)
		expect.NoError(t, os.WriteFile(mine, other, 0o600))
		_, err = w.run()
		if fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "not of the image") || len(w.puts) != 0 {
			t.Errorf("%s: %v, %v was pushed", form, err, w.puts)
		}
		expect.NoError(t, os.WriteFile(mine, kept, 0o600))
	}
}

// An index of a Dockerfile is what is deployed and asked for its SBOM: it has the documents of all its images. When one of them has none,
// the index has none either, and one that was changed is found before anything is pushed.
func TestIndexHasTheSBOMsOfItsImages(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(w *world, images []record.Image)
		index  int
		images []int
		err    string
	}{
		"each has its own":      {func(*world, []record.Image) {}, 2, []int{1, 1}, ""},
		"all have the same":     {func(w *world, i []record.Image) { i[1].SPDX, i[1].SPDXDigest = i[0].SPDX, i[0].SPDXDigest }, 1, []int{1, 1}, ""},
		"one has none":          {func(w *world, i []record.Image) { i[0].SPDX, i[0].SPDXDigest = "", "" }, 0, []int{0, 1}, ""},
		"none has one":          {func(w *world, i []record.Image) { i[0].SPDX, i[1].SPDX = "", "" }, 0, []int{0, 0}, ""},
		"one changed, the last": {func(w *world, i []record.Image) { i[1].SPDXDigest = previous }, 0, nil, "not the one that came with the image"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			images := w.indexed()
			build, err := record.EvidenceOf[record.Build](w.inputs.Record, record.StageBuild)
			expect.NoError(t, err)
			build.Type, build.SBOM = record.BuiltByDockerfile, ""
			for n := range build.Images {
				data, err := os.ReadFile(filepath.Join(filepath.Dir(w.inputs.SPDX), filepath.Base(build.Images[n].SPDX)))
				expect.NoError(t, err)
				build.Images[n].SPDXDigest, build.Images[n].SBOM = digestOf(data), ""
			}
			tc.change(w, build.Images)
			w.stage(record.StageBuild, record.Passed, build)
			if _, err := w.run(); tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || len(w.puts) > 0 {
					t.Errorf("%v, %v was pushed", err, w.puts)
				}
				return
			}
			whole := w.digest
			for n, one := range append([]record.Image{{Digest: whole}}, images...) {
				w.digest = one.Digest
				documents := 0
				for _, s := range w.served() {
					if s.PredicateType == attest.PredicateSPDX {
						documents++
					}
				}
				if want := append([]int{tc.index}, tc.images...)[n]; documents != want {
					t.Errorf("%d documents on digest %d, expected %d", documents, n, want)
				}
			}
		})
	}
}

func digestOf(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }
