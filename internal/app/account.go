package app

import (
	"context"
	"path"
	"path/filepath"

	"github.com/org/idp/internal/action"
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

type catalogWork struct{ in catalog.Inputs }

func (w *catalogWork) name() string          { return record.StageCatalog }
func (w *catalogWork) Declare(s *action.Set) { w.in.Declare(s) }

func (w *catalogWork) stage(ctx context.Context, d *delivery) (result, error) {
	in := w.in
	var err error
	if in.URL, err = d.catalogURL(ctx, in.URL); err != nil {
		return result{}, err
	}
	in.Record, in.Service, in.Origin = d.snapshot(), d.svc, d.repo.Origin
	if w.in.URL == "" { // a copy of an organisation's catalogue would cost more than the delivery
		in.Checkout = d.out("catalog")
	}
	in.Diff = d.out("catalog.diff")
	in.Suite = Version()
	in.CI = cost.Runner(d.world.Getenv("RUNNER_OS"), d.world.Getenv("RUNNER_ARCH"), d.world.Getenv("RUNNER_ENVIRONMENT"), d.world.Now().Sub(d.begun))
	if err := d.history(ctx, &in); err != nil {
		return result{}, err
	}
	if in.Definitions, err = definitions(d.svc, d.dir()); err != nil {
		return result{}, err
	}
	deps := catalog.Deps{Name: "idp", Email: "idp@localhost", Now: d.world.Now, Sleep: sleep, Progress: d.progress(w.name())}
	out, err := catalog.Run(ctx, in, deps)
	if err == nil && in.Plan {
		d.wrote(w.name(), in.Diff, "what would change in the catalogue")
	} else if err == nil && in.Checkout != "" {
		d.wrote(w.name(), in.Checkout, "the catalogue")
	}
	return resultOf(out, err)
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
func (d *delivery) history(ctx context.Context, in *catalog.Inputs) (err error) {
	previous := in.Record.Previous
	if previous == nil {
		in.Adopted, err = d.repo.Added(ctx, path.Join(d.repo.Path, service.File))
		return err
	}
	list, more, known, err := d.repo.Between(ctx, previous.Commit, maxBrings)
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
func (d *delivery) catalogURL(ctx context.Context, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if !d.local.allowed {
		return "", fault.BadInputf("no catalogue is given").WithNext("Give it: --catalog https://github.com/acme/catalog.git")
	}
	dir, err := filepath.Abs(d.out("catalog.git"))
	if err != nil {
		return "", err
	}
	return dir, gitstore.CreateBare(ctx, dir)
}

type eventsWork struct{ in events.Inputs }

func (w *eventsWork) name() string          { return record.StageEvents }
func (w *eventsWork) Declare(s *action.Set) { w.in.Declare(s) }

func (w *eventsWork) stage(ctx context.Context, d *delivery) (result, error) {
	in := w.in
	in.Record, in.File = d.snapshot(), d.out("events.json")
	out, err := events.Run(ctx, in, events.Deps{Client: d.sender(w.name())})
	if err == nil {
		d.wrote(w.name(), in.File, "the deploy event, as CDEvents")
	}
	return resultOf(out, err)
}

type notifyWork struct{ in notify.Inputs }

func (w *notifyWork) name() string          { return record.StageNotify }
func (w *notifyWork) Declare(s *action.Set) { w.in.Declare(s) }

func (w *notifyWork) stage(ctx context.Context, d *delivery) (result, error) {
	in := w.in
	in.Record, in.Folder = d.snapshot(), d.out("portals")
	in.Entry = projection.Of(d.svc, d.repo.Origin, in.Record.Source.Path)
	out, err := notify.Run(ctx, in, notify.Deps{Client: d.sender(w.name())})
	if out.Evidence.Files != "" {
		d.wrote(w.name(), in.Folder, "the service, as portals read it from a repository")
	}
	return resultOf(out, err)
}

// sender tells services of others.
func (d *delivery) sender(stage string) send.Client {
	return send.Client{Now: d.world.Now, Sleep: sleep, Progress: d.progress(stage)}
}
