package attest

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"

	"github.com/org/idp/internal/record"
)

// Resource is an in-toto resource descriptor.
type Resource struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest,omitempty"`
	Annotations map[string]any    `json:"annotations,omitempty"`
}

// Provenance is the predicate of SLSA provenance v1, as far as it is used here.
type Provenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildTypes say how the image came to be, and so what the parameters below mean; docs/predicates.md describes them.
const (
	BuildType           = "https://github.com/org/idp/build/go-image/v1"
	BuildTypeDockerfile = "https://github.com/org/idp/build/dockerfile/v1"
	// BuildTypeElsewhere is of an image that was not built here. It says for which commit it was delivered, and nothing of
	// what it was built from.
	BuildTypeElsewhere = "https://github.com/org/idp/build/elsewhere/v1"
	// BuildTypeGitHub is what GitHub's own action attest-build-provenance says: which workflow had the image, in which run.
	BuildTypeGitHub = "https://actions.github.io/buildtypes/workflow/v1"
)

// HowBuilt says what a build type means, to be followed by the name of the repository. It is empty for one that is not known.
func HowBuilt(buildType string) string {
	switch buildType {
	case BuildType:
		return "built from"
	case BuildTypeDockerfile:
		return "built from a Dockerfile of"
	case BuildTypeElsewhere:
		return "built elsewhere, and delivered for"
	case BuildTypeGitHub:
		return "built in a workflow of"
	}
	return ""
}

// BuildDefinition is what was built, how, and from what.
type BuildDefinition struct {
	BuildType            string             `json:"buildType"`
	ExternalParameters   ExternalParameters `json:"externalParameters"`
	InternalParameters   InternalParameters `json:"internalParameters"`
	ResolvedDependencies []Resource         `json:"resolvedDependencies,omitempty"`
}

// ExternalParameters are what whoever started the build chose.
type ExternalParameters struct {
	Source Source `json:"source"`
	// Dockerfile is a path in the service's folder; Image is what was taken from elsewhere.
	Dockerfile string    `json:"dockerfile,omitempty"`
	Image      *Resource `json:"image,omitempty"`
	// Workflow is nil outside CI.
	Workflow *Workflow `json:"workflow,omitempty"`
}

// Workflow is what was started, in the words of GitHub's own build type.
type Workflow struct {
	Ref        string `json:"ref"`
	Repository string `json:"repository"`
	Path       string `json:"path"`
}

// Source is what was built.
type Source struct {
	Repository string `json:"repository"`
	Commit     string `json:"commit"`
	Ref        string `json:"ref,omitempty"`
	Path       string `json:"path,omitempty"`
	// Dirty is true when the working tree differed from the commit, so that the commit does not describe the image.
	Dirty bool `json:"dirty,omitempty"`
}

// InternalParameters are what the builder chose.
type InternalParameters struct {
	Service    string   `json:"service"`
	Platform   string   `json:"platform"`
	Go         string   `json:"go,omitempty"`
	Parameters []string `json:"parameters,omitempty"`
	// GitHub is nil outside CI.
	GitHub *GitHub `json:"github,omitempty"`
}

// GitHub is what the runner says of the run, in the words of GitHub's own build type. The numbers outlive names.
type GitHub struct {
	EventName         string `json:"event_name"`
	RepositoryID      string `json:"repository_id"`
	RepositoryOwnerID string `json:"repository_owner_id"`
	RunnerEnvironment string `json:"runner_environment,omitempty"`
}

// RunDetails is who built it, and when.
type RunDetails struct {
	Builder  Builder       `json:"builder"`
	Metadata BuildMetadata `json:"metadata"`
}

// Builder is who is to be trusted for the provenance to be true.
type Builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// BuildMetadata is one run of the builder.
type BuildMetadata struct {
	InvocationID string    `json:"invocationId,omitempty"`
	StartedOn    time.Time `json:"startedOn"`
	FinishedOn   time.Time `json:"finishedOn"`
}

// Results of a test run.
const (
	ResultPassed = "PASSED"
	ResultWarned = "WARNED"
	ResultFailed = "FAILED"
)

// TestResult is the predicate of in-toto's test-result v0.1, with what a scan or a run of tests adds to it.
type TestResult struct {
	Result        string     `json:"result"`
	Configuration []Resource `json:"configuration"`
	URL           string     `json:"url,omitempty"`
	PassedTests   []string   `json:"passedTests,omitempty"`
	WarnedTests   []string   `json:"warnedTests,omitempty"`
	FailedTests   []string   `json:"failedTests,omitempty"`
	// Scan is an extension field; it has no dot or colon in its name because the attestation framework asks for that.
	Scan *Scan `json:"idpScan,omitempty"`
	// Tests is another, of the service's own tests.
	Tests *Tests `json:"idpTests,omitempty"`
	// Smoke is another, of the checks of a live service.
	Smoke *Smoke `json:"idpSmoke,omitempty"`
}

// Tests is how many tests ran, and on what.
type Tests struct {
	Commit     string    `json:"commit"`
	Passed     int       `json:"passed"`
	Flaky      int       `json:"flaky"`
	Skipped    int       `json:"skipped"`
	Failed     int       `json:"failed"`
	FinishedOn time.Time `json:"finishedOn"`
}

// Scan is what a scanner covered and found, and under which threshold.
type Scan struct {
	Stage      string      `json:"stage"`
	Tool       record.Tool `json:"tool"`
	StartedOn  time.Time   `json:"startedOn"`
	FinishedOn time.Time   `json:"finishedOn"`
	record.Scan
}

// DirHash gives a module's h1: sum the form of a digest set: hex, under dirHash. It is nil for a sum of another form.
func DirHash(sum string) map[string]string {
	encoded, ok := strings.CutPrefix(sum, "h1:")
	if !ok {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 32 {
		return nil
	}
	return map[string]string{"dirHash": hex.EncodeToString(raw)}
}
