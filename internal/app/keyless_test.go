package app_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/testkit/sigstorefake"
)

// keylessJob is a machine whose service is scanned and built, in a run of GitHub that may ask for identity tokens.
func keylessJob(t *testing.T, i *sigstorefake.Instance) *machine {
	t.Helper()
	m := newMachine(t)
	m.git("remote", "add", "origin", "https://github.com/acme/plain.git")
	m.commit(map[string]string{"idp.yaml": "name: plain\nowner: team-plain\nenvironments: {staging: {}}\n"})
	m.inRun()
	m.setenv("GITHUB_REPOSITORY_ID", "1001")
	m.setenv("GITHUB_SERVER_URL", "https://github.com")
	for name, value := range i.Environ() {
		m.setenv(name, value)
	}
	for _, stage := range [][]string{{"sast"}, {"secrets", "--history", "all"}, {"build"}} {
		m.stage(stage...).end(patience, 0)
	}
	return m
}

func (m *machine) stage(args ...string) *run {
	m.t.Helper()
	return m.start(slices.Concat(args, []string{"--service", "svc", "--out", "out", "--record", m.path("out", "record.json")})...)
}

func plain() sigstorefake.Claims {
	return sigstorefake.Workflow("acme/plain", ".github/workflows/deliver.yml", "refs/heads/main")
}

// A job without a key signs as itself; what it signed is accepted as the repository's and as nobody else's.
func TestKeylessDelivery(t *testing.T) {
	t.Parallel()
	i := sigstorefake.Start(t, sigstorefake.Options{Rekor: 2, TSA: true})
	i.Mint(plain())
	trust, config := i.Files()
	m, s := keylessJob(t, i), newRegistryServer(t)
	m.stage("sign", "--registry", s.repo, "--trusted-root", trust, "--signing-config", config).end(patience, 0)
	const uri = "https://github.com/acme/plain/.github/workflows/deliver.yml@refs/heads/main"
	r := m.recordAt(m.path("out", "record.json"))
	signed, err := record.EvidenceOf[record.Sign](r, record.StageSign)
	check(t, err)
	if signed.Signer != uri {
		t.Errorf("signed by %s", signed.Signer)
	}
	if i.Asked(sigstorefake.Fulcio) != 1 || i.Asked(sigstorefake.TSA) < 4 {
		t.Errorf("asked for %d certificates and %d timestamps", i.Asked(sigstorefake.Fulcio), i.Asked(sigstorefake.TSA))
	}
	// The embedded policy needs no word about it: a workflow of the repository itself.
	if out := m.stage("verify", "--trusted-root", trust).end(patience, 0); !strings.Contains(out, "6 of 6 clauses") {
		t.Error(out)
	}
	other, _ := sigstorefake.Start(t, sigstorefake.Options{Rekor: 2, TSA: true}).Files()
	const base = "  require: [provenance, sbom]\n  sast: {fail-on: high}\n  secrets: {fail-on: low}\n  evidence-max-age: 1d\n  smoke: {rounds: 1}\n"
	for name, tc := range map[string]struct {
		policy string
		code   int
		want   string
	}{
		"ids":             {"{repository-id: \"1001\", owner-id: \"77\", ref: refs/heads/main, runner: github-hosted}", 0, "4 of 4 clauses"},
		"another owner":   {"{owner-id: \"78\"}", 1, `its owner id is "77", not 78`},
		"another project": {"{repository: acme/checkout}", 1, "not acme/checkout"},
		"golden path":     {"{workflow: acme/golden/.github/workflows/path.yml}", 1, "its workflow is"},
		"another trust":   {"{trusted-root: " + other + "}", 1, "not signed keyless as " + other},
		"two trusts":      {"{trusted-root: " + other + "} # and an input", 2, "the input trusted-root does not count"},
		"no trust":        {"{trusted-root: none.json}", 2, "trusted root: open"},
	} {
		m.write(".", map[string]string{"policy.yaml": "name: acme\ndefaults:\n  signer: {keyless: " + strings.Replace(tc.policy, "} #", "}} #", 1) + "}\n" + base})
		if strings.Contains(tc.policy, "#") {
			m.write(".", map[string]string{"policy.yaml": "name: acme\ndefaults:\n  signer: {keyless: {trusted-root: " + other + "}}\n" + base})
		}
		args := []string{"verify", "--policy", m.path("policy.yaml")}
		if !strings.Contains(tc.policy, "trusted-root") || strings.Contains(tc.policy, "#") {
			args = append(args, "--trusted-root", trust)
		}
		if out := m.stage(args...).end(patience, tc.code); !strings.Contains(out, tc.want) {
			t.Errorf("%s: want %q\n%s", name, tc.want, out)
		}
	}
	// Anyone may check it who has the image, the trusted root and the repository's name.
	reference := r.Artifact.Image + "@" + r.Artifact.Digest
	if out := m.start("verify", reference, "--trusted-root", trust, "--repository", "acme/plain").end(patience, 0); !strings.Contains(out, "6 of 6 clauses") {
		t.Error(out)
	}
	m.start("verify", reference, "--trusted-root", trust, "--repository", "acme/other").end(patience, 1)
	if out := m.start("evidence", reference, "--trusted-root", trust, "--repository", "acme/plain").end(patience, 0); !strings.Contains(out, uri) {
		t.Error(out)
	}
}

