package app

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/announce"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/github"
	"github.com/org/idp/internal/guard"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/report"
	"github.com/org/idp/internal/runner"
)

// declareToken declares what GitHub is spoken to with.
func declareToken(s *action.Set, token *string) {
	s.String(token, action.Input{Name: "github-token", Secret: true, Workflow: "${{ github.token }}", Example: "${{ secrets.IDP_TOKEN }}",
		Usage: "Token with which the delivery is shown on GitHub. docs/permissions.md says which permission each thing needs, and what happens without it."})
}

// announcing prepares to show the delivery on GitHub. Outside a run, and without a token, nothing is shown there.
func (d *delivery) announcing(a Action) error {
	if !d.runner.Active() || d.opts.Token == "" {
		return nil
	}
	var err error
	if d.connectGitHub, err = d.world.gitHub(d.opts.Token, readOnly(d.event, d.rec.Run.Actor)); err != nil {
		return err
	}
	if a.shows == announce.Nothing || d.repo == nil {
		return nil
	}
	id, err := strconv.ParseInt(d.rec.Run.ID, 10, 64)
	if err != nil {
		return fault.Undeterminedf("the run's number %.40q is none", d.rec.Run.ID)
	}
	place := announce.Place{Commit: d.rec.Source.Commit, PullRequest: d.event.Number, Shows: a.shows,
		Run: github.Run{ID: id, Attempt: d.rec.Run.Attempt, URL: d.rec.Run.URL}}
	if d.event.Number > 0 {
		place.Commit = d.event.Head.SHA // a pull request's checks are those of its head, not of the test merge
	}
	d.announcer = &announce.Announcer{Place: place, Connect: d.connectGitHub, Say: func(line string) { d.board.Say("  GitHub: "+line, "") },
		Remember: func(s announce.State) error {
			text, err := json.Marshal(s)
			if err != nil {
				return err
			}
			return d.remember(a, stateGitHub, string(text))
		}}
	return nil
}

// gitHub makes clients of the GitHub that the run belongs to.
func (w World) gitHub(token, readOnly string) (func(time.Duration) (*github.Client, error), error) {
	options := github.Options{API: w.Getenv("GITHUB_API_URL"), Token: token, Repository: w.runner.Repository(), ReadOnly: readOnly, Now: w.Now, Sleep: sleep}
	if _, err := github.New(options); err != nil {
		return nil, err
	}
	return func(budget time.Duration) (*github.Client, error) {
		o := options
		o.Budget = budget
		return github.New(o)
	}, nil
}

// readOnly says why the token of a run can write nothing, whatever its workflow allows.
func readOnly(e runner.Event, actor string) string {
	switch {
	case e.Fork:
		return "the pull request comes from a fork"
	case actor == "dependabot[bot]":
		return "Dependabot's runs get no more"
	}
	return ""
}

// gitHubWork is the last stage of a delivery that is shown on GitHub.
type gitHubWork struct{ announcer *announce.Announcer }

// Declare declares nothing: the token is an option of the action.
func (gitHubWork) Declare(*action.Set) {}

func (w gitHubWork) stage(ctx context.Context, d *delivery) (result, error) {
	shown, err := w.announcer.End(ctx, announce.Delivery{Report: d.asReport(), Marked: d.marked(), Ref: d.ref()})
	where := gitHubSummary(shown)
	if where == "" && err == nil {
		err = fault.Skipf("nothing of it is shown there")
	}
	return resultOf(action.Result[record.GitHub]{Summary: where, Tool: record.Tool{Name: "idp", Version: Version()}, Evidence: shown}, err)
}

func gitHubSummary(g record.GitHub) string {
	var parts []string
	for _, p := range []struct {
		shown bool
		name  string
	}{
		{g.Deployment != 0, "deployment"}, {g.Rollback != 0, "rollback"}, {g.CodeScanning != "", "code scanning"}, {g.Comment != "", "comment"},
		{g.Check != 0, "check"}, {g.Status, "commit status"},
	} {
		if p.shown {
			parts = append(parts, p.name)
		}
	}
	return strings.Join(parts, ", ")
}

