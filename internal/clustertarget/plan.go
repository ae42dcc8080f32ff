package clustertarget

import (
	"context"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/release"
)

// Planned is what a deploy would do.
type Planned struct {
	Changes []apply.Change // what would be removed is among them
	Live    *record.Deployment
	// LiveImage is IMAGE@DIGEST of what is live.
	LiveImage string
}

// Plan asks the API server what a deploy would change, and changes nothing: it takes no lock and makes no namespace. An
// error that says what is refused, such as a conflict, has the changes beside it.
func (t Target) Plan(ctx context.Context) (Planned, error) {
	var planned Planned
	if err := t.check(); err != nil {
		return planned, err
	}
	d := &deploy{Target: t, history: t.history()}
	list, err := d.history.List(ctx)
	if err != nil {
		return planned, err
	}
	d.list = list
	if err := t.alone(list); err != nil {
		return planned, err
	}
	if live := release.Current(list); live != nil {
		planned.Live, planned.LiveImage = deployment(live), live.Image
	}
	plan, err := d.plan(ctx)
	if err != nil {
		return planned, err
	}
	changes, err := apply.Plan(ctx, d.Cluster, plan.Set, d.options())
	planned.Changes = changes
	if err != nil {
		return planned, err
	}
	if err := d.history.Fits(plan.Set, d.found(changes), passing(plan)...); err != nil {
		return planned, err
	}
	orphans, err := d.orphans(ctx, plan.Set)
	if err != nil {
		return planned, err
	}
	for _, ref := range orphans {
		planned.Changes = append(planned.Changes, apply.Change{Ref: ref, Action: apply.Pruned})
	}
	return planned, d.checkPrune(plan.Set, orphans)
}
