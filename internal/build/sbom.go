package build

import (
	"bytes"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
	"github.com/package-url/packageurl-go"
)

// bom is the CycloneDX 1.6 document of the image. All of it follows from the commit and the toolchain, so it is the same
// in every build of the same commit.
func bom(in Inputs, p program, digest string) ([]byte, error) {
	purl := packageurl.NewPackageURL(packageurl.TypeOCI, "", in.Service, digest, nil, "").ToString()
	root := cyclonedx.Component{BOMRef: purl, Type: cyclonedx.ComponentTypeContainer, Name: in.Service, Version: in.Version, PackageURL: purl,
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: strings.TrimPrefix(digest, "sha256:")}},
		Properties: &[]cyclonedx.Property{
			{Name: "idp:commit", Value: in.Commit},
			{Name: "idp:repository", Value: in.Repository},
			{Name: "idp:platform", Value: in.Platform},
		}}
	if source := sourceURL(in.Source); source != "" {
		root.ExternalReferences = &[]cyclonedx.ExternalReference{{Type: cyclonedx.ERTypeVCS, URL: source}}
	}
	refs := map[string]string{}
	for _, m := range p.modules {
		refs[m.path] = m.purl()
	}
	var components []cyclonedx.Component
	edges := []cyclonedx.Dependency{{Ref: root.BOMRef, Dependencies: &[]string{refs[p.modules[0].path]}}}
	for i, m := range p.modules {
		c := component(m)
		if i == 0 {
			c.Type = cyclonedx.ComponentTypeApplication
		}
		components = append(components, c)
		needs := []string{}
		for _, path := range m.needs {
			needs = append(needs, refs[path])
		}
		edges = append(edges, cyclonedx.Dependency{Ref: c.BOMRef, Dependencies: &needs})
	}
	doc := cyclonedx.NewBOM()
	doc.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(purl)).String()
	doc.Metadata = &cyclonedx.Metadata{
		Timestamp:  in.Time.UTC().Format(time.RFC3339),
		Lifecycles: &[]cyclonedx.Lifecycle{{Phase: cyclonedx.LifecyclePhaseBuild}},
		Tools: &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{
			{Type: cyclonedx.ComponentTypeApplication, Name: "idp"},
			{Type: cyclonedx.ComponentTypeApplication, Name: "go", Version: p.goVersion},
		}},
		Component: &root,
	}
	doc.Components, doc.Dependencies = &components, &edges
	var out bytes.Buffer
	err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(doc, cyclonedx.SpecVersion1_6)
	return out.Bytes(), err
}

func component(m module) cyclonedx.Component {
	c := cyclonedx.Component{BOMRef: m.purl(), Type: cyclonedx.ComponentTypeLibrary, Name: m.actual, Version: m.version, PackageURL: m.purl(),
		Scope: cyclonedx.ScopeRequired}
	var properties []cyclonedx.Property
	add := func(name, value string) {
		if value != "" {
			properties = append(properties, cyclonedx.Property{Name: name, Value: value})
		}
	}
	// h1 is a hash over a module's list of files, which none of CycloneDX's hashes can stand for.
	add("idp:go:h1", m.sum)
	add("idp:go:folder", m.folder)
	if m.actual != m.path {
		add("idp:go:replaces", m.path)
	}
	if properties != nil {
		c.Properties = &properties
	}
	return c
}
