// Package release keeps in the cluster itself what was deployed there: the last releases of a service, whole and
// compressed, each with its state, and a lock that only one deploy holds. So whatever moment a deploy is killed at, the next
// one finds out what was begun, and what there is to go back to.
package release

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// State is what is known of a release.
type State string

// A release is begun as Pending before anything of it is applied; a deploy that was killed leaves it so.
const (
	Pending    State = "pending"     // being applied
	Live       State = "live"        // healthy; nothing has tested it yet
	Good       State = "good"        // healthy, and its smoke test passed
	Failed     State = "failed"      // did not become healthy, failed its smoke test, or was cut off
	Superseded State = "superseded"  // another one took its place
	RolledBack State = "rolled-back" // taken back by hand
)

// Keep is how many releases stay in the cluster.
const Keep = 10

// Release is one rendered set of a service, applied in its namespace.
type Release struct {
	Number      int              `json:"number"` // from 1
	State       State            `json:"state"`
	Reason      string           `json:"reason,omitempty"` // why it failed
	Service     string           `json:"service"`
	Environment string           `json:"environment"`
	Image       string           `json:"image"` // IMAGE@DIGEST
	Digest      string           `json:"digest"`
	Commit      string           `json:"commit"`
	Source      Source           `json:"source,omitzero"` // whose service it is
	Strategy    string           `json:"strategy"`
	Run         string           `json:"run,omitempty"`      // who deployed: the run's URL, or a person
	Holder      string           `json:"holder,omitempty"`   // of the lock while it was begun
	Override    string           `json:"override,omitempty"` // reason why it was deployed in a freeze
	Restores    int              `json:"restores,omitempty"` // number of the release whose set this is, for a rollback
	Drain       time.Duration    `json:"drain,omitempty"`    // between its confirmation and the end of what was before
	Proven      bool             `json:"proven,omitempty"`   // its smoke test passed, whatever came after it
	Tested      bool             `json:"tested,omitempty"`   // a smoke test follows and makes it good, or takes it back
	Returned    bool             `json:"returned,omitempty"` // what it took over is given back, or has come to a later release
	Created     time.Time        `json:"created"`
	Healthy     time.Time        `json:"healthy,omitzero"` // since when it was healthy without a break; zero: never
	Objects     []kubernetes.Ref `json:"objects"`

	set     []byte // gzipped JSON list
	found   []byte // the same, of Found
	uid     types.UID
	version string
}

// Source is the repository of a service; zero is not known.
type Source struct {
	Repository string `json:"-"`            // OWNER/NAME; without an owner it is only a folder's name, and proves nothing
	ID         string `json:"id,omitempty"` // number of the repository on its host, which outlives its name
}

// Other tells whether two repositories are certainly not the same one.
func (s Source) Other(o Source) bool {
	return strings.Contains(s.Repository, "/") && strings.Contains(o.Repository, "/") && !strings.EqualFold(s.Repository, o.Repository) &&
		(s.ID == "" || s.ID != o.ID)
}

// Moved is how a person says that all releases of a service are of another repository now.
func (h History) Moved(to string) string {
	return fmt.Sprintf("kubectl annotate secrets -n %s -l %s=%s --overwrite %s=%s", h.Namespace, labelRelease, h.Service, annotationRepository, to)
}

// Name is what people call the release: v12.
func (r Release) Name() string { return "v" + strconv.Itoa(r.Number) }

// Serving tells that the release is what the service runs.
func (r Release) Serving() bool { return r.State == Live || r.State == Good }

// Cluster is what the history needs of a cluster.
type Cluster interface {
	Get(ctx context.Context, ref kubernetes.Ref) (*kubernetes.Object, error)
	List(ctx context.Context, q kubernetes.Query) ([]kubernetes.Object, error)
	Create(ctx context.Context, o *kubernetes.Object) (*kubernetes.Object, error)
	Update(ctx context.Context, o *kubernetes.Object) (*kubernetes.Object, error)
	Delete(ctx context.Context, ref kubernetes.Ref, uid types.UID) error
}

const (
	labelRelease = "idp/release-of" // value: the service
	// annotationRepository is where a release came from, beside its content, so that people can say that a service has moved.
	annotationRepository = "idp/repository"
	secretType           = "idp/release.v1"
	keyRelease           = "release"
	keySet               = "set"
	keyFound             = "found"
)

// History is the releases of one service in one namespace.
type History struct {
	Cluster   Cluster
	Namespace string
	Service   string
	Now       func() time.Time
}

