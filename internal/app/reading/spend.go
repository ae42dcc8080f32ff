package reading

import (
	"context"
	"fmt"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/spend"
)

// SpendInputs are those of `idp spend`.
type SpendInputs struct {
	Catalog, From, To string
	Actual            spend.Export
	JSON              bool
}

func (in *SpendInputs) Declare(s *action.Set) {
	s.String(&in.Catalog, action.Input{Name: "catalog", Example: "catalog", Usage: "Folder with the catalogue, checked out. Default: this one."})
	s.String(&in.From, action.Input{Name: "from", Example: "2026-09", Usage: "First month, in UTC. Default: the month before the last one."})
	s.String(&in.To, action.Input{Name: "to", Example: "2026-11", Usage: "Last month, in UTC. Default: this one, until now."})
	in.Actual.Declare(s)
	s.Bool(&in.JSON, action.Input{Name: "json", Usage: "Print JSON: idp schema spend says its form."})
}

// window is from the begin of the first month to the end of the last, or to now.
func (in SpendInputs) window(now time.Time) (w window, err error) {
	now = now.UTC()
	last := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	if in.To != "" {
		if last, err = time.Parse("2006-01", in.To); err != nil {
			return w, fault.BadInputf("input to: %q is no month", in.To).WithNext("Give it as in 2026-11.")
		}
	}
	w.from = last.AddDate(0, -1, 0)
	if in.From != "" {
		if w.from, err = time.Parse("2006-01", in.From); err != nil {
			return w, fault.BadInputf("input from: %q is no month", in.From).WithNext("Give it as in 2026-09.")
		}
	}
	w.to = last.AddDate(0, 1, 0)
	if last.After(now) {
		w.note = fmt.Sprintf("%s has not come yet: counted until now.", last.Format("2006-01"))
	}
	if w.to.After(now) {
		w.to = now
	}
	if !w.from.Before(w.to) {
		return w, fault.BadInputf("the window ends on %s, before it begins on %s", w.to.Format(time.DateOnly), w.from.Format(time.DateOnly))
	}
	return w, nil
}

// Spending prints what services cost.
func Spending(ctx context.Context, w cli.World, args []string) error {
	var in SpendInputs
	log, err := openLog(w, "spend", args, &in, &in.Catalog)
	if err != nil {
		return err
	}
	charges, err := in.Actual.Read()
	if err != nil {
		return err
	}
	r, err := spend.Compute(ctx, log.catalogue, spend.Options{From: log.from, To: log.to, Actual: charges, Systems: log.index.Systems()})
	if err != nil {
		return err
	}
	return printReport(w.Stdout, r, in.JSON)
}
