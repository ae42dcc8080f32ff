// Package clustertarget makes an image live in a Kubernetes cluster. It holds the service's lock, writes the release down
// before anything of it is applied, waits until exactly this version is healthy, and otherwise looks at what failed before
// it puts back every object of the last release that was good. Whatever moment it is killed at, the next deploy finds a
// release that was begun, and everything that any of the kept releases had.
package clustertarget

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/strategy"
	"github.com/org/idp/internal/target"
)

// Inputs is what is to be live, and how it may become so.
type Inputs struct {
	Wait        time.Duration // how long a release may take to become healthy, and a deploy to wait for another one to end
	Service     string
	Environment string
	Namespace   string
	URL         string   // where the service answers for its users; empty: only through the API server
	Neighbours  []string // environments of idp.yaml that have the same namespace, as far as that tells
	Holder      release.Holder
	Image       string // IMAGE@DIGEST
	Digest      string
	Commit      string
	Source      release.Source
	Override    string // reason to deploy in a freeze; recorded
	Set         []kubernetes.Object
	Strategy    string
	Steps       []int // percent of the replicas, for a canary
	Force       bool  // take fields over from other managers
	Recreate    bool
	PruneMax    int
	Tested      bool // a smoke test follows, and Confirm or Rollback after it: until then nothing of the old release is removed
}

// Deps is what a deploy needs of the world.
type Deps struct {
	Cluster *kubernetes.Client
	// Smoke tests the pods of a canary or of the new colour before they take over; nil: being ready is enough.
	Smoke    func(ctx context.Context, url string, through http.RoundTripper) error
	Progress action.Progress // may be nil
	Clock    release.Clock
}

// Target is one service in one environment of a cluster.
type Target struct {
	Inputs
	Deps
}

// restoreLimit bounds bringing back what was live, whatever is left of the deploy's own patience: a rollback that shares
// the timeout of the rollout that used it up has none.
const restoreLimit = 3 * time.Minute

func (t Target) say(what string) {
	if t.Progress != nil {
		t.Progress(what)
	}
}

func (t Target) check() error {
	switch {
	case t.Cluster == nil || t.Clock.Now == nil || t.Clock.Sleep == nil:
		return errors.New("there is no cluster or clock to deploy with")
	case t.Service == "" || t.Namespace == "" || t.Holder.ID == "" || t.Wait <= 0:
		return errors.New("the service, namespace, holder of the lock or time to deploy in is not known")
	}
	return nil
}

// Deploy makes the image live. A release that does not become healthy is a failed gate; cancellation is undetermined, and
// both put back what was live before.
func (t Target) Deploy(ctx context.Context, guard target.Guard) (target.Outputs, error) {
	var out target.Outputs
	if guard == nil || t.Digest == "" || t.Commit == "" || len(t.Set) == 0 {
		return out, errors.New("the guard, image, commit or manifests are not known")
	}
	d, err := t.open(ctx)
	if err != nil {
		return out, err
	}
	defer d.close(ctx)
	if err := guard(ctx, deployment(d.current)); err != nil {
		return out, err
	}
	err = d.converge(ctx, &out)
	return out, err
}

// deployment is what people know of a release; nil for none.
func deployment(r *release.Release) *record.Deployment {
	if r == nil {
		return nil
	}
	return &record.Deployment{Digest: r.Digest, Commit: r.Commit}
}

// converge makes the wanted release live, unless it is already.
func (d *deploy) converge(ctx context.Context, out *target.Outputs) error {
	out.Evidence.Healed = d.cut
	plan, err := d.plan(ctx)
	if err != nil {
		return err
	}
	d.say("comparing with the cluster")
	changes, err := apply.Plan(ctx, d.Cluster, plan.Set, d.options())
	if err != nil {
		return err
	}
	orphans, err := d.orphans(ctx, plan.Set)
	if err != nil {
		return err
	}
	if err := d.checkPrune(plan.Set, orphans); err != nil {
		return err
	}
	if len(d.cut) == 0 && d.same() && unchanged(changes) && len(orphans) == 0 {
		return d.stay(ctx, plan, out)
	}
	begun := d.Clock.Now()
	r, err := d.begin(ctx, plan, 0, d.found(changes))
	if err != nil {
		return err
	}
	out.Evidence.Strategy, out.Evidence.Changed = plan.Kind, true
	if err := d.walk(ctx, r, plan, changes); err != nil {
		return d.abandon(ctx, r, err, out)
	}
	took := d.Clock.Now().Sub(begun)
	d.live(out, r)
	out.Evidence.HealthyMS, out.Evidence.Replaced = took.Milliseconds(), deployment(d.current)
	switch {
	case d.current != nil:
		out.Summary = record.ShortDigest(r.Digest) + " replaces " + record.ShortDigest(d.current.Digest)
	case release.Fallback(d.list, r.Number) != nil:
		out.Summary = record.ShortDigest(r.Digest) + " takes the place of a release that failed"
	default:
		out.Summary = "first release, " + record.ShortDigest(r.Digest)
	}
	out.Summary += strings.Join(slices.Concat([]string{"", apply.Done(changes), "healthy after " + seconds(took)}, d.notes, d.kept, d.left(ctx, plan)), " · ")
	return d.goneUntested(ctx, r)
}

