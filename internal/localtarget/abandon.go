package localtarget

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/local"
	"github.com/org/idp/internal/record"
)

// restoreLimit bounds bringing back what was live, whatever is left of the deploy's own patience: a rollback that shares
// the timeout of the rollout that used it up has none.
const restoreLimit = time.Minute

// abandon ends a release that did not come up and says why, after looking at it and before anything else is done. What
// was live before is kept, or started again; before is nil where there was nothing, and r itself where r was only stopped.
func (d *deployment) abandon(ctx context.Context, r *local.Release, b brought, before *local.Release) error {
	why := d.diagnose(r, b)
	// From here on nothing may be cut short by what ended the deploy.
	steady := context.WithoutCancel(ctx)
	if err := d.target.Stop(steady, r.Name, 0); err != nil {
		return errors.Join(why.undetermined(r, "it cannot be stopped"), err)
	}
	// A service that never had its port is not to blame when someone else has it, which shows only now that it is gone.
	foreign := !b.owned() && local.PortTaken(b.run.Port)
	left := d.back(steady, ctx.Err() != nil, r, before)
	if err := d.target.Prune(local.KeepReleases); err != nil {
		why.detail = append(why.detail, "the files of the release could not be removed: "+err.Error())
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("cancelled before the release of sha256:%s was healthy; %s: %w", record.ShortDigest(r.Digest), left, context.Cause(ctx))
	case foreign:
		return why.undetermined(r, fmt.Sprintf("port %d was taken by another process; %s", b.run.Port, left)).
			WithNext("Run it again: a free port is picked each time.")
	case errors.Is(b.err, local.ErrGaveUp):
		return why.failed(r, "", left)
	case b.timedOut:
		// Not wrapped: a deadline of the context would read as undetermined, but not healthy in time is an answer.
		return why.failed(r, " within "+span(d.in.Wait), left)
	}
	return fmt.Errorf("the release of sha256:%s could not be started; %s: %w", record.ShortDigest(r.Digest), left, b.err)
}

// back says, and where needed brings about, what is live now that r is not.
func (d *deployment) back(ctx context.Context, cancelled bool, r, before *local.Release) string {
	if before == nil {
		return "nothing is live"
	}
	if before.Name != r.Name && d.target.Alive(before.Name) {
		if d.answers(ctx, before) {
			return "back on " + record.ShortDigest(before.Digest) + " (healthy)"
		}
		return record.ShortDigest(before.Digest) + " is still live, but not healthy"
	}
	if cancelled {
		return record.ShortDigest(before.Digest) + " stays stopped"
	}
	back, err := d.restore(ctx, r.Name)
	switch {
	case err != nil:
		return "nothing is live: " + err.Error()
	case back == nil:
		return "nothing is live"
	}
	return "back on " + record.ShortDigest(back.Digest) + " (healthy)"
}

// restore makes the release to go back to from the one called failed live: the last good one, else the one before. It is
// nil where there is none.
func (d *deployment) restore(ctx context.Context, failed string) (*local.Release, error) {
	state, err := d.target.State()
	if err != nil {
		return nil, err
	}
	name := state.Fallback(failed)
	if name == "" {
		return nil, nil
	}
	return d.bringBack(ctx, name)
}

// bringBack makes an earlier release live.
func (d *deployment) bringBack(ctx context.Context, name string) (*local.Release, error) {
	r, err := d.target.Release(name)
	if err != nil {
		return nil, err
	}
	patient := *d
	patient.in.Wait = restoreLimit
	b := patient.bring(ctx, r)
	if b.err == nil {
		b.err = d.target.Promote(r, b.run)
	}
	if b.err != nil {
		why := d.diagnose(r, b)
		err := fmt.Errorf("%s could not be started again (%s)", record.ShortDigest(r.Digest), strings.TrimSuffix(why.how, "."))
		return nil, errors.Join(err, d.target.Stop(ctx, r.Name, 0))
	}
	return r, nil
}

func (g diagnosis) failed(r *local.Release, when, left string) *fault.Error {
	return fault.Failedf("release of sha256:%s did not become healthy%s; %s", record.ShortDigest(r.Digest), when, left).
		WithDetail(g.detail...).WithNext(g.advice...)
}

func (g diagnosis) undetermined(r *local.Release, what string) *fault.Error {
	return fault.Undeterminedf("release of sha256:%s: %s", record.ShortDigest(r.Digest), what).WithDetail(g.detail...)
}
