// Package accounting joins to a delivery what tells of it: the cost, the catalogue, events and portals.
package accounting

import (
	"bytes"
	"context"
	"path"
	"path/filepath"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/catalog"
	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/cost"
	"github.com/org/idp/internal/events"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitstore"
	"github.com/org/idp/internal/notify"
	"github.com/org/idp/internal/projection"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/send"
	"github.com/org/idp/internal/service"
)

// Catalog registers the service and the delivery in the catalogue.
type Catalog struct{ In catalog.Inputs }

func (w *Catalog) Name() string { return record.StageCatalog }

func (w *Catalog) Declare(s *action.Set) { w.In.Declare(s) }

func (w *Catalog) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	in := w.In
	var err error
	if in.URL, err = catalogURL(ctx, d, in.URL); err != nil {
		return delivery.Result{}, err
	}
	in.Record, in.Service, in.Origin = d.Snapshot(), d.Service, d.Repo.Origin
	if w.In.URL == "" { // a copy of an organisation's catalogue would cost more than the delivery
		in.Checkout = d.Out("catalog")
	}
	in.Named = func(ctx context.Context, folder string) (string, error) {
		text, err := d.Repo.File(ctx, d.Repo.Commit, path.Join(folder, service.File))
		name, _ := service.Identity(text)
		return name, err
	}
	in.Diff = d.Out("catalog.diff")
	in.Suite = cli.Version()
	in.CI = cost.Runner(d.World.Getenv("RUNNER_OS"), d.World.Getenv("RUNNER_ARCH"), d.World.Getenv("RUNNER_ENVIRONMENT"), d.World.Now().Sub(d.Begun))
	if err := history(ctx, d, &in); err != nil {
		return delivery.Result{}, err
	}
	in.Costs = costs(d, in.Record)
	if in.Definitions, err = definitions(d.Service, d.Dir()); err != nil {
		return delivery.Result{}, err
	}
	deps := catalog.Deps{Now: d.World.Now, Sleep: delivery.Sleep, Progress: d.Progress(w.Name())}
	out, err := catalog.Run(ctx, in, deps)
	if err == nil && in.Plan {
		d.Wrote(w.Name(), in.Diff, "what would change in the catalogue")
	} else if err == nil && in.Checkout != "" {
		d.Wrote(w.Name(), in.Checkout, "the catalogue")
	}
	return delivery.ResultOf(out, err)
}

// costs gives what the record's estimate is made of; nil where it has none, or one of a version that did not say.
func costs(d *delivery.Delivery, rec *record.Record) func(time.Time) ([]byte, error) {
	estimate, err := record.EvidenceOf[record.Cost](rec, record.StageCost)
	if err != nil || estimate.Rates == nil {
		return nil
	}
	return func(month time.Time) ([]byte, error) {
		rows, err := cost.FOCUS(estimate, charged(d, month))
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		err = catalogfile.WriteCosts(&b, rows)
		return b.Bytes(), err
	}
}

// definitions reads what describes the service's APIs. It was readable when idp.yaml was read.
func definitions(svc *service.Service, dir string) (map[string][]byte, error) {
	texts := map[string][]byte{}
	for _, a := range svc.APIs {
		text, err := a.Definition(dir)
		if err != nil {
			return nil, fault.Undeterminedf("the definition of API %s cannot be read: %w", a.Name, err)
		}
		texts[a.Name] = text
	}
	return texts, nil
}

// maxBrings is how many commits one line of the catalogue names.
const maxBrings = 200

// history finds out in git what the metrics need: which commits a delivery brings, or for a first one since when the service is on
// the path.
func history(ctx context.Context, d *delivery.Delivery, in *catalog.Inputs) (err error) {
	previous := in.Record.Previous
	if previous == nil {
		in.Adopted, err = d.Repo.Added(ctx, path.Join(d.Repo.Path, service.File))
		return err
	}
	list, more, known, err := d.Repo.Between(ctx, previous.Commit, maxBrings)
	if err != nil || !known {
		return err
	}
	in.Brings = &catalogfile.Brings{Since: previous.Commit, Commits: make([]catalogfile.Commit, len(list)), More: more}
	for i, c := range list {
		in.Brings.Commits[i] = catalogfile.Commit{ID: c.ID, Time: c.Time}
	}
	return nil
}

// catalogURL is where the catalogue is: the input, or the embedded one in the output folder.
func catalogURL(ctx context.Context, d *delivery.Delivery, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if !d.Local.Allowed {
		return "", fault.BadInputf("no catalogue is given").WithNext("Give it: --catalog https://github.com/acme/catalog.git")
	}
	dir, err := filepath.Abs(d.Out("catalog.git"))
	if err != nil {
		return "", err
	}
	return dir, gitstore.CreateBare(ctx, dir)
}

// Events writes the delivery as an event, and posts it where a URL is given.
type Events struct{ In events.Inputs }

func (w *Events) Name() string { return record.StageEvents }

func (w *Events) Declare(s *action.Set) { w.In.Declare(s) }

func (w *Events) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	in := w.In
	in.Record, in.File = d.Snapshot(), d.Out("events.json")
	out, err := events.Run(ctx, in, events.Deps{Client: sender(d, w.Name())})
	if err == nil {
		d.Wrote(w.Name(), in.File, "the deploy event, as CDEvents")
	}
	return delivery.ResultOf(out, err)
}

// Notify tells portals of the service and of what was deployed.
type Notify struct{ In notify.Inputs }

func (w *Notify) Name() string { return record.StageNotify }

func (w *Notify) Declare(s *action.Set) { w.In.Declare(s) }

func (w *Notify) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	in := w.In
	in.Record, in.Folder = d.Snapshot(), d.Out("portals")
	in.Entry = projection.Of(d.Service, d.Repo.Origin, in.Record.Source.Path)
	out, err := notify.Run(ctx, in, notify.Deps{Client: sender(d, w.Name())})
	if out.Evidence.Files != "" {
		d.Wrote(w.Name(), in.Folder, "the service, as portals read it from a repository")
	}
	return delivery.ResultOf(out, err)
}

// sender tells services of others.
func sender(d *delivery.Delivery, stage string) send.Client {
	return send.Client{Sleep: delivery.Sleep, Progress: d.Progress(stage)}
}
