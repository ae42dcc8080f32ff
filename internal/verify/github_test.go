package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
	"github.com/org/idp/internal/testkit/sigstorefake"
	"github.com/org/idp/internal/verify"
	"github.com/org/idp/internal/verifying"
)

// attested is what actions/attest-build-provenance says in a job with these claims. The form is that of @actions/attest 1.6.0,
// https://github.com/actions/toolkit/blob/main/packages/attest/src/provenance.ts.
func attested(c sigstorefake.Claims, change func(map[string]any)) piece {
	const server = "https://github.com/"
	path, _, _ := strings.Cut(strings.TrimPrefix(c.WorkflowRef, c.Repository+"/"), "@")
	predicate := map[string]any{
		"buildDefinition": map[string]any{
			"buildType":          "https://actions.github.io/buildtypes/workflow/v1",
			"externalParameters": map[string]any{"workflow": map[string]any{"ref": c.Ref, "repository": server + c.Repository, "path": path}},
			"internalParameters": map[string]any{"github": map[string]any{"event_name": c.EventName, "repository_id": c.RepositoryID,
				"repository_owner_id": c.OwnerID, "runner_environment": c.RunnerEnvironment}},
			"resolvedDependencies": []any{map[string]any{"uri": "git+" + server + c.Repository + "@" + c.Ref, "digest": map[string]any{"gitCommit": c.SHA}}},
		},
		"runDetails": map[string]any{"builder": map[string]any{"id": server + c.JobWorkflowRef},
			"metadata": map[string]any{"invocationId": server + c.Repository + "/actions/runs/" + c.RunID + "/attempts/1"}},
	}
	if change != nil {
		change(predicate)
	}
	return piece{kind: attest.PredicateProvenance, predicate: predicate}
}

func within(m map[string]any, path ...string) map[string]any {
	for _, key := range path {
		m = m[key].(map[string]any)
	}
	return m
}

