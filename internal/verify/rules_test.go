package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/testkit/expect"
)

// component is a CycloneDX component under a licence; empty for one that does not say it.
func component(purl, license string) map[string]any {
	c := map[string]any{"type": "library", "name": "x", "purl": purl}
	if license != "" {
		c["licenses"] = []any{map[string]any{"expression": license}}
	}
	return c
}

func cdx(components ...any) piece {
	return bom(map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components})
}

func spdxOf(purl, license string) piece {
	return piece{kind: attest.PredicateSPDX, predicate: map[string]any{"spdxVersion": "SPDX-2.3", "packages": []any{map[string]any{"SPDXID": "SPDXRef-1", "name": "x",
		"licenseConcluded": "NOASSERTION", "licenseDeclared": license, "externalRefs": []any{map[string]any{"referenceType": "purl", "referenceLocator": purl}}}}}}
}

// Each case is what the policy asks of the evidence, what is attached, and why the clause is refused; empty where it is met.
func TestWhatAPolicyAsks(t *testing.T) {
	t.Parallel()
	const builder, base = "https://github.com/acme/idp/.github/workflows/path.yml@refs/tags/v1", "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	by := func(id string) piece {
		return provenance(func(p *attest.Provenance) { p.RunDetails.Builder.ID = id })
	}
	on := func(uri, digest string) piece {
		return provenance(func(p *attest.Provenance) {
			p.BuildDefinition.ResolvedDependencies = []attest.Resource{{URI: "git+https://github.com/acme/checkout"}, {URI: "pkg:golang/example.com/a@v1"},
				{URI: uri, Digest: map[string]string{"sha256": strings.TrimPrefix(digest, "sha256:")}}}
		})
	}
	from := func(repository string) piece {
		return provenance(func(p *attest.Provenance) { p.BuildDefinition.ExternalParameters.Source.Repository = repository })
	}
	builders := func(list ...string) policy.Rules { return policy.Rules{Provenance: policy.Provenance{Builders: list}} }
	bases := func(list ...string) policy.Rules {
		return policy.Rules{Provenance: policy.Provenance{BaseImages: list}}
	}
	sources := func(list ...string) policy.Rules {
		return policy.Rules{Provenance: policy.Provenance{Repositories: list}}
	}
	packages := func(list ...string) policy.Rules { return policy.Rules{SBOM: policy.SBOM{DenyPackages: list}} }
	allowed := func(list ...string) policy.Rules { return policy.Rules{SBOM: policy.SBOM{AllowLicenses: list}} }
	licenses := func(without []string, list ...string) policy.Rules {
		return policy.Rules{SBOM: policy.SBOM{DenyLicenses: list, WithoutLicense: without}}
	}
	const a, b = "pkg:golang/example.com/a@v1.0.0", "pkg:npm/%40acme/left-pad@1.3.0?vcs_url=x#dir"
	for name, c := range map[string]struct {
		rules  policy.Rules
		clause string
		at     int // place in whole of what is replaced
		with   []piece
		want   string
	}{
		"builder":                     {builders(builder), "builder", 1, []piece{by(builder)}, ""},
		"builder of a pattern":        {builders("https://github.com/acme/*/.github/workflows/path.yml@refs/tags/v*"), "builder", 1, []piece{by(builder)}, ""},
		"another builder":             {builders(builder), "builder", 1, []piece{by("https://evil.example.com")}, "built by https://evil.example.com, which is none"},
		"a branch named like a tag":   {builders("https://github.com/acme/idp/.github/workflows/*@refs/tags/v*"), "builder", 1, []piece{by("https://github.com/acme/idp/.github/workflows/path.yml@refs/heads/x@refs/tags/v1")}, "which is none"},
		"no builder":                  {builders("**"), "builder", 1, []piece{by("")}, "does not say who built it"},
		"builder without provenance":  {builders(builder), "builder", 1, nil, "no provenance"},
		"the newest builder is wrong": {builders(builder), "builder", 1, []piece{by(builder), provenance(func(p *attest.Provenance) { p.RunDetails.Metadata.FinishedOn = now.Add(-hour) })}, "does not say who"},

		"repository":            {sources("acme/*"), "provenance", 1, []piece{from("acme/checkout")}, ""},
		"another repository":    {sources("acme/cart", "other/*"), "provenance", 1, []piece{from("acme/checkout")}, "built from acme/checkout, which is none"},
		"a longer name":         {sources("acme/*"), "provenance", 1, []piece{from("evil/acme/checkout")}, "evil/acme/checkout"},
		"asked without require": {sources("acme/*"), "provenance", 1, nil, "no provenance"},

		"no base":                {bases(base), "base-image", 1, []piece{provenance(nil)}, ""},
		"base by digest":         {bases(base), "base-image", 1, []piece{on("pkg:docker/alpine@3.22?platform=linux%2Famd64", base)}, ""},
		"base by name":           {bases("docker.io/library/*"), "base-image", 1, []piece{on("pkg:docker/alpine@3.22", base)}, ""},
		"base by both":           {bases("cgr.dev/acme/static@" + base), "base-image", 1, []piece{on("pkg:docker/cgr.dev/acme/static@latest", base)}, ""},
		"base as OCI":            {bases("ghcr.io/acme/base"), "base-image", 1, []piece{on("pkg:oci/base@sha256%3Aaa?repository_url=ghcr.io/acme/base", base)}, ""},
		"another base":           {bases("docker.io/library/alpine"), "base-image", 1, []piece{on("pkg:docker/evil/alpine@3", base)}, "does not allow base image docker.io/evil/alpine@" + base},
		"base of another digest": {bases("docker.io/library/alpine@" + base), "base-image", 1, []piece{on("pkg:docker/alpine@3", "sha256:"+strings.Repeat("b", 64))}, "does not allow base image"},
		"base without a digest":  {bases("**"), "base-image", 1, []piece{on("pkg:docker/alpine@3", "")}, "without its digest"},
		"base of no form":        {bases("docker.io/library/alpine"), "base-image", 1, []piece{on("pkg:docker/alpine%00", base)}, "does not allow base image"},
		"base unknown":           {bases(base), "base-image", 1, nil, "no provenance"},

		"packages":                    {packages("pkg:npm/event-stream"), "packages", 2, []piece{cdx(component(a, ""), component(b, ""))}, ""},
		"a denied package":            {packages("pkg:golang/example.com/a"), "packages", 2, []piece{cdx(component(b, ""), component(a, ""))}, "the policy denies " + a},
		"a denied version":            {packages("pkg:golang/example.com/a@v1.0.0"), "packages", 2, []piece{cdx(component(a, ""))}, "the policy denies"},
		"another version":             {packages("pkg:golang/example.com/a@v1.0.1"), "packages", 2, []piece{cdx(component(a, ""))}, ""},
		"a denied scope":              {packages("pkg:npm/%40ACME/*"), "packages", 2, []piece{cdx(component(b, ""))}, "the policy denies"},
		"denied in SPDX only":         {packages("pkg:npm/@acme/left-pad"), "packages", 2, []piece{cdx(component(a, "")), spdxOf(b, "MIT")}, "the policy denies " + b},
		"denied within another":       {packages("pkg:npm/@acme/*"), "packages", 2, []piece{cdx(map[string]any{"type": "library", "purl": a, "components": []any{component(b, "")}})}, "the policy denies"},
		"a package without a URL":     {packages("pkg:npm/x"), "packages", 2, []piece{cdx(component("", ""))}, "without a package URL it cannot be told what this is: x"},
		"a package of another form":   {packages("pkg:npm/x"), "packages", 2, []piece{cdx(component("npm/x", ""))}, "without a package URL"},
		"packages without an SBOM":    {packages("pkg:npm/x"), "packages", 2, nil, "no SBOM"},
		"packages of a broken SBOM":   {packages("pkg:npm/x"), "packages", 2, []piece{bom(map[string]any{"bomFormat": "CycloneDX", "components": 1})}, "cannot be read"},
		"packages of an empty SBOM":   {packages("pkg:npm/x"), "packages", 2, []piece{cdx()}, "lists nothing"},
		"licences":                    {licenses(nil, "AGPL-*"), "licenses", 2, []piece{cdx(component(a, "MIT"), component(b, "Apache-2.0 AND BSD-3-Clause"))}, ""},
		"a denied licence":            {licenses(nil, "AGPL-*"), "licenses", 2, []piece{cdx(component(a, "MIT"), component(b, "AGPL-3.0-only"))}, "the policy denies AGPL-3.0-only of " + b},
		"a licence to choose":         {licenses(nil, "GPL-*"), "licenses", 2, []piece{cdx(component(a, "GPL-2.0-or-later OR MIT"))}, ""},
		"no licence to choose":        {licenses(nil, "GPL-*", "MIT"), "licenses", 2, []piece{cdx(component(a, "GPL-2.0-or-later OR MIT"))}, "the policy denies"},
		"both licences":               {licenses(nil, "GPL-*"), "licenses", 2, []piece{cdx(component(a, "GPL-2.0-or-later AND MIT"))}, "the policy denies"},
		"no licence":                  {licenses(nil, "GPL-*"), "licenses", 2, []piece{cdx(component(a, ""))}, "the licence is not known of " + a},
		"no licence of our own":       {licenses([]string{"pkg:golang/example.com/*"}, "GPL-*"), "licenses", 2, []piece{cdx(component(a, ""))}, ""},
		"a denied one of our own":     {licenses([]string{"pkg:golang/example.com/*"}, "GPL-*"), "licenses", 2, []piece{cdx(component(a, "GPL-2.0-only"))}, "the policy denies"},
		"a licence of no list":        {licenses(nil, "GPL-*"), "licenses", 2, []piece{cdx(component(a, "GNU GPL v3"))}, "the licence is not known"},
		"licences without an SBOM":    {licenses(nil, "GPL-*"), "licenses", 2, nil, "no SBOM"},
		"licences of SPDX, undecided": {licenses(nil, "GPL-*"), "licenses", 2, []piece{spdxOf(a, "NOASSERTION")}, "the licence is not known"},
		"allowed licences":            {allowed("MIT", "BSD-*"), "licenses", 2, []piece{cdx(component(a, "MIT"), component(b, "BSD-3-Clause OR GPL-2.0-only"))}, ""},
		"a licence that is not":       {allowed("MIT"), "licenses", 2, []piece{cdx(component(a, "MIT"), component(b, "ISC"))}, "the policy does not allow ISC of " + b},
		"an unknown one, not allowed": {allowed("*"), "licenses", 2, []piece{cdx(component(a, ""))}, "the licence is not known of " + a},
		"allowed without an SBOM":     {allowed("MIT"), "licenses", 2, nil, "no SBOM"},
		"licences of SPDX":            {licenses(nil, "GPL-*"), "licenses", 2, []piece{spdxOf(a, "GPL-3.0-only WITH GCC-exception-3.1")}, "the policy denies"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			w.attach(without(c.at, c.with...)...)
			w.inputs.Rules.Provenance, w.inputs.Rules.SBOM = c.rules.Provenance, c.rules.SBOM
			w.inputs.Rules.Require = []string{"secrets"} // what another key asks for has to be there without being required
			if strings.HasPrefix(name, "a longer name") {
				w.inputs.Repository = ""
			}
			out, err := w.run()
			seen := false
			for _, clause := range out.Evidence.Clauses {
				if clause.Name != c.clause {
					continue
				}
				seen = true
				if clause.Met != (c.want == "") || !strings.Contains(clause.Reason, c.want) {
					t.Errorf("met %t: %s", clause.Met, clause.Reason)
				}
			}
			if !seen || (err == nil) != (c.want == "") || err != nil && fault.KindOf(err) != fault.Failed {
				t.Errorf("%v in %v", err, out.Evidence.Clauses)
			}
		})
	}
}

