package verify

import (
	"errors"
	"fmt"
	"strings"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/sbom"
)

// documents are all SBOMs that count, CycloneDX and SPDX. They describe the same digest, so each has to be right; and one has to
// be of a job of the repository that was built, else another one that the policy lets sign could make up for what is missing.
func (c *court) documents() ([]*sbom.Document, error) {
	list, err := c.of("SBOM", attest.PredicateSBOM, attest.PredicateSPDX)
	if err != nil {
		return nil, err
	}
	var docs []*sbom.Document
	objection := errUnknown
	for _, s := range list {
		doc, err := sbom.Parse(s.Predicate)
		if err != nil {
			return nil, err
		}
		switch {
		case (s.PredicateType == attest.PredicateSBOM) != strings.HasPrefix(doc.Form, "CycloneDX"):
			return nil, fmt.Errorf("its SBOM is %s, which is not what its type says", doc.Form)
		case doc.Components() == 0:
			return nil, errors.New("its SBOM lists nothing")
		}
		docs = append(docs, doc)
		if objection != nil {
			objection = c.signedHere(s)
		}
	}
	return docs, objection
}

func (c *court) sbom() (string, error) {
	docs, err := c.documents()
	if err != nil {
		return "", err
	}
	last := docs[len(docs)-1]
	return last.Form + ", " + finding.Plural(last.Components(), "component"), nil
}

func (c *court) packages() (string, error) {
	return c.eachDocument("none of the denied packages is among ", sbom.Denial.Packages)
}

func (c *court) licenses() (string, error) {
	met := "none of the denied licences is among those of "
	if len(c.in.Rules.SBOM.AllowLicenses) > 0 {
		met = "the policy allows the licences of "
	}
	return c.eachDocument(met, sbom.Denial.Licenses)
}

func (c *court) eachDocument(met string, refuse func(sbom.Denial, *sbom.Document) error) (string, error) {
	docs, err := c.documents()
	if err != nil {
		return "", err
	}
	rules := c.in.Rules.SBOM
	denial := sbom.NewDenial(rules.DenyPackages, rules.DenyLicenses, rules.AllowLicenses, rules.WithoutLicense)
	n := 0
	for _, doc := range docs {
		if err := refuse(denial, doc); err != nil {
			return "", err
		}
		n = max(n, doc.Components())
	}
	return met + finding.Plural(n, "component"), nil
}
