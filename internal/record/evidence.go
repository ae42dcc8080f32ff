package record

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Names of the stages whose evidence other stages read.
const (
	StageSAST     = "sast"
	StageSecrets  = "secrets"
	StageGate     = "gate"
	StageBuild    = "build"
	StageCost     = "cost"
	StageSign     = "sign"
	StageVerify   = "verify"
	StagePlan     = "plan"
	StageDeploy   = "deploy"
	StageRollback = "rollback"
	StageSmoke    = "smoke"
	StageAttest   = "attest"
	StageCatalog  = "catalog"
	StageEvents   = "events"
	StageNotify   = "notify"
	StageGitHub   = "github"
	StageResume   = "resume"
)

// ShortDigest is a digest as a person can compare it: 9d0c…e1.
func ShortDigest(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	if len(hex) < 8 {
		return hex
	}
	return hex[:4] + "…" + hex[len(hex)-2:]
}

// EvidenceOf decodes the evidence of a stage that passed. It is an error when the stage is absent, did not pass, or left
// evidence of another form: none of those may be read as "nothing to say".
func EvidenceOf[T any](r *Record, stage string) (T, error) {
	var v T
	s, ok := r.Stage(stage)
	if !ok {
		return v, fmt.Errorf("the record has no stage %s", stage)
	}
	if s.Outcome != Passed {
		return v, fmt.Errorf("stage %s is %s: %s", stage, s.Outcome, s.Reason)
	}
	if err := json.Unmarshal(s.Evidence, &v); err != nil {
		return v, fmt.Errorf("evidence of stage %s: %w", stage, err)
	}
	return v, nil
}

// Scan is the evidence of sast and secrets: what was covered, and what was found by severity.
type Scan struct {
	Coverage   Coverage       `json:"coverage"`
	New        map[string]int `json:"new" jsonschema_description:"Findings that count at the gate, by severity."`
	Known      map[string]int `json:"known" jsonschema_description:"Findings that were there before this change, by severity."`
	Suppressed map[string]int `json:"suppressed,omitempty" jsonschema_description:"Findings that the team has decided to let pass, by severity."`
	FailOn     string         `json:"failOn" jsonschema_description:"Lowest severity that fails the gate, or none."`
	Policy     string         `json:"policy,omitempty" jsonschema_description:"Name and sha256 digest of the policy whose gate this is."`
	Gate       *Gate          `json:"gate,omitempty" jsonschema_description:"What else the findings were held to."`
	Commit     string         `json:"commit"`
	Platform   string         `json:"platform,omitempty" jsonschema_description:"OS/ARCH for which build constraints chose the code that was scanned, without cgo; empty where that is no matter, or what the environment said."`
}

// Gate is what findings were held to besides the threshold, and what let them pass.
type Gate struct {
	MinConfidence string            `json:"minConfidence,omitempty" jsonschema_description:"Findings of less confidence do not fail; empty: all do."`
	CWE           map[string]string `json:"cwe,omitempty" jsonschema_description:"Thresholds by weakness, in place of failOn."`
	NewOnly       bool              `json:"newOnly" jsonschema_description:"True when findings that were there before do not fail."`
	Base          string            `json:"base,omitempty" jsonschema_description:"Commit that the findings were compared with; empty when none had to be."`
	Baseline      string            `json:"baseline,omitempty" jsonschema_description:"Name and sha256 digest of the baseline that was applied."`
	Suppressions  string            `json:"suppressions,omitempty" jsonschema_description:"How suppressions in the source were taken; empty is allow."`
	Waivers       *Waived           `json:"waivers,omitempty" jsonschema_description:"Absent when no finding was waived."`
	Imports       []Import          `json:"imports,omitempty" jsonschema_description:"SARIF of other scanners."`
}

// Waived is what waivers let pass.
type Waived struct {
	Count      int    `json:"count" jsonschema_description:"Findings."`
	Earliest   string `json:"earliest" jsonschema_description:"Last day of the waiver that runs out first, as YYYY-MM-DD."`
	Latest     string `json:"latest" jsonschema_description:"Last day of the waiver that runs out last."`
	NeedReason bool   `json:"needReason" jsonschema_description:"True when each of them had to have a reason."`
}

