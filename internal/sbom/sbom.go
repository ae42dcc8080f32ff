// Package sbom reads software bills of materials, CycloneDX and SPDX, as far as a policy asks of them: which packages are in
// an image, and under which licences.
//
// Both forms are read by hand, ten fields of each. Their libraries read hundreds, and refuse a document over any of them.
package sbom

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/package-url/packageurl-go"
)

// Document is what an SBOM lists.
type Document struct {
	Form     string // with its version, such as CycloneDX 1.6
	Packages []Package
}

// Components is how many packages there are besides what the document is about.
func (d *Document) Components() int {
	n := 0
	for _, p := range d.Packages {
		if !p.Root {
			n++
		}
	}
	return n
}

// Package is one component.
type Package struct {
	// Name is how people know it: its package URL, else its name and version.
	Name string
	// URL is the package URL without version, qualifiers and subpath, and with nothing escaped, so that it can be compared;
	// empty where there is none that can be read.
	URL, Version string
	// Licenses are SPDX expressions, all of which hold. An empty list is a licence that is not said.
	Licenses []string
	// Root tells that it is what the document is about.
	Root bool
}

// maxDepth is how deep components may hold components.
const maxDepth = 50

// Parse reads a CycloneDX or SPDX 2 document in JSON.
func Parse(data []byte) (*Document, error) {
	var head struct {
		BomFormat   string `json:"bomFormat"`
		SpecVersion string `json:"specVersion"`
		SPDXVersion string `json:"spdxVersion"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("it is no SBOM: %w", err)
	}
	switch {
	case head.BomFormat == "CycloneDX":
		return cycloneDX(data, "CycloneDX "+head.SpecVersion)
	case strings.HasPrefix(head.SPDXVersion, "SPDX-2."):
		return spdx(data, strings.Replace(head.SPDXVersion, "-", " ", 1))
	case head.SPDXVersion != "":
		return nil, fmt.Errorf("it is %s, which this program cannot read", head.SPDXVersion)
	}
	return nil, errors.New("it is neither CycloneDX nor SPDX")
}

type cdxComponent struct {
	Type       string         `json:"type"`
	Name       string         `json:"name"`
	Version    string         `json:"version"`
	PURL       string         `json:"purl"`
	Licenses   []cdxLicense   `json:"licenses"`
	Components []cdxComponent `json:"components"`
}

type cdxLicense struct {
	License struct {
		ID              string `json:"id"`
		Name            string `json:"name"`
		Acknowledgement string `json:"acknowledgement"`
	} `json:"license"`
	Expression      string `json:"expression"`
	Acknowledgement string `json:"acknowledgement"`
}

// noPackages are types of components that no package manager knows.
var noPackages = map[string]bool{"file": true, "operating-system": true, "data": true, "device": true, "cryptographic-asset": true}

func cycloneDX(data []byte, form string) (*Document, error) {
	var bom struct {
		Metadata struct {
			Component *cdxComponent `json:"component"`
		} `json:"metadata"`
		Components []cdxComponent `json:"components"`
	}
	if err := json.Unmarshal(data, &bom); err != nil {
		return nil, fmt.Errorf("its %s cannot be read: %w", form, err)
	}
	doc := &Document{Form: form}
	if root := bom.Metadata.Component; root != nil {
		doc.Packages = append(doc.Packages, packageOf(root.Name, root.Version, root.PURL, root.licenses(), true))
		bom.Components = append(bom.Components, root.Components...)
	}
	return doc, doc.add(bom.Components, 0)
}

func (d *Document) add(components []cdxComponent, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("its components hold each other more than %d deep", maxDepth)
	}
	for _, c := range components {
		if !noPackages[c.Type] || c.PURL != "" {
			d.Packages = append(d.Packages, packageOf(c.Name, c.Version, c.PURL, c.licenses(), false))
		}
		if err := d.add(c.Components, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// licenses are the concluded ones where there are such, else all.
func (c cdxComponent) licenses() []string {
	var all, concluded []string
	for _, l := range c.Licenses {
		text := l.Expression
		if text == "" {
			text = l.License.ID
		}
		if text == "" {
			text = l.License.Name // which is an id in many a document
		}
		all = append(all, text)
		if l.Acknowledgement == "concluded" || l.License.Acknowledgement == "concluded" {
			concluded = append(concluded, text)
		}
	}
	if concluded != nil {
		return concluded
	}
	return all
}

func spdx(data []byte, form string) (*Document, error) {
	var in struct {
		Describes []string `json:"documentDescribes"`
		Packages  []struct {
			ID        string `json:"SPDXID"`
			Name      string `json:"name"`
			Version   string `json:"versionInfo"`
			Concluded string `json:"licenseConcluded"`
			Declared  string `json:"licenseDeclared"`
			Refs      []struct {
				Type    string `json:"referenceType"`
				Locator string `json:"referenceLocator"`
			} `json:"externalRefs"`
		} `json:"packages"`
		Relationships []struct {
			From string `json:"spdxElementId"`
			Type string `json:"relationshipType"`
			To   string `json:"relatedSpdxElement"`
		} `json:"relationships"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("its %s cannot be read: %w", form, err)
	}
	roots := map[string]bool{}
	for _, id := range in.Describes {
		roots[id] = true
	}
	for _, r := range in.Relationships {
		if r.From == "SPDXRef-DOCUMENT" && r.Type == "DESCRIBES" {
			roots[r.To] = true
		}
	}
	// A document that describes a single thing is about it; one that describes all it lists, as some tools write, hides nothing so.
	about := len(roots) == 1
	doc := &Document{Form: form}
	for _, p := range in.Packages {
		var urls []string
		for _, r := range p.Refs {
			if r.Type == "purl" {
				urls = append(urls, r.Locator)
			}
		}
		if urls == nil {
			urls = []string{""}
		}
		var licenses []string
		for _, said := range []string{p.Concluded, p.Declared} {
			if said != "" && said != "NOASSERTION" && said != "NONE" {
				licenses = []string{said}
				break
			}
		}
		for _, u := range urls {
			doc.Packages = append(doc.Packages, packageOf(p.Name, p.Version, u, licenses, about && roots[p.ID]))
		}
	}
	return doc, nil
}

func packageOf(name, version, purl string, licenses []string, root bool) Package {
	p := Package{Name: strings.Trim(name+"@"+version, "@"), Version: version, Licenses: licenses, Root: root}
	if purl == "" {
		return p
	}
	p.Name = purl
	u, err := packageurl.FromString(purl)
	if err != nil {
		return p
	}
	p.URL, p.Version = "pkg:"+u.Type+"/"+strings.TrimPrefix(u.Namespace+"/"+u.Name, "/"), u.Version
	return p
}
