package build_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/github/go-spdx/v2/spdxexp"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	reader "github.com/spdx/tools-golang/json"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/org/idp/internal/build"
	"github.com/org/idp/internal/fault"
)

// spdxRules are those of the SPDX 2.3 specification for what is used here, each with its section. Fields that are not named are
// refused, so a new one needs a look at the specification.
const spdxRules = `{
  "type": "object", "additionalProperties": false,
  "required": ["spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo", "packages", "relationships"],
  "properties": {
    "spdxVersion": {"$comment": "6.1", "const": "SPDX-2.3"},
    "dataLicense": {"$comment": "6.2", "const": "CC0-1.0"},
    "SPDXID": {"$comment": "6.3", "const": "SPDXRef-DOCUMENT"},
    "name": {"$comment": "6.4", "type": "string", "minLength": 1},
    "documentNamespace": {"$comment": "6.5: an absolute URI without #", "pattern": "^https://[^#\\s]+$"},
    "creationInfo": {
      "type": "object", "additionalProperties": false, "required": ["creators", "created"],
      "properties": {
        "creators": {"$comment": "6.8", "minItems": 1, "items": {"pattern": "^(Person|Organization|Tool): \\S.*$"}},
        "created": {"$comment": "6.9", "pattern": "^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z$"}
      }
    },
    "packages": {"minItems": 1, "items": {"$ref": "#/$defs/package"}},
    "relationships": {"minItems": 1, "items": {
      "type": "object", "additionalProperties": false, "required": ["spdxElementId", "relatedSpdxElement", "relationshipType"],
      "properties": {
        "spdxElementId": {"$ref": "#/$defs/id"}, "relatedSpdxElement": {"$ref": "#/$defs/id"},
        "relationshipType": {"$comment": "11.1, of which these are used", "enum": ["DESCRIBES", "CONTAINS", "DEPENDS_ON"]}
      }
    }}
  },
  "$defs": {
    "id": {"$comment": "7.2", "pattern": "^SPDXRef-[a-zA-Z0-9.-]+$"},
    "license": {"$comment": "7.13, 7.15, annex D: an expression, or NOASSERTION", "pattern": "^[A-Za-z0-9.+()-]+( (AND|OR|WITH) [A-Za-z0-9.+()-]+)*$"},
    "package": {
      "type": "object", "additionalProperties": false, "required": ["name", "SPDXID", "downloadLocation", "filesAnalyzed"],
      "properties": {
        "name": {"$comment": "7.1", "type": "string", "minLength": 1},
        "SPDXID": {"$ref": "#/$defs/id"},
        "versionInfo": {"$comment": "7.3", "type": "string", "minLength": 1},
        "downloadLocation": {"$comment": "7.7", "const": "NOASSERTION"},
        "filesAnalyzed": {"$comment": "7.8; true would need a verification code", "const": false},
        "checksums": {"items": {
          "type": "object", "additionalProperties": false, "required": ["algorithm", "checksumValue"],
          "properties": {"algorithm": {"$comment": "7.10", "const": "SHA256"}, "checksumValue": {"pattern": "^[0-9a-f]{64}$"}}
        }},
        "sourceInfo": {"$comment": "7.12", "type": "string", "minLength": 1},
        "licenseConcluded": {"$ref": "#/$defs/license"}, "licenseDeclared": {"$ref": "#/$defs/license"},
        "licenseComments": {"$comment": "7.16", "type": "string", "minLength": 1},
        "copyrightText": {"$comment": "7.17", "const": "NOASSERTION"},
        "externalRefs": {"items": {
          "type": "object", "additionalProperties": false, "required": ["referenceCategory", "referenceType", "referenceLocator"],
          "properties": {
            "referenceCategory": {"$comment": "7.21", "const": "PACKAGE-MANAGER"}, "referenceType": {"$comment": "annex F", "const": "purl"},
            "referenceLocator": {"pattern": "^pkg:[a-z]+/\\S+$"}
          }
        }},
        "primaryPackagePurpose": {"$comment": "7.24", "enum": ["CONTAINER", "APPLICATION", "LIBRARY"]}
      }
    }
  }
}`