// List gives the kept releases, the newest first.
func (h History) List(ctx context.Context) ([]Release, error) {
	secrets, err := h.Cluster.List(ctx, kubernetes.Query{APIVersion: "v1", Kind: "Secret", Namespace: h.Namespace, Labels: labelRelease + "=" + h.Service})
	if err != nil {
		return nil, err
	}
	var list []Release
	for i := range secrets {
		r, err := decode(&secrets[i])
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Release) int { return cmp.Compare(b.Number, a.Number) })
	return list, nil
}

// Begin writes a new release down as pending, before anything of it is applied: its set, what of that it found in the cluster
// without having brought it, and what it makes on the way and removes again, so that a deploy that is killed leaves nothing
// that nobody knows.
func (h History) Begin(ctx context.Context, r Release, set, found []kubernetes.Object, extra ...kubernetes.Ref) (Release, error) {
	list, err := h.List(ctx)
	if err != nil {
		return r, err
	}
	if len(list) > 0 {
		r.Number = list[0].Number
	}
	r.Number++
	r, o, err := h.pending(r, set, found, extra)
	if err != nil {
		return r, err
	}
	made, err := h.create(ctx, r, o)
	if kubernetes.IsExists(err) {
		return r, fault.Undeterminedf("release %s of %s was begun by another deploy at the same time; nothing was changed", r.Name(), h.Service)
	}
	if err != nil {
		return r, fmt.Errorf("the release cannot be written down, so nothing was changed: %w", err)
	}
	r.uid, r.version = made.GetUID(), made.GetResourceVersion()
	return r, nil
}

// create makes the Secret of a release, or finds that an attempt of which no answer came has made it.
func (h History) create(ctx context.Context, r Release, o *kubernetes.Object) (*kubernetes.Object, error) {
	lost := false
	for attempt := 1; ; attempt++ {
		made, err := h.Cluster.Create(ctx, o)
		lost = lost || kubernetes.IsAway(err)
		if !lost || !kubernetes.IsAway(err) && !kubernetes.IsExists(err) || attempt > writes {
			return made, err
		}
		live, lookErr := h.Cluster.Get(ctx, h.ref(r.Number))
		if lookErr != nil {
			return nil, lookErr
		}
		if live == nil {
			continue
		}
		if got, err := decode(live); err == nil && got.Holder == r.Holder && got.Created.Equal(r.Created) {
			return live, nil
		}
		lost = false // another deploy's: that it is there is the answer
	}
}

// Fits tells whether Begin could write a release down: one that a Secret cannot hold is bad input. It asks the cluster nothing.
func (h History) Fits(set, found []kubernetes.Object, extra ...kubernetes.Ref) error {
	_, _, err := h.pending(Release{}, set, found, extra)
	return err
}

// pending is a release that is begun, and its Secret.
func (h History) pending(r Release, set, found []kubernetes.Object, extra []kubernetes.Ref) (Release, *kubernetes.Object, error) {
	r.State, r.Service, r.Created = Pending, h.Service, h.Now().UTC()
	r.Objects = slices.Clone(extra)
	for i := range set {
		r.Objects = append(r.Objects, kubernetes.RefOf(&set[i]))
	}
	var err error
	if r.set, err = pack(set); err != nil {
		return r, nil, err
	}
	if len(found) > 0 {
		if r.found, err = pack(found); err != nil {
			return r, nil, err
		}
	}
	o, size, err := h.encode(r)
	if err == nil && size > largest && r.Restores == 0 { // what is put back was let in, and has the room that was left for it
		err = tooLarge(size, set, found)
	}
	return r, o, err
}

// Mark changes what is known of a release. A reason is kept as far as there is room for it.
func (h History) Mark(ctx context.Context, r *Release, state State, reason string) error {
	next := *r
	next.State, next.Reason = state, cut(reason)
	switch {
	case state == Good:
		next.Proven = true
		fallthrough
	case state == Live:
		if !r.Serving() || r.Healthy.IsZero() {
			next.Healthy = h.Now().UTC()
		}
	default:
		next.Healthy = time.Time{}
	}
	if next.State == r.State && next.Reason == r.Reason && next.Proven == r.Proven {
		return nil
	}
	if err := h.write(ctx, r, next); err != nil {
		return fmt.Errorf("release %s cannot be marked as %s: %w", r.Name(), state, err)
	}
	return nil
}

// Return notes that nothing is left to be given back of what a release took over.
func (h History) Return(ctx context.Context, r *Release) error {
	next := *r
	next.Returned, next.found = true, nil
	if err := h.write(ctx, r, next); err != nil {
		return fmt.Errorf("that what release %s took over is given back cannot be written down: %w", r.Name(), err)
	}
	return nil
}

