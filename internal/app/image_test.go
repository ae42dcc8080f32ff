package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// delivered is a machine whose service was delivered to a registry, signed with cosign.key.
func delivered(t *testing.T) (m *machine, s *registryServer, digest string) {
	t.Helper()
	m, s = newMachine(t), newRegistryServer(t)
	key, password := cosignKey(m)
	m.setenv("COSIGN_PASSWORD", password)
	m.deliver("--registry", s.repo, "--key", key).end(patience, 0)
	digest = m.record().Artifact.Digest
	m.setenv("COSIGN_PASSWORD", "")
	check(t, os.RemoveAll(m.path("out")))
	return m, s, digest
}

// Anyone with the image, a policy and the public key has the gate: no service, no git, no record.
func TestVerifyAnImageAlone(t *testing.T) {
	t.Parallel()
	m, s, digest := delivered(t)
	commit := m.git("rev-parse", "HEAD")
	tag, err := name.ParseReference(s.repo + ":unsigned")
	check(t, err)
	img, err := random.Image(64, 1)
	check(t, err)
	check(t, remote.Write(tag, img))
	m.write("elsewhere", map[string]string{
		"policy.yaml": "name: acme\ndefaults:\n  signer: {key: ../cosign.pub}\n  require: [provenance, sbom]\n  evidence-max-age: 30d\n" +
			"environments:\n  production: {require: [provenance, sbom, sast, secrets], sast: {fail-on: low}, secrets: {fail-on: low}}\n",
		"secrets.yaml": "name: acme\ndefaults:\n  signer: {key: ../cosign.pub}\n  require: [secrets]\n  secrets: {fail-on: low}\n  evidence-max-age: 30d\n",
		"empty.yaml":   "{}\n", "signer.yaml": "defaults: {signer: {key: ../cosign.pub}}\n",
		"other.pub": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n",
	})
	pinned := s.repo + "@" + digest
	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"a digest":              {[]string{pinned, "--policy", "policy.yaml"}, 0, []string{"✓ provenance  built from svc at " + commit[:12], "✓ age", "passed: policy acme: 4 of 4 clauses", "From which repository"}},
		"a tag, policy first":   {[]string{"--policy", "policy.yaml", s.repo + ":" + commit}, 0, []string{"image   " + pinned, "which is what tag " + commit + " is now"}},
		"a tag and a digest":    {[]string{s.repo + ":unsigned@" + digest, "--policy", "policy.yaml"}, 0, []string{"image   " + pinned}},
		"no policy file":        {[]string{pinned, "--key", "../cosign.pub"}, 0, []string{"✓ sast", "✓ secrets", "policy default: 6 of 6 clauses"}},
		"what it is built from": {[]string{pinned, "--policy", "policy.yaml", "--repository", "svc", "--commit", commit}, 0, []string{"passed"}},
		"another repository":    {[]string{pinned, "--policy", "policy.yaml", "--repository", "acme/checkout"}, 1, []string{"✗ provenance  it was built from svc, not from acme/checkout"}},
		"another commit":        {[]string{pinned, "--policy", "policy.yaml", "--commit", strings.Repeat("a", 40)}, 1, []string{"✗ provenance"}},
		"a stricter environment": {[]string{pinned, "--policy", "policy.yaml", "--environment", "production"}, 1,
			[]string{"✗ sast        it was scanned with fail-on high, the policy asks for low", "idp: policy acme/production refuses " + digest + ": 1 of 6 clauses"}},
		"an environment that is not listed": {[]string{pinned, "--policy", "policy.yaml", "--environment", "prodution"}, 0,
			[]string{"passed: policy acme/prodution (which it does not list: its defaults): 4 of 4 clauses"}},
		"another repository of the same commit, and no provenance is required": {[]string{pinned, "--policy", "secrets.yaml", "--repository", "acme/checkout", "--commit", commit}, 1,
			[]string{"✗ provenance  it was built from svc, not from acme/checkout"}},
		"an unsigned image":    {[]string{s.repo + ":unsigned", "--policy", "policy.yaml"}, 1, []string{"✗ signature   nothing is attached to this digest"}},
		"another's key":        {[]string{pinned, "--key", "other.pub"}, 1, []string{"✗ signature   no image signature", "✗ sbom"}},
		"an empty policy":      {[]string{pinned, "--policy", "empty.yaml"}, 1, []string{"✗ policy      it does not say signer, require, evidence-max-age", "✗ signature"}},
		"a signer and no more": {[]string{pinned, "--policy", "signer.yaml"}, 1, []string{"✗ policy      it does not say require, evidence-max-age"}},
		"no key":               {[]string{pinned}, 2, []string{"Give the public key: --key cosign.pub"}},
		"a key too many":       {[]string{pinned, "--policy", "policy.yaml", "--key", "other.pub"}, 2, []string{"--key does not count"}},
		"no tag":               {[]string{s.repo, "--policy", "policy.yaml"}, 2, []string{"has neither a digest nor a tag"}},
		"two images":           {[]string{pinned, pinned}, 2, []string{"takes one image"}},
		"no such file":         {[]string{pinned, "--policy", "none.yaml"}, 2, []string{"there is no policy file none.yaml"}},
		"no such flag":         {[]string{pinned, "--polcy", "policy.yaml"}, 2, []string{"Did you mean --policy?"}},
		"no such tag":          {[]string{s.repo + ":none", "--policy", "policy.yaml"}, 3, []string{"could not be determined: cannot find", "404"}},
		"no such digest":       {[]string{s.repo + "@sha256:" + strings.Repeat("0", 64), "--policy", "policy.yaml"}, 3, []string{"could not be determined"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := m.startIn("elsewhere", append([]string{"verify"}, c.args...)...)
			out := r.end(patience, c.code)
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("does not say %q:\n%s", want, out)
				}
			}
			if c.code != 0 && strings.Contains(out, "passed:") {
				t.Errorf("speaks of a pass:\n%s", out)
			}
		})
	}
	// A tag that was moved to another image stands for that image, whatever it stood for before.
	signed, err := name.ParseReference(pinned)
	check(t, err)
	descriptor, err := remote.Get(signed)
	check(t, err)
	moving, err := name.NewTag(s.repo + ":v1")
	check(t, err)
	check(t, remote.Tag(moving, descriptor))
	m.startIn("elsewhere", "verify", s.repo+":v1", "--policy", "policy.yaml").end(patience, 0)
	check(t, remote.Write(moving, img))
	if out := m.startIn("elsewhere", "verify", s.repo+":v1", "--policy", "policy.yaml").end(patience, 1); !strings.Contains(out, "✗ signature   nothing is attached") {
		t.Errorf("a tag that was moved:\n%s", out)
	}
	entries, err := os.ReadDir(m.path("elsewhere"))
	check(t, err)
	if len(entries) != 5 {
		t.Errorf("it left something behind: %v", entries)
	}
	s.answer(func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	if out := m.startIn("elsewhere", "verify", pinned, "--policy", "policy.yaml").end(patience, 3); strings.Contains(out, "✓") {
		t.Errorf("a registry that refuses meets a clause:\n%s", out)
	}
}

