//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// gateDecides has one repository build and sign an image, and another one, in which nothing but a policy is, decide about it.
func gateDecides(t *testing.T) {
	built := newRepository(t, ".")
	p := newPlatform(t, built)
	made := built.run(p.call)
	made.jobs(true, map[string][]string{"image": success, "release": success, "verdict": success})
	image := made.output("sign", "image")
	name, digest, _ := strings.Cut(image, "@")

	r := newRepository(t)
	r.add("cosign.pub", built.read("cosign.pub"))
	r.add("policy.yaml", `name: acme
defaults:
  signer: {key: cosign.pub}
  require: [provenance, sbom]
  evidence-max-age: 30d
environments:
  production: {require: [provenance, sbom, sast, secrets], sast: {fail-on: high}, secrets: {fail-on: low}}
`)
	gate := func(image, from string) *ran {
		c := p.call
		c.workflow, c.event, c.payload = "gate.yml", "workflow_dispatch", map[string]any{"inputs": map[string]any{"image": image}}
		c.vars = map[string]string{"IDP_FROM": from}
		return r.run(c)
	}
	tag := name + ":" + strings.TrimSpace(built.git("rev-parse", "HEAD"))
	for _, given := range []string{image, tag} {
		got := gate(given, "acme/hello")
		got.jobs(true, map[string][]string{"gate": success})
		got.outputs("verify", map[string]string{"outcome": "passed", "image": image})
		contains(t, "log", got.text(nil), "6 of 6 clauses", "deploying "+image)
		contains(t, "summary", got.onlySummary(), "# hello passed", "✓ passed | verify", digest)
	}
	for _, refused := range []struct{ image, from, why string }{
		{image, "acme/other", "it was built from acme/hello, not from acme/other"},
		{name + "@sha256:" + strings.Repeat("0", 64), "acme/hello", "could not be determined"},
	} {
		got := gate(refused.image, refused.from)
		got.jobs(false, map[string][]string{"gate": failure})
		contains(t, "log", got.text(nil), refused.why)
		if strings.Contains(got.text(nil), "| deploying ") {
			t.Errorf("%s of %s was deployed", refused.image, refused.from)
		}
	}
}
