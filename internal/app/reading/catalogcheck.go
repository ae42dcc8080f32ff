// Package reading has the commands that make no delivery: they read a catalogue or an image, and say what they found.
package reading

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/catalogcheck"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/runner"
	"github.com/org/idp/internal/ui"
)

// shownOfCatalogue is how many findings are printed: of a catalogue that nobody checked before there may be one for each service.
const shownOfCatalogue = 1000

// CatalogCheck checks a catalogue, and annotates what is wrong in it.
type CatalogCheck struct{ in catalogcheck.Inputs }

func (c *CatalogCheck) Declare(s *action.Set) { c.in.Declare(s) }

func (c *CatalogCheck) Values() map[string]string { return nil }

func (c *CatalogCheck) Read(ctx context.Context, w cli.World) (err error) {
	in := c.in
	root, err := os.OpenRoot(in.Dir) // a link that leads out of it is not followed
	if err != nil {
		return fault.BadInputf("there is no catalogue in %s: %w", in.Dir, err).WithNext("Name the folder of a checkout: --catalog FOLDER")
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	in.Files = root.FS()
	begun := w.Now()
	report, err := catalogcheck.Run(ctx, in, catalogcheck.Deps{Now: w.Now})
	if report.Services == 0 {
		return err
	}
	for i, f := range report.Findings {
		if i == shownOfCatalogue {
			_, _ = fmt.Fprintf(w.Stdout, "and %d more\n", len(report.Findings)-i)
			break
		}
		_, _ = fmt.Fprintln(w.Stdout, ui.Clean(f.String()))
	}
	_, _ = fmt.Fprintf(w.Stdout, "%s, %d entities: %s, %s in %.1fs\n", finding.Plural(report.Services, "service"), report.Entities,
		finding.Plural(report.Errors(), "problem"), finding.Plural(report.Warnings(), "warning"), w.Now().Sub(begun).Seconds())
	w.Runner.Annotate(catalogueNotes(w, in.Dir, report))
	return errors.Join(err, w.Runner.Summary(catalogueSummary(report), "the log of the step"))
}

// catalogueNotes puts each finding beside its line.
func catalogueNotes(w cli.World, dir string, report catalogcheck.Report) []runner.Annotation {
	var notes []runner.Annotation
	for _, f := range report.Findings {
		note := runner.Annotation{Level: runner.Error, Title: "catalogue: " + string(f.Rule), File: inWorkspace(w, filepath.Join(dir, filepath.FromSlash(f.File))),
			Line: f.Line, Message: f.Message}
		if f.Warning {
			note.Level = runner.Warning
		}
		notes = append(notes, note)
	}
	return notes
}

// inWorkspace names a file as the repository that the job has checked out does; empty where it is not in there.
func inWorkspace(w cli.World, file string) string {
	abs, err := filepath.Abs(file)
	if err != nil {
		return ""
	}
	rel, err := filepath.Rel(w.Getenv("GITHUB_WORKSPACE"), abs)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return filepath.ToSlash(rel)
}

// catalogueSummary counts by rule. It quotes nothing of the catalogue.
func catalogueSummary(report catalogcheck.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Catalogue: %s, %d entities\n\n| rule | asks | problems | warnings |\n|---|---|---|---|\n", finding.Plural(report.Services, "service"), report.Entities)
	for _, r := range catalogcheck.Rules {
		fmt.Fprintf(&b, "| %s | %s | %d | %d |\n", r.Name, r.Asks, report.Count(r.Name, false), report.Count(r.Name, true))
	}
	if n := report.Count(catalogcheck.Unreadable, false); n > 0 {
		fmt.Fprintf(&b, "\n%s could not be read, so the rest is not known.\n", finding.Plural(n, "file"))
	}
	return b.String()
}