// announce shows the delivery on GitHub, also when it was interrupted.
func (d *delivery) announce(ctx context.Context) error {
	if d.announcer == nil {
		return nil
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
	}
	return d.execute(ctx, record.StageGitHub, gitHubWork{d.announcer})
}

// deploying tells GitHub that the environment is about to change.
func (d *delivery) deploying(ctx context.Context, live *record.Deployment) {
	if d.announcer != nil {
		d.announcer.Deploying(ctx, d.snapshot(), live)
	}
}

// marked are the findings with the level that each is shown at, those first that the change touched.
func (d *delivery) marked() []report.Marked {
	var list []report.Marked
	all, rules := d.ranked()
	for _, f := range all {
		level := map[runner.Level]string{runner.Error: "failure", runner.Warning: "warning", runner.Notice: "notice"}[levelOf(rules[f.Scanner], f)]
		list = append(list, report.Marked{Finding: f, Level: level})
	}
	return list
}

// ranked are all findings, those first that the change touched, and the rules of each scanner.
func (d *delivery) ranked() ([]finding.Finding, map[string]finding.Rules) {
	rules := map[string]finding.Rules{} // of the scanner; the zero value is of what is not known
	for _, s := range d.rec.Stages {
		for _, f := range d.findings[s.Name] {
			if _, known := rules[f.Scanner]; !known {
				rules[f.Scanner] = rulesOf(s)
			}
		}
	}
	all := d.allFindings()
	d.touchedFirst(all)
	return all, rules
}

// cutOffOnGitHub ends what an action that was cut off had begun to show.
func cutOffOnGitHub(ctx context.Context, w World, what string) error {
	text := w.runner.State(stateGitHub)
	if text == "" {
		return nil
	}
	var state announce.State
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		return fault.Undeterminedf("the state of the step cannot be read: %w", err)
	}
	var set action.Set
	var token string
	declareToken(&set, &token)
	if err := fill(w, "post", &set, nil); err != nil || token == "" {
		return err
	}
	connect, err := w.gitHub(token, "")
	if err != nil {
		return err
	}
	a := announce.Announcer{Connect: connect, Say: func(string) {}}
	return a.CutOff(ctx, state, what)
}

// consent is what was said on GitHub of the commit that is to be deployed. Who says it is held there against the author.
func (d *delivery) consent(ctx context.Context, rule guard.Approve) (guard.Consent, error) {
	if d.connectGitHub == nil {
		return guard.Consent{Why: "approvals are read from GitHub, and this is no run with a token for it"}, nil
	}
	client, err := d.connectGitHub(github.Budget)
	if err != nil {
		return guard.Consent{}, err
	}
	ask := github.Rule{Commit: d.rec.Source.Commit, Owners: rule.By == guard.CodeOwners, Since: d.world.Now().Add(-rule.Within),
		Commands: []string{approveCommand + " " + d.rec.Environment, approveCommand + " " + d.rec.Environment + " " + d.svc.Name}}
	if !ask.Owners {
		ask.Teams = []string{rule.By}
	}
	found, err := client.Approval(ctx, ask)
	var denied *github.Denied
	if errors.As(err, &denied) {
		return guard.Consent{Why: denied.Error()}, nil
	}
	if err != nil {
		return guard.Consent{}, err
	}
	if !found.Given() && d.announcer != nil {
		d.announcer.PullRequest = found.Pull // where whoever may approve reads of it
	}
	consent := guard.Consent{Known: true, Missing: found.Missing}
	for _, a := range found.Approvers {
		consent.Approvals = append(consent.Approvals, guard.Approval{By: a.Login, URL: a.URL, At: a.At})
	}
	return consent, nil
}
