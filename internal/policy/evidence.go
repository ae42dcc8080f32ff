package policy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/org/idp/internal/sbom"
	"github.com/org/idp/internal/strictyaml"
)

// Kinds of evidence besides those of scans, as require names them.
const (
	EvidenceProvenance = "provenance"
	EvidenceSBOM       = "sbom"
	EvidenceTests      = "tests"
)

// Provenance is what the provenance has to say. Patterns are those of Allows.
type Provenance struct {
	BuildTypes   []string `yaml:"build-types" json:"build-types,omitempty" jsonschema:"enum=go-image,enum=dockerfile,enum=elsewhere,enum=github-workflow" jsonschema_description:"How images may have been built, see docs/predicates.md. Of an image from elsewhere it is not known what it was built from; that of github-workflow has the attestation of GitHub's attest-build-provenance. Left out: go-image and dockerfile."`
	Repositories []string `yaml:"repositories" json:"repositories,omitempty" jsonschema:"minLength=1" jsonschema_description:"Repositories that it may be built from, such as acme/*. An asterisk stands for all but / and @, two for anything. Left out, any that the signer signs for."`
	Builders     []string `yaml:"builders" json:"builders,omitempty" jsonschema:"minLength=1" jsonschema_description:"Values of builder.id that may have built it, with asterisks. Left out, any that the signer signs for."`
	BaseImages   []string `yaml:"base-images" json:"base-images,omitempty" jsonschema:"minLength=1" jsonschema_description:"Images that it may be built from: sha256:HEX, docker.io/library/alpine@sha256:HEX, or a name, with asterisks, that allows every digest of it. An image that needs none, as idp builds them from Go, is always allowed. Left out, any are."`
}

// SBOM is what may be in an image.
type SBOM struct {
	DenyPackages   []string `yaml:"deny-packages" json:"deny-packages,omitempty" jsonschema:"minLength=1" jsonschema_description:"Package URLs that may not be in the image, such as pkg:npm/event-stream@3.3.6 or pkg:golang/github.com/acme/old*. Without a version all are meant; an asterisk stands for anything."`
	DenyLicenses   []string `yaml:"deny-licenses" json:"deny-licenses,omitempty" jsonschema:"minLength=1" jsonschema_description:"Licences that nothing in the image may be under, as SPDX ids, such as AGPL-3.0-only or AGPL-*. Of MIT OR AGPL-3.0-only the other may be chosen. A package whose licence is not known is refused."`
	AllowLicenses  []string `yaml:"allow-licenses" json:"allow-licenses,omitempty" jsonschema:"minLength=1" jsonschema_description:"Licences besides which there may be no other in the image, such as MIT or BSD-*. Left out, all that are not denied. A package whose licence is not known is refused."`
	WithoutLicense []string `yaml:"without-license" json:"without-license,omitempty" jsonschema:"minLength=1" jsonschema_description:"Package URLs, with asterisks, that need not say their licence, such as those of your own."`
}

func (p Provenance) over(base Provenance) Provenance {
	return Provenance{BuildTypes: list(p.BuildTypes, base.BuildTypes), Repositories: list(p.Repositories, base.Repositories), Builders: list(p.Builders, base.Builders), BaseImages: list(p.BaseImages, base.BaseImages)}
}

// AllowsBuild tells whether images may have been built in this way.
func (p Provenance) AllowsBuild(buildType string) bool {
	if p.BuildTypes == nil {
		return buildType == "go-image" || buildType == "dockerfile"
	}
	return slices.Contains(p.BuildTypes, buildType)
}

func (s SBOM) over(base SBOM) SBOM {
	return SBOM{DenyPackages: list(s.DenyPackages, base.DenyPackages), DenyLicenses: list(s.DenyLicenses, base.DenyLicenses), AllowLicenses: list(s.AllowLicenses, base.AllowLicenses),
		WithoutLicense: list(s.WithoutLicense, base.WithoutLicense)}
}

// list takes the default where nothing is said; [] says that there is nothing.
func list(own, base []string) []string {
	if own == nil {
		own = base
	}
	return slices.Clone(own)
}

// Evidence is all that has to be attached: what is required, and what another key asks something of.
func (r Rules) Evidence() []string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range r.Require {
		add(name)
	}
	if len(r.Provenance.BuildTypes)+len(r.Provenance.Repositories)+len(r.Provenance.Builders)+len(r.Provenance.BaseImages) > 0 {
		add(EvidenceProvenance)
	}
	if len(r.SBOM.DenyPackages)+len(r.SBOM.DenyLicenses)+len(r.SBOM.AllowLicenses) > 0 {
		add(EvidenceSBOM)
	}
	return names
}

// Allows tells whether a text is on a list of patterns, in which * stands for all but / and @, so that a branch's name cannot
// stand for the end of a workflow's, and ** for anything.
func Allows(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		var re strings.Builder
		for i, part := range strings.Split(pattern, "**") {
			if i > 0 {
				re.WriteString(".*")
			}
			for j, literal := range strings.Split(part, "*") {
				if j > 0 {
					re.WriteString("[^/@]*")
				}
				re.WriteString(regexp.QuoteMeta(literal))
			}
		}
		matched, err := regexp.MatchString("(?s)^(?:"+re.String()+")$", text)
		return err == nil && matched
	})
}

// validate adds what the tags cannot say.
func (s SBOM) validate(doc *strictyaml.Document, p strictyaml.Path) {
	each := func(key string, patterns []string, check func(string) error) {
		for i, pattern := range patterns {
			if err := check(pattern); err != nil && pattern != "" {
				doc.Wrong(append(p[:len(p):len(p)], key, i), err.Error())
			}
		}
	}
	each("deny-packages", s.DenyPackages, sbom.CheckPackage)
	each("deny-licenses", s.DenyLicenses, sbom.CheckLicense)
	each("allow-licenses", s.AllowLicenses, sbom.CheckLicense)
	each("without-license", s.WithoutLicense, sbom.CheckPackage)
}
