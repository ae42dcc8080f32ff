package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/codeowners"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/secrets"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/ui"
)

// stageInputs is the stage under which bad input is recorded that kept every other stage from starting.
const stageInputs = "inputs"

// runAction runs one action from its command line to its exit code.
func runAction(ctx context.Context, w World, a Action, args []string) int {
	if a.alone != nil && namesImage(args) {
		return finish(w, a.alone(ctx, w, args))
	}
	set, opts, task := a.prepare()
	err := fill(w, a.Name, set, args)
	if isHelp(err) {
		printActionHelp(w.Stdout, a)
		return codePassed
	}
	if err != nil {
		return finish(w, err)
	}
	defer outliveReader()()
	d := newDelivery(w, *opts)
	if err := makeOut(d.opts.Out); err != nil {
		return finish(w, err)
	}
	if err := d.remember(a, stateBegun, "true"); err != nil {
		return finish(w, err)
	}
	defer d.local.close()
	err = d.open(ctx, a, task)
	if p, ok := as[printing](task); ok && err == nil && p.prints() {
		return finish(w, p.print(ctx, d))
	}
	if err == nil {
		err = d.promise(a, task)
	}
	if err == nil {
		err = d.announcing(a)
	}
	if err == nil {
		d.begin(a.Name)
		if d.announcer != nil {
			d.announcer.Begin(ctx, d.snapshot())
		}
		err = task.run(ctx, d)
	} else {
		err = d.reject(ctx, err)
	}
	shownErr := d.announce(ctx)
	code := max(d.end(a, task, err), codeOf(shownErr))
	if err := d.remember(a, stateFinished, "true"); err != nil {
		return max(finish(w, err), code)
	}
	return code
}

func newDelivery(w World, opts options) *delivery {
	d := &delivery{world: w, opts: opts, begun: w.Now(), findings: map[string][]finding.Finding{}, faults: map[string]error{},
		reads: map[string]string{}}
	d.runner = w.runner
	d.board = ui.New(w.Stdout, ui.Options{Terminal: w.Terminal && !d.runner.Active(), Quiet: opts.Quiet, Width: w.Width, Now: w.Now,
		Color: w.Terminal && w.Getenv("NO_COLOR") == ""})
	d.recordPath = opts.Record
	if d.recordPath == "" && d.runner.TempDir() != "" {
		d.recordPath = filepath.Join(d.runner.TempDir(), "idp", "record.json")
	}
	if d.recordPath == "" {
		d.recordPath = d.out("record.json")
	}
	d.rec = record.New(record.Service{}, record.Source{}, record.Run{}, opts.Environment)
	return d
}

// readEarlier reads the record that an earlier step left. A file that is none is not written over, whatever comes of this
// step: it may be someone's, and named by mistake.
func (d *delivery) readEarlier() error {
	earlier, err := record.Read(d.recordPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		d.recordPath = d.out("refused.json")
		return fault.BadInputf("%w", err).WithNext("Remove it, or name another: --record FILE")
	}
	d.earlier = earlier
	return nil
}

// open reads everything that the work stands on: the service's file, the repository, the policy and an earlier record.
func (d *delivery) open(ctx context.Context, a Action, task work) error {
	if err := d.readEarlier(); err != nil {
		return err
	}
	if info, err := os.Stat(d.dir()); err != nil || !info.IsDir() {
		return fault.BadInputf("there is no service folder %s", d.dir()).WithNext("Give the folder of idp.yaml: --service FOLDER")
	}
	pol, polErr := policy.Load(d.opts.Policy)
	svc, svcErr := service.Load(d.dir(), sizesOf(pol)...)
	if a.bare && svcErr != nil && !record.Exists(filepath.Join(d.dir(), service.File)) {
		svc, svcErr = &service.Service{Name: folderName(d.dir())}, nil
	}
	repo, repoErr := gitrepo.Open(ctx, d.dir())
	if a.bare && fault.KindOf(repoErr) == fault.BadInput {
		d.noRepo, repo, repoErr = repoErr, nil, nil
	}
	if err := joinProblems(svcErr, repoErr, polErr); err != nil {
		return err
	}
	d.repo, d.policy = repo, pol
	if err := d.readEvent(ctx); err != nil {
		return err
	}
	if err := d.choose(svc, a, task); err != nil {
		return err
	}
	return d.describe(ctx, a)
}

// sizesOf lets a wrong size be reported together with all else that is wrong in idp.yaml.
func sizesOf(pol *policy.Policy) []service.Option {
	if pol == nil {
		return nil
	}
	return []service.Option{service.WithSizes(pol.SizeNames()...)}
}

