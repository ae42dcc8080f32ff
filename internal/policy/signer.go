package policy

import (
	"cmp"
	"path/filepath"

	"github.com/org/idp/internal/strictyaml"
)

// RunKey as signer.key stands for what the run signs with. A file of that name is ./run.
const RunKey = "run"

// Signer is who must have signed: a key, or whoever has a certificate with an identity.
type Signer struct {
	Key     string   `yaml:"key" json:"key,omitempty" jsonschema:"minLength=1" jsonschema_description:"PEM file of a public key, relative to the policy; or run: the key that this run signs with, or its own identity where it signs keyless."`
	Keyless *Keyless `yaml:"keyless" json:"keyless,omitempty" jsonschema_description:"Identity in the certificate of whoever signed keyless. {}: a workflow of the repository that is delivered. All that is set has to be met."`
}

// Keyless is whose certificates count. A value may end in *, which stands for any rest.
type Keyless struct {
	Issuer       string `yaml:"issuer" json:"issuer,omitempty" jsonschema:"pattern=^https://[^\\s*]+$,default=https://token.actions.githubusercontent.com" want:"an https:// address" jsonschema_description:"Who vouches for the identity."`
	Repository   string `yaml:"repository" json:"repository,omitempty" jsonschema:"pattern=^(https://[A-Za-z0-9.:-]+/)?[A-Za-z0-9_.-]+/([A-Za-z0-9_./-]*[A-Za-z0-9_-]|[A-Za-z0-9_./-]*\\*)$" want:"OWNER/NAME or OWNER/*" jsonschema_description:"Where the source is, such as acme/checkout or acme/*, on a server of your own with its https:// address. Left out, as repository-id and owner-id are too, the repository that is delivered."`
	RepositoryID string `yaml:"repository-id" json:"repository-id,omitempty" jsonschema:"pattern=^[0-9]+$" want:"the number of a repository, in quotes" jsonschema_description:"Number of the repository, in quotes. Unlike its name it is never given to another one."`
	OwnerID      string `yaml:"owner-id" json:"owner-id,omitempty" jsonschema:"pattern=^[0-9]+$" want:"the number of an owner, in quotes" jsonschema_description:"Number of its owner, in quotes. Unlike a name it is never given to another one."`
	Workflow     string `yaml:"workflow" json:"workflow,omitempty" jsonschema:"pattern=^(https://)?[A-Za-z0-9_.-]+(/[^\\s@*]+)+(@[^\\s*]+\\*?)?$" want:"a workflow file, such as acme/golden/.github/workflows/path.yml@refs/tags/v1" jsonschema_description:"Workflow that signs, at a ref or at any: acme/golden/.github/workflows/path.yml@refs/tags/v1, or .github/workflows/FILE in the repository itself. Left out, any workflow of the repository itself, and none of another one."`
	Ref          string `yaml:"ref" json:"ref,omitempty" jsonschema:"pattern=^refs/[^\\s*]+\\*?$" want:"a full ref, such as refs/heads/main or refs/tags/v*" jsonschema_description:"Branch or tag of the source, such as refs/heads/main. Left out, any."`
	Runner       string `yaml:"runner" json:"runner,omitempty" jsonschema:"enum=github-hosted,enum=self-hosted" jsonschema_description:"What the job has to run on. Left out, either."`

	TrustedRoot   string `yaml:"trusted-root" json:"trusted-root,omitempty" jsonschema:"minLength=1" jsonschema_description:"TrustedRoot of a sigstore instance of your own: a JSON file, relative to the policy. Left out, the public instance."`
	SigningConfig string `yaml:"signing-config" json:"signing-config,omitempty" jsonschema:"minLength=1" jsonschema_description:"SigningConfig of the same instance: a JSON file, relative to the policy."`
}

// Named tells whether the rules say who must have signed.
func (s Signer) Named() bool { return s.Key != "" || s.Keyless != nil }

// over takes the place of another kind of signer as a whole; of the same kind, only what is set.
func (s Signer) over(base Signer) Signer {
	switch {
	case !s.Named():
		s = base
	case s.Keyless != nil && base.Keyless != nil:
		merged := s.Keyless.over(*base.Keyless)
		return Signer{Keyless: &merged}
	}
	if s.Keyless != nil {
		own := *s.Keyless
		s.Keyless = &own
	}
	return s
}

// over keeps a trusted root and its signing config together, and so with whose repository it is: the more exact of them
// alone says more than a mixture.
func (k Keyless) over(base Keyless) Keyless {
	k.Issuer = cmp.Or(k.Issuer, base.Issuer)
	if k.Anywhere() {
		k.Repository, k.RepositoryID, k.OwnerID = base.Repository, base.RepositoryID, base.OwnerID
	}
	k.Workflow = cmp.Or(k.Workflow, base.Workflow)
	k.Ref = cmp.Or(k.Ref, base.Ref)
	k.Runner = cmp.Or(k.Runner, base.Runner)
	if k.TrustedRoot == "" && k.SigningConfig == "" {
		k.TrustedRoot, k.SigningConfig = base.TrustedRoot, base.SigningConfig
	}
	return k
}

// Anywhere tells that the rules do not say whose repository it has to be.
func (k Keyless) Anywhere() bool {
	return k.Repository == "" && k.RepositoryID == "" && k.OwnerID == ""
}

// from makes relative paths start from the policy's folder.
func (s Signer) from(dir string) Signer {
	path := func(file string) string {
		if file == "" || filepath.IsAbs(file) {
			return file
		}
		return filepath.Join(dir, filepath.FromSlash(file))
	}
	if s.Key != RunKey {
		s.Key = path(s.Key)
	}
	if s.Keyless != nil {
		s.Keyless.TrustedRoot, s.Keyless.SigningConfig = path(s.Keyless.TrustedRoot), path(s.Keyless.SigningConfig)
	}
	return s
}

// validate adds what the tags cannot say.
func (s Signer) validate(doc *strictyaml.Document, p strictyaml.Path) {
	if s.Key != "" && s.Keyless != nil {
		doc.Problem(append(p[:len(p):len(p)], "keyless"), "%s: names a key and keyless: only one of them can be who signs", p)
	}
}
