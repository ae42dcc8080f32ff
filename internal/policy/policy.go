// Package policy reads policy.yaml, in which a platform team says per environment what a delivery must show.
package policy

// Policy is a whole policy file. What an environment does not say it takes from the defaults.
type Policy struct {
	Name         string           `yaml:"name" json:"name,omitempty" jsonschema_description:"Shown wherever the policy decides."`
	Defaults     Rules            `yaml:"defaults" json:"defaults,omitempty"`
	Environments map[string]Rules `yaml:"environments" json:"environments,omitempty"`

	// Digest is the sha256 digest of the file's bytes, as sha256:HEX.
	Digest string `yaml:"-" json:"-"`
}

// Rules is what one environment asks. An empty one refuses every delivery.
type Rules struct {
	Signer         Signer          `yaml:"signer" json:"signer,omitempty"`
	Require        []string        `yaml:"require" json:"require,omitempty" jsonschema:"enum=provenance,enum=sbom,enum=sast,enum=secrets" jsonschema_description:"Evidence that must be attached to the digest."`
	SAST           Gate            `yaml:"sast" json:"sast,omitempty"`
	Secrets        Gate            `yaml:"secrets" json:"secrets,omitempty"`
	EvidenceMaxAge string          `yaml:"evidence-max-age" json:"evidence-max-age,omitempty" jsonschema_description:"Such as 7d or 12h: older evidence is refused."`
	Smoke          Smoke           `yaml:"smoke" json:"smoke,omitempty"`
	Budget         string          `yaml:"budget" json:"budget,omitempty" jsonschema_description:"Such as 300 USD/month, for services that set none."`
	Sizes          map[string]Size `yaml:"sizes" json:"sizes,omitempty" jsonschema_description:"T-shirts that idp.yaml may name."`
}

// Signer is who must have signed.
type Signer struct {
	Key string `yaml:"key" json:"key,omitempty" jsonschema_description:"PEM file of a public key, relative to the policy; or run: the key that this run signs with."`
}

// Gate is the threshold of one scanner.
type Gate struct {
	FailOn string `yaml:"fail-on" json:"fail-on,omitempty" jsonschema:"enum=none,enum=low,enum=medium,enum=high,enum=critical"`
}

// Smoke is how long a smoke test must stay good.
type Smoke struct {
	Rounds int `yaml:"rounds" json:"rounds,omitempty" jsonschema:"minimum=1" jsonschema_description:"Consecutive good rounds."`
}

// Size is a T-shirt: Kubernetes quantities.
type Size struct {
	CPU    string `yaml:"cpu" json:"cpu" jsonschema:"required"`
	Memory string `yaml:"memory" json:"memory" jsonschema:"required"`
}
