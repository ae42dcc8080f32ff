package build

import (
	"bytes"
	"debug/buildinfo"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"

	"github.com/org/idp/internal/fault"
)

// Program is one file of a release: the same Go program for one platform.
type Program struct {
	Name   string // file, relative to the root of the release
	SHA256 string // hex
	Info   *buildinfo.BuildInfo
}

// ReleaseBOM is the CycloneDX 1.6 document of a release of one Go program for several platforms: which modules the linker
// says are in which file. It follows from the files, the version and the time alone.
func ReleaseBOM(version string, at time.Time, programs []Program) ([]byte, error) {
	if len(programs) == 0 {
		return nil, fault.Undeterminedf("a release without a program has no SBOM")
	}
	main := programs[0].Info.Main.Path
	purl := module{actual: main, version: version}.purl()
	root := cyclonedx.Component{BOMRef: purl, Type: cyclonedx.ComponentTypeApplication, Name: main, Version: version, PackageURL: purl}

	modules := map[string]cyclonedx.Component{}
	var files []cyclonedx.Component
	var inRoot []string
	var edges []cyclonedx.Dependency
	for _, p := range programs {
		file := cyclonedx.Component{BOMRef: "file:" + p.Name, Type: cyclonedx.ComponentTypeFile, Name: p.Name, Version: version,
			Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: p.SHA256}}}
		files, inRoot = append(files, file), append(inRoot, file.BOMRef)
		var needs []string
		for _, m := range linkedInto(p.Info, version) {
			c := component(m)
			modules[c.BOMRef] = c
			needs = append(needs, c.BOMRef)
		}
		edges = append(edges, cyclonedx.Dependency{Ref: file.BOMRef, Dependencies: &needs})
	}
	edges = append([]cyclonedx.Dependency{{Ref: root.BOMRef, Dependencies: &inRoot}}, edges...)
	for _, ref := range slices.Sorted(maps.Keys(modules)) {
		files = append(files, modules[ref])
	}

	doc := cyclonedx.NewBOM()
	doc.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(purl+programs[0].SHA256)).String()
	doc.Metadata = &cyclonedx.Metadata{
		Timestamp:  at.UTC().Format(time.RFC3339),
		Lifecycles: &[]cyclonedx.Lifecycle{{Phase: cyclonedx.LifecyclePhaseBuild}},
		Component:  &root,
	}
	doc.Components, doc.Dependencies = &files, &edges
	var out bytes.Buffer
	err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(doc, cyclonedx.SpecVersion1_6)
	return out.Bytes(), err
}

// linkedInto lists the modules of one file but the program's own, with the standard library.
func linkedInto(info *buildinfo.BuildInfo, version string) []module {
	var list []module
	for _, d := range info.Deps {
		list = append(list, dependency(d, version))
	}
	goVersion, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	return append(list, module{path: stdlib, actual: stdlib, version: goVersion})
}
