// Package policy reads policy.yaml, in which a platform team says per environment what a delivery must show.
package policy

// Policy is a whole policy file. What an environment does not say it takes from the defaults.
type Policy struct {
	Name         string           `yaml:"name" json:"name,omitempty" jsonschema_description:"Shown wherever the policy decides."`
	Defaults     Rules            `yaml:"defaults" json:"defaults,omitempty" jsonschema_description:"Rules of every environment, as far as it does not set its own."`
	Environments map[string]Rules `yaml:"environments" json:"environments,omitempty" keys:"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" keyswant:"an environment's name is lower-case letters, digits and hyphens" jsonschema_description:"Rules by environment. One that is not listed has the defaults."`

	// Digest is the sha256 digest of the file's bytes, as sha256:HEX.
	Digest string `yaml:"-" json:"-"`
}

// Rules is what one environment asks. An empty one refuses every delivery.
type Rules struct {
	Signer         Signer          `yaml:"signer" json:"signer,omitempty" jsonschema_description:"Who must have signed."`
	Require        []string        `yaml:"require" json:"require,omitempty" jsonschema:"enum=provenance,enum=sbom,enum=sast,enum=secrets,enum=tests" jsonschema_description:"Evidence that must be attached to the digest. tests are those of the service, see the input tests of sign."`
	Provenance     Provenance      `yaml:"provenance" json:"provenance,omitempty" jsonschema_description:"What the provenance has to say. Whatever is asked of it requires it."`
	SBOM           SBOM            `yaml:"sbom" json:"sbom,omitempty" jsonschema_description:"What may be in an image. Whatever is asked of the SBOM requires it."`
	SAST           Gate            `yaml:"sast" json:"sast,omitempty" jsonschema_description:"Gate of the static analysis."`
	Secrets        Gate            `yaml:"secrets" json:"secrets,omitempty" jsonschema_description:"Gate of the search for secrets."`
	Waivers        Waivers         `yaml:"waivers" json:"waivers,omitempty" jsonschema_description:"What idp-waivers.yaml may let pass. Without it no waiver counts."`
	EvidenceMaxAge string          `yaml:"evidence-max-age" json:"evidence-max-age,omitempty" jsonschema:"pattern=^[1-9][0-9]{0\\,4}[mhd]$" want:"a number of minutes, hours or days, such as 10m, 12h or 7d" jsonschema_description:"Such as 7d or 12h: older evidence is refused."`
	Smoke          Smoke           `yaml:"smoke" json:"smoke,omitempty" jsonschema_description:"How long a smoke test must stay good."`
	Budget         string          `yaml:"budget" json:"budget,omitempty" jsonschema:"pattern=^[0-9]+(\\.[0-9]{1\\,2})? [A-Z]{3}/month$" want:"an amount, a currency and /month, such as 300 USD/month" jsonschema_description:"Such as 300 USD/month, for services that set none."`
	After          After           `yaml:"after" json:"after,omitempty" jsonschema_description:"Environment in which the same digest has to be healthy first."`
	Freeze         []Freeze        `yaml:"freeze" json:"freeze,omitempty" jsonschema_description:"Times without deploys. [] lifts those of the defaults."`
	Approve        Approve         `yaml:"approve" json:"approve,omitempty" jsonschema_description:"Who has to agree before a deploy."`
	Deploy         Deploy          `yaml:"deploy" json:"deploy,omitempty" jsonschema_description:"What a deploy to Kubernetes may do."`
	Sizes          map[string]Size `yaml:"sizes" json:"sizes,omitempty" keys:"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$" keyswant:"a size's name is lower-case letters, digits and hyphens" jsonschema_description:"T-shirts that idp.yaml may name."`
}

// Gate is what fails one scan.
type Gate struct {
	FailOn        string            `yaml:"fail-on" json:"fail-on,omitempty" jsonschema:"enum=none,enum=low,enum=medium,enum=high,enum=critical" jsonschema_description:"Lowest severity that fails the gate; none lets every finding pass. A gap in coverage is an error whatever it is."`
	NewOnly       *bool             `yaml:"new-only" json:"new-only,omitempty" jsonschema_description:"Only what the change brought fails: not what was there where the branch left the default branch, nor what is in idp-baseline.json. Left out, everything fails."`
	MinConfidence string            `yaml:"min-confidence" json:"min-confidence,omitempty" jsonschema:"enum=low,enum=medium,enum=high" jsonschema_description:"Findings that their scanner is less sure of do not fail. One without a confidence does."`
	CWE           map[string]string `yaml:"cwe" json:"cwe,omitempty" keys:"^CWE-[1-9][0-9]{0,4}$" keyswant:"a weakness is named as in CWE-798" jsonschema_description:"Values of fail-on for single weaknesses, such as {CWE-798: low}. Of several, the lowest decides."`
	Suppressions  string            `yaml:"suppressions" json:"suppressions,omitempty" jsonschema:"enum=allow,enum=need-justification,enum=refuse" jsonschema_description:"Whether #nosec, gitleaks:allow and other suppressions beside the code let a finding pass. Left out, they do; they are counted and shown."`
	RequireImport *bool             `yaml:"require-import" json:"require-import,omitempty" jsonschema_description:"For sast: a service without Go code has to hand over the SARIF of another scanner, see the input import. Left out, sast is skipped there."`
}

// Waivers is what a team may let pass in idp-waivers.yaml.
type Waivers struct {
	MaxDays    int   `yaml:"max-days" json:"max-days,omitempty" jsonschema:"minimum=1,maximum=3650" jsonschema_description:"How many days ahead the last day of a waiver may be. Left out, no waiver counts."`
	NeedReason *bool `yaml:"need-reason" json:"need-reason,omitempty" jsonschema_description:"Whether a waiver needs a reason. Left out, it does."`
}

// Smoke is how long a smoke test must stay good.
type Smoke struct {
	Rounds int `yaml:"rounds" json:"rounds,omitempty" jsonschema:"minimum=1" jsonschema_description:"Consecutive good rounds."`
}

// Size is a T-shirt: Kubernetes quantities.
type Size struct {
	CPU    string `yaml:"cpu" json:"cpu" jsonschema:"required,minLength=1" jsonschema_description:"Requested cores, such as 100m or 2."`
	Memory string `yaml:"memory" json:"memory" jsonschema:"required,minLength=1" jsonschema_description:"Requested memory, such as 128Mi or 2Gi."`
}
