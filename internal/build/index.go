package build

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/org/idp/internal/fault"
)

// index joins the images of several platforms, in the order in which these were given. A single image stays what it is.
func index(in Inputs, images []image) (image, error) {
	if len(images) == 1 {
		return images[0], nil
	}
	var parts []mutate.IndexAddendum
	whole := image{}
	for _, i := range images {
		img, ok := i.content.(v1.Image)
		if !ok {
			return image{}, fmt.Errorf("%s is no image", i.digest)
		}
		os, arch, _ := strings.Cut(i.platform, "/")
		parts = append(parts, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: arch}}})
		whole.size += i.size
	}
	joined, ok := mutate.Annotations(mutate.AppendManifests(empty.Index, parts...), labels(in)).(v1.ImageIndex)
	if !ok {
		return image{}, fmt.Errorf("the images cannot be joined to an index")
	}
	digest, err := joined.Digest()
	if err != nil {
		return image{}, err
	}
	whole.content, whole.digest = joined, digest.String()
	whole.program, err = union(images)
	return whole, err
}

// union is what is in any of the programs, for the SBOM and the provenance of the index. All were compiled from one module
// graph, so a module has one version in all of them.
func union(images []image) (program, error) {
	all := program{goVersion: images[0].program.goVersion}
	at := map[string]int{}
	for _, i := range images {
		for _, p := range i.program.parameters {
			if !slices.Contains(all.parameters, p) {
				all.parameters = append(all.parameters, p)
			}
		}
		for _, m := range i.program.modules {
			known, ok := at[m.path]
			if !ok {
				at[m.path] = len(all.modules)
				m.needs = slices.Clone(m.needs)
				all.modules = append(all.modules, m)
				continue
			}
			if all.modules[known].version != m.version || all.modules[known].actual != m.actual {
				return program{}, fault.Undeterminedf("module %s is %s for one platform and %s for another, so the SBOM would be wrong",
					m.path, all.modules[known].version, m.version)
			}
			for _, need := range m.needs {
				if !slices.Contains(all.modules[known].needs, need) {
					all.modules[known].needs = append(all.modules[known].needs, need)
				}
			}
			slices.Sort(all.modules[known].needs)
			all.modules[known].license = all.modules[known].license.With(m.license)
		}
	}
	// As in each of them: the program's own first, then by path, the standard library last.
	slices.SortStableFunc(all.modules[1:], func(a, b module) int {
		if (a.path == stdlib) != (b.path == stdlib) {
			return map[bool]int{true: 1, false: -1}[a.path == stdlib]
		}
		return strings.Compare(a.path, b.path)
	})
	return all, nil
}

// documents are the SBOMs by the names of their files: of what was built as a whole, and of each image of an index.
func documents(in Inputs, whole image, images []image) (map[string][]byte, error) {
	files, err := boms(in, whole.program, whole.digest)
	if err != nil || len(images) == 1 {
		return files, err
	}
	for i, one := range in.each() {
		own, err := boms(one, images[i].program, images[i].digest)
		if err != nil {
			return nil, err
		}
		for name, data := range own {
			files[fileOf(name, one.Platform)] = data
		}
	}
	return files, nil
}

// fileOf is the name of a file that is about one image of an index: sbom.cdx.json becomes sbom-linux-arm64.cdx.json.
func fileOf(name, platform string) string {
	return strings.Replace(name, ".", "-"+slug(platform)+".", 1)
}

func slug(platform string) string { return strings.ReplaceAll(platform, "/", "-") }