// Import is one run of another scanner.
type Import struct {
	Tool    string `json:"tool"`
	Version string `json:"version,omitempty"`
	File    string `json:"file"`
	Results int    `json:"results"`
}

// Coverage counts what a scanner had to see and what it saw. The two are equal in every scan that passed.
type Coverage struct {
	Unit     string   `json:"unit" jsonschema_description:"What is counted: packages, commits, files of a folder without a history, or runs of other scanners."`
	Expected int      `json:"expected"`
	Scanned  int      `json:"scanned"`
	Files    int      `json:"files"`
	Bytes    int64    `json:"bytes,omitempty"`
	Left     []string `json:"left,omitempty" jsonschema_description:"What was left out on purpose, and why."`
}

// Build is the evidence of build.
type Build struct {
	Digest     string     `json:"digest"`
	Platform   string     `json:"platform" jsonschema_description:"OS/ARCH of the image; of an index those of its images, with commas."`
	Size       int64      `json:"size" jsonschema_description:"Bytes of the compressed layers."`
	Layout     string     `json:"layout" jsonschema_description:"Folder of the OCI image layout."`
	SBOM       string     `json:"sbom" jsonschema_description:"File of the CycloneDX SBOM."`
	SPDX       string     `json:"spdx,omitempty" jsonschema_description:"File of the same as an SPDX document."`
	Components int        `json:"components" jsonschema_description:"Modules in the SBOM."`
	Go         string     `json:"go" jsonschema_description:"Version of the Go toolchain."`
	Parameters []string   `json:"parameters,omitempty" jsonschema_description:"What the build was called with."`
	Needs      []string   `json:"needs,omitempty" jsonschema_description:"Package URLs of the materials that the program's own packages import."`
	Materials  []Material `json:"materials,omitempty" jsonschema_description:"Modules linked into the program."`
	Images     []Image    `json:"images,omitempty" jsonschema_description:"Where the digest is that of an index: its images."`
	SPDXDigest string     `json:"spdxDigest,omitempty" jsonschema_description:"sha256:HEX of the SPDX document, where that came with the image."`
	Type       string     `json:"type,omitempty" jsonschema:"enum=dockerfile,enum=elsewhere" jsonschema_description:"How the image came to be: dockerfile, or elsewhere for one that is not built here; left out for a Go program compiled here."`
	Origin     string     `json:"origin,omitempty" jsonschema_description:"The Dockerfile; or IMAGE@DIGEST or the name of the file that an image from elsewhere was taken from."`
}

// How an image came to be, where it is not a Go program that was compiled here.
const (
	BuiltByDockerfile = "dockerfile"
	BuiltElsewhere    = "elsewhere"
)

// Image is one image of an index.
type Image struct {
	Digest     string     `json:"digest"`
	Platform   string     `json:"platform" jsonschema_description:"OS/ARCH of the image."`
	Size       int64      `json:"size" jsonschema_description:"Bytes of the compressed layers."`
	SBOM       string     `json:"sbom" jsonschema_description:"File of the CycloneDX SBOM."`
	SPDX       string     `json:"spdx,omitempty" jsonschema_description:"File of the same as an SPDX document."`
	SPDXDigest string     `json:"spdxDigest,omitempty" jsonschema_description:"sha256:HEX of the SPDX document, where that came with the image."`
	Components int        `json:"components" jsonschema_description:"Modules in the SBOM."`
	Parameters []string   `json:"parameters,omitempty" jsonschema_description:"What the build was called with."`
	Materials  []Material `json:"materials,omitempty" jsonschema_description:"Modules linked into the program."`
	Needs      []string   `json:"needs,omitempty" jsonschema_description:"Package URLs of the materials that the program's own packages import."`
}

// Each gives what was built one digest at a time: the images of an index and then the index, or the only image.
func (b Build) Each() []Build {
	var all []Build
	for _, i := range b.Images {
		all = append(all, Build{Digest: i.Digest, Platform: i.Platform, Size: i.Size, Layout: b.Layout, SBOM: i.SBOM,
			SPDX: i.SPDX, SPDXDigest: i.SPDXDigest, Components: i.Components, Go: b.Go, Parameters: i.Parameters, Materials: i.Materials, Needs: i.Needs,
			Type: b.Type, Origin: b.Origin})
	}
	return append(all, b)
}

