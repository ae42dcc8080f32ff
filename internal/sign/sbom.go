package sign

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// sbomsOf gives the documents that there are: both of what was compiled here, and of another image what came with it, which
// is nothing as often as not. That is then not attested, and the policy decides whether the image may do without.
func sbomsOf(in Inputs, build record.Build) (cdx json.RawMessage, spdx []json.RawMessage, err error) {
	if build.Type != "" {
		spdx, err = cameWith(in, build)
		return nil, spdx, err
	}
	if cdx, err = readSBOM(in.SBOM, build.Digest, cycloneDX); err != nil {
		return nil, nil, err
	}
	one, err := readSBOM(in.SPDX, build.Digest, spdxDocument)
	return cdx, []json.RawMessage{one}, err
}

// cameWith gives the documents that came with an image. An index has those of all its images: it is what is deployed, and what cosign
// and admission controllers ask for an SBOM. With those of some of them it would look as if it had them all, so it has none then.
func cameWith(in Inputs, build record.Build) (list []json.RawMessage, err error) {
	files := map[string]string{build.SPDX: build.SPDXDigest} // of a single image
	if len(build.Images) > 0 {
		clear(files)
		for _, i := range build.Images {
			files[i.SPDX] = i.SPDXDigest
		}
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if file == "" {
			return nil, nil
		}
		path := in.SPDX
		if len(build.Images) > 0 { // beside that of the index
			path = filepath.Join(filepath.Dir(in.SPDX), filepath.Base(file))
		}
		data, err := os.ReadFile(path) // #nosec G304 -- the path is that of the build's own output
		if err != nil {
			return nil, fmt.Errorf("SBOM: %w", err)
		}
		if sum := sha256.Sum256(data); "sha256:"+hex.EncodeToString(sum[:]) != files[file] {
			return nil, fault.Undeterminedf("SBOM %s is not the one that came with the image; nothing was pushed", path).
				WithNext("Build again: the SBOM changed after the build.")
		}
		if !slices.ContainsFunc(list, func(same json.RawMessage) bool { return bytes.Equal(same, data) }) {
			list = append(list, data)
		}
	}
	return list, nil
}

// readSBOM gives the document as it is, if it is that of the image: another build may have written it since.
func readSBOM(path, digest string, of func([]byte) (objection string, sha256 []string, err error)) (json.RawMessage, error) {
	if path == "" {
		return nil, fault.BadInputf("no SBOM is given").WithNext("Build first: idp build writes it.")
	}
	data, err := os.ReadFile(path) // #nosec G304 -- the path is that of the build's own output
	if err != nil {
		return nil, fmt.Errorf("SBOM: %w", err)
	}
	objection, hashes, err := of(data)
	if err != nil {
		return nil, fmt.Errorf("SBOM %s: %w", path, err)
	}
	if objection != "" {
		return nil, fmt.Errorf("SBOM %s %s", path, objection)
	}
	for _, h := range hashes {
		if "sha256:"+h == digest {
			return data, nil
		}
	}
	return nil, fault.Undeterminedf("SBOM %s is not of the image that was built, %s; nothing was pushed", path, digest).
		WithNext("Build again: the SBOM changed after the build.")
}

// cycloneDX gives the hashes of what a CycloneDX document describes.
func cycloneDX(data []byte) (objection string, sha256 []string, err error) {
	var doc struct {
		BomFormat string `json:"bomFormat"`
		Metadata  struct {
			Component struct {
				Hashes []struct{ Alg, Content string } `json:"hashes"`
			} `json:"component"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return "", nil, err
	}
	if doc.BomFormat != "CycloneDX" {
		return "is not CycloneDX", nil, nil
	}
	for _, h := range doc.Metadata.Component.Hashes {
		if h.Alg == "SHA-256" {
			sha256 = append(sha256, h.Content)
		}
	}
	return "", sha256, nil
}

// spdxDocument gives the hashes of the packages that an SPDX document describes.
func spdxDocument(data []byte) (objection string, sha256 []string, err error) {
	var doc struct {
		SPDXID, SPDXVersion string
		Packages            []struct {
			SPDXID    string
			Checksums []struct{ Algorithm, ChecksumValue string }
		}
		Relationships []struct{ SPDXElementID, RelatedSPDXElement, RelationshipType string }
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return "", nil, err
	}
	if doc.SPDXVersion != "SPDX-2.3" {
		return "is not SPDX 2.3", nil, nil
	}
	described := map[string]bool{}
	for _, r := range doc.Relationships {
		if r.SPDXElementID == doc.SPDXID && r.RelationshipType == "DESCRIBES" {
			described[r.RelatedSPDXElement] = true
		}
	}
	for _, p := range doc.Packages {
		for _, c := range p.Checksums {
			if described[p.SPDXID] && c.Algorithm == "SHA256" {
				sha256 = append(sha256, c.ChecksumValue)
			}
		}
	}
	return "", sha256, nil
}