func TestEvidenceOfAnImage(t *testing.T) {
	t.Parallel()
	m, s, digest := delivered(t)
	commit := m.git("rev-parse", "HEAD")
	out := m.start("evidence", s.repo+":"+commit, "--key", "cosign.pub").end(patience, 0)
	for _, want := range []string{digest, "which is what tag " + commit + " is now", "✓ signature", "built from svc at " + commit, "✓ sbom",
		"CycloneDX 1.6", "✓ sast", "passed: gosec", "✓ secrets", "9 of 9 statements verified"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	out = m.start("evidence", s.repo+"@"+digest).end(patience, 1)
	if strings.Contains(out, "✓") || !strings.Contains(out, "claims: built from svc") || !strings.Contains(out, "0 of 9 statements verified") ||
		!strings.Contains(out, "it is not said whose signature counts") {
		t.Errorf("without a signer:\n%s", out)
	}

	r := m.start("evidence", s.repo+"@"+digest, "--json", "--key", "cosign.pub")
	var chain struct {
		Schema, Image, Digest, Signer string
		Evidence                      []struct {
			Kind      string
			Verified  bool
			Statement struct{ Predicate json.RawMessage }
		}
	}
	check(t, json.Unmarshal([]byte(r.end(patience, 0)), &chain))
	var kinds []string
	for _, e := range chain.Evidence {
		if !e.Verified {
			t.Errorf("%s is not verified", e.Kind)
		}
		var scan struct {
			Configuration []struct {
				Name   string
				Digest map[string]string
			}
		}
		if e.Kind == "sast" || e.Kind == "secrets" {
			check(t, json.Unmarshal(e.Statement.Predicate, &scan))
			if c := scan.Configuration; len(c) != 1 || c[0].Name != "default" || len(c[0].Digest["sha256"]) != 64 {
				t.Errorf("%s was held to policy %v", e.Kind, c)
			}
		}
		kinds = append(kinds, e.Kind)
	}
	if want := []string{"signature", "provenance", "sbom", "sbom", "sast", "secrets", "verdict", "deployment", "smoke"}; !slices.Equal(kinds, want) || chain.Digest != digest ||
		chain.Image != s.repo || chain.Schema != "idp.evidence/v1" || !strings.HasPrefix(chain.Signer, "sha256:") {
		t.Errorf("%v of %s@%s by %s in %s", kinds, chain.Image, chain.Digest, chain.Signer, chain.Schema)
	}
}

// What is signed names the source as others find it, and no folder of this machine.
func TestProvenanceNamesTheSource(t *testing.T) {
	t.Parallel()
	m, s := newMachine(t), newRegistryServer(t)
	key, password := cosignKey(m)
	m.setenv("COSIGN_PASSWORD", password)
	m.git("remote", "add", "origin", m.path("remotes", "acme", "checkout.git"))
	for _, c := range []struct{ remote, want, never string }{
		{m.path("remotes", "acme", "checkout.git"), `"repository": "svc"`, m.path("remotes")},
		{"git@github.com:acme/checkout.git", `"git+https://github.com/acme/checkout@refs/heads/`, "git+git@"},
	} {
		m.git("remote", "set-url", "origin", c.remote)
		m.deliver("--registry", s.repo, "--key", key).end(patience, 0)
		out := m.start("evidence", s.repo+"@"+m.record().Artifact.Digest, "--key", "cosign.pub", "--json").end(patience, 0)
		if !strings.Contains(out, c.want) || strings.Contains(out, c.never) {
			t.Errorf("%s: has not %s, or has %s:\n%s", c.remote, c.want, c.never, out)
		}
		m.commit(nil)
	}
}