// joinProblems keeps each problem readable on its own; the first decides what kind it is.
func joinProblems(errs ...error) error {
	var first *fault.Error
	for _, err := range errs {
		switch {
		case err == nil:
		case first == nil:
			if !errors.As(err, &first) {
				first = fault.Undeterminedf("%w", err)
			}
		default:
			first.WithDetail("").WithDetail(fault.Lines(err)...)
		}
	}
	if first == nil {
		return nil
	}
	return first
}

func folderName(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "service"
	}
	return strings.ToLower(filepath.Base(abs))
}

// printing is implemented by work that can print something instead of doing anything; what it prints is for other programs.
type printing interface {
	prints() bool
	print(context.Context, *delivery) error
}

// targeted is implemented by work that has a target.
type targeted interface{ target() string }

// choose settles the environment, and what the service and the policy say there.
func (d *delivery) choose(svc *service.Service, a Action, task work) error {
	env := d.opts.Environment
	if t, ok := as[targeted](task); env == "" && ok && t.target() == targetLocal {
		env = targetLocal
	}
	if env == "" && len(svc.Environments) == 1 {
		for name := range svc.Environments {
			env = name
		}
	}
	d.opts.Environment = env
	d.svc = svc
	if env != "" {
		resolved, err := svc.In(env)
		if err != nil {
			return err
		}
		d.svc = resolved
	}
	if env == "" && (a.bare || a.Name == record.StageBuild) { // what they find out holds for every environment
		d.rules = d.policy.Defaults
		return nil
	}
	if env == "" {
		return fault.BadInputf("which environment this is about is not said").
			WithNext("Say it: --environment NAME, one of those in " + filepath.Join(d.dir(), service.File))
	}
	rules, err := d.policy.For(env)
	d.rules = rules
	return err
}

// describe begins the record, or goes on with the one that an earlier step of the same delivery left.
func (d *delivery) describe(ctx context.Context, a Action) error {
	run, err := d.runner.Run()
	if err != nil {
		return err
	}
	source := record.Source{Repository: d.runner.Repository(), Ref: d.ref()}
	if d.repo != nil {
		dirty, err := d.changed(ctx)
		if err != nil {
			return err
		}
		source.Commit, source.Path, source.Dirty = d.repo.Commit, d.repo.Path, len(dirty) > 0
		if source.Repository == "" {
			source.Repository = d.repo.Name()
		}
		if source.Ref == "" {
			source.Ref = d.repo.Ref
		}
	}
	d.rec = record.New(record.Service{Name: d.svc.Name, Owner: d.svc.Owner, Tier: d.svc.Tier}, source, run, d.opts.Environment)
	earlier := d.earlier
	if a.Name == registry[0].Name || earlier == nil || !d.continues(earlier) {
		return nil
	}
	earlier.Environment, earlier.Plan = d.opts.Environment, false
	earlier.Drop(stageInputs, stageStop, stageEnd) // what kept an earlier step from its end is over
	d.rec = earlier
	return nil
}

// changed lists what the commit does not say although it decides: what git sees in the service's folder, and whatever is
// read there or at the root of the repository, ignored or not.
func (d *delivery) changed(ctx context.Context) ([]string, error) {
	dirty, err := d.repo.Dirty(ctx, d.scope())
	if err != nil || len(dirty) > 0 {
		return dirty, err
	}
	var files []string
	names := []string{d.inService(service.File), d.inService(service.CatalogFile), d.inService(service.ScoreFile),
		d.inService(finding.BaselineFile), filepath.Join(d.repo.Root, secrets.ConfigFile)}
	for _, name := range codeowners.Locations() {
		names = append(names, filepath.Join(d.repo.Root, filepath.FromSlash(name)))
	}
	for _, name := range names {
		if full, err := filepath.Abs(name); err == nil && record.Exists(full) {
			files = append(files, full)
		}
	}
	return d.repo.Uncommitted(ctx, files, nil)
}

// continues tells whether an earlier record is of this delivery: same code and run, and no other environment.
func (d *delivery) continues(earlier *record.Record) bool {
	return earlier.Service.Name == d.rec.Service.Name && earlier.Source == d.rec.Source && earlier.Run == d.rec.Run &&
		(earlier.Environment == d.opts.Environment || earlier.Environment == "")
}

// scope is the service's folder as git names it.
func (d *delivery) scope() string {
	if d.repo.Path == "" {
		return "."
	}
	return d.repo.Path
}

// reject records what kept every stage from starting.
func (d *delivery) reject(ctx context.Context, err error) error {
	return d.execute(ctx, stageInputs, refusal{err})
}

// refusal is the stage of bad input: it does nothing but say what is wrong.
type refusal struct{ err error }

func (refusal) Declare(*action.Set) {}

func (r refusal) stage(context.Context, *delivery) (result, error) { return result{}, r.err }
