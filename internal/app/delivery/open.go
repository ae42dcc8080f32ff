package delivery

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/codeowners"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/secrets"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/strictyaml"
	"github.com/org/idp/internal/ui"
)

// stageInputs is the stage under which bad input is recorded that kept every other stage from starting.
const stageInputs = "inputs"

// New begins a delivery, of which the record has its stages in the given order.
func New(w cli.World, opts Options, order []string) *Delivery {
	d := &Delivery{World: w, Options: opts, order: order, Begun: w.Now(), findings: map[string][]finding.Finding{}, faults: map[string]error{},
		reads: map[string]string{}}
	d.Runner = w.Runner
	d.Board = ui.New(w.Stdout, ui.Options{Terminal: w.Terminal && !d.Runner.Active(), Quiet: opts.Quiet, Width: w.Width, Now: w.Now,
		Color: w.Terminal && w.Getenv("NO_COLOR") == ""})
	d.RecordPath = opts.Record
	if d.RecordPath == "" && d.Runner.TempDir() != "" {
		d.RecordPath = filepath.Join(d.Runner.TempDir(), "idp", "record.json")
	}
	if d.RecordPath == "" {
		d.RecordPath = d.Out("record.json")
	}
	d.Record = record.New(record.Service{}, record.Source{}, record.Run{}, opts.Environment)
	return d
}

// readEarlier reads the record that an earlier step left. A file that is none is not written over, whatever comes of this
// step: it may be someone's, and named by mistake.
func (d *Delivery) readEarlier() error {
	earlier, err := record.Read(d.RecordPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		d.RecordPath = d.Out("refused.json")
		return fault.BadInputf("%w", err).WithNext("Remove it, or name another: --record FILE")
	}
	d.earlier = earlier
	return nil
}

// Open reads everything that the work stands on: the service's file, the repository, the policy and an earlier record.
func (d *Delivery) Open(ctx context.Context, a Action, task Work) error {
	if err := d.readEarlier(); err != nil {
		return err
	}
	if info, err := os.Stat(d.Dir()); err != nil || !info.IsDir() {
		return fault.BadInputf("there is no service folder %s", d.Dir()).WithNext("Give the folder of idp.yaml: --service FOLDER")
	}
	if image := d.foreign(task); image != nil {
		return d.openForeign(*image)
	}
	pol, polErr := policy.Load(d.Options.Policy)
	svc, svcErr := service.Load(d.Dir(), SizesOf(pol)...)
	named := record.Exists(filepath.Join(d.Dir(), service.File))
	if a.Bare && svcErr != nil && !named {
		svc, svcErr = &service.Service{Name: folderName(d.Dir())}, nil
	}
	repo, repoErr := gitrepo.Open(ctx, d.Dir())
	d.Repo = repo
	if a.Bare && fault.KindOf(repoErr) == fault.BadInput {
		d.NoRepo, d.Repo, repoErr = repoErr, nil, nil
	}
	if svcErr == nil && repoErr == nil && named && d.Repo != nil {
		svcErr = Namesake(ctx, d.Repo, svc.Name)
	}
	if err := JoinProblems(svcErr, repoErr, polErr); err != nil {
		return err
	}
	d.Policy = pol
	if err := d.readEvent(ctx); err != nil {
		return err
	}
	if err := d.choose(svc, a, task); err != nil {
		return err
	}
	return d.describe(ctx, a)
}

// Namesake refuses a name that a service in another folder of the repository has as well. All that a delivery publishes is found
// by the name, so the success of one of them would stand where the other one failed.
func Namesake(ctx context.Context, repo *gitrepo.Repo, name string) error {
	files, err := repo.Named(ctx, service.File)
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := strictyaml.ReadFile(filepath.Join(repo.Root, filepath.FromSlash(file)))
		if folder := path.Dir(file); errors.Is(err, fs.ErrNotExist) || folder == cmp.Or(repo.Path, ".") {
			continue // what a sparse checkout leaves out is not delivered from here
		}
		if err != nil {
			return err
		}
		if !bytes.Contains(data, []byte(name)) {
			continue
		}
		if other, _ := service.Identity(data); other == name {
			return fault.BadInputf("the repository has two services %s, this one and that of %s", name, file).
				WithNext("Give one of them another name: check, comment, deployments and the entry in the catalogue are of the name.")
		}
	}
	return nil
}

// SizesOf lets a wrong size be reported together with all else that is wrong in idp.yaml.
func SizesOf(pol *policy.Policy) []service.Option {
	if pol == nil {
		return nil
	}
	return []service.Option{service.WithSizes(pol.SizeNames()...)}
}

