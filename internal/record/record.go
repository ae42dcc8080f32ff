// Package record is the delivery record: the one thing that stages hand to each other, and the one source that
// everything people read is rendered from. It is keyed on commit, image digest and environment.
package record

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schema names the version of the record's form.
const Schema = "idp.delivery/v1"

// Record is one delivery of one service to one environment.
type Record struct {
	Schema      string      `json:"schema" jsonschema:"enum=idp.delivery/v1"`
	ID          string      `json:"id" jsonschema_description:"Key of the delivery: a hash of service, repository, commit, digest, environment, run and attempt."`
	Service     Service     `json:"service"`
	Source      Source      `json:"source"`
	Run         Run         `json:"run"`
	Artifact    Artifact    `json:"artifact"`
	Environment string      `json:"environment"`
	Plan        bool        `json:"plan,omitempty" jsonschema_description:"True when nothing was to be changed."`
	Previous    *Deployment `json:"previous,omitempty" jsonschema_description:"What was live before this delivery."`
	Stages      []Stage     `json:"stages"`
	Outcome     Outcome     `json:"outcome" jsonschema_description:"The worst outcome of the stages: error, then failed, then passed."`
}

// Service says whose delivery it is.
type Service struct {
	Name  string `json:"name"`
	Owner string `json:"owner"`
	Tier  int    `json:"tier,omitempty"`
}

// Source says what was delivered.
type Source struct {
	Repository string `json:"repository" jsonschema_description:"OWNER/NAME on the host of the code; the folder's name where there is no remote."`
	Path       string `json:"path,omitempty" jsonschema_description:"Folder of the service in the repository; empty at its root."`
	Commit     string `json:"commit"`
	Ref        string `json:"ref,omitempty" jsonschema_description:"Full name of the branch or tag; empty on a detached HEAD outside CI."`
	Dirty      bool   `json:"dirty" jsonschema_description:"True when the working tree of the service differs from the commit."`
}

// Run says where it was delivered from. Outside CI only Actor may be set.
type Run struct {
	ID      string `json:"id,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	URL     string `json:"url,omitempty"`
	Actor   string `json:"actor,omitempty"`
	Event   string `json:"event,omitempty"`
	// What the names of repositories, which can change hands, do not say.
	RepositoryID string `json:"repositoryId,omitempty" jsonschema_description:"Number of the repository on its host, which outlives its name."`
	OwnerID      string `json:"ownerId,omitempty" jsonschema_description:"Number of the owner of the repository."`
	Workflow     string `json:"workflow,omitempty" jsonschema_description:"OWNER/NAME/PATH@REF of the workflow that was started."`
	WorkflowSHA  string `json:"workflowSha,omitempty" jsonschema_description:"Commit that the workflow was taken from."`
	Runner       string `json:"runner,omitempty" jsonschema_description:"github-hosted or self-hosted."`
}

// Artifact is the image that was built and delivered.
type Artifact struct {
	Image  string `json:"image,omitempty" jsonschema_description:"Registry and repository, without tag or digest."`
	Digest string `json:"digest,omitempty" jsonschema:"pattern=^(sha256:[0-9a-f]{64})?$"`
}

// Reference names the artifact by digest, as IMAGE@DIGEST; empty while either is unknown.
func (a Artifact) Reference() string {
	if a.Image == "" || a.Digest == "" {
		return ""
	}
	return a.Image + "@" + a.Digest
}

// Deployment is a version that is or was live.
type Deployment struct {
	Digest string `json:"digest"`
	Commit string `json:"commit"`
}

// Stage is the typed evidence of one stage.
type Stage struct {
	Name       string          `json:"name"`
	Outcome    Outcome         `json:"outcome"`
	Reason     string          `json:"reason" jsonschema_description:"Why it did not pass; empty when it did."`
	Summary    string          `json:"summary,omitempty" jsonschema_description:"What it found out, in one line."`
	Detail     []string        `json:"detail,omitempty" jsonschema_description:"What a person needs to act on a stage that did not pass."`
	StartedAt  time.Time       `json:"startedAt"`
	DurationMS int64           `json:"durationMs"`
	Tool       *Tool           `json:"tool,omitempty"`
	Evidence   json.RawMessage `json:"evidence,omitempty"`
}

// Tool is what did the work of a stage.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// New begins a record. Its outcome is an error until a stage has been determined.
func New(service Service, source Source, run Run, environment string) *Record {
	r := &Record{Schema: Schema, Service: service, Source: source, Run: run, Environment: environment, Stages: []Stage{}}
	r.settle()
	return r
}

// Put appends the stage, in the place of an earlier run of the same stage where there is one, and recomputes the
// record's outcome and key.
func (r *Record) Put(s Stage) {
	for i := range r.Stages {
		if r.Stages[i].Name == s.Name {
			r.Stages[i] = s
			r.settle()
			return
		}
	}
	r.Stages = append(r.Stages, s)
	r.settle()
}

// SetArtifact names the image of the delivery; the key changes with it.
func (r *Record) SetArtifact(a Artifact) {
	r.Artifact = a
	r.settle()
}

// Drop takes stages out, as when what they said is over.
func (r *Record) Drop(names ...string) {
	r.Stages = slices.DeleteFunc(r.Stages, func(s Stage) bool { return slices.Contains(names, s.Name) })
	r.settle()
}

// Order puts the stages into the order of the names; stages that are not among them come first.
func (r *Record) Order(names []string) {
	slices.SortStableFunc(r.Stages, func(a, b Stage) int {
		return cmp.Compare(slices.Index(names, a.Name), slices.Index(names, b.Name))
	})
}

// Stage finds a stage by name.
func (r *Record) Stage(name string) (Stage, bool) {
	for _, s := range r.Stages {
		if s.Name == name {
			return s, true
		}
	}
	return Stage{}, false
}

func (r *Record) settle() {
	r.Outcome = Worst(r.Stages)
	r.ID = r.key()
}

func (r *Record) key() string {
	parts := []string{r.Service.Name, r.Source.Repository, r.Source.Path, r.Source.Commit, r.Artifact.Digest, r.Environment,
		r.Run.ID, fmt.Sprint(r.Run.Attempt)}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// Clone copies the record deeply enough for a stage to read it while others append.
func (r *Record) Clone() *Record {
	c := *r
	c.Stages = append([]Stage{}, r.Stages...)
	return &c
}
