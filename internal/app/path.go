package app

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/accounting"
	"github.com/org/idp/internal/app/artifacts"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/app/deploying"
	"github.com/org/idp/internal/app/scanning"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/oci"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/runner"
)

// pathWork is the whole golden path in one process.
type pathWork struct {
	given      *bool // the input plan
	plan, keep bool
	ranBefore  bool // the environment was live before this path changed it

	sast    scanning.SAST
	secrets scanning.Secrets
	build   artifacts.Build
	cost    accounting.Cost
	sign    artifacts.Sign
	verify  artifacts.Verify
	deploy  deploying.Deploy
	smoke   deploying.Smoke
	attest  artifacts.Attest
	catalog accounting.Catalog
	events  accounting.Events
	notify  accounting.Notify
}

// step is a stage and its name in the record.
type step interface {
	delivery.Stage
	Name() string
}

func newPath() delivery.Work {
	p := &pathWork{}
	p.smoke.Deploy, p.deploy.Smoke, p.verify.Path = &p.deploy, &p.smoke, true
	p.attest = *artifacts.AttestWith(&p.deploy.Key, &p.deploy.Keyless)
	return p
}

// all has the stages in their order.
func (p *pathWork) all() []step {
	return []step{&p.sast, &p.secrets, &p.build, &p.cost, &p.sign, &p.verify, &p.deploy, &p.smoke, &p.attest, &p.catalog, &p.events, &p.notify}
}

// accounts are the stages that tell of what happened, of the image first. Portals are told where there are credentials for one.
func (p *pathWork) accounts() []step {
	steps := []step{&p.attest, &p.catalog, &p.events}
	if p.notify.In.Given() {
		steps = append(steps, &p.notify)
	}
	return steps
}

// Declare declares what all stages take, once each.
func (p *pathWork) Declare(s *action.Set) {
	s.OptionalBool(&p.given, action.Input{Name: "plan",
		Usage: "Do everything that changes nothing: scan, build, estimate, render. Default: what docs/events.md says of the event, which for a pull request is always true; outside of a run, false."})
	s.Bool(&p.keep, action.Input{Name: "keep", Usage: "Leave the service running on the local target. Default: it is stopped, unless it ran before."})
	for _, st := range p.all() {
		st.Declare(s)
	}
}

func (p *pathWork) Target() string { return p.deploy.In.Target }

func (p *pathWork) Reports() action.Reports { return p.sast.In.Reports }

// Run walks the path. Its outcome is the record's.
func (p *pathWork) Run(ctx context.Context, d *delivery.Delivery) error {
	var reason string
	var err error
	if p.plan, reason, err = planned(d.Event, p.given); err != nil {
		return d.Reject(ctx, err)
	}
	if reason != "" {
		d.Board.Say("  nothing will be changed: "+reason, "")
	}
	d.Record.Plan = p.plan
	if err := deploying.ForgetDiff(d); err != nil {
		return d.Reject(ctx, err)
	}
	d.Local.Allowed = p.Target() == delivery.TargetLocal
	p.takeImage()
	if err := p.check(ctx, d); err != nil {
		return d.Reject(ctx, err)
	}
	p.together(ctx, d, &p.sast, &p.secrets, &p.build, &p.cost)
	changing := append([]step{&p.sign, &p.verify, &p.deploy, &p.smoke}, p.accounts()...)
	if stopped := notPassed(d.Snapshot()); stopped != "" {
		p.Skip(d, stopped+" did not pass", changing...)
		return nil
	}
	if p.plan {
		if p.Target() == delivery.TargetKubernetes {
			_ = d.Execute(ctx, record.StagePlan, &deploying.Plan{Of: &p.deploy, Registry: p.sign.In.Registry}) // its outcome is in the record
		}
		p.Skip(d, "a plan changes nothing", changing...)
		return nil
	}
	if p.release(ctx, d) {
		p.account(ctx, d)
	}
	if err := p.leave(ctx, d); err != nil {
		return d.Execute(ctx, delivery.StageStop, delivery.Refuse(err))
	}
	return nil
}

// changesNothing tells whether the path plans for an event, or refuses it.
func (p *pathWork) changesNothing(e runner.Event) bool {
	plan, _, err := planned(e, p.given)
	return plan || err != nil
}

// check finds out what is missing before any work is done, all of it at once.
func (p *pathWork) check(ctx context.Context, d *delivery.Delivery) error {
	if p.plan {
		return nil
	}
	if missing := d.Rules.Missing(); len(missing) > 0 {
		return undeliverable(d.Policy, missing, d.Record.Environment)
	}
	if err := p.complete(d.Runner.MayAskForToken()); err != nil {
		return err
	}
	if err := p.sound(ctx, d); err != nil {
		return err
	}
	if p.Target() == delivery.TargetKubernetes {
		if _, err := deploying.Connect(d, p.deploy.In.Cluster, d.Record.Environment, nil); err != nil {
			return err
		}
	}
	changed, err := d.Changed(ctx)
	if err != nil {
		return err
	}
	if len(changed) > 0 {
		return fault.BadInputf("%s not in commit %s, so what would be built is not what the record says",
			delivery.CountOf(len(changed), "uncommitted change is", "uncommitted changes are"), delivery.ShortHash(d.Repo.Commit)).
			WithDetail(delivery.FirstFew(changed, 10)...).
			WithNext("Commit or stash them, or look without changing anything: idp path --plan",
				"What other tools write, such as reports, has to be outside of the repository or in .gitignore")
	}
	set, err := deploying.Manifests(ctx, d, "")
	if err != nil {
		return err
	}
	if err := deploying.Committed(ctx, d, set.Files); err != nil {
		return err
	}
	if p.Target() == delivery.TargetLocal {
		p.ranBefore, err = p.running(d)
	}
	return err
}

