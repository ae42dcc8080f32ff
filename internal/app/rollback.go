package app

import (
	"context"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/deploy"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// rollbackWork goes back to an earlier release by hand.
type rollbackWork struct {
	deploy.Cluster
	place string
	to    string
	wait  time.Duration
}

func (w *rollbackWork) name() string   { return record.StageRollback }
func (w *rollbackWork) target() string { return w.place }

func (w *rollbackWork) Declare(s *action.Set) {
	action.Target(s, &w.place)
	s.String(&w.to, action.Input{Name: "to", Example: "v12",
		Usage: "Release to go back to, as idp releases lists them. Default: the last good one before what is live."})
	s.Duration(&w.wait, action.Input{Name: "wait", Default: "5m", Example: "90s",
		Usage: "How long to wait for another deploy to end."})
	w.Cluster.Declare(s)
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
