package container

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/record"
)

// statements is what came with one image.
type statements struct {
	sbom       []byte // SPDX
	components int
	materials  []record.Material
}

// read takes what BuildKit says of each image. Nobody signed it; that it is in the index that is signed is what makes it
// evidence, as of the day of the build. What claims to be such a statement and cannot be read is an error.
func read(found oci.Contents) (map[string]statements, error) {
	said := map[string]statements{}
	for _, a := range found.Attestations {
		of := said[a.Image]
		var err error
		switch {
		case a.PredicateType == "https://spdx.dev/Document":
			of.sbom, of.components, err = spdx(a.Statement)
		case strings.HasPrefix(a.PredicateType, "https://slsa.dev/provenance/"):
			of.materials, err = materials(a.Statement)
		}
		if err != nil {
			return nil, fault.BadInputf("what the image says of itself cannot be read, %s: %w", a.PredicateType, err)
		}
		said[a.Image] = of
	}
	return said, nil
}

func spdx(statement []byte) (document []byte, components int, err error) {
	var s struct {
		Predicate json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(statement, &s); err != nil {
		return nil, 0, err
	}
	var doc struct {
		Version  string            `json:"spdxVersion"`
		Packages []json.RawMessage `json:"packages"`
	}
	if err := json.Unmarshal(s.Predicate, &doc); err != nil {
		return nil, 0, err
	}
	if !strings.HasPrefix(doc.Version, "SPDX-2.") {
		return nil, 0, fault.BadInputf("it is no SPDX 2 document")
	}
	return bytes.TrimSpace(s.Predicate), len(doc.Packages), nil
}

// materials are what BuildKit resolved, above all the base images, in both versions of SLSA's form.
func materials(statement []byte) ([]record.Material, error) {
	type resource struct {
		URI    string            `json:"uri"`
		Digest map[string]string `json:"digest"`
	}
	var s struct {
		Predicate struct {
			Materials       []resource `json:"materials"`
			BuildDefinition struct {
				ResolvedDependencies []resource `json:"resolvedDependencies"`
			} `json:"buildDefinition"`
		} `json:"predicate"`
	}
	if err := json.Unmarshal(statement, &s); err != nil {
		return nil, err
	}
	var all []record.Material
	for _, r := range append(s.Predicate.Materials, s.Predicate.BuildDefinition.ResolvedDependencies...) {
		m := record.Material{URI: withoutLogin(r.URI)}
		if hex := r.Digest["sha256"]; hex != "" {
			m.Sum = "sha256:" + hex
		}
		all = append(all, m)
	}
	return all, nil
}

// withoutLogin takes out what a Dockerfile's ADD may have had to log in with.
func withoutLogin(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return "unreadable"
	}
	if u.User == nil {
		return uri
	}
	u.User = nil
	return u.String()
}