// Material is a module that went into the build.
type Material struct {
	URI   string   `json:"uri" jsonschema_description:"Package URL."`
	Sum   string   `json:"sum,omitempty" jsonschema_description:"h1: hash of a module, as in go.sum; sha256: digest of a base image."`
	Needs []string `json:"needs,omitempty" jsonschema_description:"Package URLs of the materials that its packages import, as far as they are in the program."`
}

// Sign is the evidence of sign.
type Sign struct {
	Reference  string   `json:"reference" jsonschema_description:"IMAGE@DIGEST that was signed."`
	Images     []string `json:"images,omitempty" jsonschema_description:"Where that is an index: IMAGE@DIGEST of its images, which were signed like it."`
	Predicates []string `json:"predicates" jsonschema_description:"Predicate types attached to the digest, and to each image of an index."`
	Signer     string   `json:"signer" jsonschema_description:"Identity, or sha256 fingerprint of the public key."`
	Tests      *Tests   `json:"tests,omitempty" jsonschema_description:"Absent when none were given."`
	Tag        string   `json:"tag,omitempty" jsonschema_description:"Tag moved to the digest once its signature had been read back."`
}

// Tests are the results of tests that ran on the commit before it was signed, as their runner left them.
type Tests struct {
	Files        []TestFile `json:"files"`
	Passed       int        `json:"passed" jsonschema_description:"Tests that passed, the flaky ones among them."`
	Flaky        int        `json:"flaky,omitempty" jsonschema_description:"Tests that failed first and passed when they were run again."`
	Skipped      int        `json:"skipped"`
	Failed       int        `json:"failed"`
	FinishedAt   time.Time  `json:"finishedAt" jsonschema_description:"Of the last of them; of JUnit XML, when the file was written."`
	PassedSuites []string   `json:"-"`
	WarnedSuites []string   `json:"-"` // with a flaky test
	Failures     []string   `json:"-"` // names of the tests
}

// TestFile is one file of results.
type TestFile struct {
	Name   string `json:"name"`
	Form   string `json:"form" jsonschema_description:"junit or go test -json."`
	Digest string `json:"digest" jsonschema_description:"sha256:HEX of the file."`
	Tests  int    `json:"tests"`
}

// Attest is the evidence of attest: what was said of the image after it was signed.
type Attest struct {
	Reference  string   `json:"reference" jsonschema_description:"IMAGE@DIGEST."`
	Predicates []string `json:"predicates" jsonschema_description:"Predicate types of what is attached to the digest now."`
	Signer     string   `json:"signer" jsonschema_description:"Identity, or sha256 fingerprint of the public key."`
	Added      int      `json:"added" jsonschema_description:"Statements that were not there before."`
}

// Verify is the evidence of verify.
type Verify struct {
	Reference   string   `json:"reference"`
	Policy      string   `json:"policy" jsonschema_description:"Name and sha256 digest of the policy."`
	Environment string   `json:"environment"`
	Clauses     []Clause `json:"clauses"`
}

// Clause is one demand of the policy and how it was met.
type Clause struct {
	Name   string `json:"name"`
	Met    bool   `json:"met"`
	Reason string `json:"reason" jsonschema_description:"What met it, or why it is refused."`
}

// Deploy is the evidence of deploy.
type Deploy struct {
	Target    string      `json:"target"`
	Release   string      `json:"release" jsonschema_description:"Name of the release that is live after the stage."`
	URL       string      `json:"url"`
	Digest    string      `json:"digest"`
	Changed   bool        `json:"changed" jsonschema_description:"False when this version was live already."`
	Replaced  *Deployment `json:"replaced,omitempty"`
	Restored  *Deployment `json:"restored,omitempty" jsonschema_description:"What was put back because this version failed, in the deploy itself or in the smoke test; absent when nothing was."`
	HealthyMS int64       `json:"healthyMs" jsonschema_description:"Milliseconds from start to the first healthy answer."`
	Manifests string      `json:"manifests" jsonschema_description:"File of the rendered Kubernetes manifests."`
	Strategy  string      `json:"strategy,omitempty" jsonschema_description:"How the version took over: rolling, canary or blue-green; of target kubernetes."`
	Accepted  *Accepted   `json:"accepted,omitempty" jsonschema_description:"What the policy said of the image before anything was changed."`
	Guards    []Guard     `json:"guards,omitempty" jsonschema_description:"What was asked of the moment, and answered."`
	Healed    []string    `json:"healed,omitempty" jsonschema_description:"Releases that an earlier deploy was cut off in, and that this one put in order."`
}

