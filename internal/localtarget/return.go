package localtarget

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/local"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/target"
)

// Return makes an earlier release live again by hand: the one of the given name, or the last good one before what is live.
// What was live is stopped only when that is healthy.
func (t Target) Return(ctx context.Context, to string) (back target.Restored, from *record.Deployment, err error) {
	d, unlock, err := begin(ctx, t.Inputs, t.Deps)
	if err != nil {
		return back, nil, err
	}
	defer unlock()
	if err := d.target.Heal(ctx); err != nil {
		return back, nil, fmt.Errorf("putting the state of the last deploy in order: %w", err)
	}
	current, err := d.target.Current()
	if err != nil {
		return back, nil, err
	}
	name, err := d.choose(current, to)
	if err != nil {
		return back, live(current), err
	}
	old, err := d.target.Release(name)
	if err != nil {
		return back, live(current), err
	}
	d.in.Service = &service.Service{Health: old.Health, Env: old.Env} // for what is said of a release that does not come up
	r, err := d.bringBack(ctx, name)
	if err != nil {
		return back, live(current), fault.Failedf("release %s did not become healthy again: %w", name, err)
	}
	run, _ := d.target.Running(r.Name)
	back = on(back, r, run, "back on "+record.ShortDigest(r.Digest)+" (healthy)")
	if current == nil {
		return back, nil, nil
	}
	return back, live(current), errors.Join(d.target.Forget(current.Name), d.target.Stop(ctx, current.Name, local.StopGrace))
}

// choose is the release to go back to.
func (d *deployment) choose(current *local.Release, to string) (string, error) {
	state, err := d.target.State()
	if err != nil {
		return "", err
	}
	live := ""
	if current != nil {
		live = current.Name
	}
	switch {
	case to == "" && state.Fallback(live) != "":
		return state.Fallback(live), nil
	case to == "":
		return "", fault.BadInputf("there is no earlier release to go back to")
	case to == live:
		return "", fault.BadInputf("release %s is live already", to)
	case !slices.Contains(state.History, to):
		return "", fault.BadInputf("there is no release %q to go back to", to).WithDetail(state.History...)
	}
	return to, nil
}

// Releases lists what is still on disk and was live once, the newest first.
func (t Target) Releases(context.Context) ([]target.Release, error) {
	place, err := local.Open(t.StateDir, t.Now)
	if err != nil {
		return nil, err
	}
	state, err := place.State()
	if err != nil {
		return nil, err
	}
	var list []target.Release
	for _, name := range slices.Backward(state.History) {
		r, err := place.Release(name)
		if err != nil {
			return nil, err
		}
		known := "superseded"
		switch {
		case name == state.Current && name == state.LastGood:
			known = "good"
		case name == state.Current:
			known = "live"
		}
		list = append(list, target.Release{Name: name, State: known, Digest: r.Digest, Commit: r.Commit, When: r.Created})
	}
	return list, nil
}
