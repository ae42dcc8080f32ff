package attest

import "time"

// What is said of an image after it was signed: that a policy accepted it, who approved it, and how it did where it was
// deployed. docs/predicates.md says why each has the type that it has.
const (
	PredicateVerdict    = "https://slsa.dev/verification_summary/v1"
	PredicateApproval   = "https://in-toto.io/attestation/svr/v0.1"
	PredicateDeployment = "https://in-toto.io/attestation/scai/v0.3"
)

// Verdict is the predicate of a SLSA verification summary (VSA).
type Verdict struct {
	Verifier           Builder     `json:"verifier"`
	TimeVerified       time.Time   `json:"timeVerified"`
	ResourceURI        string      `json:"resourceUri"` // package URL of the image
	Policy             Resource    `json:"policy"`      // of which a summary has uri and digest
	VerificationResult string      `json:"verificationResult"`
	VerifiedLevels     []string    `json:"verifiedLevels"`
	SLSAVersion        string      `json:"slsaVersion"`
	Detail             VerdictMore `json:"idpVerdict"`
}

// NotEvaluated is the level of what was held against a policy that does not ask for one.
const NotEvaluated = "SLSA_BUILD_LEVEL_UNEVALUATED"

// VerdictMore is an extension: for which environment, and what was asked.
type VerdictMore struct {
	Environment string   `json:"environment"`
	Clauses     []string `json:"clauses"`
}

// Approval is the predicate of a simple verification result (SVR).
type Approval struct {
	Verifier    Builder      `json:"verifier"`
	TimeCreated time.Time    `json:"timeCreated"`
	Properties  []string     `json:"properties"`
	Detail      ApprovalMore `json:"idpApproval"`
}

// Approved is the property of what somebody approved who may.
const Approved = "IDP_APPROVED"

// ApprovalMore is an extension: by whom and for which environment.
type ApprovalMore struct {
	Environment string `json:"environment"`
	Commit      string `json:"commit"`
	By          string `json:"by"`
	URL         string `json:"url,omitempty"` // where the approval can be read
}

// Deployment is the predicate of a SCAI attribute report with one assertion.
type Deployment struct {
	Attributes []Attribute `json:"attributes"`
	Producer   *Resource   `json:"producer,omitempty"`
}

// Attribute is a SCAI assertion: that the image has the attribute under the conditions.
type Attribute struct {
	Attribute  string       `json:"attribute"`
	Conditions DeployedWhen `json:"conditions"`
}

// Deployed is the attribute of an image that is live.
const Deployed = "DEPLOYED"

// DeployedWhen is where an image is live and since when. It has no address: that of a service may be nobody's business.
type DeployedWhen struct {
	Environment string    `json:"environment"`
	Service     string    `json:"service"`
	Commit      string    `json:"commit"`
	Target      string    `json:"target"`
	Release     string    `json:"release"`
	Strategy    string    `json:"strategy,omitempty"`
	Replaced    string    `json:"replaced,omitempty"` // digest of what was live before
	StartedOn   time.Time `json:"startedOn"`
	FinishedOn  time.Time `json:"finishedOn"`
}

// Smoke is an extension of a test result: how the image did where it was deployed.
type Smoke struct {
	Environment string    `json:"environment"`
	Commit      string    `json:"commit"`
	Rounds      int       `json:"rounds"`
	P95MS       float64   `json:"p95Ms"`
	StartedOn   time.Time `json:"startedOn"`
	FinishedOn  time.Time `json:"finishedOn"`
}
