package build

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/license"
)

// Program is one file of a release: the same Go program for one platform.
type Program struct {
	Name   string // file, relative to the root of the release
	SHA256 string // hex
	Info   *buildinfo.BuildInfo
	Of     map[string]license.Module // licences of modules by path, see Licences
}

// Licences reads those of the modules that the package main of a module is compiled from, in the environment of its compiler.
func Licences(ctx context.Context, dir, main string, environ []string) (map[string]license.Module, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	in := Inputs{Dir: dir, Main: main}
	g := toolchain{dir: dir, env: environ}
	packages, err := g.packages(ctx, in, readonly, "./"+main)
	if err != nil {
		return nil, err
	}
	r, err := license.NewReader()
	if err != nil {
		return nil, err
	}
	found := <-licensing(ctx, in, r, packages, readonly)
	return found.of, found.err
}

// ReleaseBOM is the CycloneDX 1.6 document of a release of one Go program for several platforms: which modules the linker
// says are in which file, and their licences. It follows from the files, the modules, the version and the time alone.
func ReleaseBOM(version string, at time.Time, programs []Program) ([]byte, error) {
	if len(programs) == 0 {
		return nil, fault.Undeterminedf("a release without a program has no SBOM")
	}
	main := programs[0].Info.Main.Path
	purl := module{actual: main, version: version}.purl()
	root := cyclonedx.Component{BOMRef: purl, Type: cyclonedx.ComponentTypeApplication, Name: main, Version: version, PackageURL: purl,
		Licenses: concluded(programs[0].Of[main])}

	modules := map[string]module{}
	var files []cyclonedx.Component
	var inRoot []string
	var edges []cyclonedx.Dependency
	for _, p := range programs {
		file := cyclonedx.Component{BOMRef: "file:" + p.Name, Type: cyclonedx.ComponentTypeFile, Name: p.Name, Version: version,
			Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: p.SHA256}}}
		files, inRoot = append(files, file), append(inRoot, file.BOMRef)
		var needs []string
		for _, m := range linkedInto(p.Info, version) {
			ref := m.purl()
			m.license = p.Of[m.path]
			if known, ok := modules[ref]; ok {
				m.license = known.license.With(m.license)
			}
			modules[ref] = m
			needs = append(needs, ref)
		}
		edges = append(edges, cyclonedx.Dependency{Ref: file.BOMRef, Dependencies: &needs})
	}
	edges = append([]cyclonedx.Dependency{{Ref: root.BOMRef, Dependencies: &inRoot}}, edges...)
	for _, ref := range slices.Sorted(maps.Keys(modules)) {
		files = append(files, component(modules[ref]))
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
