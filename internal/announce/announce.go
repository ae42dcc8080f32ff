// Package announce shows a delivery on GitHub: its deployment, its check, its comment in the pull request and its findings.
// All of it is rendered from the delivery record. What the token may not do costs that feature only; what could not be found
// out is an error, and the check, which is written last, says so.
package announce

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/github"
	"github.com/org/idp/internal/record"
)

// Shows is what an action has to show.
type Shows int

// What there is to show. The path shows all of it.
const (
	Deployment Shows = 1 << iota
	Findings
	Verdict // the check and the comment

	Nothing Shows = 0
)

// Place is where on GitHub a delivery is shown.
type Place struct {
	Run         github.Run
	Commit      string // that the check is of: of a pull request its head, else what was delivered
	PullRequest int    // 0 for none
	Shows       Shows
}

// Announcer shows one delivery. The zero value of what it remembers is that nothing is shown yet.
type Announcer struct {
	Place
	// Connect gives a client whose repetitions take that long together. Every phase has one of its own, so that an outage at the
	// beginning does not take the time of the end.
	Connect func(budget time.Duration) (*github.Client, error)
	// Remember keeps what CutOff needs, before it is needed. It may be nil.
	Remember func(State) error
	// Say tells people in a line what they will not see, and why. No line comes twice.
	Say func(string)

	state    State
	noChecks bool // the token may not write check runs, and statuses stand in
	said     []string
}

// Budgets of the phases. What comes before the change holds the delivery up, and can be made good at the end.
const (
	budgetBefore = 10 * time.Second
	budgetEnd    = github.Budget
)

// State is what was begun on GitHub and has to be ended, whatever becomes of this process.
type State struct {
	Check        *github.Check      `json:"check,omitempty"`
	CheckID      int64              `json:"checkId,omitempty"`
	Status       *github.Status     `json:"status,omitempty"`
	Deployment   *github.Deployment `json:"deployment,omitempty"`
	DeploymentID int64              `json:"deploymentId,omitempty"`
}

// without lets what the token may not do cost only itself, and gives every other error back.
func (a *Announcer) without(err error) error {
	var denied *github.Denied
	if !errors.As(err, &denied) {
		return err
	}
	a.leaveOut(denied.Error())
	return nil
}

// LeaveOut shows less than the place would have, and says why.
func (a *Announcer) LeaveOut(what Shows, line string) {
	a.Shows &^= what
	a.leaveOut(line)
}

func (a *Announcer) leaveOut(line string) {
	if !slices.Contains(a.said, line) {
		a.said = append(a.said, line)
		a.Say(line)
	}
}

func denied(err error) bool {
	var d *github.Denied
	return errors.As(err, &d)
}

func (a *Announcer) remember() error {
	if a.Remember == nil {
		return nil
	}
	return a.Remember(a.state)
}

// Begin shows that a delivery has begun. Nothing is lost when it fails, since End begins what has not begun; so its error is
// said and not given.
func (a *Announcer) Begin(ctx context.Context, rec *record.Record) {
	if a.Shows&Verdict == 0 {
		return
	}
	if err := a.beginCheck(ctx, rec); err != nil {
		a.Say("the check cannot be shown yet: " + fault.Lines(err)[0])
	}
}

func (a *Announcer) beginCheck(ctx context.Context, rec *record.Record) error {
	c, err := a.Connect(budgetBefore)
	if err != nil {
		return err
	}
	if err := a.openCheck(ctx, c, rec); err != nil || !a.noChecks {
		return err
	}
	status := pending(rec, a.Place)
	a.state.Status = &status
	return errors.Join(a.remember(), a.without(c.SetStatus(ctx, status)))
}

// openCheck files the check in progress, or finds out that the token may not.
func (a *Announcer) openCheck(ctx context.Context, c *github.Client, rec *record.Record) error {
	begun := a.state.Check // without an answer, so that it may be there
	check := checkOf(rec, a.Place)
	a.state.Check = &check
	if err := a.remember(); err != nil {
		return err
	}
	id, err := int64(0), error(nil)
	if begun != nil {
		id, err = c.OpenCheck(ctx, *begun)
	}
	if id == 0 && err == nil {
		id, err = c.BeginCheck(ctx, check)
	}
	if denied(err) {
		a.noChecks, a.state.Check = true, nil
		return a.without(err)
	}
	a.state.CheckID = id
	return errors.Join(err, a.remember())
}

// Deploying shows that the environment is about to change, from what is live there; nil for nothing. As with Begin, its error
// is said.
func (a *Announcer) Deploying(ctx context.Context, rec *record.Record, live *record.Deployment) {
	if a.Shows&Deployment == 0 {
		return
	}
	d := deploymentOf(rec, a.Place)
	if live != nil {
		d.Previous = live.Digest
	}
	c, err := a.Connect(budgetBefore)
	if err == nil {
		err = a.openDeployment(ctx, c, d)
	}
	if err := a.without(err); err != nil {
		a.Say("the deployment cannot be shown yet: " + fault.Lines(err)[0])
	}
}

func (a *Announcer) openDeployment(ctx context.Context, c *github.Client, d github.Deployment) error {
	a.state.Deployment = &d
	if err := a.remember(); err != nil {
		return err
	}
	begun, err := c.BeginDeployment(ctx, d)
	_ = a.without(begun.NotHealed) // what is no refusal is tried again by the next delivery
	a.state.DeploymentID = begun.ID
	return errors.Join(err, a.remember())
}
