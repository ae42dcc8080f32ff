package app

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/cost"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

type costWork struct{ in cost.Inputs }

func (w *costWork) name() string          { return record.StageCost }
func (w *costWork) Declare(s *action.Set) { w.in.Declare(s) }

func (w *costWork) stage(ctx context.Context, d *delivery) (result, error) {
	set, _, err := d.writeManifests(ctx, "")
	if err != nil {
		return result{}, err
	}
	in := w.in
	in.Objects, in.Service, in.Owner, in.Environment, in.Month = set, d.svc.Name, d.svc.Owner, d.rec.Environment, d.world.Now()
	if in.Budget, in.BudgetCurrency, err = d.budget(); err != nil {
		return result{}, err
	}
	out, err := cost.Run(ctx, in, cost.Deps{})
	if err == nil || fault.KindOf(err) == fault.Failed {
		err = errors.Join(err, d.writeFOCUS(in))
	}
	if d.rec.Plan {
		d.costBefore = d.costAt(ctx, in)
	}
	return resultOf(out, err)
}

// costAt is the estimate of what the change branched off from, for people to compare with; nil where it is not known, or
// where there was nothing.
func (d *delivery) costAt(ctx context.Context, in cost.Inputs) *record.Cost {
	if d.repo == nil {
		return nil
	}
	base, err := d.branchedOff(ctx)
	if err != nil {
		return nil
	}
	set, note, err := d.renderedAt(ctx, base)
	if err != nil || note != "" || len(set.Objects) == 0 {
		return nil
	}
	in.Objects, in.Budget = set, nil
	out, err := cost.Run(ctx, in, cost.Deps{})
	if err != nil {
		return nil
	}
	return &out.Evidence
}

// budget is the service's for this environment, else the policy's; nil where there is none.
func (d *delivery) budget() (*float64, string, error) {
	text := d.svc.Environments[d.rec.Environment].Budget
	if text == "" {
		text = d.rules.Budget
	}
	if text == "" {
		return nil, "", nil
	}
	amount, currency, err := service.ParseBudget(text)
	return &amount, currency, err
}

// writeFOCUS leaves the estimate as FOCUS columns, for the tools that read bills.
func (d *delivery) writeFOCUS(in cost.Inputs) error {
	rows, err := cost.FOCUS(in)
	if err != nil {
		return err
	}
	for file, format := range map[string]func(io.Writer, []cost.Row) error{"focus.csv": cost.FOCUSCSV, "focus.json": cost.FOCUSJSON} {
		var b bytes.Buffer
		if err := format(&b, rows); err != nil {
			return err
		}
		path := d.out("cost", file)
		if err := record.WriteFile(path, b.Bytes(), 0o644); err != nil {
			return unwritable(d.opts.Out, err)
		}
	}
	d.wrote(record.StageCost, d.out("cost"), "the estimate in FOCUS columns")
	return nil
}
