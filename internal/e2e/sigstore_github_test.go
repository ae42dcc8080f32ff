//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/idp/internal/testkit/sigstore"
)

// byGitHub is what actions/attest-build-provenance says in the job of the kit; %s is the commit.
const byGitHub = `{
  "buildDefinition": {
    "buildType": "https://actions.github.io/buildtypes/workflow/v1",
    "externalParameters": {"workflow": {"ref": "refs/heads/main", "repository": "https://github.com/acme/checkout", "path": ".github/workflows/release.yml"}},
    "internalParameters": {"github": {"event_name": "push", "repository_id": "1001", "repository_owner_id": "2002", "runner_environment": "github-hosted"}},
    "resolvedDependencies": [{"uri": "git+https://github.com/acme/checkout@refs/heads/main", "digest": {"gitCommit": "%s"}}]
  },
  "runDetails": {
    "builder": {"id": "https://github.com/acme/checkout/.github/workflows/release.yml@refs/heads/main"},
    "metadata": {"invocationId": "https://github.com/acme/checkout/actions/runs/3003/attempts/1"}
  }
}`

// An image that is not of idp, and that a workflow attested as GitHub's own action does, is let in by its repository and workflow; by
// any other, by another commit, or with a commit that the certificate does not have, it is refused.
func TestSigstoreGitHubAttestation(t *testing.T) {
	t.Parallel()
	for kind := range sigstore.Open(t).Registries() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			k := sigstore.Open(t)
			registry, dir := k.Registries()[kind], t.TempDir()
			commit := strings.Repeat("1", 40)
			attested := func(name, commit string) string {
				image := k.Push(t, registry, unique(name, t))
				file := filepath.Join(dir, name+".json")
				write(t, file, fmt.Sprintf(byGitHub, commit))
				args := append([]string{"attest", "--type", "slsaprovenance1", "--predicate", file}, k.ForCosign("v3")...)
				if out, complaints, err := k.Cosign(t, "v3", k.Job(t, nil), append(args, image)...); err != nil {
					t.Fatalf("cosign attest: %v\n%s%s", err, out, complaints)
				}
				return image
			}
			policy := func(repository, workflow string) string {
				file := filepath.Join(dir, strings.ReplaceAll(repository+workflow, "/", "-")+".yaml")
				write(t, file, fmt.Sprintf(`name: attested
defaults:
  signer: {keyless: {issuer: %q, repository: %s, workflow: %s, trusted-root: %q}}
  require: [provenance]
  evidence-max-age: 1d
  provenance: {build-types: [github-workflow]}
`, k.IssuerURL, repository, workflow, k.TrustedRoot))
				return file
			}
			const workflow = ".github/workflows/release.yml"
			good, lying := attested("good", commit), attested("lying", strings.Repeat("2", 40))
			ours := policy("acme/checkout", workflow)
			for name, c := range map[string]struct {
				args []string
				code int
				want string
			}{
				"ours":             {[]string{good, "--policy", ours, "--repository", "acme/checkout", "--commit", commit}, 0, "built in a workflow of acme/checkout at 111111111111"},
				"no more is asked": {[]string{good, "--policy", ours}, 0, "by GitHub's provenance"},
				"another commit":   {[]string{good, "--policy", ours, "--commit", strings.Repeat("2", 40)}, 1, "built from commit 111111111111"},
				"another workflow": {[]string{good, "--policy", policy("acme/checkout", ".github/workflows/other.yml")}, 1, "its workflow is"},
				"another owner":    {[]string{good, "--policy", policy("mallory/checkout", workflow)}, 1, "its repository is"},
				"a lie":            {[]string{lying, "--policy", ours}, 1, "and its certificate " + commit},
			} {
				cmd := exec.CommandContext(t.Context(), needEnv(t, "IDP_E2E_IDP"), append([]string{"verify"}, c.args...)...)
				cmd.Env, cmd.Dir = withoutTokens(), dir
				out, err := cmd.CombinedOutput()
				if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != c.code || !strings.Contains(string(out), c.want) {
					t.Errorf("%s: %v, expected exit %d and %q\n%s", name, err, c.code, c.want, out)
				}
			}
		})
	}
}