// unchanged tells whether an apply would change nothing.
func unchanged(changes []apply.Change) bool {
	return !slices.ContainsFunc(changes, func(c apply.Change) bool { return c.Action != apply.Unchanged })
}

// same tells whether the wanted release is what the history says is live.
func (d *deploy) same() bool {
	return d.current != nil && d.current.Digest == d.Digest && d.current.Commit == d.Commit
}

// stay finds out whether what is live already is healthy too.
func (d *deploy) stay(ctx context.Context, plan strategy.Plan, out *target.Outputs) error {
	if err := d.healthy(ctx, plan.Set, d.Wait); err != nil {
		return err
	}
	d.live(out, d.current)
	out.Summary = strings.Join(append([]string{"already live, nothing changed"}, d.notes...), " · ")
	return d.goneUntested(ctx, d.current)
}

func (d *deploy) live(out *target.Outputs, r *release.Release) {
	out.Evidence.Release, out.Evidence.URL, out.Evidence.Strategy = r.Name(), d.URL, r.Strategy
}

// Confirm records that the release passed its smoke test, and removes what only the releases before it had.
func (t Target) Confirm(ctx context.Context, name string) error {
	d, err := t.open(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	defer d.close(ctx)
	if d.current == nil || d.current.Name() != name {
		return fault.Undeterminedf("release %s is not live any more: another deploy came after it", name)
	}
	ctx = context.WithoutCancel(ctx)
	if err := d.history.Settle(ctx, d.current, release.Good); err != nil {
		return err
	}
	if err := d.retire(ctx, d.current); err != nil {
		return err
	}
	return d.gone(ctx, record.ShortDigest(d.current.Digest)+" is live and passed its smoke test", d.Wait)
}

// Address is where the service can be asked: its URL, or through the API server, with the transport for that.
func (t Target) Address() (url string, through http.RoundTripper, err error) {
	if t.URL != "" {
		return t.URL, http.DefaultTransport, nil
	}
	plan, err := strategy.New(strategy.Rolling, t.Set, nil, strategy.Options{Service: t.Service})
	if err != nil {
		return "", nil, err
	}
	door := plan.Steps[len(plan.Steps)-1].Smoke
	if door == nil {
		return "", nil, fault.BadInputf("no Service leads to %s, so it cannot be tested", t.Service).
			WithNext("Add one to its manifests, or say where it answers: environments." + t.Environment + ".url in idp.yaml")
	}
	url, through = t.Cluster.Proxy(door.Namespace, door.Service, door.Port)
	return url, through, nil
}

// Live is what the history says is live; nil where nothing is. It takes no lock and changes nothing.
func (t Target) Live(ctx context.Context) (*release.Release, error) {
	list, err := t.history().List(ctx)
	if err != nil {
		return nil, err
	}
	return release.Current(list), nil
}

// Releases lists what the cluster still has, the newest first.
func (t Target) Releases(ctx context.Context) ([]target.Release, error) {
	list, err := t.history().List(ctx)
	var releases []target.Release
	for _, r := range list {
		releases = append(releases, target.Release{Name: r.Name(), State: string(r.State), Digest: r.Digest, Commit: r.Commit, When: r.Created,
			Who: r.Run, Why: r.Reason})
	}
	return releases, err
}

func (t Target) history() release.History {
	return release.History{Cluster: t.Cluster, Namespace: t.Namespace, Service: t.Service, Now: t.Clock.Now}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
