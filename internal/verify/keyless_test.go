package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/testkit/expect"
	"github.com/org/idp/internal/testkit/signed"
	"github.com/org/idp/internal/testkit/sigstorefake"
	"github.com/org/idp/internal/verify"
	"github.com/org/idp/internal/verifying"
)

var instance = sigstorefake.Options{Rekor: 2, TSA: true}

// keyless signs a piece as a job of a repository of acme.
func (w *world) keyless(i *sigstorefake.Instance, repository string, p piece) []byte {
	w.t.Helper()
	if p.about == "" {
		p.about = w.digest
	}
	return signed.Keyless(w.t, i, sigstorefake.Workflow(repository, ".github/workflows/deliver.yml", "refs/heads/main"), p.about, p.kind, p.predicate)
}

// What a certificate proves is held against what the statement says: another repository of the same owner, which the policy
// lets sign too, cannot speak for this one, and nobody can make evidence younger than its signature.
func TestKeyless(t *testing.T) {
	t.Parallel()
	at := func(offset time.Duration) func(*attest.Provenance) {
		return func(p *attest.Provenance) { p.RunDetails.Metadata.FinishedOn = time.Now().Add(offset) }
	}
	scanned := func(offset time.Duration) piece {
		return scan("sast", func(r *attest.TestResult) { r.Scan.FinishedOn = time.Now().Add(offset) })
	}
	ownersJobs := verifying.Identity{Issuer: verifying.GitHubIssuer, OwnerID: "77"}
	oneRepository := verifying.Identity{Issuer: verifying.GitHubIssuer, Repository: "acme/checkout"}
	for name, c := range map[string]struct {
		identity   verifying.Identity
		provenance piece
		builtIn    string
		scan       piece
		scannedIn  string
		sboms      []string // where each was signed; in acme/checkout where none is said
		change     func(*verify.Inputs)
		now        time.Duration
		want       map[string]string // of the refused clauses
	}{
		"one repository":        {identity: oneRepository},
		"any repository":        {identity: ownersJobs},
		"nothing else is known": {identity: ownersJobs, change: func(in *verify.Inputs) { in.Repository, in.Commit = "", "" }},
		"wrong identity": {identity: verifying.Identity{Issuer: verifying.GitHubIssuer, Repository: "acme/cart"},
			want: map[string]string{"signature": "no image signature", "provenance": "no provenance", "sbom": "no SBOM", "sast": "no sast result", "age": "no evidence"}},
		"wrong issuer": {identity: verifying.Identity{Issuer: "https://token.example.com", Repository: "acme/checkout"},
			want: map[string]string{"signature": "no image signature", "provenance": "no provenance", "sbom": "no SBOM", "sast": "no sast result", "age": "no evidence"}},
		"provenance signed elsewhere": {identity: ownersJobs, builtIn: "acme/evil", want: map[string]string{
			"provenance": `signed by a job of "https://github.com/acme/evil" and not of acme/checkout`}},
		"provenance signed elsewhere, nothing known": {identity: ownersJobs, builtIn: "acme/evil", change: func(in *verify.Inputs) { in.Repository, in.Commit = "", "" },
			want: map[string]string{"provenance": "acme/evil", "sbom": "not known", "sast": "not known", "age": "no evidence"}},
		"scan signed elsewhere": {identity: ownersJobs, scannedIn: "acme/evil", want: map[string]string{
			"sast": `signed by a job of "https://github.com/acme/evil" and not of acme/checkout`}},
		"scan signed elsewhere, nothing known": {identity: ownersJobs, scannedIn: "acme/evil", change: func(in *verify.Inputs) { in.Repository, in.Commit = "", "" },
			want: map[string]string{"sast": "acme/evil"}},
		"scan signed elsewhere, commit known": {identity: ownersJobs, scannedIn: "acme/evil", change: func(in *verify.Inputs) { in.Repository = "" },
			want: map[string]string{"sast": "acme/evil"}},
		"SBOM signed elsewhere": {identity: ownersJobs, sboms: []string{"acme/evil"}, want: map[string]string{
			"sbom": `signed by a job of "https://github.com/acme/evil" and not of acme/checkout`}},
		"SBOM signed elsewhere, nothing known": {identity: ownersJobs, sboms: []string{"acme/evil"}, change: func(in *verify.Inputs) { in.Repository, in.Commit = "", "" },
			want: map[string]string{"sbom": "acme/evil"}},
		"SBOMs of here and elsewhere": {identity: ownersJobs, sboms: []string{"acme/evil", "acme/checkout"}},
		"made after it was signed": {identity: oneRepository, provenance: provenance(at(20 * time.Minute)), now: time.Hour,
			want: map[string]string{"provenance": "after it was signed"}},
		"scanned after it was signed": {identity: oneRepository, scan: scanned(20 * time.Minute), now: time.Hour, want: map[string]string{"sast": "after it was signed"}},
		"clocks that differ":          {identity: oneRepository, scan: scanned(4 * time.Minute), now: time.Minute},
		"expired":                     {identity: oneRepository, now: 25 * time.Hour, want: map[string]string{"age": "allowed are 24h"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, i := newWorld(t, true), sigstorefake.Start(t, instance)
			file, _ := i.Files()
			trust, err := verifying.ReadTrust(file)
			expect.NoError(t, err)
			w.inputs.Signer, err = verifying.NewKeyless(trust, c.identity)
			expect.NoError(t, err)
			w.inputs.Rules.Signer = policy.Signer{Keyless: &policy.Keyless{}}
			w.inputs.Rules.Require = []string{"provenance", "sbom", "sast"}
			if c.change != nil {
				c.change(&w.inputs)
			}
			if c.provenance.kind == "" {
				c.provenance = provenance(at(-time.Minute))
			}
			if c.scan.kind == "" {
				c.scan = scanned(-time.Minute)
			}
			or := func(repository string) string {
				if repository == "" {
					return "acme/checkout"
				}
				return repository
			}
			w.put(w.keyless(i, "acme/checkout", signature()))
			w.put(w.keyless(i, or(c.builtIn), c.provenance))
			w.put(w.keyless(i, or(c.scannedIn), c.scan))
			if c.sboms == nil {
				c.sboms = []string{"acme/checkout"}
			}
			for _, repository := range c.sboms {
				w.put(w.keyless(i, repository, sbom()))
			}
			out, err := verify.Run(t.Context(), w.inputs, verify.Deps{Evidence: w.client, Now: func() time.Time { return time.Now().Add(c.now) }})
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
			if refused != len(c.want) || (err == nil) != (refused == 0) || err != nil && fault.KindOf(err) != fault.Failed {
				t.Errorf("%d refused: %v", refused, err)
			}
		})
	}
}
