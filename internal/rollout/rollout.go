// Package rollout waits until exactly the applied version of a set is ready, calls a failure as soon as it is one, and
// explains it: which pod and container, what the cluster says, the last lines of the log, and what to do.
package rollout

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// Cluster is what of a cluster is read.
type Cluster interface {
	Get(ctx context.Context, ref kubernetes.Ref) (*kubernetes.Object, error)
	List(ctx context.Context, q kubernetes.Query) ([]kubernetes.Object, error)
	Logs(ctx context.Context, namespace, pod string, o kubernetes.LogOptions) ([]byte, error)
	KeepsStatus(ctx context.Context, gvk schema.GroupVersionKind) (bool, error)
}

// Options of a wait.
type Options struct {
	Timeout  time.Duration
	Progress func(string) // told what is waited for when that changes; may be nil
	Now      func() time.Time
	Sleep    func(context.Context, time.Duration) error // as time.Sleep, ended by the context
	// Unblock deletes a pod of another version that is not ready and for which a StatefulSet waits before it replaces any;
	// nil: such a pod is a failure that is explained. A rollback needs it, because nothing else gets the broken pods away.
	Unblock func(ctx context.Context, pod kubernetes.Ref, uid types.UID) error
}

// Ready is a set that is ready.
type Ready struct {
	After time.Duration // since Wait was called
	Pods  int           // of this version, of all workloads
	// Notes are what does not keep the set from being ready and is worth knowing, one sentence each.
	Notes []string
}

const (
	// Between two looks: often at first, since most rollouts take seconds, then seldom, since the others take minutes.
	pollFirst = 250 * time.Millisecond
	pollLast  = time.Second
	eager     = 15 * time.Second
	// diagnosing bounds the requests of an explanation.
	diagnosing = 20 * time.Second
)

// Wait returns when every object of a set is ready, in the version that set has: set is what apply returned, with uid and
// generation; an object without them is waited for as it is found. A rollout that fails or is not ready in time is a
// failed gate, with a *Diagnosis inside. What cannot be determined, also because ctx ends or somebody else changes the
// set, is an undetermined error.
func Wait(ctx context.Context, c Cluster, set []kubernetes.Object, o Options) (Ready, error) {
	if len(set) == 0 {
		return Ready{}, fault.Undeterminedf("there is nothing to wait for: the set has no object")
	}
	w := newWatch(c, set, o)
	w.begun = o.Now()
	w.looked = w.begun
	for {
		done, err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			return Ready{}, fmt.Errorf("cancelled while waiting for %s: %w", w.waiting(), context.Cause(ctx))
		case err != nil:
			return Ready{}, err
		case done:
			if err := w.kept(ctx); err != nil {
				return Ready{}, err
			}
			return w.ready(), nil
		}
		if problem := w.called(ctx); problem != nil {
			return Ready{}, w.failed(ctx, *problem)
		}
		if w.now().Sub(w.begun) >= o.Timeout {
			return Ready{}, w.failed(ctx, w.late())
		}
		if w.missing() == 0 {
			continue // to hold that all are ready at the same time, for which there is nothing to wait
		}
		if err := o.Sleep(ctx, w.pause()); err != nil {
			return Ready{}, fmt.Errorf("cancelled while waiting for %s: %w", w.waiting(), context.Cause(ctx))
		}
	}
}

// failed explains a problem and makes it the error of a gate that said no. What fails as somebody else has changed it says nothing
// of this version.
func (w *watch) failed(ctx context.Context, p problem) error {
	if err := altered(p.target); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, diagnosing)
	defer cancel()
	d := w.diagnose(limited, p)
	return fault.Failedf("%w", d).WithDetail(d.Lines()...).WithNext(d.Advice)
}

// pause is the time until the next look.
func (w *watch) pause() time.Duration {
	past := w.now().Sub(w.begun)
	if past < eager {
		return pollFirst
	}
	return min(pollLast, pollFirst+(past-eager)/20)
}

// tell reports progress when it is news.
func (w *watch) tell() {
	if text := w.waiting(); w.o.Progress != nil && text != w.told && text != "" {
		w.told = text
		w.o.Progress("waiting for " + text)
	}
}

// waiting names what is not ready yet.
func (w *watch) waiting() string {
	var parts []string
	more := 0
	for _, t := range w.targets {
		switch {
		case t.done:
		case len(parts) < 3:
			parts = append(parts, strings.TrimSpace(t.ref.String()+" "+t.state))
		default:
			more++
		}
	}
	text := strings.Join(parts, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
