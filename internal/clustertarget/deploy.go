package clustertarget

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/rollout"
	"github.com/org/idp/internal/strategy"
	"github.com/org/idp/internal/target"
)

// deploy is one change of the service, with the lock held.
type deploy struct {
	Target
	history release.History
	lock    *release.Lock
	list    []release.Release // the newest first
	current *release.Release  // what the service runs; nil: nothing
	cut     []string          // releases that a killed deploy left half-way
}

// open takes the lock and puts in order what a killed deploy left.
func (t Target) open(ctx context.Context) (*deploy, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	d := &deploy{Target: t, history: t.history()}
	if err := d.namespace(ctx); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, t.Wait)
	defer cancel()
	var other release.Holder
	lock, err := release.Acquire(limited, d.history, t.Holder, t.Clock, func(h release.Holder) {
		other = h
		t.say("waiting for another deploy, " + h.Run)
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("cancelled while waiting for another deploy: %w", context.Cause(ctx))
	case err != nil && limited.Err() != nil:
		return nil, fault.Undeterminedf("another deploy, %s, did not end within %s; nothing was changed", other.Run, t.Wait).
			WithNext("Wait for it, or end it, and run this again.")
	case err != nil:
		return nil, err
	}
	d.lock = lock
	if err := d.heal(ctx); err != nil {
		lock.Release(ctx)
		return nil, err
	}
	return d, nil
}

func (d *deploy) close(ctx context.Context) { d.lock.Release(ctx) }

// heal reads the history. A release that is still pending was begun by a deploy that did not come to its end: it has failed,
// and what it applied is in its inventory, so that the next release puts all of it right or removes it.
func (d *deploy) heal(ctx context.Context) error {
	list, err := d.history.List(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		if list[i].State != release.Pending {
			continue
		}
		if err := d.history.Mark(ctx, &list[i], release.Failed, "cut off: the deploy that began it did not come to its end"); err != nil {
			return err
		}
		d.cut = append(d.cut, list[i].Name())
	}
	d.list, d.current = list, release.Current(list)
	return nil
}

// namespace makes the service's namespace where there is none yet. Who may not ask has one.
func (d *deploy) namespace(ctx context.Context) error {
	ref := kubernetes.Ref{APIVersion: "v1", Kind: "Namespace", Name: d.Namespace}
	found, err := d.Cluster.Get(ctx, ref)
	if kubernetes.IsForbidden(err) || found != nil {
		return nil
	}
	if err != nil {
		return err
	}
	d.say("making namespace " + d.Namespace)
	o := &kubernetes.Object{Object: map[string]any{"apiVersion": ref.APIVersion, "kind": ref.Kind}}
	o.SetName(d.Namespace)
	o.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "idp"})
	_, err = d.Cluster.Create(ctx, o)
	switch {
	case err == nil, kubernetes.IsExists(err):
		return nil
	case kubernetes.IsForbidden(err):
		return fault.BadInputf("namespace %s does not exist, and the credentials may not make it", d.Namespace).
			WithNext("Let a cluster administrator make it: kubectl create namespace "+d.Namespace, "Or name another one: environments."+d.Environment+".namespace in idp.yaml")
	}
	return err
}

// steps says what is applied in which order, by the strategy and what is live.
func (d *deploy) steps() (strategy.Walk, error) {
	var live []kubernetes.Object
	if d.current != nil {
		var err error
		if live, err = d.current.Set(); err != nil {
			return strategy.Walk{}, err
		}
	}
	return strategy.Plan(d.Strategy, d.Set, live, strategy.Options{Steps: d.Steps})
}

func (d *deploy) options(wait func(context.Context, []kubernetes.Ref) error) apply.Options {
	return apply.Options{Service: d.Service, Force: d.Force, Recreate: d.Recreate, Progress: d.say, Wait: wait}
}

// begin writes the release down before anything of it is applied. Restores is the number of the release whose set it is, 0
// for a new one.
func (d *deploy) begin(ctx context.Context, walk strategy.Walk, restores int) (*release.Release, error) {
	if err := d.lock.Sure(ctx); err != nil {
		return nil, err
	}
	r := release.Release{Environment: d.Environment, Image: d.Image, Digest: d.Digest, Commit: d.Commit, Strategy: string(d.Strategy),
		Run: d.Holder.Run, Override: d.Override, Restores: restores}
	r, err := d.history.Begin(ctx, r, walk.Final, walk.Extra())
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// walk takes the steps of the strategy, one after the other, each to its end.
func (d *deploy) walk(ctx context.Context, r *release.Release, walk strategy.Walk, out *target.Outputs) error {
	limited, cancel := context.WithTimeoutCause(ctx, d.Wait, errTime)
	defer cancel()
	for _, step := range walk.Steps {
		if err := d.step(limited, step, out); err != nil {
			return err
		}
	}
	if err := d.lock.Sure(ctx); err != nil {
		return err
	}
	if err := d.history.Settle(ctx, r, release.Live); err != nil {
		return err
	}
	if d.Tested {
		return nil
	}
	return d.prune(ctx, r)
}

var errTime = errors.New("the time to become healthy is over")
