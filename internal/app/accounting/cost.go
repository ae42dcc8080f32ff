package accounting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/app/deploying"
	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/cost"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// Cost estimates what the service costs a month, and holds it against the budget.
type Cost struct{ in cost.Inputs }

func (w *Cost) Name() string { return record.StageCost }

func (w *Cost) Declare(s *action.Set) { w.in.Declare(s) }

func (w *Cost) Stage(ctx context.Context, d *delivery.Delivery) (delivery.Result, error) {
	set, _, err := deploying.WriteManifests(ctx, d, "")
	if err != nil {
		return delivery.Result{}, err
	}
	in := w.in
	in.Objects = set
	if in.Budget, in.BudgetCurrency, err = budget(d); err != nil {
		return delivery.Result{}, err
	}
	out, err := cost.Run(ctx, in, cost.Deps{})
	if err == nil || fault.KindOf(err) == fault.Failed {
		err = errors.Join(err, writeFOCUS(d, out.Evidence))
	}
	if d.Record.Plan {
		d.CostBefore, d.CostUnknown = costAt(ctx, d, in, out.Evidence.Currency)
	}
	return delivery.ResultOf(out, err)
}

// costAt is the estimate of what the change branched off from, for people to compare with. It is nothing for a service or an
// environment that was not there; where it is not known, the text says why.
func costAt(ctx context.Context, d *delivery.Delivery, in cost.Inputs, currency string) (*record.Cost, string) {
	if d.Repo == nil {
		return nil, "the service is in no Git repository"
	}
	base, err := deploying.BranchedOff(ctx, d)
	if err != nil {
		return nil, fault.Lines(err)[0]
	}
	set, err := deploying.RenderedAt(ctx, d, base)
	if err != nil {
		return nil, fmt.Sprintf("the manifests of %s cannot be rendered (%s)", delivery.ShortHash(base), fault.Lines(err)[0])
	}
	if len(set.Objects) == 0 {
		return &record.Cost{Currency: currency, Containers: []record.ContainerCost{}}, ""
	}
	in.Objects, in.Budget = set, nil
	out, err := cost.Run(ctx, in, cost.Deps{})
	if err != nil {
		return nil, fmt.Sprintf("that of %s cannot be estimated (%s)", delivery.ShortHash(base), fault.Lines(err)[0])
	}
	return &out.Evidence, ""
}

// budget is the service's for this environment, else the policy's; nil where there is none.
func budget(d *delivery.Delivery) (*float64, string, error) {
	text := d.Service.Environments[d.Record.Environment].Budget
	if text == "" {
		text = d.Rules.Budget
	}
	if text == "" {
		return nil, "", nil
	}
	amount, currency, err := service.ParseBudget(text)
	return &amount, currency, err
}

// charged is whose estimate it is, for the month of a time.
func charged(d *delivery.Delivery, month time.Time) cost.Charged {
	return cost.Charged{Service: d.Service.Name, Owner: d.Service.Owner, Environment: d.Record.Environment, Month: month}
}

// writeFOCUS leaves the estimate as FOCUS columns, for the tools that read bills.
func writeFOCUS(d *delivery.Delivery, estimate record.Cost) error {
	rows, err := cost.FOCUS(estimate, charged(d, d.World.Now()))
	if err != nil {
		return err
	}
	for file, format := range map[string]func(io.Writer, []catalogfile.CostRow) error{"focus.csv": catalogfile.WriteCosts, "focus.json": cost.FOCUSJSON} {
		var b bytes.Buffer
		if err := format(&b, rows); err != nil {
			return err
		}
		path := d.Out("cost", file)
		if err := record.WriteFile(path, b.Bytes(), 0o644); err != nil {
			return delivery.Unwritable(d.Options.Out, err)
		}
	}
	d.Wrote(record.StageCost, d.Out("cost"), "the estimate in FOCUS columns")
	return nil
}
