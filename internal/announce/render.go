package announce

import (
	"strconv"

	"github.com/org/idp/internal/github"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/report"
)

// Environment is what GitHub calls the environment of a delivery: one for each service where a repository has several, since
// GitHub takes what is deployed to an environment for one thing.
func Environment(rec *record.Record) string {
	if rec.Source.Path == "" {
		return rec.Environment
	}
	return EnvironmentOf(rec.Environment, rec.Service.Name)
}

// EnvironmentOf is that of a service in a repository of several; without a service, of the only one.
func EnvironmentOf(environment, service string) string {
	if service == "" {
		return environment
	}
	return environment + "/" + service
}

// delivery is a key that does not change while the delivery goes on, as the record's own does with the image.
func delivery(rec *record.Record) string {
	return rec.Service.Name + "/" + rec.Environment + "/" + rec.Run.ID + "." + strconv.Itoa(rec.Run.Attempt)
}

func checkOf(rec *record.Record, p Place) github.Check {
	return github.Check{Name: report.CheckName(rec), Commit: p.Commit, Delivery: delivery(rec), URL: p.Run.URL,
		Title: "in progress", Summary: "The delivery is on its way; the run's log has its stages."}
}

func pending(rec *record.Record, p Place) github.Status {
	return github.Status{Commit: p.Commit, Context: report.CheckName(rec), State: "pending", Description: "in progress", URL: p.Run.URL}
}

func deploymentOf(rec *record.Record, p Place) github.Deployment {
	d := github.Deployment{Service: rec.Service.Name, Environment: Environment(rec), Commit: rec.Source.Commit, Image: rec.Artifact.Image, Digest: rec.Artifact.Digest,
		Delivery: delivery(rec), Task: github.TaskDeploy, Production: rec.Environment == "production", Run: p.Run,
		Description: "deploys " + record.ShortDigest(rec.Artifact.Digest), Record: report.NewPayload(rec)}
	if e, err := record.EvidenceOf[record.Rollback](rec, record.StageRollback); err == nil && e.To != nil {
		d.Task, d.Commit, d.Digest, d.Description = github.TaskRollback, e.To.Commit, e.To.Digest, "goes back to "+record.ShortDigest(e.To.Digest)
	}
	if rec.Previous != nil {
		d.Previous = rec.Previous.Digest
	}
	return d
}
