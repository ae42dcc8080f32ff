package app

import (
	"context"
	"errors"
	"slices"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/announce"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// Action is one entry of the suite: `uses: org/idp/NAME@v1`, and `idp NAME`.
type Action struct {
	Name    string
	Does    string // one sentence for help and action.yml
	Outputs []action.Output
	new     func() work
	// reads is in the place of new in an action that makes no delivery and keeps no record: it reads, and says what it found.
	reads func() reading
	// bare actions work in any folder: without idp.yaml and, where they need no history, without git.
	bare bool
	// shows is what of it can be seen on GitHub.
	shows announce.Shows
	// asks tells that it asks GitHub, and shows nothing there.
	asks bool
	// alone is what `idp NAME IMAGE` does, for an image of anyone and outside of any service.
	alone func(context.Context, World, []string) error
	// post is run when the job ends, however the action ended: see post.go.
	post bool
}

// work is one call of an action: its inputs, and what it does with them.
type work interface {
	Declare(*action.Set)
	// run appends what it found out to the delivery. Its error decides the exit code and has been shown to the person.
	run(context.Context, *delivery) error
}

// registry has the actions in the order of the path; the root action `uses: org/idp@v1` is the first.
var registry = []Action{
	// the whole path in one process
	{Name: "path", Does: "Walks the golden path: scan, build, sign, verify, deploy, smoke-test, register, account.", Outputs: pathOutputs, shows: announce.Deployment | announce.Findings | announce.Verdict, post: true, new: func() work { return newPath() }},
	// what needs nothing but the commit
	{Name: "sast", Does: "Scans the Go module with gosec, and proves that it saw every package.", bare: true, shows: announce.Findings, new: only[sastWork]},
	{Name: "secrets", Does: "Looks for secrets in the commits of the change and in the working tree, and proves that it read every commit.", bare: true, shows: announce.Findings, new: only[secretsWork]},
	{Name: "gate", Does: "Holds what other scanners found, as SARIF, to the same gate: baseline, waivers and thresholds.", bare: true, shows: announce.Findings, new: only[gateWork]},
	{Name: "build", Does: "Builds a reproducible OCI image of a Go service and its SBOM. Nothing is pushed before it is signed.", Outputs: buildOutputs, new: only[buildWork]},
	{Name: "cost", Does: "Estimates what the service costs a month, and holds it against the budget.", Outputs: costOutputs, new: only[costWork]},
	{Name: "plan", Does: "Says what a deploy would change in the cluster, by the API server's own dry run, and changes nothing.", new: only[planWork]},
	// what needs the image
	{Name: "sign", Does: "Pushes the image by digest, signs it, attaches provenance, SBOM and scan results, and then moves the tag.", Outputs: signOutputs, new: only[signWork]},
	{Name: "verify", Does: "Holds the evidence on the exact digest against the policy of the environment.", alone: verifyImage, new: only[verifyWork]},
	{Name: "deploy", Does: "Verifies the exact digest, deploys it, waits until it is healthy, and puts the old version back when it is not.", Outputs: deployOutputs, shows: announce.Deployment | announce.Verdict, post: true, new: only[deployWork]},
	{Name: "rollback", Does: "Makes an earlier release live again, and waits until it is healthy.", shows: announce.Deployment, new: func() work { return &rollbackWork{} }},
	{Name: "resume", Does: "Finds what a comment `/approve ENVIRONMENT` approves, to be checked out and deployed by the steps after it.", Outputs: resumeOutputs, bare: true, asks: true, new: only[resumeWork]},
	// what needs the live service
	{Name: "smoke", Does: "Checks that the new version answers and keeps answering well.", new: only[smokeWork]},
	{Name: "catalog", Does: "Registers the service and the delivery in the catalogue.", new: only[catalogWork]},
	{Name: "events", Does: "Writes the delivery as a CDEvents event, and posts it where a URL is given.", new: only[eventsWork]},
	{Name: "notify", Does: "Tells Port, Cortex, OpsLevel and Datadog of the service and of what was deployed, where credentials are given, and writes the files that they read.", new: only[notifyWork]},
	// what needs the catalogue
	{Name: "catalog-check", Does: "Checks a catalogue: that what its entities name is there, that nothing is there twice or out of date, and that every service has a runbook.", reads: func() reading { return &catalogCheck{} }},
	{Name: "portal", Does: "Writes what a catalogue says as a site of static pages, for GitHub Pages or any other folder.", Outputs: portalOutputs, reads: func() reading { return &portalWork{} }},
}

// reading is one call of an action that only reads.
type reading interface {
	Declare(*action.Set)
	read(context.Context, World) error
	// values are those of the action's outputs by name; empty while they are not known.
	values() map[string]string
}

// stageOrder is the order of the stages in a record, whichever of them ended first.
func stageOrder() []string {
	var names []string
	for _, a := range registry {
		names = append(names, a.Name)
		if a.Name == record.StageSmoke {
			names = append(names, record.StageAttest) // it has no action of its own
		}
	}
	return append(names, record.StageGitHub)
}

// stage is the work of one stage.
type stage interface {
	Declare(*action.Set)
	// stage does the work; execute times it, classifies the error and writes the record.
	stage(context.Context, *delivery) (result, error)
}

// single is an action that is one stage.
type single struct {
	name string
	stage
}

func (s single) run(ctx context.Context, d *delivery) error {
	a, ok := s.stage.(appending)
	if !ok {
		return d.execute(ctx, s.name, s.stage)
	}
	after := a.after()
	if *after.key != "" {
		if _, err := d.key(ctx, *after.key); err != nil {
			return d.reject(ctx, err) // found before anything is changed
		}
	}
	err := d.execute(ctx, s.name, s.stage)
	if err != nil && fault.KindOf(err) != fault.Failed {
		return err
	}
	if _, before := d.snapshot().Stage(after.name()); before && !after.signs(ctx, d) {
		return err // an earlier step could sign, and what it came to stands
	}
	said := d.execute(ctx, after.name(), after)
	if err != nil && (said == nil || fault.KindOf(said) != fault.Undetermined) {
		return err
	}
	return said
}

// as finds what the work can do besides, whether it is a path or a single stage.
func as[T any](w work) (T, bool) {
	if s, ok := w.(single); ok {
		t, ok := s.stage.(T)
		return t, ok
	}
	t, ok := w.(T)
	return t, ok
}

// named is a stage that knows its name in the record.
type named[T any] interface {
	*T
	stage
	name() string
}

// only makes the action of a single stage with fresh inputs.
func only[T any, P named[T]]() work {
	s := P(new(T))
	return single{s.name(), s}
}

// inputs declares everything that the action takes.
func (a Action) inputs() *action.Set {
	if a.reads != nil {
		set := &action.Set{}
		a.reads().Declare(set)
		return set
	}
	set, _, _ := a.prepare()
	return set
}

// outputs declares everything that the action gives.
func (a Action) outputs() []action.Output {
	if a.reads != nil {
		return a.Outputs
	}
	return slices.Concat(commonOutputs, a.Outputs)
}

// read runs an action that only reads.
func (a Action) read(ctx context.Context, w World, args []string) error {
	set, r := &action.Set{}, a.reads()
	r.Declare(set)
	if err := fill(w, a.Name, set, args); err != nil {
		return err
	}
	err := r.read(ctx, w)
	var lost []error
	for _, o := range a.Outputs {
		lost = append(lost, w.runner.Output(o.Name, r.values()[o.Name]))
	}
	if e := errors.Join(lost...); e != nil {
		err = errors.Join(err, fault.Undeterminedf("the runner's files cannot be written: %w", e))
	}
	return err
}

// prepare makes one call of the action: its declared inputs and where they go.
func (a Action) prepare() (*action.Set, *options, work) {
	set, opts, w := &action.Set{}, &options{}, a.new()
	opts.Declare(set)
	if a.shows != announce.Nothing || a.asks {
		declareToken(set, &opts.Token)
	}
	w.Declare(set)
	return set, opts, w
}