// readSPDX reads the document with the SPDX project's own library, which checks that every relationship leads somewhere.
func readSPDX(t *testing.T, file string) spdx.Document {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := jsonschema.UnmarshalJSON(strings.NewReader(spdxRules))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///rules.json", rules); err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MustCompile("mem:///rules.json").Validate(instance); err != nil {
		t.Errorf("%#v", err)
	}
	var doc spdx.Document
	if err := reader.ReadInto(bytes.NewReader(data), &doc); err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(&doc); err != nil {
		t.Error(err)
	}
	for _, p := range doc.Packages {
		for _, e := range []string{p.PackageLicenseConcluded, p.PackageLicenseDeclared} {
			if ok, wrong := spdxexp.ValidateLicenses([]string{e}); e != "NOASSERTION" && !ok {
				t.Errorf("%s: %q is no expression", p.PackageName, wrong)
			}
		}
	}
	return doc
}

// TestSPDX holds the SPDX document against the CycloneDX one, which has a test of its own: both say the same.
func TestSPDX(t *testing.T) {
	t.Parallel()
	dir, env := service(t)
	in := inputs(t, dir)
	in.Service = "a_service+of.theirs" // what an SPDX id may not have must not matter
	out, err := build.Run(t.Context(), in, deps(env...))
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	doc, other := readSPDX(t, out.Evidence.SPDX), decoded(t, out.Evidence.SBOM)
	urls := map[string]string{}
	got := map[string][]string{}
	for _, p := range doc.Packages {
		urls[string(p.PackageSPDXIdentifier)] = p.PackageExternalReferences[0].Locator
		got[p.PackageExternalReferences[0].Locator] = nil
	}
	for _, r := range doc.Relationships {
		if r.Relationship == "DESCRIBES" {
			if urls[string(r.RefB.ElementRefID)] != other.Metadata.Component.PackageURL {
				t.Errorf("describes %v", r.RefB)
			}
			continue
		}
		from := urls[string(r.RefA.ElementRefID)]
		got[from] = append(got[from], urls[string(r.RefB.ElementRefID)])
	}
	want := map[string][]string{}
	for _, d := range *other.Dependencies {
		want[d.Ref] = nil
		if d.Dependencies != nil && len(*d.Dependencies) > 0 {
			want[d.Ref] = *d.Dependencies
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modules (-CycloneDX +SPDX):\n%s", diff)
	}
	if image := doc.Packages[0]; "sha256:"+image.PackageChecksums[0].Value != out.Evidence.Digest || image.PackageVersion != "v1.2.3" {
		t.Errorf("image %+v", image)
	}
	info := map[string]string{}
	for _, p := range doc.Packages {
		info[p.PackageName] = p.PackageSourceInfo
	}
	if !strings.HasPrefix(info["example.org/fork"], "go.sum h1:") || !strings.HasSuffix(info["example.org/fork"], ", replaces example.org/old") || info["example.org/near"] != "folder ./near" {
		t.Errorf("origins %v", info)
	}
}

// TestMaterials says by hand who imports whom, see service.
func TestMaterials(t *testing.T) {
	t.Parallel()
	dir, env := service(t)
	out, err := build.Run(t.Context(), inputs(t, dir), deps(env...))
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	std := "pkg:golang/stdlib@" + out.Evidence.Go
	want := map[string][]string{
		"": {"pkg:golang/example.org/Upper/a/v2@v2.1.0", "pkg:golang/example.org/near", "pkg:golang/example.org/fork@v1.1.0", std},
		"pkg:golang/example.org/Upper/a/v2@v2.1.0": {"pkg:golang/example.org/b@v0.2.0"},
		"pkg:golang/example.org/b@v0.2.0":          {std},
		"pkg:golang/example.org/near":              nil,
		"pkg:golang/example.org/fork@v1.1.0":       nil,
		std:                                        nil,
	}
	got := map[string][]string{"": out.Evidence.Needs}
	for _, m := range out.Evidence.Materials {
		got[m.URI] = m.Needs
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
