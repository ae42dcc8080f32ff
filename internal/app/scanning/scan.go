// Package scanning joins the scanners to a delivery: what was there before the change, what the team has waived or recorded,
// and what counts against the gate.
package scanning

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gate"
	"github.com/org/idp/internal/gitrepo"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/sast"
	"github.com/org/idp/internal/secrets"
)

// SAST scans the Go module with gosec.
type SAST struct{ In sast.Inputs }

func (w *SAST) Name() string { return record.StageSAST }

func (w *SAST) Declare(s *action.Set) { w.In.Declare(s) }

func (w *SAST) Reports() action.Reports { return w.In.Reports }

func (w *SAST) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	in := w.In
	in.Dir, in.Root, in.Commit, in.RequireImport = d.Dir(), d.Root(), d.Record.Source.Commit, d.Rules.SAST.NeedsImport()
	in.Platform = d.Platform(in.Platform)
	progress := d.Progress(w.Name())
	desk, from, err := desk(ctx, d, w.Name(), d.Rules.SAST, in.Reports)
	if err != nil {
		return delivery.Result{}, err
	}
	if in.Absent, err = absent(ctx, d); err != nil {
		return delivery.Result{}, err
	}
	in.Triage = desk
	in.Triage.Compares = []string{gosec}
	in.Triage.Before = before(from, func(ctx context.Context, at past, _ []finding.Finding) ([]finding.Finding, error) {
		progress("scanning " + delivery.ShortHash(at.commit) + " to compare with")
		return sastAt(ctx, d, at, in.Platform)
	})
	return delivery.ResultOf(sast.Run(ctx, in, sast.Deps{Progress: progress}))
}

// absent lists the service's files that a sparse checkout leaves out.
func absent(ctx context.Context, d *delivery.Delivery) ([]string, error) {
	if d.Repo == nil {
		return nil, nil
	}
	return d.Repo.Absent(ctx)
}

// The scanners inside, as findings name them.
const (
	gosec    = "gosec"
	gitleaks = "gitleaks"
)

// sastAt scans the service as it was at a commit, in a copy outside of the repository.
func sastAt(ctx context.Context, d *delivery.Delivery, at past, platform string) (_ []finding.Finding, err error) {
	dir, err := os.MkdirTemp(d.Runner.TempDir(), "idp-base-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := d.Repo.Export(ctx, at.commit, dir); err != nil {
		return nil, err
	}
	service := filepath.Join(dir, filepath.FromSlash(at.folder))
	if _, err := os.Stat(service); errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the change brought the whole service
	}
	found, err := sast.Findings(ctx, service, platform, nil)
	if err != nil {
		return nil, delivery.AddTo(err, " (at "+delivery.ShortHash(at.commit)+", where the change began)", nil)
	}
	return found, nil
}

// Secrets looks for secrets in the commits of the change and in the working tree.
type Secrets struct{ in secrets.Inputs }

func (w *Secrets) Name() string { return record.StageSecrets }

func (w *Secrets) Declare(s *action.Set) { w.in.Declare(s) }

func (w *Secrets) Reports() action.Reports { return w.in.Reports }

func (w *Secrets) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	in := w.in
	if d.Repo == nil && !hasOnlyFiles(d, in.History) {
		return delivery.Result{}, noRepository(d)
	}
	desk, from, err := desk(ctx, d, w.Name(), d.Rules.Secrets, in.Reports)
	if err != nil {
		return delivery.Result{}, err
	}
	in.Repo, in.Triage = from.Repo(), desk
	if in.Repo == nil {
		if in.Dir, err = realPath(d.Dir()); err != nil {
			return delivery.Result{}, err
		}
		in.Out, _ = realPath(d.Options.Out) // it need not be there yet
	}
	in.Triage.Compares = []string{gitleaks}
	in.Triage.Before = before(from, func(ctx context.Context, at past, now []finding.Finding) ([]finding.Finding, error) {
		return secretsAt(ctx, d, at, now, desk.Rules)
	})
	return delivery.ResultOf(secrets.Run(ctx, in, secrets.Deps{Progress: d.Progress(w.Name())}))
}

// hasOnlyFiles tells that the files of the folder are all there is to scan. A run of a workflow has a history: where it is
// not checked out, it was not seen.
func hasOnlyFiles(d *delivery.Delivery, history string) bool {
	return errors.Is(d.NoRepo, gitrepo.ErrNone) && history != secrets.HistoryAll && !d.Runner.Active()
}

func realPath(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// secretsAt gives what the history held at a commit: what came in with it or before, what the change only moved, and what it
// took out and put in again.
func secretsAt(ctx context.Context, d *delivery.Delivery, at past, now []finding.Finding, gate finding.Rules) ([]finding.Finding, error) {
	since, err := d.Repo.Since(ctx, at.commit)
	if err != nil {
		return nil, err
	}
	var earlier, fresh []finding.Finding
	for _, f := range now {
		switch {
		case f.Scanner != gitleaks:
		case f.Commit != "" && !since[f.Commit]:
			earlier = append(earlier, f)
		default:
			fresh = append(fresh, f)
		}
	}
	changes := at.changes
	for _, f := range fresh {
		// A file that is as it was is no change, but there may be commits in between.
		name := path.Join(d.Repo.Path, f.File)
		if slices.ContainsFunc(changes, func(c gitrepo.Change) bool { return c.Old == name }) {
			continue
		}
		id, err := d.Repo.Blob(ctx, at.commit, name)
		if err != nil {
			return nil, err
		}
		if id != "" {
			changes = append(changes[:len(changes):len(changes)], gitrepo.Change{Old: name, New: name, Blob: id})
		}
	}
	old, err := secrets.Earlier(ctx, d.Repo, changes, fresh, gate)
	return append(old, earlier...), err
}

// Gate holds what other scanners found to the same gate.
type Gate struct{ in gate.Inputs }

func (w *Gate) Name() string { return record.StageGate }

func (w *Gate) Declare(s *action.Set) { w.in.Declare(s) }

func (w *Gate) Reports() action.Reports { return w.in.Reports }

func (w *Gate) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	in := w.in
	in.Dir, in.Root, in.Commit = d.Dir(), d.Root(), d.Record.Source.Commit
	// What other scanners found is held to the gate of the static analysis: the policy has no other for code.
	desk, from, err := desk(ctx, d, record.StageSAST, d.Rules.SAST, in.Reports)
	if err != nil {
		return delivery.Result{}, err
	}
	if from.Ref != "" {
		if desk.Baseline, desk.BaselineShown, err = baseline(ctx, from); err != nil {
			return delivery.Result{}, err
		}
	}
	in.Triage = desk
	return delivery.ResultOf(gate.Run(ctx, in, gate.Deps{Progress: d.Progress(w.Name())}))
}

// noRepository is for a stage that reads history, called outside of one.
func noRepository(d *delivery.Delivery) error { return d.NoRepo }
