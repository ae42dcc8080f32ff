package build

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
	"github.com/package-url/packageurl-go"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/org/idp/internal/license"
)

// imageURL is the package URL of the image.
func imageURL(in Inputs, digest string) string {
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", in.Service, digest, nil, "").ToString()
}

// boms gives the same in both forms that the field reads.
func boms(in Inputs, p program, digest string) (map[string][]byte, error) {
	cdx, err := bom(in, p, digest)
	if err != nil {
		return nil, err
	}
	doc, err := spdxOf(in, p, digest)
	return map[string][]byte{SBOMFile: cdx, SPDXFile: doc}, err
}

// bom is the CycloneDX 1.6 document of the image. All of it follows from the commit and the toolchain, so it is the same
// in every build of the same commit.
func bom(in Inputs, p program, digest string) ([]byte, error) {
	purl := imageURL(in, digest)
	root := cyclonedx.Component{BOMRef: purl, Type: cyclonedx.ComponentTypeContainer, Name: in.Service, Version: in.Version, PackageURL: purl,
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: strings.TrimPrefix(digest, "sha256:")}},
		Properties: &[]cyclonedx.Property{
			{Name: "idp:commit", Value: in.Commit},
			{Name: "idp:repository", Value: in.Repository},
			{Name: "idp:platform", Value: in.Platform},
		}}
	if source := SourceURL(in.Source); source != "" {
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
	add("idp:license", m.license.Comment())
	if properties != nil {
		c.Properties = &properties
	}
	c.Licenses = concluded(m.license)
	return c
}

// concluded is a licence as CycloneDX has it: one on its list by its id, and all else as an expression.
func concluded(m license.Module) *cyclonedx.Licenses {
	how := cyclonedx.LicenseAcknowledgementConcluded
	switch {
	case m.Concluded == "":
		return nil
	case m.ID() != "":
		return &cyclonedx.Licenses{{License: &cyclonedx.License{ID: m.ID(), Acknowledgement: how}}}
	}
	return &cyclonedx.Licenses{{Expression: m.Concluded, Acknowledgement: &how}}
}

// unknown is what SPDX says of a field that was not determined.
const unknown = "NOASSERTION"

// spdxOf is the SPDX 2.3 document of the image. Like the other, it follows from the commit and the toolchain.
func spdxOf(in Inputs, p program, digest string) ([]byte, error) {
	purl := imageURL(in, digest)
	root := spdxPackage("image", in.Service, in.Version, purl, "CONTAINER")
	root.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: strings.TrimPrefix(digest, "sha256:")}}
	root.PackageSourceInfo = strings.TrimSpace("commit " + in.Commit + " of " + cmp.Or(SourceURL(in.Source), in.Repository) + ", for " + in.Platform)
	doc := spdx.Document{SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: in.Service,
		// The form that the specification gives to those who have no site for their documents, section 6.5.
		DocumentNamespace: "https://spdx.org/spdxdocs/" + in.Service + "-" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(purl)).String(),
		CreationInfo: &spdx.CreationInfo{Created: in.Time.UTC().Format(time.RFC3339),
			Creators: []common.Creator{{CreatorType: "Tool", Creator: "idp"}, {CreatorType: "Tool", Creator: "go-" + p.goVersion}}},
		Packages: []*spdx.Package{root}}
	relate := func(from, what, to string) {
		doc.Relationships = append(doc.Relationships, &spdx.Relationship{RefA: common.MakeDocElementID("", from), RefB: common.MakeDocElementID("", to), Relationship: what})
	}
	relate("DOCUMENT", common.TypeRelationshipDescribe, "image")
	relate("image", common.TypeRelationshipContains, "module-0")
	ids := map[string]string{}
	for i, m := range p.modules {
		ids[m.path] = fmt.Sprintf("module-%d", i) // an SPDX id may not have most of what a module's path has
	}
	for i, m := range p.modules {
		purpose := "LIBRARY"
		if i == 0 {
			purpose = "APPLICATION"
		}
		one := spdxPackage(ids[m.path], m.actual, m.version, m.purl(), purpose)
		one.PackageSourceInfo = m.origin()
		one.PackageLicenseConcluded, one.PackageLicenseDeclared = cmp.Or(m.license.Concluded, unknown), cmp.Or(m.license.Declared, unknown)
		one.PackageLicenseComments = m.license.Comment()
		doc.Packages = append(doc.Packages, one)
		for _, path := range m.needs {
			relate(ids[m.path], common.TypeRelationshipDependsOn, ids[path])
		}
	}
	data, err := json.MarshalIndent(doc, "", "  ")
	return append(data, '\n'), err
}

func spdxPackage(id, name, version, purl, purpose string) *spdx.Package {
	return &spdx.Package{PackageName: name, PackageSPDXIdentifier: common.ElementID(id), PackageVersion: version, PackageDownloadLocation: unknown,
		PackageLicenseConcluded: unknown, PackageLicenseDeclared: unknown, PackageCopyrightText: unknown, PrimaryPackagePurpose: purpose,
		PackageExternalReferences: []*spdx.PackageExternalReference{{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: purl}}}
}

// origin is what go.mod and go.sum say of a module. Its h1 is a hash over a list of files, which none of SPDX's checksums can
// stand for.
func (m module) origin() string {
	var parts []string
	if m.sum != "" {
		parts = append(parts, "go.sum "+m.sum)
	}
	if m.folder != "" {
		parts = append(parts, "folder "+m.folder)
	}
	if m.actual != m.path {
		parts = append(parts, "replaces "+m.path)
	}
	return strings.Join(parts, ", ")
}
