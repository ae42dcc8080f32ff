package localtarget

import (
	"context"
	"fmt"

	"github.com/org/idp/internal/local"
	"github.com/org/idp/internal/service"
	"github.com/org/idp/internal/target"
)

// Current names the release that runs now, without asking it anything; empty where none does.
func Current(in Inputs, deps Deps) (string, error) {
	place, err := local.Open(in.StateDir, deps.Now)
	if err != nil {
		return "", err
	}
	current, err := place.Current()
	if err != nil || current == nil || !place.Alive(current.Name) {
		return "", err
	}
	return current.Name, nil
}

// Recover puts in order what a delivery left that was killed, whatever moment that was: what runs without being live is
// stopped, and where the live release is neither the one that ran before, as Current named it, nor known to be good, the
// old one is put back. The result is zero where nothing was to be put back. It needs of in the state folder, the program
// and how long to wait for another deploy.
func Recover(ctx context.Context, in Inputs, deps Deps, before string) (target.Restored, error) {
	place, err := local.Open(in.StateDir, deps.Now)
	if err != nil || !place.Exists() {
		return target.Restored{}, err
	}
	d, unlock, err := begin(ctx, in, deps)
	if err != nil {
		return target.Restored{}, err
	}
	defer unlock()
	if err := d.target.Heal(ctx); err != nil {
		return target.Restored{}, fmt.Errorf("putting the state of the last deploy in order: %w", err)
	}
	state, err := d.target.State()
	if err != nil || state.Current == "" || state.Current == before || state.Current == state.LastGood {
		return target.Restored{}, err
	}
	unproven, err := d.target.Release(state.Current)
	if err != nil {
		return target.Restored{}, err
	}
	d.in.Service = &service.Service{Health: unproven.Health, Env: unproven.Env} // for what is said of a release that does not come up
	return d.rollback(context.WithoutCancel(ctx), unproven, target.Restored{})
}
