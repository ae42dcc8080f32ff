package sbom_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/idp/internal/sbom"
)

// What other tools write: the documents are cut down from those of Syft 1.x, cyclonedx-gomod and Trivy to what differs.
func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want sbom.Document
	}{
		"CycloneDX": {`{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{"component":{"type":"container","name":"checkout","version":"v1"}},"components":[
			{"type":"library","name":"lodash","version":"4.17.21","purl":"pkg:npm/lodash@4.17.21","licenses":[{"license":{"id":"MIT"}}]},
			{"type":"library","name":"core","purl":"pkg:npm/%40babel/core@7.0.0","licenses":[{"expression":"MIT OR Apache-2.0"}],
				"components":[{"type":"library","name":"inner","version":"2","licenses":[{"license":{"name":"Custom"}},{"license":{"id":"ISC","acknowledgement":"concluded"}}]}]},
			{"type":"file","name":"/etc/passwd"},{"type":"operating-system","name":"debian","version":"12"},
			{"type":"library","name":"libc6","purl":"pkg:deb/debian/libc6@2.36?arch=amd64&distro=debian-12","licenses":[{"license":{"name":"GPL"}},{"license":{"name":"LGPL"}}]}]}`,
			sbom.Document{Form: "CycloneDX 1.5", Packages: []sbom.Package{
				{Name: "checkout@v1", Version: "v1", Root: true},
				{Name: "pkg:npm/lodash@4.17.21", URL: "pkg:npm/lodash", Version: "4.17.21", Licenses: []string{"MIT"}},
				{Name: "pkg:npm/%40babel/core@7.0.0", URL: "pkg:npm/@babel/core", Version: "7.0.0", Licenses: []string{"MIT OR Apache-2.0"}},
				{Name: "inner@2", Version: "2", Licenses: []string{"ISC"}},
				{Name: "pkg:deb/debian/libc6@2.36?arch=amd64&distro=debian-12", URL: "pkg:deb/debian/libc6", Version: "2.36", Licenses: []string{"GPL", "LGPL"}},
			}}},
		"SPDX": {`{"spdxVersion":"SPDX-2.3","packages":[
			{"SPDXID":"SPDXRef-image","name":"checkout","versionInfo":"v1","licenseConcluded":"NOASSERTION"},
			{"SPDXID":"SPDXRef-1","name":"x/text","versionInfo":"v0.3.0","licenseConcluded":"NOASSERTION","licenseDeclared":"BSD-3-Clause",
				"externalRefs":[{"referenceType":"cpe23Type","referenceLocator":"cpe:2.3:a"},{"referenceType":"purl","referenceLocator":"pkg:golang/golang.org/x/text@v0.3.0"}]},
			{"SPDXID":"SPDXRef-2","name":"y","licenseConcluded":"MIT","licenseDeclared":"GPL-2.0-only"},
			{"SPDXID":"SPDXRef-3","name":"z","licenseConcluded":"NONE"}],
			"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-image"},
			{"spdxElementId":"SPDXRef-image","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-1"}]}`,
			sbom.Document{Form: "SPDX 2.3", Packages: []sbom.Package{
				{Name: "checkout@v1", Version: "v1", Root: true},
				{Name: "pkg:golang/golang.org/x/text@v0.3.0", URL: "pkg:golang/golang.org/x/text", Version: "v0.3.0", Licenses: []string{"BSD-3-Clause"}},
				{Name: "y", Licenses: []string{"MIT"}}, {Name: "z"},
			}}},
		"SPDX that describes all": {`{"spdxVersion":"SPDX-2.2","documentDescribes":["a","b"],"packages":[{"SPDXID":"a","name":"a"},{"SPDXID":"b","name":"b"}]}`,
			sbom.Document{Form: "SPDX 2.2", Packages: []sbom.Package{{Name: "a"}, {Name: "b"}}}},
	} {
		got, err := sbom.Parse([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(c.want, *got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"components":[`, 200) + strings.Repeat(`]}`, 200)
	for text, want := range map[string]string{
		"": "no SBOM", "[]": "no SBOM", "null": "neither CycloneDX nor SPDX", "{}": "neither", `{"bomFormat":"cyclonedx"}`: "neither", `{"bomFormat":1}`: "no SBOM",
		`{"spdxVersion":"SPDX-3.0"}`: "cannot read", `{"bomFormat":"CycloneDX","components":{}}`: "cannot be read",
		`{"spdxVersion":"SPDX-2.3","packages":[1]}`: "cannot be read", `{"bomFormat":"CycloneDX","components":[` + deep + `]}`: "more than 50 deep",
		`{"bomFormat":"CycloneDX"} x`: "no SBOM",
	} {
		if doc, err := sbom.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, %v", text, doc, err)
		}
	}
}

// The truth of an expression is from the specification, annex D: OR lets one choose, AND binds more than OR and WITH more than
// both, + is a later version too, and ids have no case.
func TestLicenseExpressions(t *testing.T) {
	t.Parallel()
	const fine, denied, unknown = "", "the policy denies", "the licence is not known"
	for _, c := range []struct{ text, deny, want string }{
		{"MIT", "GPL-*", fine}, {"mit", "MIT", denied}, {"MIT", "mit", denied}, {"GPL-2.0+", "GPL-2.0", denied}, {"GPL-2.0-or-later", "GPL-2.0-only", fine},
		// GPL-2.0, deprecated, leaves open whether later versions are meant too.
		{"GPL-2.0", "GPL-2.0-only", denied}, {"GPL-2.0", "GPL-2.0-or-later", denied}, {"GPL-2.0", "GPL-3.0-only", fine}, {"LGPL-2.1", "LGPL-2.1-or-later", denied},
		{"GPL-2.0+", "GPL-2.0-or-later", denied}, {"GPL-2.0+", "GPL-2.0-only", fine}, {"GPL-2.0-only", "GPL-2.0-or-later", fine}, {"MIT OR GPL-2.0", "GPL-2.0-only", fine},
		{"MIT OR GPL-2.0-only", "GPL-*", fine}, {"MIT AND GPL-2.0-only", "GPL-*", denied}, {"(MIT)", "MIT", denied}, {"MIT or GPL-2.0-only", "GPL-*", fine},
		{"MIT OR ISC AND GPL-2.0-only", "GPL-*", fine}, {"(MIT OR ISC) AND GPL-2.0-only", "GPL-*", denied}, {"MIT OR ISC AND GPL-2.0-only", "MIT", fine},
		{"ISC AND GPL-2.0-only OR AGPL-3.0-only", "*GPL-*", denied}, {"GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", denied},
		{"GPL-2.0-only WITH Classpath-exception-2.0 OR MIT", "GPL-*", fine}, {"MIT WITH Classpath-exception-2.0", "GPL-*", fine},
		{"", "GPL-*", unknown}, {"NOASSERTION", "GPL-*", unknown}, {"GPLv3", "GPL-*", unknown}, {"LicenseRef-acme", "GPL-*", unknown}, {"MIT OR", "GPL-*", unknown},
		{"OR MIT", "GPL-*", unknown}, {"MIT MIT", "GPL-*", unknown}, {"(MIT", "GPL-*", unknown}, {"MIT)", "GPL-*", unknown}, {"()", "GPL-*", unknown},
		{"MIT WITH nonsense", "GPL-*", unknown}, {"MIT AND Custom", "GPL-*", unknown}, {strings.Repeat("(", 101) + "MIT" + strings.Repeat(")", 101), "GPL-*", unknown},
		{strings.Repeat("(", 100) + "MIT" + strings.Repeat(")", 100), "GPL-*", fine}, {"MIT" + strings.Repeat(" AND MIT", 2000), "GPL-*", unknown},
	} {
		doc := &sbom.Document{Packages: []sbom.Package{{Name: "x", Licenses: []string{c.text}}}}
		err := sbom.NewDenial(nil, []string{c.deny}, nil, nil).Licenses(doc)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s without %s: %v", c.text, c.deny, err)
		}
	}
}

// What may be is all that there is: the same expressions against a list of what is allowed.
func TestAllowedLicenses(t *testing.T) {
	t.Parallel()
	const fine, denied, other, unknown = "", "the policy denies", "the policy does not allow", "the licence is not known"
	for _, c := range []struct{ text, allow, deny, want string }{
		{"MIT", "MIT", "", fine}, {"mit", "MIT", "", fine}, {"ISC", "MIT", "", other}, {"BSD-3-Clause", "BSD-*", "", fine}, {"MIT AND ISC", "MIT", "", other},
		{"MIT AND ISC", "MIT ISC", "", fine}, {"MIT OR GPL-2.0-only", "MIT", "", fine}, {"ISC OR GPL-2.0-only", "MIT", "", other},
		{"(MIT OR ISC) AND 0BSD", "ISC 0BSD", "", fine}, {"(MIT OR ISC) AND 0BSD", "ISC", "", other}, {"MIT", "MIT", "MIT", denied}, {"MIT", "*", "GPL-*", fine},
		{"MIT OR ISC", "MIT", "MIT", other}, {"MIT OR ISC", "*", "MIT", fine}, {"MIT AND ISC", "*", "MIT", denied},
		{"GPL-2.0", "GPL-2.0-or-later", "", other}, {"GPL-2.0", "GPL-2.0-only GPL-2.0-or-later", "", fine}, {"GPL-2.0", "GPL-*", "", fine}, {"GPL-2.0+", "GPL-2.0-or-later", "", fine},
		{"GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", "", fine}, {"GPL-2.0-only WITH Classpath-exception-2.0", "MIT", "", other},
		{"", "*", "", unknown}, {"NOASSERTION", "*", "", unknown}, {"LicenseRef-acme", "*", "", unknown}, {"MIT AND Custom", "*", "", unknown},
	} {
		doc := &sbom.Document{Packages: []sbom.Package{{Name: "x", Licenses: []string{c.text}}}}
		err := sbom.NewDenial(nil, strings.Fields(c.deny), strings.Fields(c.allow), nil).Licenses(doc)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q of %s without %q: %v", c.text, c.allow, c.deny, err)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for pattern, fine := range map[string]bool{"pkg:npm/a": true, "pkg:npm/%40a/*": true, "pkg:*/a": true, "pkg:golang/github.com/a/b@v1.*": true,
		"": false, "*": false, "npm/a": false, "pkg:npm": false, "pkg:npm/": false, "pkg:npm/a b": false, "pkg:npm/a?x=y": false} {
		if err := sbom.CheckPackage(pattern); (err == nil) != fine {
			t.Errorf("%q: %v", pattern, err)
		}
	}
	for pattern, fine := range map[string]bool{"MIT": true, "agpl-*": true, "GPL-2.0": true, "*": true, "AGPL": false, "GPLv3": false, "": false, "MIT OR ISC": false, "LicenseRef-x": false} {
		if err := sbom.CheckLicense(pattern); (err == nil) != fine {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

// Many are named by the first few, in an order that does not change.
func TestManyAreDenied(t *testing.T) {
	t.Parallel()
	doc := &sbom.Document{}
	for _, n := range []string{"e", "d", "c", "b", "a", "a"} {
		doc.Packages = append(doc.Packages, sbom.Package{Name: "pkg:npm/" + n, URL: "pkg:npm/" + n})
	}
	err := sbom.NewDenial([]string{"pkg:npm/*"}, nil, nil, nil).Packages(doc)
	if err == nil || err.Error() != "the policy denies pkg:npm/a, pkg:npm/b, pkg:npm/c and 2 more" {
		t.Error(err)
	}
}

// FuzzParse: any bytes end in a document or an error. What denies everything refuses every document that lists a package.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/a@1","licenses":[{"expression":"(MIT OR ISC) AND GPL-2.0+"}],"components":[{}]}]}`))
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"a","licenseDeclared":"MIT","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a"}]}]}`))
	all := sbom.NewDenial([]string{"pkg:*/*"}, []string{"*"}, nil, nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := sbom.Parse(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatal("what is no JSON was read")
		}
		if doc.Components() > 0 && (all.Packages(doc) == nil || all.Licenses(doc) == nil) {
			t.Errorf("everything is denied and this passes: %+v", doc.Packages)
		}
	})
}

// FuzzLicense: any text ends in an answer, and what denies everything lets none pass.
func FuzzLicense(f *testing.F) {
	for _, text := range []string{"MIT", "(MIT OR ISC) AND GPL-2.0+ WITH Classpath-exception-2.0", "((", "AND", "MIT)"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doc := &sbom.Document{Packages: []sbom.Package{{Name: "x", Licenses: []string{text}}}}
		if sbom.NewDenial(nil, []string{"*"}, nil, nil).Licenses(doc) == nil {
			t.Errorf("%q passes where everything is denied", text)
		}
	})
}

func TestLicenses(t *testing.T) {
	t.Parallel()
	got, err := sbom.Licenses("(MIT OR ISC) AND GPL-2.0-only WITH Classpath-exception-2.0")
	if d := cmp.Diff([]string{"MIT", "ISC", "GPL-2.0-only"}, got); d != "" || err != nil {
		t.Error(d, err)
	}
	if got, err := sbom.Licenses("MIT AND Custom"); err == nil {
		t.Errorf("%v", got)
	}
}
