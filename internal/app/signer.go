package app

import (
	"cmp"

	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/policy"
)

// verifier knows who the policy wants to have signed: what the run signs with, a key, or an identity. It is nil where the
// policy names nobody, which verify refuses.
func (d *delivery) verifier(keyFile string) (attest.Verifier, error) {
	signer := d.rules.Signer
	switch {
	case signer.Keyless != nil:
		return d.keyless(*signer.Keyless)
	case signer.Key == "":
		return nil, nil
	case signer.Key == policy.RunKey:
		return d.key(keyFile)
	}
	key, err := attest.LoadKey(signer.Key, nil)
	if err != nil {
		return nil, err
	}
	return key.Public(), nil
}

func (d *delivery) keyless(rules policy.Keyless) (attest.Verifier, error) {
	identity, err := d.identity(rules)
	if err != nil {
		return nil, err
	}
	if rules.TrustedRoot == "" {
		return nil, fault.BadInputf("policy %s names no trusted root", d.policy.Name).WithNext("Set signer.keyless.trusted-root in the policy.")
	}
	trust, err := attest.ReadTrust(rules.TrustedRoot)
	if err != nil {
		return nil, err
	}
	return attest.NewKeyless(trust, identity)
}

// identity is that of the rules; where they do not say whose repository it is, the one that is delivered.
func (d *delivery) identity(rules policy.Keyless) (attest.Identity, error) {
	id := attest.Identity{Issuer: cmp.Or(rules.Issuer, attest.GitHubIssuer), Repository: rules.Repository, RepositoryID: rules.RepositoryID,
		OwnerID: rules.OwnerID, Workflow: rules.Workflow, Ref: rules.Ref, Runner: rules.Runner}
	if !rules.Anywhere() {
		return id, nil
	}
	id.Repository = d.rec.Source.Repository
	if id.Repository == "" {
		return id, fault.BadInputf("policy %s wants it signed by a workflow of the repository that is delivered, and which one that is is not known", d.policy.Name).
			WithNext("Name the repository in the policy: signer: {keyless: {repository: acme/checkout}}")
	}
	here := d.runner.Project()
	if here.Server != "" && here.Server != "https://github.com" {
		id.Repository = here.Server + "/" + id.Repository
	}
	if here.Repository == d.rec.Source.Repository {
		id.RepositoryID = here.RepositoryID
	}
	return id, nil
}
