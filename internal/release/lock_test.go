package release

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/idp/internal/kubernetes"
)

// real is the clock of the bubble that a test runs in.
func real() Clock {
	return Clock{Now: time.Now, Sleep: func(ctx context.Context, d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}}
}

func holder(id string) Holder { return Holder{ID: id, Run: "https://ci.example.com/runs/" + id} }

func acquire(t *testing.T, h History, id string) *Lock {
	t.Helper()
	l, err := Acquire(t.Context(), h, holder(id), real(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLockIsHeldByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := history(newCluster())
		var inside, most atomic.Int32
		done := make(chan struct{})
		for i := range 10 {
			go func() {
				defer func() { done <- struct{}{} }()
				l, err := Acquire(t.Context(), h, holder(string(rune('a'+i))), real(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				most.Store(max(most.Load(), inside.Add(1)))
				time.Sleep(time.Minute) // longer than the lock lasts without being renewed
				if err := l.Sure(t.Context()); err != nil {
					t.Error(err)
				}
				inside.Add(-1)
				l.Release(t.Context())
			}()
		}
		for range 10 {
			<-done
		}
		if most.Load() != 1 {
			t.Errorf("%d held it at once", most.Load())
		}
	})
}

func TestLockOfAKilledHolderEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		h := history(c)
		dead := acquire(t, h, "dead")
		dead.stop() // as a kill does: nobody renews, nobody releases
		<-dead.done
		begun := time.Now()
		var told []Holder
		l, err := Acquire(t.Context(), h, holder("next"), real(), func(h Holder) { told = append(told, h) })
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release(t.Context())
		if took := time.Since(begun); took < leaseDuration || took > leaseDuration+time.Second {
			t.Errorf("taken over after %v", took)
		}
		if len(told) != 1 || told[0] != holder("dead") {
			t.Errorf("told of %v", told)
		}
		if err := dead.Sure(t.Context()); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "runs/next") {
			t.Errorf("the dead one, awake again, hears %v", err)
		}
	})
}

// A holder whose clock is hours off is no reason to take its lock.
func TestClocksOfMachinesDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := history(newCluster())
		late := real()
		late.Now = func() time.Time { return time.Now().Add(-3 * time.Hour) }
		l, err := Acquire(t.Context(), h, holder("late"), late, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if other, err := Acquire(ctx, h, holder("other"), real(), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v %v", other, err)
		}
	})
}

// Nobody has taken over what was deleted, as with its namespace.
func TestLockThatIsDeletedIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		h := history(c)
		l := acquire(t, h, "one")
		defer l.Release(t.Context())
		if err := c.Delete(t.Context(), h.leaseRef(), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(leaseDuration)
		if err := l.Sure(t.Context()); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "its Lease idp.checkout was deleted, alone or with namespace shop") {
			t.Error(err)
		}
	})
}

// What is refused, such as for credentials that have ended, is not asked for ever.
func TestLockThatIsRefusedIsAskedForAsLongAsItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		l := acquire(t, history(c), "one")
		c.fail(errors.New("who are you"))
		time.Sleep(leaseDuration)
		begun := time.Now()
		if err := l.Sure(t.Context()); err == nil || errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "who are you") {
			t.Error(err)
		}
		if took := time.Since(begun); took < leaseDuration || took > 2*leaseDuration {
			t.Errorf("after %s", took)
		}
		c.fail(nil)
		l.Release(t.Context())
	})
}

func TestLockOutlivesTheAPIServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		h := history(c)
		l := acquire(t, h, "one")
		defer l.Release(t.Context())
		c.fail(errors.New("connection refused"))
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := l.Sure(ctx); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("while nothing answers: %v", err)
		}
		c.fail(nil)
		if err := l.Sure(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// stalled is a cluster that answers nothing while it stands still.
type stalled struct {
	Cluster
	mu sync.RWMutex
}

func (s *stalled) stand(d time.Duration) {
	s.mu.Lock()
	time.Sleep(d)
	s.mu.Unlock()
}

func (s *stalled) Get(ctx context.Context, ref kubernetes.Ref) (*kubernetes.Object, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Cluster.Get(ctx, ref)
}

func (s *stalled) Update(ctx context.Context, o *kubernetes.Object) (*kubernetes.Object, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Cluster.Update(ctx, o)
}

func (s *stalled) wait(ctx context.Context) error {
	for !s.mu.TryRLock() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.mu.RUnlock()
	return nil
}

// While the API server does not answer, nobody can renew a lock, and nobody sees that it was not renewed.
func TestLockIsNotTakenFromWhoWasNotAnswered(t *testing.T) {
	for name, d := range map[string]time.Duration{"for some seconds": 6 * time.Second, "for longer than the lock lasts": 30 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stalled{Cluster: newCluster()}
				h := history(nil)
				h.Cluster = s
				l := acquire(t, h, "one")
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() {
					_, err := Acquire(ctx, h, holder("two"), real(), nil)
					ended <- err
				}()
				for range 4 {
					time.Sleep(5 * time.Second)
					s.stand(d)
				}
				time.Sleep(5 * time.Second)
				if err := l.Sure(t.Context()); err != nil {
					t.Error(err)
				}
				cancel()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("the other one: %v", err)
				}
				l.Release(t.Context())
			})
		})
	}
}

func TestReleasedLockIsFreeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		h := history(c)
		acquire(t, h, "one").Release(t.Context())
		begun := time.Now()
		acquire(t, h, "two").Release(t.Context())
		if took := time.Since(begun); took > time.Second {
			t.Errorf("waited %v", took)
		}
		lease, err := c.Get(t.Context(), h.leaseRef())
		if err != nil || holderOf(lease).ID != "" || kubernetes.RefOf(lease) != h.leaseRef() {
			t.Errorf("%v %v", lease, err)
		}
	})
}

// A renewal that is cut off may have reached the API server all the same.
func TestLockIsReleasedAfterARenewalWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		h := history(c)
		l := acquire(t, h, "one")
		if _, err := c.Update(t.Context(), l.written(l.lease, l.me, time.Now())); err != nil {
			t.Fatal(err)
		}
		l.Release(t.Context())
		lease, err := c.Get(t.Context(), h.leaseRef())
		if err != nil || holderOf(lease).ID != "" {
			t.Errorf("held by %v, %v", holderOf(lease), err)
		}
	})
}

func TestClusterThatRefusesTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		refused := errors.New("no room")
		c.fail(refused)
		if _, err := Acquire(t.Context(), history(c), holder("one"), real(), nil); !errors.Is(err, refused) {
			t.Error(err)
		}
	})
}
