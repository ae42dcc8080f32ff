package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/accounting"
	"github.com/org/idp/internal/app/artifacts"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/app/deploying"
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
	key     string
	keyless delivery.KeylessInputs
	catalog accounting.Catalog
}

func (w *rollbackWork) Name() string { return record.StageRollback }

func (w *rollbackWork) Target() string { return w.place }

func (w *rollbackWork) Declare(s *action.Set) {
	action.Target(s, &w.place)
	s.String(&w.to, action.Input{Name: "to", Example: "v12",
		Usage: "Release to go back to, as --list shows them. Default: the last good one before what is live."})
	s.Bool(&w.list, action.Input{Name: "list", Usage: "Print the releases that are still there, the newest first, and change nothing."})
	s.Duration(&w.wait, action.Input{Name: "wait", Default: "5m", Example: "90s",
		Usage: "How long to wait for another deploy to end."})
	w.Cluster.Declare(s)
	action.Key(s, &w.key)
	w.keyless.Declare(s)
	w.catalog.Declare(s)
}

// Run goes back, says so of the image, and writes down where deliveries are what came of it. What was refused as bad input has
// changed nothing.
func (w *rollbackWork) Run(ctx context.Context, d *delivery.Delivery) error {
	if err := w.catalog.In.Check(); err != nil {
		return d.Reject(ctx, err)
	}
	after := said{artifacts.AttestWith(&w.key, &w.keyless)}
	if err := after.Ready(ctx, d); err != nil {
		return d.Reject(ctx, err) // found before anything is changed
	}
	err := d.Execute(ctx, w.Name(), w)
	if err != nil && fault.KindOf(err) == fault.BadInput {
		return err
	}
	if err == nil {
		if err = d.Execute(ctx, after.Name(), after); err != nil && fault.KindOf(err) == fault.Skipped {
			err = nil
		}
	}
	if w.place == delivery.TargetLocal && w.catalog.In.URL == "" && record.Exists(d.Out("catalog.git")) {
		d.Local.Allowed = true // the path has made it; its key ended with it, so nothing above is signed with one of this run
	}
	if w.catalog.In.URL == "" && !d.Local.Allowed {
		return err
	}
	return cmp.Or(err, d.Execute(ctx, w.catalog.Name(), &w.catalog))
}

// said is what is said after a rollback. Running that again would go back further, so it is no way to complete it.
type said struct{ *artifacts.Attest }

func (w said) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	res, err := w.Attest.Stage(ctx, d)
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.Undetermined {
		f.Next = []string{"The release is live, and only its image does not say so. Do not run this again, which may go back further: the next delivery of that commit adds it."}
	}
	return res, err
}

func (w *rollbackWork) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	out := action.Result[record.Rollback]{Tool: record.Tool{Name: "idp", Version: cli.Version()}}
	out.Evidence.Target = w.place
	if w.wait <= 0 {
		return delivery.ResultOf(out, fault.BadInputf("input wait must be above 0, such as --wait 5m"))
	}
	place, err := w.History(d)
	if err != nil {
		return delivery.ResultOf(out, err)
	}
	back, from, err := place.Return(ctx, w.to)
	out.Evidence.Release, out.Evidence.URL, out.Evidence.From = back.Release, back.URL, from
	if back.Digest != "" {
		out.Evidence.To, out.Evidence.Image = &record.Deployment{Digest: back.Digest, Commit: back.Commit}, back.Image
	}
	if err == nil {
		out.Summary = back.Summary + ", release " + back.Release
	}
	return delivery.ResultOf(out, err)
}

// History is the target as far as something was deployed there.
func (w *rollbackWork) History(d *delivery.Delivery) (deploying.Place, error) {
	as := &deploying.Deploy{In: deploy.Inputs{Target: w.place, Wait: w.wait, Cluster: w.Cluster}}
	if w.place == delivery.TargetKubernetes {
		return as.History(d, w.Name())
	}
	return as.Local(d, w.Name()), nil
}

func (w *rollbackWork) Prints() bool { return w.list }

// Print lists the releases as a table.
func (w *rollbackWork) Print(ctx context.Context, d *delivery.Delivery) error {
	place, err := w.History(d)
	if err != nil {
		return err
	}
	list, err := place.Releases(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		_, err := fmt.Fprintf(d.World.Stdout, "there is no release of %s in %s\n", d.Service.Name, d.Record.Environment)
		return err
	}
	out := tabwriter.NewWriter(d.World.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "RELEASE\tSTATE\tIMAGE\tCOMMIT\tWHEN\tWHO\tWHY")
	for _, r := range list {
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.State, record.ShortDigest(r.Digest), delivery.ShortHash(r.Commit),
			r.When.UTC().Format("2006-01-02 15:04"), ui.Clean(r.Who), ui.Clean(r.Why))
	}
	return out.Flush()
}
