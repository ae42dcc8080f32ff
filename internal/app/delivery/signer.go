package delivery

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/attest"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/retry"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/signing"
	"github.com/org/idp/internal/verifying"
)

// KeylessInputs are what signing without a key needs to know. Where the policy names files, they count.
type KeylessInputs struct {
	SigningConfig, TrustedRoot string
	AllowPublicLog             bool
}

// Declare declares the inputs.
func (in *KeylessInputs) Declare(s *action.Set) {
	s.String(&in.SigningConfig, action.Input{Name: "signing-config", Example: "sigstore/signing_config.json",
		Usage: "For keyless signing: SigningConfig of a sigstore instance of your own, a JSON file. Default: the public instance."})
	DeclareTrust(s, &in.TrustedRoot)
	s.Bool(&in.AllowPublicLog, action.Input{Name: "allow-public-log",
		Usage: "For keyless signing in a repository that is not public: let its name, workflow, branch and commits be published in the public log, for ever."})
}

// DeclareTrust declares the input with what keyless signatures are held against.
func DeclareTrust(s *action.Set, target *string) {
	s.String(target, action.Input{Name: "trusted-root", Example: "sigstore/trusted_root.json",
		Usage: "For what is signed keyless: TrustedRoot of the sigstore instance whose certificates count, a JSON file. Default: that of the policy, else of the public instance."})
}

// Sigstore has the instance of a run, and who signs with it.
type Sigstore struct {
	mu       sync.Mutex
	trust    *verifying.Trust // of the public instance; nil until it is asked for
	services *signing.Services
	signer   *signing.KeylessSigner
}

func (s *Sigstore) public(ctx context.Context, w cli.World) (*verifying.Trust, *signing.Services, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trust == nil {
		trust, config, err := verifying.Public(ctx, retry.Clock{Now: w.Now, Sleep: Sleep})
		if err != nil {
			return nil, nil, err
		}
		if s.services, err = signing.ParseServices(verifying.PublicInstance, config); err != nil {
			return nil, nil, fault.Undeterminedf("%w", err)
		}
		s.trust = trust
	}
	return s.trust, s.services, nil
}

// trusted is the instance whose certificates count.
func (s *Sigstore) trusted(ctx context.Context, w cli.World, file string) (*verifying.Trust, error) {
	if file != "" {
		return verifying.ReadTrust(file)
	}
	trust, _, err := s.public(ctx, w)
	return trust, err
}

// Signer is who signs: a key that is given, on the local target one of the run, else the job itself.
func (d *Delivery) Signer(ctx context.Context, keyFile string, in KeylessInputs) (attest.Signer, error) {
	switch {
	case keyFile != "" || d.Local.Allowed:
		return d.Key(ctx, keyFile)
	case !d.Runner.MayAskForToken():
		return nil, fault.BadInputf("nothing is there to sign with: no key is given, and no identity token can be asked for").
			WithNext("Give a key: --key cosign.key, with its password in COSIGN_PASSWORD; make one with: cosign generate-key-pair",
				"Or sign keyless: permissions: {id-token: write} for the job, in GitHub Actions; a pull request from a fork never gets that")
	}
	if signer := d.sigstore.signed(); signer != nil {
		return signer, nil
	}
	trust, services, err := d.instance(ctx, in)
	if err != nil {
		return nil, err
	}
	signer, err := signing.NewKeylessSigner(ctx, signing.KeylessOptions{Trust: trust, Services: services, AllowPublicLog: in.AllowPublicLog,
		Clock: retry.Clock{Now: d.World.Now, Sleep: Sleep},
		Token: func(ctx context.Context) (string, error) { return d.Runner.IDToken(ctx, "sigstore", Sleep) }})
	if err != nil {
		return nil, err
	}
	d.sigstore.mu.Lock()
	defer d.sigstore.mu.Unlock()
	d.sigstore.signer = signer
	return signer, nil
}

func (s *Sigstore) signed() *signing.KeylessSigner {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signer
}

// BuilderOf is who vouches for the provenance: under a certificate the workflow, which no step of it can choose.
func BuilderOf(s attest.Signer) string {
	if signer, ok := s.(*signing.KeylessSigner); ok {
		return signer.Identity()
	}
	return ""
}

