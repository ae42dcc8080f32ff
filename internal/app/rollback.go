package app

import (
	"cmp"
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/deploy"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/ui"
)

// rollbackWork goes back to an earlier release by hand, and leaves that in the catalogue.
type rollbackWork struct {
	deploy.Cluster
	place   string
	to      string
	list    bool
	wait    time.Duration
	catalog catalogWork
}

func (w *rollbackWork) name() string   { return record.StageRollback }
func (w *rollbackWork) target() string { return w.place }

func (w *rollbackWork) Declare(s *action.Set) {
	action.Target(s, &w.place)
	s.String(&w.to, action.Input{Name: "to", Example: "v12",
		Usage: "Release to go back to, as --list shows them. Default: the last good one before what is live."})
	s.Bool(&w.list, action.Input{Name: "list", Usage: "Print the releases that are still there, the newest first, and change nothing."})
	s.Duration(&w.wait, action.Input{Name: "wait", Default: "5m", Example: "90s",
		Usage: "How long to wait for another deploy to end."})
	w.Cluster.Declare(s)
	w.catalog.Declare(s)
}

// run goes back, and writes down where deliveries are what came of it. What was refused as bad input has changed nothing.
func (w *rollbackWork) run(ctx context.Context, d *delivery) error {
	if err := w.catalog.in.Check(); err != nil {
		return d.reject(ctx, err)
	}
	if w.place == targetLocal && w.catalog.in.URL == "" && record.Exists(d.out("catalog.git")) {
		d.local.allowed = true // the path has made it
	}
	err := d.execute(ctx, w.name(), w)
	if err != nil && fault.KindOf(err) == fault.BadInput || w.catalog.in.URL == "" && !d.local.allowed {
		return err
	}
	return cmp.Or(err, d.execute(ctx, w.catalog.name(), &w.catalog))
}

func (w *rollbackWork) stage(ctx context.Context, d *delivery) (result, error) {
	out := action.Result[record.Rollback]{Tool: record.Tool{Name: "idp", Version: Version()}}
	out.Evidence.Target = w.place
	if w.wait <= 0 {
		return resultOf(out, fault.BadInputf("input wait must be above 0, such as --wait 5m"))
	}
	place, err := w.history(d)
	if err != nil {
		return resultOf(out, err)
	}
	back, from, err := place.Return(ctx, w.to)
	out.Evidence.Release, out.Evidence.URL, out.Evidence.From = back.Release, back.URL, from
	if back.Digest != "" {
		out.Evidence.To = &record.Deployment{Digest: back.Digest, Commit: back.Commit}
	}
	if err == nil {
		out.Summary = back.Summary + ", release " + back.Release
	}
	return resultOf(out, err)
}

// history is the target as far as something was deployed there.
func (w *rollbackWork) history(d *delivery) (place, error) {
	as := &deployWork{in: deploy.Inputs{Target: w.place, Wait: w.wait, Cluster: w.Cluster}}
	if w.place == targetKubernetes {
		return as.history(d, w.name())
	}
	return as.local(d, w.name()), nil
}

func (w *rollbackWork) prints() bool { return w.list }

// print lists the releases as a table.
func (w *rollbackWork) print(ctx context.Context, d *delivery) error {
	place, err := w.history(d)
	if err != nil {
		return err
	}
	list, err := place.Releases(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		_, err := fmt.Fprintf(d.world.Stdout, "there is no release of %s in %s\n", d.svc.Name, d.rec.Environment)
		return err
	}
	out := tabwriter.NewWriter(d.world.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "RELEASE\tSTATE\tIMAGE\tCOMMIT\tWHEN\tWHO\tWHY")
	for _, r := range list {
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.State, record.ShortDigest(r.Digest), shortHash(r.Commit),
			r.When.UTC().Format("2006-01-02 15:04"), ui.Clean(r.Who), ui.Clean(r.Why))
	}
	return out.Flush()
}