// Accepted is the verdict of a policy of which every clause was met.
type Accepted struct {
	At           time.Time `json:"at"`
	Policy       string    `json:"policy" jsonschema_description:"Name of the policy."`
	PolicyDigest string    `json:"policyDigest" jsonschema_description:"sha256:HEX of its file."`
	Clauses      []string  `json:"clauses" jsonschema_description:"Names of all clauses."`
}

// Plan is the evidence of plan: what a deploy would do.
type Plan struct {
	Target  string         `json:"target"`
	Against string         `json:"against" jsonschema_description:"What was compared with: cluster, or the commit that the change branched off where there is no cluster to ask."`
	Live    *Deployment    `json:"live,omitempty" jsonschema_description:"What is live now."`
	Changes map[string]int `json:"changes" jsonschema_description:"Objects by what would be done to them: create, update, adopt, recreate, prune or unchanged."`
	Guards  []Guard        `json:"guards,omitempty" jsonschema_description:"What would be asked of the moment of a deploy, as of now."`
	Diff    string         `json:"diff" jsonschema_description:"File of the readable difference."`
}

// Rollback is the evidence of a rollback by hand.
type Rollback struct {
	Target  string      `json:"target"`
	Release string      `json:"release" jsonschema_description:"Name of the release that is live after the stage."`
	URL     string      `json:"url"`
	From    *Deployment `json:"from,omitempty" jsonschema_description:"What was live before."`
	To      *Deployment `json:"to,omitempty" jsonschema_description:"What is live now; absent when nothing is."`
	Image   string      `json:"image,omitempty" jsonschema_description:"What is live now, as REPOSITORY@DIGEST; absent where the release does not say where it was taken from."`
}

// Guard is one question about the moment of a deploy that let it go on.
type Guard struct {
	Guard   string   `json:"guard" jsonschema_description:"freeze, order, approval or undo."`
	Answer  string   `json:"answer" jsonschema_description:"clear, warned, overridden or waits."`
	Text    string   `json:"text"`
	Reason  string   `json:"reason,omitempty" jsonschema_description:"What the person said who overrode a freeze."`
	Commits []string `json:"commits,omitempty" jsonschema_description:"That were live and are not in this version."`
	By      string   `json:"by,omitempty" jsonschema_description:"Login of who approved."`
	URL     string   `json:"url,omitempty" jsonschema_description:"Where the approval can be read."`
}

// Waits tells what a deploy still waits for, in words; empty where it waits for nothing. Such a delivery has passed nothing
// that it was to deploy.
func (r *Record) Waits() string {
	s, ok := r.Stage(StageDeploy)
	var e Deploy
	if !ok || s.Outcome != Skipped || json.Unmarshal(s.Evidence, &e) != nil {
		return ""
	}
	for _, g := range e.Guards {
		if g.Answer == "waits" {
			return g.Text
		}
	}
	return ""
}

// Smoke is the evidence of smoke.
type Smoke struct {
	URL     string        `json:"url"`
	Version string        `json:"version" jsonschema_description:"Digest or revision that the service answered with."`
	Rounds  int           `json:"rounds" jsonschema_description:"Consecutive good rounds."`
	Checks  []CheckResult `json:"checks"`
	P95MS   float64       `json:"p95Ms" jsonschema_description:"95th percentile of the response time over all samples, in milliseconds."`
}

// CheckResult is one check of the last round.
type CheckResult struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	Reason string `json:"reason,omitempty"`
}