// instance is the one of the policy, else of the inputs, else the public one.
func (d *Delivery) instance(ctx context.Context, in KeylessInputs) (*verifying.Trust, *signing.Services, error) {
	var rules policy.Keyless
	if k := d.Rules.Signer.Keyless; k != nil {
		rules = *k
	}
	root, err := d.oneOf("trusted-root", rules.TrustedRoot, in.TrustedRoot)
	if err != nil {
		return nil, nil, err
	}
	config, err := d.oneOf("signing-config", rules.SigningConfig, in.SigningConfig)
	switch {
	case err != nil:
		return nil, nil, err
	case root == "" && config == "":
		return d.sigstore.public(ctx, d.World)
	case root == "" || config == "":
		return nil, nil, fault.BadInputf("signing-config and trusted-root belong together: only one of them is given, in the policy or as an input").
			WithNext("Give both, of the same sigstore instance.")
	}
	trust, err := verifying.ReadTrust(root)
	if err != nil {
		return nil, nil, err
	}
	services, err := signing.ReadServices(config)
	return trust, services, err
}

// oneOf is what the policy names, which no input overrules.
func (d *Delivery) oneOf(name, rule, input string) (string, error) {
	if rule != "" && input != "" && rule != input {
		return "", fault.BadInputf("policy %s names its %s, so the input %s does not count", d.Policy.Name, name, name).WithNext("Leave the input out.")
	}
	return cmp.Or(rule, input), nil
}

// Verifier knows who the policy wants to have signed: what the run signs with, a key, or an identity. It is nil where the
// policy names nobody, which verify refuses.
func (d *Delivery) Verifier(ctx context.Context, keyFile, trustedRoot string) (attest.Verifier, error) {
	rules := d.Rules.Signer
	if rules.Key == policy.RunKey && keyFile == "" && !d.Local.Allowed && (d.Runner.Active() || trustedRoot != "") {
		rules = policy.Signer{Keyless: &policy.Keyless{}}
	}
	switch {
	case rules.Keyless != nil:
		file, err := d.oneOf("trusted-root", rules.Keyless.TrustedRoot, trustedRoot)
		if err != nil {
			return nil, err
		}
		project := d.Runner.Project()
		if project.Repository != d.Record.Source.Repository {
			project = runner.Project{Server: project.Server, Repository: d.Record.Source.Repository} // whose number is not known
		}
		return d.sigstore.Verifier(ctx, d.World, *rules.Keyless, file, project)
	case rules.Key == "":
		return nil, nil
	case rules.Key == policy.RunKey:
		return d.Key(ctx, keyFile)
	}
	key, err := signing.LoadKey(rules.Key, nil)
	if err != nil {
		return nil, err
	}
	return key.Public(), nil
}

// Verifier knows an identity. Where the rules do not say whose repository it is, it is the project's.
func (s *Sigstore) Verifier(ctx context.Context, w cli.World, rules policy.Keyless, trustedRoot string, project runner.Project) (attest.Verifier, error) {
	id := verifying.Identity{Issuer: cmp.Or(rules.Issuer, verifying.GitHubIssuer), Repository: rules.Repository, RepositoryID: rules.RepositoryID,
		OwnerID: rules.OwnerID, Workflow: rules.Workflow, Ref: rules.Ref, Runner: rules.Runner}
	if rules.Anywhere() {
		if project.Repository == "" {
			return nil, fault.BadInputf("it has to be signed by a workflow of the repository that it is from, and which one that is is not known").
				WithNext("Name it in the policy, signer: {keyless: {repository: acme/checkout}}, or to idp verify IMAGE: --repository acme/checkout")
		}
		id.Repository, id.RepositoryID = project.Repository, project.RepositoryID
		if project.Server != "" {
			id.Repository = project.Server + "/" + project.Repository
		}
	}
	trust, err := s.trusted(ctx, w, trustedRoot)
	if err != nil {
		return nil, err
	}
	v, err := verifying.NewKeyless(trust, id)
	if err != nil {
		return nil, fmt.Errorf("signer of the policy: %w", err)
	}
	return v, nil
}

// InstanceFiles refuses files of an instance that cannot be read, before any work is done with which they would be needed.
func (d *Delivery) InstanceFiles(ctx context.Context, keyFile string, in KeylessInputs) error {
	rules := d.Rules.Signer.Keyless
	named := in.SigningConfig != "" || in.TrustedRoot != "" || rules != nil && (rules.TrustedRoot != "" || rules.SigningConfig != "")
	if keyFile != "" || d.Local.Allowed || !named {
		return nil
	}
	_, _, err := d.instance(ctx, in)
	return err
}
