package report

import (
	"github.com/org/idp/internal/record"
)

// Status is a commit status of GitHub: docs.github.com, "Create a commit status".
type Status struct {
	Context     string // as the name of the check run
	State       string // success, failure, error or pending
	Description string // plain text, at most 140 characters
}

// descriptionLimit is GitHub's, in characters, for the description of a commit status and of a deployment's status.
const descriptionLimit = 140

// NewStatus renders the commit status of a delivery, for where check runs cannot be written.
func NewStatus(r Report) Status {
	s := Status{Context: CheckName(r.Record), State: "error", Description: describe(r)}
	switch {
	case r.Record.Outcome == record.Failed:
		s.State = "failure"
	case waits(r):
		s.State = "pending"
	case r.Record.Outcome == record.Passed:
		s.State = "success"
	}
	return s
}

// DeploymentDescription says in one line what came of a deployment, in at most 140 characters.
func DeploymentDescription(r Report) string { return describe(r) }

// describe is the headline with the reason of the first stage that made it so.
func describe(r Report) string {
	words := headline(r)
	for _, s := range r.Record.Stages {
		if s.Outcome != r.Record.Outcome || line(s) == "" {
			continue
		}
		if s.Outcome != record.Passed || s.Name == record.StageDeploy || s.Name == record.StageRollback {
			words += ": " + line(s)
			break
		}
	}
	return cut(clean(words), descriptionLimit)
}

// PayloadSchema names the form of a deployment's payload.
const PayloadSchema = "idp.delivery-essence/v1"

// Payload is what is in a GitHub Deployment besides what GitHub keeps of it: the essence of the record, so that a reader of
// deployments needs nothing else to tell what was delivered.
type Payload struct {
	Schema      string              `json:"schema"`
	Delivery    string              `json:"delivery"` // key of the record
	Service     string              `json:"service"`
	Owner       string              `json:"owner,omitempty"`
	Path        string              `json:"path,omitempty"` // of the service in its repository
	Environment string              `json:"environment"`
	Commit      string              `json:"commit"`
	Image       string              `json:"image,omitempty"`
	Digest      string              `json:"digest,omitempty"`
	Run         string              `json:"run,omitempty"`
	Attempt     int                 `json:"attempt,omitempty"`
	Previous    *record.Deployment  `json:"previous,omitempty"`
	Stages      map[string]Progress `json:"stages,omitempty"` // that ended before; how the deployment ends, its statuses say
}

// Progress is how a stage ended.
type Progress struct {
	Outcome    record.Outcome `json:"outcome"`
	DurationMS int64          `json:"durationMs"`
}

// Limits of a payload: GitHub's is not documented, and no honest value is near these.
const (
	payloadValue  = 512 // characters
	payloadStages = 32
)

// NewPayload is the payload of the deployment of a record. It is bounded whatever the record holds.
func NewPayload(rec *record.Record) Payload {
	value := func(s string) string { return cut(s, payloadValue) }
	p := Payload{Schema: PayloadSchema, Delivery: value(rec.ID), Service: value(rec.Service.Name), Owner: value(rec.Service.Owner),
		Path: value(rec.Source.Path), Environment: value(rec.Environment), Commit: value(rec.Source.Commit), Image: value(rec.Artifact.Image),
		Digest: value(rec.Artifact.Digest), Run: value(rec.Run.ID), Attempt: rec.Run.Attempt, Stages: map[string]Progress{}}
	if b := rec.Previous; b != nil {
		p.Previous = &record.Deployment{Digest: value(b.Digest), Commit: value(b.Commit)}
	}
	for _, s := range rec.Stages[:min(len(rec.Stages), payloadStages)] {
		p.Stages[value(s.Name)] = Progress{s.Outcome, s.DurationMS}
	}
	return p
}