// writes is how often a release is written of which no answer comes.
const writes = 3

// write makes a release in the cluster the next one, as long as it is as it was read.
func (h History) write(ctx context.Context, r *Release, next Release) error {
	o, _, err := h.encode(next)
	if err != nil {
		return err
	}
	o.SetResourceVersion(r.version)
	for attempt := 1; ; attempt++ {
		updated, err := h.Cluster.Update(ctx, o)
		if attempt < writes && kubernetes.IsAway(err) {
			updated, err = h.written(ctx, r, next, err)
			if err == nil && updated == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		next.version = updated.GetResourceVersion()
		*r = next
		return nil
	}
}

// written finds out whether a release was written though no answer came; nil where it is as it was before.
func (h History) written(ctx context.Context, r *Release, next Release, cause error) (*kubernetes.Object, error) {
	live, err := h.Cluster.Get(ctx, h.ref(r.Number))
	if err != nil || live == nil {
		return nil, cmp.Or(err, cause)
	}
	if live.GetResourceVersion() == r.version {
		return nil, nil
	}
	got, err := decode(live)
	if err != nil {
		return nil, err
	}
	if got.State != next.State || got.Reason != next.Reason || got.Proven != next.Proven || got.Returned != next.Returned {
		return nil, cause
	}
	return live, nil
}

// Settle marks the release as what the service runs now, and the ones before it as superseded.
func (h History) Settle(ctx context.Context, r *Release, state State) error {
	if err := h.Mark(ctx, r, state, ""); err != nil {
		return err
	}
	list, err := h.List(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		if list[i].Number != r.Number && list[i].Serving() {
			if err := h.Mark(ctx, &list[i], Superseded, ""); err != nil {
				return err
			}
		}
	}
	return h.trim(ctx, list, r.Number)
}

// trim removes what is too old, but never what the service runs, nor the last release that is known to be good.
func (h History) trim(ctx context.Context, list []Release, current int) error {
	good := slices.IndexFunc(list, func(r Release) bool { return r.Proven && r.State != Failed && r.Number != current })
	for i, r := range list {
		if i < Keep || r.Number == current || i == good {
			continue
		}
		if err := h.Cluster.Delete(ctx, h.ref(r.Number), r.uid); err != nil {
			return fmt.Errorf("the old release %s cannot be removed: %w", r.Name(), err)
		}
	}
	return nil
}

// Current is the release that the service runs as far as the history knows; nil where there is none.
func Current(list []Release) *Release {
	for i := range list {
		if list[i].Serving() {
			return &list[i]
		}
	}
	return nil
}

// Fallback is the release to go back to from the one of the given number: the newest that was good, else the newest that
// was healthy; nil where there is none.
func Fallback(list []Release, from int) *Release {
	usable := func(r Release) bool {
		return r.Number != from && (r.Serving() || r.State == Superseded)
	}
	for _, proven := range []bool{true, false} {
		for i := range list {
			if usable(list[i]) && (list[i].Proven || !proven) {
				return &list[i]
			}
		}
	}
	return nil
}

// Inventory is every object that one of the releases had, each once.
func Inventory(list []Release) []kubernetes.Ref {
	seen := map[kubernetes.Ref]bool{}
	for _, r := range list {
		for _, ref := range r.Objects {
			seen[ref] = true
		}
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b kubernetes.Ref) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.APIVersion, b.APIVersion))
	})
}

// Set is every object of the release.
func (r Release) Set() ([]kubernetes.Object, error) {
	set, err := unpack(r.set)
	if err != nil {
		return nil, fault.Undeterminedf("what release %s consists of cannot be read: %w", r.Name(), err)
	}
	return set, nil
}

// Found are objects of the release that were in the cluster before it and that no release had brought, as they were then: what
// a rollback gives back instead of removing it.
func (r Release) Found() ([]kubernetes.Object, error) {
	if len(r.found) == 0 {
		return nil, nil
	}
	found, err := unpack(r.found)
	if err != nil {
		return nil, fault.Undeterminedf("what was there before release %s cannot be read: %w", r.Name(), err)
	}
	return found, nil
}

func (h History) ref(number int) kubernetes.Ref {
	return kubernetes.Ref{APIVersion: "v1", Kind: "Secret", Namespace: h.Namespace, Name: fmt.Sprintf("idp.%s.v%d", h.Service, number)}
}
