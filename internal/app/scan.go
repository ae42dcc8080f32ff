package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gate"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/sast"
	"github.com/org/idp/internal/secrets"
)

type sastWork struct{ in sast.Inputs }

func (w *sastWork) name() string            { return record.StageSAST }
func (w *sastWork) Declare(s *action.Set)   { w.in.Declare(s) }
func (w *sastWork) reports() action.Reports { return w.in.Reports }

func (w *sastWork) stage(ctx context.Context, d *delivery) (result, error) {
	in := w.in
	in.Dir, in.Root, in.Commit, in.RequireImport = d.dir(), d.root(), d.rec.Source.Commit, d.rules.SAST.NeedsImport()
	in.Platform = d.platform(in.Platform)
	progress := d.progress(w.name())
	desk, from, err := d.desk(ctx, w.name(), d.rules.SAST, in.Reports)
	if err != nil {
		return result{}, err
	}
	in.Triage = desk
	in.Triage.Compares = []string{gosec}
	in.Triage.Before = from.before(func(ctx context.Context, base string, _ []gitrepo.Change, _ []finding.Finding) ([]finding.Finding, error) {
		progress("scanning " + shortHash(base) + " to compare with")
		return d.sastAt(ctx, base, in.Platform)
	})
	return resultOf(sast.Run(ctx, in, sast.Deps{Progress: progress}))
}

// The scanners inside, as findings name them.
const (
	gosec    = "gosec"
	gitleaks = "gitleaks"
)

// sastAt scans the service as it was at a commit, in a copy outside of the repository.
func (d *delivery) sastAt(ctx context.Context, commit, platform string) (_ []finding.Finding, err error) {
	dir, err := os.MkdirTemp(d.runner.TempDir(), "idp-base-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := d.repo.Export(ctx, commit, dir); err != nil {
		return nil, err
	}
	service := filepath.Join(dir, filepath.FromSlash(d.repo.Path))
	if _, err := os.Stat(service); errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the change brought the whole service
	}
	found, err := sast.Findings(ctx, service, platform, nil)
	if err != nil {
		return nil, addTo(err, " (at "+shortHash(commit)+", where the change began)", nil)
	}
	return found, nil
}

type secretsWork struct{ in secrets.Inputs }

func (w *secretsWork) name() string            { return record.StageSecrets }
func (w *secretsWork) Declare(s *action.Set)   { w.in.Declare(s) }
func (w *secretsWork) reports() action.Reports { return w.in.Reports }

func (w *secretsWork) stage(ctx context.Context, d *delivery) (result, error) {
	in := w.in
	if d.repo == nil && !d.hasOnlyFiles(in.History) {
		return result{}, noRepository(d)
	}
	desk, from, err := d.desk(ctx, w.name(), d.rules.Secrets, in.Reports)
	if err != nil {
		return result{}, err
	}
	in.Repo, in.Triage = from.repo(), desk
	if in.Repo == nil {
		if in.Dir, err = realPath(d.dir()); err != nil {
			return result{}, err
		}
		in.Out, _ = realPath(d.opts.Out) // it need not be there yet
	}
	in.Triage.Compares = []string{gitleaks}
	in.Triage.Before = from.before(func(ctx context.Context, base string, changes []gitrepo.Change, now []finding.Finding) ([]finding.Finding, error) {
		return d.secretsAt(ctx, base, changes, now)
	})
	return resultOf(secrets.Run(ctx, in, secrets.Deps{Progress: d.progress(w.name())}))
}

// hasOnlyFiles tells that the files of the folder are all there is to scan. A run of a workflow has a history: where it is
// not checked out, it was not seen.
func (d *delivery) hasOnlyFiles(history string) bool {
	return errors.Is(d.noRepo, gitrepo.ErrNone) && history != secrets.HistoryAll && !d.runner.Active()
}

func realPath(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// secretsAt gives what the history held at a commit: what came in with it or before, and what the change only moved.
func (d *delivery) secretsAt(ctx context.Context, base string, changes []gitrepo.Change, now []finding.Finding) ([]finding.Finding, error) {
	since, err := d.repo.Since(ctx, base)
	if err != nil {
		return nil, err
	}
	old, err := secrets.Gone(ctx, d.repo, changes)
	for _, f := range now {
		if f.Scanner == gitleaks && f.Commit != "" && !since[f.Commit] {
			old = append(old, f)
		}
	}
	return old, err
}

type gateWork struct{ in gate.Inputs }

func (w *gateWork) name() string            { return record.StageGate }
func (w *gateWork) Declare(s *action.Set)   { w.in.Declare(s) }
func (w *gateWork) reports() action.Reports { return w.in.Reports }

func (w *gateWork) stage(ctx context.Context, d *delivery) (result, error) {
	in := w.in
	in.Dir, in.Root, in.Commit = d.dir(), d.root(), d.rec.Source.Commit
	// What other scanners found is held to the gate of the static analysis: the policy has no other for code.
	desk, from, err := d.desk(ctx, record.StageSAST, d.rules.SAST, in.Reports)
	if err != nil {
		return result{}, err
	}
	if from.ref != "" {
		if desk.Baseline, desk.BaselineShown, err = from.baseline(ctx); err != nil {
			return result{}, err
		}
	}
	in.Triage = desk
	return resultOf(gate.Run(ctx, in, gate.Deps{Progress: d.progress(w.name())}))
}

// noRepository is for a stage that reads history, called outside of one.
func noRepository(d *delivery) error { return d.noRepo }
