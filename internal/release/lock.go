package release

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

const (
	// leaseDuration is how long a lock outlives its holder. The holder renews it three times in that time.
	leaseDuration = 10 * time.Second
	renewEvery    = leaseDuration / 3
	renewAgain    = time.Second / 2 // after a renewal that did not succeed
	// longestLook is what the time between two looks at a lock counts at most: who stood still, or was not answered, has not seen
	// that its holder did nothing meanwhile.
	longestLook   = 2 * time.Second
	leaseAPI      = "coordination.k8s.io/v1"
	annotationRun = "idp/run"
)

// Holder says who holds a lock.
type Holder struct {
	ID  string // unlike that of any other process
	Run string // where to look: the run's URL, or a person and a machine
}

// Clock is time, so that tests need not wait.
type Clock struct {
	Now   func() time.Time
	Sleep func(context.Context, time.Duration) error
}

// Lock is held until it is released.
type Lock struct {
	h     History
	me    Holder
	clock Clock

	mu      sync.Mutex
	lease   *kubernetes.Object
	renewed time.Time // by this process's clock
	lost    error

	stop context.CancelFunc
	done chan struct{}
}

// ErrLost tells that this deploy does not hold the lock any more.
var ErrLost = errors.New("the lock is lost")

// asking is how long Sure asks at most while the API server does not answer, which is longer than a restart of it takes. What it
// refuses is asked again only as long as a lock lasts.
const asking = 2 * time.Minute

