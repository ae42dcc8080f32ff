package reading

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/portal"
)

// Portal writes what a catalogue says as a site.
type Portal struct {
	in   portal.Inputs
	done portal.Outputs // empty until the site is there
}

func (p *Portal) Declare(s *action.Set) { p.in.Declare(s) }

// Read makes the portal of a catalogue, and says which file to open.
func (p *Portal) Read(ctx context.Context, w cli.World) error {
	done, err := portal.Run(ctx, p.in, portal.Deps{Now: w.Now})
	if err != nil {
		return err
	}
	p.done = done
	_, _ = fmt.Fprintf(w.Stdout, "portal: %s (services: %d, pages: %d)\n", done.Index, done.Services, done.Pages)
	if err := w.Runner.Summary(portalSummary(done), "the site"); err != nil {
		return fault.Undeterminedf("the runner's files cannot be written: %w", err)
	}
	return nil
}

func (p *Portal) Values() map[string]string {
	if p.done.Services == 0 {
		return map[string]string{"path": "", "services": ""}
	}
	return map[string]string{"path": p.in.Out, "services": strconv.Itoa(p.done.Services)}
}

// portalSummary counts. It quotes nothing of the catalogue.
func portalSummary(done portal.Outputs) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Portal: %s of %s, %s\n\n| what is known | services |\n|---|---|\n", finding.Plural(done.Services, "service"), finding.Plural(done.Teams, "team"),
		finding.Plural(done.Pages, "page"))
	for _, s := range done.States {
		fmt.Fprintf(&b, "| %s | %d |\n", s.Says, s.Services)
	}
	return b.String()
}