// What keeps a job from signing leaves nothing in the registry, and says what to do.
func TestKeylessDoesNotSign(t *testing.T) {
	t.Parallel()
	i := sigstorefake.Start(t, sigstorefake.Options{Rekor: 1, TSA: true})
	i.Mint(plain())
	trust, config := i.Files()
	m, s := keylessJob(t, i), newRegistryServer(t)
	private := plain()
	private.Visibility = "private"
	public := m.path("public.json")
	data, err := os.ReadFile(config)
	check(t, err)
	check(t, os.WriteFile(public, []byte(strings.Replace(string(data), i.URL, "https://fulcio.sigstore.dev", 1)), 0o600))
	for name, tc := range map[string]struct {
		args   []string
		env    string
		claims sigstorefake.Claims
		code   int
		want   string
	}{
		"no permission": {args: []string{"--trusted-root", trust, "--signing-config", config}, env: "ACTIONS_ID_TOKEN_REQUEST_URL=", claims: plain(), code: 2,
			want: "permissions: {id-token: write}"},
		"half an instance": {args: []string{"--signing-config", config}, claims: plain(), code: 2, want: "belong together"},
		"no such file":     {args: []string{"--trusted-root", trust, "--signing-config", "none.json"}, claims: plain(), code: 2, want: "signing config: open none.json"},
		"private": {args: []string{"--trusted-root", trust, "--signing-config", public}, claims: private, code: 2,
			want: `would publish repository "acme/plain", which is private`},
	} {
		i.Mint(tc.claims)
		env := slices.Clone(m.env)
		if tc.env != "" {
			m.env = append(m.env, tc.env)
		}
		out := m.stage(append([]string{"sign", "--registry", s.repo}, tc.args...)...).end(patience, tc.code)
		m.env = env
		if !strings.Contains(out, tc.want) {
			t.Errorf("%s: want %q\n%s", name, tc.want, out)
		}
	}
	if n := s.count(); n != 0 {
		t.Errorf("the registry was asked %d times", n)
	}
	// When the reason is gone, the same record is signed.
	i.Mint(plain())
	m.stage("sign", "--registry", s.repo, "--trusted-root", trust, "--signing-config", config).end(patience, 0)
}

// A key may be in a variable, as a secret of the repository is; where it cannot be had, nothing is signed.
func TestKeyFromVariable(t *testing.T) {
	t.Parallel()
	m, s := newMachine(t), newRegistryServer(t)
	file, password := cosignKey(m)
	data, err := os.ReadFile(file)
	check(t, err)
	m.setenv("COSIGN_PASSWORD", password)
	m.setenv("SIGNING_KEY", string(data))
	m.deliver("--registry", s.repo, "--key", "env://SIGNING_KEY").end(patience, 0)
	for ref, want := range map[string]string{"env://NOT_SET": "key env://NOT_SET: the variable is not set", "env://HOME": "key env://HOME is not a PEM file",
		"awskms:///alias/delivery": "go build -tags kms"} {
		if out := m.start("sign", "--service", "svc", "--out", "out", "--registry", s.repo, "--key", ref).end(patience, 2); !strings.Contains(out, want) {
			t.Errorf("%s: want %q\n%s", ref, want, out)
		}
	}
}