// Acquire waits until the lock is free: its holder released it, or has not renewed it for as long as it lasts, as seen by
// this process's own clock, because the clocks of two machines may differ. Waiting is told of each new holder.
func Acquire(ctx context.Context, h History, me Holder, clock Clock, waiting func(holder Holder)) (*Lock, error) {
	l := &Lock{h: h, me: me, clock: clock, done: make(chan struct{})}
	var seen string
	var looked time.Time
	var unchanged time.Duration
	var lost int
	for {
		lease, err := h.Cluster.Get(ctx, h.leaseRef())
		if err != nil {
			return nil, err
		}
		now := clock.Now()
		unchanged += min(now.Sub(looked), longestLook)
		if version := versionOf(lease); version != seen || looked.IsZero() {
			if holder := holderOf(lease); holder.ID != "" && holder.ID != me.ID && waiting != nil {
				waiting(holder)
			}
			seen, unchanged = version, 0
		}
		looked = now
		if holder := holderOf(lease).ID; holder == "" || holder == me.ID || unchanged >= durationOf(lease) {
			taken, err := l.take(ctx, lease, now)
			if kubernetes.IsAway(err) && lost < writes {
				lost, err = lost+1, nil // the next look tells whether it is taken
			}
			if err != nil {
				return nil, err
			}
			if taken {
				renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
				l.stop = stop
				go l.keep(renewing)
				return l, nil
			}
		}
		if err := clock.Sleep(ctx, 500*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// Holder is who holds the lock, or held it when it was killed; zero where nobody does.
func (h History) Holder(ctx context.Context) (Holder, error) {
	lease, err := h.Cluster.Get(ctx, h.leaseRef())
	if holder := holderOf(lease); err == nil && holder.ID != "" {
		return holder, nil
	}
	return Holder{}, err
}

// take writes this process into the lease; false when another one was faster.
func (l *Lock) take(ctx context.Context, lease *kubernetes.Object, now time.Time) (bool, error) {
	next := l.written(lease, l.me, now)
	var err error
	if lease == nil {
		next, err = l.h.Cluster.Create(ctx, next)
	} else {
		next, err = l.h.Cluster.Update(ctx, next)
	}
	switch {
	case err == nil:
		l.lease, l.renewed = next, now
		return true, nil
	case kubernetes.IsExists(err), kubernetes.IsConflict(err):
		return false, nil
	}
	return false, fmt.Errorf("the lock of %s in namespace %s cannot be taken: %w", l.h.Service, l.h.Namespace, err)
}

// written is the lease with a holder in it.
func (l *Lock) written(lease *kubernetes.Object, holder Holder, now time.Time) *kubernetes.Object {
	if lease == nil {
		ref := l.h.leaseRef()
		lease = &kubernetes.Object{Object: map[string]any{"apiVersion": ref.APIVersion, "kind": ref.Kind}}
		lease.SetName(ref.Name)
		lease.SetNamespace(ref.Namespace)
		lease.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "idp"})
	}
	lease = lease.DeepCopy()
	stamp := now.UTC().Format("2006-01-02T15:04:05.000000Z") // MicroTime
	spec := map[string]any{"holderIdentity": holder.ID, "leaseDurationSeconds": int64(leaseDuration / time.Second), "renewTime": stamp, "acquireTime": stamp}
	if holderOf(lease).ID == holder.ID {
		if acquired, ok, _ := unstructured.NestedString(lease.Object, "spec", "acquireTime"); ok {
			spec["acquireTime"] = acquired
		}
	}
	lease.Object["spec"] = spec
	notes := lease.GetAnnotations()
	if notes == nil {
		notes = map[string]string{}
	}
	notes[annotationRun] = holder.Run
	lease.SetAnnotations(notes)
	return lease
}

// keep renews the lock until it is released.
func (l *Lock) keep(ctx context.Context) {
	defer close(l.done)
	for pause := renewEvery; l.clock.Sleep(ctx, pause) == nil; {
		l.mu.Lock()
		pause = renewEvery
		if err := l.renew(ctx); err != nil && l.lost == nil { // that it is lost, Sure tells
			pause = renewAgain
		}
		l.mu.Unlock()
	}
}

// renew notes that the lock is lost when somebody else wrote the lease. That the API server cannot be reached is no loss:
// nobody else reaches it either, or this process finds out before it changes anything.
func (l *Lock) renew(ctx context.Context) error {
	if l.lost != nil {
		return l.lost
	}
	limited, cancel := context.WithTimeout(ctx, renewEvery)
	defer cancel()
	now := l.clock.Now()
	next, err := l.h.Cluster.Update(limited, l.written(l.lease, l.me, now))
	if kubernetes.IsConflict(err) || kubernetes.IsGone(err) {
		// An answer that was lost on the way leaves a lease that this process wrote itself.
		read, getErr := l.h.Cluster.Get(limited, l.h.leaseRef())
		switch {
		case getErr != nil:
			return getErr
		case read == nil:
			l.lost = fault.Undeterminedf("%w: its Lease %s was deleted, alone or with namespace %s", ErrLost, l.h.leaseRef().Name, l.h.Namespace).
				WithNext("This deploy stopped where it was. Find out who deletes it, and deploy again.")
			return l.lost
		case holderOf(read).ID != l.me.ID:
			l.lost = fault.Undeterminedf("%w: another deploy has taken it over, %s", ErrLost, holderOf(read).Run).
				WithNext("This deploy stopped where it was. The other one puts things in order.")
			return l.lost
		}
		l.lease = read
		return errors.New("the lock was written at the same time")
	}
	if err == nil {
		l.lease, l.renewed = next, now
	}
	return err
}

// Sure tells whether the lock is still held, and asks the cluster where that is not certain. It is called before every
// step that changes something, so that a process that was suspended for a while changes nothing that is not its own any
// more.
func (l *Lock) Sure(ctx context.Context) error {
	for begun := l.clock.Now(); ; {
		err := l.sure(ctx)
		if err == nil || errors.Is(err, ErrLost) {
			return err
		}
		limit := leaseDuration
		if kubernetes.IsAway(err) {
			limit = asking
		}
		if l.clock.Now().Sub(begun) > limit || l.clock.Sleep(ctx, time.Second) != nil {
			return fault.Undeterminedf("whether the lock is still held cannot be asked: %w", err)
		}
	}
}

func (l *Lock) sure(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil && l.clock.Now().Sub(l.renewed) < leaseDuration/2 {
		return nil
	}
	return l.renew(ctx)
}

// Release gives the lock back. A failure is of no consequence: the lock ends by itself soon after.
func (l *Lock) Release(ctx context.Context) {
	l.stop()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseDuration) // after which it is free anyway
	defer cancel()
	_, err := l.h.Cluster.Update(ctx, l.written(l.lease, Holder{}, l.clock.Now()))
	if !kubernetes.IsConflict(err) {
		return
	}
	// The last renewal was cut off after the API server had taken it.
	lease, err := l.h.Cluster.Get(ctx, l.h.leaseRef())
	if err == nil && holderOf(lease).ID == l.me.ID {
		_, _ = l.h.Cluster.Update(ctx, l.written(lease, Holder{}, l.clock.Now()))
	}
}

func (h History) leaseRef() kubernetes.Ref {
	return kubernetes.Ref{APIVersion: leaseAPI, Kind: "Lease", Namespace: h.Namespace, Name: "idp." + h.Service}
}

func versionOf(lease *kubernetes.Object) string {
	if lease == nil {
		return ""
	}
	return lease.GetResourceVersion()
}

func holderOf(lease *kubernetes.Object) Holder {
	if lease == nil {
		return Holder{}
	}
	id, _, _ := unstructured.NestedString(lease.Object, "spec", "holderIdentity")
	return Holder{ID: id, Run: lease.GetAnnotations()[annotationRun]}
}

func durationOf(lease *kubernetes.Object) time.Duration {
	seconds, ok, _ := unstructured.NestedInt64(lease.Object, "spec", "leaseDurationSeconds")
	if !ok || seconds <= 0 || seconds > 3600 {
		return leaseDuration
	}
	return time.Duration(seconds) * time.Second
}