func testRun(change func(*attest.TestResult)) piece {
	r := attest.TestResult{Result: attest.ResultPassed, PassedTests: []string{"pay"},
		Tests: &attest.Tests{Commit: commit, Passed: 212, Flaky: 0, Skipped: 3, FinishedOn: now.Add(-hour)}}
	if change != nil {
		change(&r)
	}
	return piece{kind: attest.PredicateTestResult, predicate: r}
}

// The tests of the service: the newest run on this commit counts, and it has to have passed something.
func TestTestsAreRequired(t *testing.T) {
	t.Parallel()
	stranger, err := signing.GenerateKey()
	expect.NoError(t, err)
	byStranger := testRun(nil)
	byStranger.by = stranger
	elsewhere := testRun(nil)
	elsewhere.about = "sha256:" + strings.Repeat("d", 64)
	for name, c := range map[string]struct {
		with []piece
		want string // why it is refused; empty where it is met
	}{
		"passed":                              {[]piece{testRun(nil)}, ""},
		"flaky":                               {[]piece{testRun(func(r *attest.TestResult) { r.Result, r.Tests.Flaky = attest.ResultWarned, 1 })}, ""},
		"failed before":                       {[]piece{testRun(nil), testRun(func(r *attest.TestResult) { r.Result = attest.ResultFailed; r.Tests.FinishedOn = now.Add(-2 * hour) })}, ""},
		"failed later":                        {[]piece{testRun(nil), testRun(func(r *attest.TestResult) { r.Result = attest.ResultFailed; r.Tests.FinishedOn = now })}, `result is "FAILED"`},
		"failed at that second":               {[]piece{testRun(nil), testRun(func(r *attest.TestResult) { r.Tests.Failed = 2 })}, "2 tests failed"},
		"one is named":                        {[]piece{testRun(func(r *attest.TestResult) { r.FailedTests = []string{"pay"} })}, "1 test failed"},
		"less than none":                      {[]piece{testRun(func(r *attest.TestResult) { r.Tests.Failed = -1 })}, "0 tests failed"},
		"no result":                           {[]piece{testRun(func(r *attest.TestResult) { r.Result = "" })}, `result is ""`},
		"nothing ran":                         {[]piece{testRun(func(r *attest.TestResult) { r.Tests.Passed = 0 })}, "no test passed"},
		"of another commit":                   {[]piece{testRun(func(r *attest.TestResult) { r.Tests.Commit = "beef" })}, "tested commit beef"},
		"of the future":                       {[]piece{testRun(func(r *attest.TestResult) { r.Tests.FinishedOn = now.Add(hour) })}, "in the future"},
		"of no time":                          {[]piece{testRun(func(r *attest.TestResult) { r.Tests.FinishedOn = time.Time{} })}, "does not say when"},
		"expired":                             {[]piece{testRun(func(r *attest.TestResult) { r.Tests.FinishedOn = now.Add(-25 * hour) })}, "25h0m0s old"},
		"scans alone":                         {nil, "no result of tests"},
		"of a tool that does not say of what": {[]piece{testRun(func(r *attest.TestResult) { r.Tests = nil })}, "no result of tests"},
		"by another":                          {[]piece{byStranger}, "not signed by"},
		"of another image":                    {[]piece{elsewhere}, "is about sha256:dddd"},
		"of no form":                          {[]piece{{kind: attest.PredicateTestResult, predicate: map[string]any{"idpTests": 1}}}, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			w.attach(append(whole(), c.with...)...)
			w.inputs.Rules.Require = []string{"tests", "provenance"}
			out, err := w.run()
			var refused []string
			for _, clause := range out.Evidence.Clauses {
				if !clause.Met {
					refused = append(refused, clause.Reason)
				}
			}
			if (err == nil) != (c.want == "") || err != nil && (fault.KindOf(err) != fault.Failed || !strings.Contains(strings.Join(refused, "\n"), c.want)) {
				t.Errorf("%v, refused for %q", err, refused)
			}
		})
	}
}