// undeliverable is a policy that does not say what a decision needs.
func undeliverable(pol *policy.Policy, missing []string, environment string) error {
	return fault.BadInputf("policy %s does not say %s, so nothing can be delivered to %s", pol.Name, strings.Join(missing, ", "), environment).
		WithNext("docs/policy.md says what each of them means")
}

// complete names every input that only the local target can do without.
func (p *pathWork) complete(keyless bool) error {
	if p.Target() == delivery.TargetLocal {
		return nil
	}
	var missing []string
	for _, in := range []struct{ value, name, example string }{
		{p.sign.In.Registry, "registry", "ghcr.io/acme/checkout"},
		{p.sign.In.Key, "key", "cosign.key"},
		{p.catalog.In.URL, "catalog", "https://github.com/acme/catalog.git"},
	} {
		if in.value == "" && !(in.name == "key" && keyless) {
			missing = append(missing, fmt.Sprintf("input %s is missing, such as --%s %s", in.name, in.name, in.example))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.BadInputf("%s not given that target %s needs", delivery.CountOf(len(missing), "input is", "inputs are"), p.Target()).
		WithDetail(missing...).
		WithNext("Without a key a job signs keyless that has the permission id-token: write",
			"Or try the path on this machine, where all of them have a default: --target local")
}

// sound refuses inputs of the later stages while nothing has been changed yet.
func (p *pathWork) sound(ctx context.Context, d *delivery.Delivery) error {
	var registry error
	if p.sign.In.Registry != "" {
		registry = oci.CheckRepository(p.sign.In.Registry)
	}
	return delivery.JoinProblems(gates(p.sast.In.FailOn, d.Rules), registry, d.InstanceFiles(ctx, p.sign.In.Key, p.sign.Keyless), p.image(d), p.sign.In.Check(ctx), p.deploy.In.Check(), p.smoke.In.Check(), p.catalog.In.Check(), p.events.In.Check(), p.notify.In.Check())
}

// gates refuses a threshold under which scans would pass that the policy does not let pass: what they found out would be
// signed and pushed, and refused only then.
func gates(failOn string, rules policy.Rules) error {
	if failOn == "" {
		return nil
	}
	for _, g := range []struct{ stage, policy string }{{record.StageSAST, rules.SAST.FailOn}, {record.StageSecrets, rules.Secrets.FailOn}} {
		input, err := finding.ParseThreshold(failOn)
		if err != nil {
			return err
		}
		asked, err := finding.ParseThreshold(g.policy)
		if err != nil {
			return err
		}
		if input.Weaker(asked) {
			return fault.BadInputf("input fail-on: %s is weaker than %s, which the policy asks of %s, so the delivery would be refused", failOn, g.policy, g.stage).
				WithNext("Leave it out, or look without delivering: idp path --plan")
		}
	}
	return nil
}

// together runs stages that do not need each other side by side. Each of them runs to its end, so that a person sees all
// that is wrong at once.
func (p *pathWork) together(ctx context.Context, d *delivery.Delivery, steps ...step) {
	var wg sync.WaitGroup
	for _, s := range steps {
		wg.Go(func() { _ = d.Execute(ctx, s.Name(), s) }) // its outcome is in the record
	}
	wg.Wait()
}

// notPassed names the stages that keep the path from going on; empty when there is none.
func notPassed(rec *record.Record) string {
	var names []string
	for _, s := range rec.Stages {
		if s.Outcome != record.Passed && s.Outcome != record.Skipped {
			names = append(names, s.Name)
		}
	}
	return strings.Join(names, ", ")
}

// Skip records stages that are not reached.
func (p *pathWork) Skip(d *delivery.Delivery, reason string, steps ...step) {
	for _, s := range steps {
		d.Skip(s.Name(), reason)
	}
}

// release makes the change. It tells whether the environment was touched, so that there is something to account for.
func (p *pathWork) release(ctx context.Context, d *delivery.Delivery) (touched bool) {
	steps := []step{&p.sign, &p.verify, &p.deploy, &p.smoke}
	for i, s := range steps {
		err := d.Execute(ctx, s.Name(), s)
		if err == nil {
			continue
		}
		p.Skip(d, s.Name()+" did not pass", steps[i+1:]...)
		if s == &p.sign || s == &p.verify || fault.KindOf(err) == fault.Skipped {
			p.Skip(d, "nothing was deployed", p.accounts()...)
			return false
		}
		return true
	}
	return true
}

// account publishes what happened to the environment, also when that was a failure. After a signal nothing new is begun;
// where all had passed until then, the next stage says so, because a record of passed and skipped stages reads as a pass.
func (p *pathWork) account(ctx context.Context, d *delivery.Delivery) {
	for _, s := range p.accounts() {
		if ctx.Err() != nil && notPassed(d.Snapshot()) != "" {
			p.Skip(d, context.Cause(ctx).Error(), s)
			continue
		}
		_ = d.Execute(ctx, s.Name(), s) // its outcome is in the record
	}
}