// An image that was built elsewhere and attested by GitHub's own action, and by nobody else, meets a policy that lets such in, by the
// identity of the workflow; and only that.
func TestGitHubAttestation(t *testing.T) {
	t.Parallel()
	const workflow, main = ".github/workflows/release.yml", "refs/heads/main"
	claims := sigstorefake.Workflow("acme/checkout", workflow, main)
	ours := verifying.Identity{Issuer: verifying.GitHubIssuer, RepositoryID: claims.RepositoryID, Workflow: workflow, Ref: main}
	reusable := claims
	reusable.JobWorkflowRef = "acme/golden/.github/workflows/build.yml@refs/tags/v1"
	dependency := func(field string, value any) func(map[string]any) {
		return func(p map[string]any) {
			within(p, "buildDefinition")["resolvedDependencies"].([]any)[0].(map[string]any)[field] = value
		}
	}
	set := func(value any, path ...string) func(map[string]any) {
		return func(p map[string]any) { within(p, path[:len(path)-1]...)[path[len(path)-1]] = value }
	}
	root, folder := "", "services/checkout"
	for name, c := range map[string]struct {
		claims   *sigstorefake.Claims // of who signed
		change   func(map[string]any)
		inputs   func(*verify.Inputs)
		identity *verifying.Identity
		by       *policy.Signer
		now      time.Duration
		want     string // of the provenance clause, where it is refused
	}{
		"as it is":         {},
		"at the root":      {inputs: func(in *verify.Inputs) { in.Path = &root }},
		"nothing is known": {inputs: func(in *verify.Inputs) { in.Repository, in.Commit = "", "" }},
		"a builder": {inputs: func(in *verify.Inputs) {
			in.Rules.Provenance.Builders = []string{"https://github.com/acme/checkout/**"}
		}},
		"a reusable workflow":    {claims: &reusable, identity: &verifying.Identity{Issuer: verifying.GitHubIssuer, Repository: "acme/checkout", Workflow: "acme/golden/.github/workflows/build.yml@refs/tags/v1"}},
		"not let in":             {inputs: func(in *verify.Inputs) { in.Rules.Provenance.BuildTypes = nil }, want: "the policy's build-types do not have github-workflow"},
		"another commit":         {inputs: func(in *verify.Inputs) { in.Commit = strings.Repeat("d", 40) }, want: "built from commit cccccccccccc"},
		"another repository":     {inputs: func(in *verify.Inputs) { in.Repository = "acme/cart" }, want: "built from acme/checkout, not from acme/cart"},
		"another folder":         {inputs: func(in *verify.Inputs) { in.Path = &folder }, want: "does not say from which folder"},
		"another identity":       {identity: &verifying.Identity{Issuer: verifying.GitHubIssuer, RepositoryID: "1"}, want: "no provenance"},
		"a lie about the commit": {change: dependency("digest", map[string]any{"gitCommit": strings.Repeat("d", 40)}), inputs: func(in *verify.Inputs) { in.Commit = "" }, want: "says commit dddd"},
		"a lie about the repository": {change: func(p map[string]any) {
			set("https://github.com/acme/cart", "buildDefinition", "externalParameters", "workflow", "repository")(p)
			dependency("uri", "git+https://github.com/acme/cart@"+main)(p)
		}, inputs: func(in *verify.Inputs) { in.Repository = "acme/cart" }, want: "signed by a job of"},
		"a lie about the builder": {change: set("https://github.com/acme/golden/.github/workflows/build.yml@refs/tags/v1", "runDetails", "builder", "id"), want: "says builder https://github.com/acme/golden"},
		"a lie about the run":     {change: set("https://github.com/acme/checkout/actions/runs/43/attempts/1", "runDetails", "metadata", "invocationId"), want: "says run "},
		"a source of its own":     {change: set(map[string]any{"repository": "acme/checkout", "commit": claims.SHA}, "buildDefinition", "externalParameters", "source")},
		"only a source of its own": {change: func(p map[string]any) {
			within(p, "buildDefinition")["externalParameters"] = map[string]any{"source": map[string]any{"repository": "acme/checkout", "commit": claims.SHA}}
		}, want: "does not say which commit of which repository"},
		"no dependency":      {change: set([]any{}, "buildDefinition", "resolvedDependencies"), want: "does not say which commit"},
		"another dependency": {change: dependency("uri", "git+https://github.com/acme/checkout@refs/heads/other"), want: "does not say which commit"},
		"a short commit":     {change: dependency("digest", map[string]any{"gitCommit": "cccccccccccc"}), want: "does not say which commit"},
		"no parameters":      {change: set(nil, "buildDefinition", "externalParameters"), want: "does not say which commit"},
		"other parameters":   {change: set("x", "buildDefinition", "externalParameters"), want: "cannot be read"},
		"too old":            {now: 25 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, i := newWorld(t, true), sigstorefake.Start(t, instance)
			who, identity := claims, ours
			if c.claims != nil {
				who = *c.claims
			}
			if c.identity != nil {
				identity = *c.identity
			}
			signer, err := verifying.NewKeyless(signed.Trust(t, i), identity)
			expect.NoError(t, err)
			w.inputs.Signer, w.inputs.Commit = signer, claims.SHA
			w.inputs.Rules = policy.Rules{Signer: policy.Signer{Keyless: &policy.Keyless{}}, Require: []string{"provenance"}, EvidenceMaxAge: "24h",
				Provenance: policy.Provenance{BuildTypes: []string{"github-workflow"}}}
			if c.inputs != nil {
				c.inputs(&w.inputs)
			}
			p := attested(who, c.change)
			w.put(signed.Keyless(t, i, who, w.digest, p.kind, p.predicate))
			out, err := verify.Run(t.Context(), w.inputs, verify.Deps{Evidence: w.client, Now: func() time.Time { return time.Now().Add(c.now) }})
			got := map[string]string{}
			for _, clause := range out.Evidence.Clauses {
				if !clause.Met {
					got[clause.Name] = clause.Reason
				}
			}
			switch {
			case c.now > 0:
				if err == nil || !strings.Contains(got["age"], "allowed are 24h") || len(got) != 1 {
					t.Errorf("%v, refused %q", err, got)
				}
			case c.want == "":
				if err != nil || !strings.Contains(out.Evidence.Clauses[0].Reason, "by GitHub's provenance") {
					t.Errorf("%v: %+v", err, out.Evidence.Clauses)
				}
			case err == nil || !strings.Contains(got["provenance"], c.want) || got["signature"] == "":
				t.Errorf("%v, refused %q, expected %q", err, got, c.want)
			}
		})
	}
}

// Whoever holds a key cannot write what GitHub says.
func TestGitHubAttestationByAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true)
	w.inputs.Rules.Provenance.BuildTypes = []string{"github-workflow"}
	w.inputs.Commit = strings.Repeat("c", 40)
	w.inputs.Rules.Require = []string{"provenance"}
	w.attach(signature(), attested(sigstorefake.Workflow("acme/checkout", ".github/workflows/release.yml", "refs/heads/main"), nil))
	_, err := w.run()
	expect.Error(t, err, "2 of 3 clauses")
}