// JoinProblems keeps each problem readable on its own; the first decides what kind it is.
func JoinProblems(errs ...error) error {
	var first *fault.Error
	for _, err := range errs {
		switch {
		case err == nil:
		case first == nil:
			if !errors.As(err, &first) {
				first = fault.Undeterminedf("%w", err)
			}
		default:
			// What to do about the first stands with the first, and not below all of them.
			first.Detail, first.Next = append(first.Detail, first.Next...), nil
			if len(first.Detail) > 0 {
				first.WithDetail("")
			}
			first.WithDetail(fault.Lines(err)...)
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

// Printing is implemented by work that can print something instead of doing anything; what it prints is for other programs.
type Printing interface {
	Prints() bool
	Print(context.Context, *Delivery) error
}

// Targeted is implemented by work that has a target.
type Targeted interface{ Target() string }

// environment is the one that is said, else the one that goes without saying.
func (d *Delivery) environment(task Work, listed []string) string {
	t, targeted := As[Targeted](task)
	switch {
	case d.Options.Environment != "":
		return d.Options.Environment
	case targeted && t.Target() == TargetLocal:
		return TargetLocal
	case len(listed) == 1:
		return listed[0]
	}
	return ""
}

// choose settles the environment, and what the service and the policy say there.
func (d *Delivery) choose(svc *service.Service, a Action, task Work) error {
	env := d.environment(task, slices.Collect(maps.Keys(svc.Environments)))
	d.Options.Environment = env
	d.Service = svc
	if env != "" {
		resolved, err := svc.In(env)
		if err != nil {
			return err
		}
		d.Service = resolved
	}
	if env == "" && (a.Bare || a.Name == record.StageBuild) { // what they find out holds for every environment
		d.Rules = d.Policy.Defaults
		return nil
	}
	if env == "" {
		_, err := svc.In(env)
		return err
	}
	rules, err := d.Policy.For(env)
	d.Rules = rules
	return err
}

// describe begins the record, or goes on with the one that an earlier step of the same delivery left.
func (d *Delivery) describe(ctx context.Context, a Action) error {
	run, err := d.Runner.Run()
	if err != nil {
		return err
	}
	source := record.Source{Repository: d.Runner.Repository(), Ref: d.ref()}
	if d.Repo != nil {
		dirty, err := d.Changed(ctx)
		if err != nil {
			return err
		}
		source.Commit, source.Path, source.Dirty = d.Repo.Commit, d.Repo.Path, len(dirty) > 0
		if source.Repository == "" {
			source.Repository = d.Repo.Name()
		}
		if source.Ref == "" {
			source.Ref = d.Repo.Ref
		}
	}
	d.Record = record.New(record.Service{Name: d.Service.Name, Owner: d.Service.Owner, Tier: d.Service.Tier}, source, run, d.Options.Environment)
	earlier := d.earlier
	if a.isPath() || earlier == nil || !d.continues(earlier) {
		return nil
	}
	earlier.Environment, earlier.Plan = d.Options.Environment, false
	earlier.Drop(stageInputs, StageStop, StageEnd) // what kept an earlier step from its end is over
	d.Record = earlier
	return nil
}

// Changed lists what the commit does not say although it decides: what git sees in the service's folder, and whatever is
// read there or at the root of the repository, ignored or not.
func (d *Delivery) Changed(ctx context.Context) ([]string, error) {
	dirty, err := d.Repo.Dirty(ctx, d.scope())
	if err != nil || len(dirty) > 0 {
		return dirty, err
	}
	var files []string
	names := []string{d.InService(service.File), d.InService(service.CatalogFile), d.InService(service.ScoreFile),
		d.InService(finding.BaselineFile), filepath.Join(d.Repo.Root, secrets.ConfigFile)}
	for _, name := range codeowners.Locations() {
		names = append(names, filepath.Join(d.Repo.Root, filepath.FromSlash(name)))
	}
	for _, name := range names {
		if full, err := filepath.Abs(name); err == nil && record.Exists(full) {
			files = append(files, full)
		}
	}
	return d.Repo.Uncommitted(ctx, files, nil)
}

// continues tells whether an earlier record is of this delivery: same code and run, and no other environment.
func (d *Delivery) continues(earlier *record.Record) bool {
	return earlier.Service.Name == d.Record.Service.Name && earlier.Source == d.Record.Source && earlier.Run == d.Record.Run &&
		(earlier.Environment == d.Options.Environment || earlier.Environment == "")
}

// scope is the service's folder as git names it.
func (d *Delivery) scope() string {
	if d.Repo.Path == "" {
		return "."
	}
	return d.Repo.Path
}

// Reject records what kept every stage from starting.
func (d *Delivery) Reject(ctx context.Context, err error) error {
	return d.Execute(ctx, stageInputs, refusal{err})
}

// Identify finds out which service and environment a path is about whose idp.yaml has problems or is gone: by what it says in spite
// of them, and by what it said where the change began. Otherwise a pull request would go on showing what was true of an earlier
// commit. Where nothing is known, nothing is shown.
func (d *Delivery) Identify(ctx context.Context, a Action, task Work) error {
	if !a.isPath() || !d.Runner.Active() || d.Repo == nil || d.Record.Service.Name != "" || d.readEvent(ctx) != nil {
		return nil
	}
	file, _ := os.ReadFile(filepath.Join(d.Dir(), service.File)) // without it, what it said before counts
	name, listed := service.Identity(file)
	if base, err := (&Origin{Delivery: d}).Commit(ctx); err == nil && base != "" {
		before, _ := d.Repo.File(ctx, base, path.Join(d.Repo.Path, service.File))
		earlier, also := service.Identity(before)
		name, listed = cmp.Or(name, earlier), append(listed, also...)
	}
	slices.Sort(listed)
	listed = slices.Compact(listed)
	env := d.environment(task, listed)
	if name == "" || env != TargetLocal && !slices.Contains(listed, env) {
		return nil
	}
	d.Options.Environment, d.Service = env, &service.Service{Name: name}
	if err := d.describe(ctx, a); err != nil {
		return err
	}
	return d.Announcing(ctx, a)
}

// refusal is the stage of bad input: it does nothing but say what is wrong.
type refusal struct{ err error }

func (refusal) Declare(*action.Set) {}

func (r refusal) Stage(context.Context, *Delivery) (Result, error) { return Result{}, r.err }

// Refuse is a stage that does nothing but say what is wrong.
func Refuse(err error) Stage { return refusal{err} }