// Catalog is the evidence of catalog.
type Catalog struct {
	URL       string `json:"url" jsonschema_description:"The catalogue's Git URL, without credentials."`
	Component string `json:"component"`
	Delivery  int    `json:"delivery" jsonschema_description:"Number of this delivery in its environment's log, from 1."`
	Commit    string `json:"commit" jsonschema_description:"Commit of the catalogue that holds it."`
	Changed   bool   `json:"changed"`
	Signer    string `json:"signer,omitempty" jsonschema_description:"Fingerprint of the key that signed the commit; absent when it was not signed, or nothing changed."`
}

// Cost is the evidence of cost. Amounts are a month's (730 hours) list price.
type Cost struct {
	Currency   string          `json:"currency"`
	Min        float64         `json:"min"`
	Max        float64         `json:"max"`
	Budget     *float64        `json:"budget,omitempty"`
	Prices     string          `json:"prices" jsonschema_description:"Name and date of the price file."`
	Rates      *Rates          `json:"rates,omitempty" jsonschema_description:"The prices themselves; absent in older records."`
	Containers []ContainerCost `json:"containers"`
	Volumes    []VolumeCost    `json:"volumes,omitempty"`
	Left       []string        `json:"left,omitempty" jsonschema_description:"What is not in the estimate, and why."`
}

// Rates are prices of one hour.
type Rates struct {
	CPU     float64 `json:"cpuCoreHour"`
	Memory  float64 `json:"memoryGbHour"`
	Storage float64 `json:"storageGbHour"`
}

// VolumeCost is one claimed volume's share; of a claim template, that of all replicas.
type VolumeCost struct {
	Workload  string  `json:"workload" jsonschema_description:"What claims it; a PersistentVolumeClaim of its own, or the workload whose template it is."`
	Claim     string  `json:"claim"`
	StorageGB float64 `json:"storageGb" jsonschema_description:"Requested storage of one volume in GB (2^30 bytes)."`
	MinCount  int     `json:"minCount" jsonschema_description:"Volumes of the fewest replicas."`
	MaxCount  int     `json:"maxCount"`
	Min       float64 `json:"min"`
	Max       float64 `json:"max"`
}

// ContainerCost is one container's share.
type ContainerCost struct {
	Workload    string  `json:"workload"`
	Container   string  `json:"container"`
	MinReplicas int     `json:"minReplicas"`
	MaxReplicas int     `json:"maxReplicas"`
	CPU         float64 `json:"cpu" jsonschema_description:"Requested cores."`
	MemoryGB    float64 `json:"memoryGb" jsonschema_description:"Requested memory in GB (2^30 bytes)."`
	Min         float64 `json:"min"`
	Max         float64 `json:"max"`
}

// Events is the evidence of events.
type Events struct {
	File string `json:"file"`
	Type string `json:"type"`
	Sent bool   `json:"sent"`
}

// Notify is the evidence of notify.
type Notify struct {
	Files string `json:"files" jsonschema_description:"Folder of the files that portals read from a repository."`
	Told  []Told `json:"told,omitempty" jsonschema_description:"Portals that there were credentials for, and what they took."`
}

// Told is what a portal took.
type Told struct {
	Portal  string `json:"portal"`
	Service bool   `json:"service"`
	Deploy  bool   `json:"deploy" jsonschema_description:"False also where there was none to tell of."`
}

// Resume is the evidence of resume: what a comment approves.
type Resume struct {
	Environment string `json:"environment"`
	Service     string `json:"service"`
	Commit      string `json:"commit"`
	Image       string `json:"image" jsonschema_description:"By digest."`
}

// EvidenceTypes has the form of each stage's evidence, for the published schema.
var EvidenceTypes = map[string]any{
	StageSAST: Scan{}, StageSecrets: Scan{}, StageGate: Scan{}, StageBuild: Build{}, StageCost: Cost{}, StageSign: Sign{},
	StageVerify: Verify{}, StagePlan: Plan{}, StageDeploy: Deploy{}, StageRollback: Rollback{}, StageSmoke: Smoke{}, StageAttest: Attest{}, StageCatalog: Catalog{}, StageEvents: Events{}, StageNotify: Notify{}, StageGitHub: GitHub{}, StageResume: Resume{},
}