func smoked(change func(*attest.TestResult)) piece {
	r := attest.TestResult{Result: attest.ResultPassed, PassedTests: []string{"get /", "smoke"},
		Smoke: &attest.Smoke{Environment: "staging", Commit: commit, Rounds: 3, FinishedOn: now.Add(-hour)}}
	if change != nil {
		change(&r)
	}
	return piece{kind: attest.PredicateTestResult, predicate: r}
}

func deployedTo(change func(*attest.Attribute)) piece {
	a := attest.Attribute{Attribute: attest.Deployed, Conditions: attest.DeployedWhen{Environment: "staging", Commit: commit, FinishedOn: now.Add(-hour)}}
	if change != nil {
		change(&a)
	}
	return piece{kind: attest.PredicateDeployment, predicate: attest.Deployment{Attributes: []attest.Attribute{a}}}
}

// What became of the image in the environment before: it was live there, and its newest smoke test there passed.
func TestEvidenceOfTheEnvironmentBefore(t *testing.T) {
	t.Parallel()
	stranger, err := signing.GenerateKey()
	expect.NoError(t, err)
	byStranger := smoked(nil)
	byStranger.by = stranger
	elsewhere := deployedTo(nil)
	elsewhere.about = "sha256:" + strings.Repeat("d", 64)
	fine := []piece{smoked(nil), deployedTo(nil)}
	for name, c := range map[string]struct {
		with        []piece
		environment string
		want        map[string]string // of the refused clauses
	}{
		"both":                   {fine, "staging", nil},
		"failed before":          {append(fine[:2:2], smoked(func(r *attest.TestResult) { r.Result = attest.ResultFailed; r.Smoke.FinishedOn = now.Add(-2 * hour) })), "staging", nil},
		"failed later":           {append(fine[:2:2], smoked(func(r *attest.TestResult) { r.Result = attest.ResultFailed; r.Smoke.FinishedOn = now })), "staging", map[string]string{"smoke": `result is "FAILED"`}},
		"one check failed":       {[]piece{deployedTo(nil), smoked(func(r *attest.TestResult) { r.FailedTests = []string{"get /"} })}, "staging", map[string]string{"smoke": "did not pass"}},
		"nothing checked":        {[]piece{deployedTo(nil), smoked(func(r *attest.TestResult) { r.Smoke.Rounds = 0 })}, "staging", map[string]string{"smoke": "checked nothing"}},
		"nothing there":          {nil, "staging", map[string]string{"smoke": "no smoke result in staging", "deployment": "no deployment to staging"}},
		"of another environment": {fine, "preprod", map[string]string{"smoke": "no smoke result in preprod", "deployment": "no deployment to preprod"}},
		"of no environment":      {fine, "", map[string]string{"smoke": "does not say in which environment", "deployment": "does not say in which environment"}},
		"of another commit": {[]piece{smoked(func(r *attest.TestResult) { r.Smoke.Commit = "beef" }), deployedTo(func(a *attest.Attribute) { a.Conditions.Commit = "beef" })}, "staging",
			map[string]string{"smoke": "commit beef", "deployment": "commit beef"}},
		"of the future": {[]piece{smoked(func(r *attest.TestResult) { r.Smoke.FinishedOn = now.Add(hour) }), deployedTo(func(a *attest.Attribute) { a.Conditions.FinishedOn = now.Add(hour) })}, "staging",
			map[string]string{"smoke": "in the future", "deployment": "in the future"}},
		"another attribute":  {[]piece{smoked(nil), deployedTo(func(a *attest.Attribute) { a.Attribute = "BUILT" })}, "staging", map[string]string{"deployment": "no deployment"}},
		"by another":         {[]piece{byStranger, deployedTo(nil)}, "staging", map[string]string{"smoke": "not signed by"}},
		"of another image":   {[]piece{smoked(nil), elsewhere}, "staging", map[string]string{"deployment": "is about sha256:dddd"}},
		"of no form":         {[]piece{smoked(nil), {kind: attest.PredicateDeployment, predicate: map[string]any{"attributes": 1}}}, "staging", map[string]string{"deployment": "cannot be read"}},
		"tests are no smoke": {[]piece{testRun(nil), deployedTo(nil)}, "staging", map[string]string{"smoke": "no smoke result"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true)
			w.attach(append(whole(), c.with...)...)
			w.inputs.Rules.After = policy.After{Environment: c.environment, Require: []string{"deployment", "smoke"}}
			out, err := w.run()
			refused := 0
			for _, clause := range out.Evidence.Clauses {
				if clause.Met {
					continue
				}
				refused++
				if want := c.want[clause.Name]; want == "" || !strings.Contains(clause.Reason, want) {
					t.Errorf("%s: %q, expected %q", clause.Name, clause.Reason, want)
				}
			}
			if refused != len(c.want) || len(out.Evidence.Clauses) != 8 || (err == nil) != (refused == 0) || err != nil && fault.KindOf(err) != fault.Failed {
				t.Errorf("%v: %v", err, out.Evidence.Clauses)
			}
		})
	}
}
