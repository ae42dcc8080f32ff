package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/announce"
	"github.com/org/idp/internal/app/cli"
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

// Announcing prepares to show the delivery on GitHub. Outside a run, and without a token, nothing is shown there.
func (d *Delivery) Announcing(ctx context.Context, a Action) error {
	if !d.Runner.Active() || d.Options.Token == "" {
		return nil
	}
	var err error
	w := d.World
	if d.ConnectGitHub, err = gitHub(w, d.Options.Token, readOnly(d.Event)); err != nil {
		return err
	}
	if a.Shows == announce.Nothing || d.Repo == nil || d.Event.Deleted {
		return nil // the commit of a run for a branch that is gone is the newest of the default branch, which is not what it is about
	}
	id, err := strconv.ParseInt(d.Record.Run.ID, 10, 64)
	if err != nil {
		return fault.Undeterminedf("the run's number %.40q is none", d.Record.Run.ID)
	}
	place := announce.Place{Commit: d.Record.Source.Commit, PullRequest: d.Event.Number, Shows: a.Shows,
		Run: github.Run{ID: id, Attempt: d.Record.Run.Attempt, URL: d.Record.Run.URL}}
	if d.Event.Number > 0 {
		place.Commit = d.Event.Head.SHA // a pull request's checks are those of its head, not of the test merge
	}
	d.Announcer = &announce.Announcer{Place: place, Connect: d.ConnectGitHub, Say: func(line string) { d.Board.Say("  GitHub: "+line, "") },
		Remember: func(s announce.State) error {
			text, err := json.Marshal(s)
			if err != nil {
				return err
			}
			return d.Remember(a, stateGitHub, string(text))
		}}
	if err := d.elsewhere(ctx); err != nil && a.Shows&announce.Verdict != 0 {
		d.Announcer.LeaveOut(announce.Verdict, "the check and the comment are left out: "+fault.Lines(err)[0])
	}
	return nil
}

// elsewhere is why what was checked out says nothing of the pull request that started the run: it is neither its head nor a merge
// of it, of which GitHub's test merge is one.
func (d *Delivery) elsewhere(ctx context.Context) error {
	e, commit := d.Event, d.Repo.Commit
	if e.Number == 0 || commit == e.SHA || commit == e.Head.SHA {
		return nil
	}
	parents, err := d.Repo.Parents(ctx)
	if err != nil || len(parents) > 1 && slices.Contains(parents, e.Head.SHA) {
		return err
	}
	return fault.BadInputf("commit %s was checked out, which is neither the head of pull request %d nor a merge of it", ShortHash(commit), e.Number)
}

// gitHub makes clients of the GitHub that the run belongs to.
func gitHub(w cli.World, token, readOnly string) (func(time.Duration) (*github.Client, error), error) {
	options := github.Options{API: w.Getenv("GITHUB_API_URL"), Token: token, Repository: w.Runner.Repository(), ReadOnly: readOnly, Now: w.Now, Sleep: Sleep}
	if _, err := github.New(options); err != nil {
		return nil, err
	}
	return func(budget time.Duration) (*github.Client, error) {
		o := options
		o.Budget = budget
		return github.New(o)
	}, nil
}

// readOnly says why the token of a run can write nothing, whatever its workflow allows. Dependabot's can only read by default, and is
// given what its workflow asks for.
func readOnly(e runner.Event) string {
	if e.Fork {
		return "the pull request comes from a fork"
	}
	return ""
}

// gitHubWork is the last stage of a delivery that is shown on GitHub.
type gitHubWork struct{ announcer *announce.Announcer }

// Declare declares nothing: the token is an option of the action.
func (gitHubWork) Declare(*action.Set) {}

func (w gitHubWork) Stage(ctx context.Context, d *Delivery) (Result, error) {
	shown, err := w.announcer.End(ctx, announce.Delivery{Report: d.asReport(), Marked: d.marked(), Ref: d.ref()})
	where := gitHubSummary(shown)
	if where == "" && err == nil {
		err = fault.Skipf("nothing of it is shown there")
	}
	return ResultOf(action.Result[record.GitHub]{Summary: where, Tool: record.Tool{Name: "idp", Version: cli.Version()}, Evidence: shown}, err)
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

// Announce shows the delivery on GitHub, also when it was interrupted.
func (d *Delivery) Announce(ctx context.Context) error {
	if d.Announcer == nil {
		return nil
	}
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), CleanupTime)
		defer cancel()
	}
	return d.Execute(ctx, record.StageGitHub, gitHubWork{d.Announcer})
}

// Deploying tells GitHub that the environment is about to change.
func (d *Delivery) Deploying(ctx context.Context, live *record.Deployment) {
	if d.Announcer != nil {
		d.Announcer.Deploying(ctx, d.Snapshot(), live)
	}
}

// marked are the findings with the level that each is shown at, those first that the change touched.
func (d *Delivery) marked() []report.Marked {
	var list []report.Marked
	all, rules := d.ranked()
	for _, f := range all {
		level := map[runner.Level]string{runner.Error: "failure", runner.Warning: "warning", runner.Notice: "notice"}[levelOf(rules[f.Scanner], f)]
		list = append(list, report.Marked{Finding: f, Level: level})
	}
	return list
}

// ranked are all findings, those first that the change touched, and the rules of each scanner.
func (d *Delivery) ranked() ([]finding.Finding, map[string]finding.Rules) {
	rules := map[string]finding.Rules{} // of the scanner; the zero value is of what is not known
	for _, s := range d.Record.Stages {
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

// CutOffOnGitHub ends what an action that was cut off had begun to show.
func CutOffOnGitHub(ctx context.Context, w cli.World, what string) error {
	text := w.Runner.State(stateGitHub)
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
	if err := cli.Fill(w, "post", &set, nil); err != nil || token == "" {
		return err
	}
	connect, err := gitHub(w, token, "")
	if err != nil {
		return err
	}
	a := announce.Announcer{Connect: connect, Say: func(string) {}}
	return a.CutOff(ctx, state, what)
}

// Consent is what was said on GitHub of the commit that is to be deployed. Who says it is held there against the author.
func (d *Delivery) Consent(ctx context.Context, rule guard.Approve) (guard.Consent, error) {
	if d.ConnectGitHub == nil {
		return guard.Consent{Why: "approvals are read from GitHub, and this is no run with a token for it"}, nil
	}
	client, err := d.ConnectGitHub(github.Budget)
	if err != nil {
		return guard.Consent{}, err
	}
	ask := github.Rule{Commit: d.Record.Source.Commit, Owners: rule.By == guard.CodeOwners, Since: d.World.Now().Add(-rule.Within),
		Commands: []string{ApproveCommand + " " + d.Record.Environment, ApproveCommand + " " + d.Record.Environment + " " + d.Service.Name}}
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
	if d.Announcer != nil {
		d.Announcer.PullRequest = found.Pull // where whoever may approve reads of it, and later what came of it
	}
	consent := guard.Consent{Known: true, Missing: found.Missing}
	for _, a := range found.Approvers {
		consent.Approvals = append(consent.Approvals, guard.Approval{By: a.Login, URL: a.URL, At: a.At})
	}
	return consent, nil
}

// ApproveCommand begins the comment that approves: /approve ENVIRONMENT [SERVICE].
const ApproveCommand = "/approve"
