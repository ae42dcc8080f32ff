package announce

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/github"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/report"
)

// Delivery is a delivery that has ended, with all that is rendered of it.
type Delivery struct {
	Report report.Report
	Marked []report.Marked // findings and the level that each is shown at, those first that the change touched
	Ref    string          // full name of what was scanned; empty where the commit is of none that is known
}

// End shows what came of a delivery, and gives what can be seen where. The check is written last: when anything else could not
// be found out, it is no success. The error is undetermined, and tells all that went wrong.
func (a *Announcer) End(ctx context.Context, d Delivery) (record.GitHub, error) {
	var shown record.GitHub
	c, err := a.Connect(budgetEnd)
	if err != nil {
		return shown, err
	}
	var errs []error
	step := func(what string, err error) {
		if err := a.without(err); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	rec := d.Report.Record
	d.Report.Notes = slices.Clone(d.Report.Notes)
	if a.Shows&Verdict != 0 {
		changes, lines := a.history(ctx, c, rec) // before this is what is live
		shown.Changes, d.Report.Notes = changes, append(d.Report.Notes, lines...)
	}
	if a.Shows&Deployment != 0 {
		step("the deployment", a.endDeployment(ctx, c, d.Report, &shown))
	}
	if a.Shows&Findings != 0 && len(d.Report.Scans) > 0 {
		step("code scanning", a.upload(ctx, c, d, &shown))
	}
	if a.Shows&Verdict != 0 {
		d.Report.Notes = append(d.Report.Notes, a.said...)
		if a.PullRequest != 0 {
			step("the comment", a.comment(ctx, c, d.Report, &shown))
		}
		failed := errors.Join(errs...)
		if failed != nil {
			d.Report.Record = rec.Clone()
			d.Report.Record.Put(record.Stage{Name: record.StageGitHub, Outcome: record.Error, Reason: fault.Lines(failed)[0]})
		}
		step("the check", a.endCheck(ctx, c, d, &shown))
	}
	shown.Without = append([]string{}, a.said...)
	if len(errs) == 0 {
		return shown, nil
	}
	var lines []string
	for _, err := range errs {
		lines = append(lines, err.Error())
	}
	return shown, fault.Undeterminedf("not all of it can be seen on GitHub: %w", errs[0]).WithDetail(lines[1:]...).
		WithNext("Run the job again when GitHub answers; what was done already is found and not done twice.")
}

// stateOf is how a deployment ended: as the worse of the deploy and its smoke test. The second result is false where the
// environment was not touched.
func stateOf(rec *record.Record) (string, bool) {
	state, touched := "success", false
	for _, name := range []string{record.StageDeploy, record.StageRollback, record.StageSmoke} {
		s, ok := rec.Stage(name)
		if !ok || s.Outcome == record.Skipped {
			continue
		}
		touched = touched || name != record.StageSmoke
		switch {
		case s.Outcome == record.Error:
			state = "error"
		case s.Outcome == record.Failed && state == "success":
			state = "failure"
		}
	}
	return state, touched
}

func (a *Announcer) endDeployment(ctx context.Context, c *github.Client, r report.Report, shown *record.GitHub) error {
	rec := r.Record
	if rec.Waits() != "" {
		d := deploymentOf(rec, a.Place)
		d.Description = rec.Waits()
		id, err := c.Wait(ctx, d)
		shown.Deployment = id
		return err
	}
	state, touched := stateOf(rec)
	switch {
	case !touched && a.state.Deployment == nil:
		return nil
	case !touched:
		state = "error" // it was shown as begun, and nothing is known of it
	case a.state.DeploymentID == 0:
		if err := a.openDeployment(ctx, c, deploymentOf(rec, a.Place)); err != nil {
			return err
		}
	}
	shown.Deployment = a.state.DeploymentID
	_, err := c.EndDeployment(ctx, a.state.DeploymentID, github.End{Service: rec.Service.Name, Environment: Environment(rec), State: state,
		EnvironmentURL: liveURL(rec), LogURL: a.Run.URL, Description: report.DeploymentDescription(r)})
	if err != nil {
		return err
	}
	return a.rolledBack(ctx, c, rec, shown)
}

// deployed is the evidence of the deploy, however it ended.
func deployed(rec *record.Record) (e record.Deploy, ok bool) {
	s, ok := rec.Stage(record.StageDeploy)
	return e, ok && json.Unmarshal(s.Evidence, &e) == nil
}

func liveURL(rec *record.Record) string {
	if e, err := record.EvidenceOf[record.Rollback](rec, record.StageRollback); err == nil {
		return e.URL
	}
	e, _ := deployed(rec)
	return e.URL
}

// rolledBack files that the old version was put back, as a deployment of its own.
func (a *Announcer) rolledBack(ctx context.Context, c *github.Client, rec *record.Record, shown *record.GitHub) error {
	e, ok := deployed(rec)
	if !ok || e.Restored == nil || len(e.Restored.Commit) != 40 {
		return nil
	}
	d := deploymentOf(rec, a.Place)
	d.Task, d.Commit, d.Digest, d.Previous = github.TaskRollback, e.Restored.Commit, e.Restored.Digest, rec.Artifact.Digest
	d.Description = "puts back " + record.ShortDigest(e.Restored.Digest)
	begun, err := c.BeginDeployment(ctx, d)
	if err != nil {
		return err
	}
	shown.Rollback = begun.ID
	_, err = c.EndDeployment(ctx, begun.ID, github.End{Service: d.Service, Environment: d.Environment, State: "success", With: a.state.DeploymentID,
		EnvironmentURL: e.URL, LogURL: a.Run.URL, Description: record.ShortDigest(e.Restored.Digest) + " is live again"})
	return err
}

func (a *Announcer) comment(ctx context.Context, c *github.Client, r report.Report, shown *record.GitHub) error {
	var body bytes.Buffer
	if err := (report.Comment{}).Format(&body, r); err != nil {
		return err
	}
	put, err := c.PutComment(ctx, a.PullRequest, report.CommentKey(r.Record), github.OrderMarker(a.Run.ID, a.Commit)+body.String())
	if put.Newer != 0 {
		a.leaveOut(fmt.Sprintf("the comment is about a later commit already, by run %d, and is left as it is", put.Newer))
		return err
	}
	shown.Comment = put.URL
	return err
}

func (a *Announcer) endCheck(ctx context.Context, c *github.Client, d Delivery, shown *record.GitHub) error {
	if a.state.CheckID == 0 && !a.noChecks {
		if err := a.openCheck(ctx, c, d.Report.Record); err != nil {
			return err
		}
	}
	if a.noChecks {
		s := report.NewStatus(d.Report)
		err := c.SetStatus(ctx, github.Status{Commit: a.Commit, Context: s.Context, State: s.State, Description: s.Description, URL: a.Run.URL})
		shown.Status = err == nil
		return err
	}
	k := report.NewCheck(d.Report, d.Marked)
	end := github.CheckEnd{Conclusion: k.Conclusion, Title: k.Title, Summary: k.Summary, Text: k.Text}
	for _, n := range k.Annotations {
		end.Annotations = append(end.Annotations, github.Annotation{Path: n.Path, Line: n.StartLine, EndLine: n.EndLine, Level: n.Level, Title: n.Title, Message: n.Message})
	}
	if err := c.EndCheck(ctx, a.state.CheckID, end); err != nil {
		return err
	}
	shown.Check = a.state.CheckID
	return nil
}

// upload hands the findings to code scanning, whose alerts belong to a ref.
func (a *Announcer) upload(ctx context.Context, c *github.Client, d Delivery, shown *record.GitHub) error {
	if d.Ref == "" {
		a.leaveOut("code scanning: the commit is of no branch, tag or pull request that is known, so nothing is uploaded")
		return nil
	}
	var sarif bytes.Buffer
	if err := (report.SARIF{InRepository: true}).Format(&sarif, d.Report); err != nil {
		return err
	}
	id, err := c.UploadSARIF(ctx, github.Upload{Commit: d.Report.Record.Source.Commit, Ref: d.Ref, SARIF: sarif.Bytes()})
	shown.CodeScanning = id
	return err
}
