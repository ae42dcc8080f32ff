package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/kubernetes"
)

const (
	logLines   = 20
	eventLines = 6
)

// Diagnosis says why a set is not ready, in a form for the record and for people.
type Diagnosis struct {
	Object    kubernetes.Ref `json:"object"`
	Pod       string         `json:"pod,omitempty"`
	Container string         `json:"container,omitempty"`
	Reason    string         `json:"reason"`             // the cluster's word where it has one, such as CrashLoopBackOff
	ExitCode  *int32         `json:"exitCode,omitempty"` // of the container's last end; nil: it has not ended
	Restarts  int32          `json:"restarts,omitempty"`
	Message   string         `json:"message,omitempty"`  // what the cluster says of the reason
	Ready     int            `json:"ready"`              // pods of this version that are
	Wanted    int            `json:"wanted"`             // pods
	Events    []string       `json:"events,omitempty"`   // of the pod or object, the newest last
	Log       []string       `json:"log,omitempty"`      // last lines, secrets masked
	Previous  bool           `json:"previous,omitempty"` // the log is of the container before its last restart
	Others    []string       `json:"others,omitempty"`   // what else is not ready
	AfterMS   int64          `json:"afterMs"`            // from the start of the wait to the call
	TimedOut  bool           `json:"timedOut,omitempty"` // it was called because the time was over
	Advice    string         `json:"advice"`             // one or two sentences

	cause cause
}

// Error implements error: the headline.
func (d *Diagnosis) Error() string {
	after := (time.Duration(d.AfterMS) * time.Millisecond).Round(100 * time.Millisecond)
	if d.TimedOut {
		return fmt.Sprintf("%s is not ready after %s", d.Object, after)
	}
	return fmt.Sprintf("%s failed after %s", d.Object, after)
}

// Lines are the details for a person, without the headline and the advice.
func (d *Diagnosis) Lines() []string {
	var lines []string
	what := []string{d.Reason}
	if d.ExitCode != nil {
		what = append(what, fmt.Sprintf("exit code %d", *d.ExitCode))
	}
	if d.Restarts == 1 {
		what = append(what, "1 restart")
	} else if d.Restarts > 1 {
		what = append(what, fmt.Sprintf("%d restarts", d.Restarts))
	}
	where := d.Object.String()
	if d.Pod != "" {
		where = "pod " + d.Pod
	}
	if d.Container != "" {
		where += ", container " + d.Container
	}
	lines = append(lines, where+": "+strings.Join(what, ", "))
	if d.Message != "" {
		lines = append(lines, "  "+d.Message)
	}
	for _, e := range d.Events {
		lines = append(lines, "  event: "+e)
	}
	for _, l := range d.Log {
		lines = append(lines, "  | "+l)
	}
	for _, o := range d.Others {
		lines = append(lines, "also not ready: "+o)
	}
	return lines
}

// diagnose collects what explains a problem. What cannot be read is left out: it must not hide what is known.
func (w *watch) diagnose(ctx context.Context, p problem) *Diagnosis {
	t := p.target
	d := &Diagnosis{Object: t.ref, Reason: p.reason, Message: clean(p.message), Wanted: t.wanted, Container: p.container,
		AfterMS: w.now().Sub(w.begun).Milliseconds(), cause: p.cause}
	d.TimedOut = w.now().Sub(w.begun) >= w.o.Timeout
	for i := range t.pods {
		if isReady(&t.pods[i]) {
			d.Ready++
		}
	}
	for _, other := range w.targets {
		if !other.done && other != t {
			d.Others = append(d.Others, strings.TrimSpace(other.ref.String()+" "+other.state))
		}
	}
	uid := types.UID("")
	if t.live != nil {
		uid = t.live.GetUID()
	}
	if p.pod != nil {
		d.Pod, uid = p.pod.Name, p.pod.UID
		w.container(ctx, d, p)
	}
	if uid != "" {
		events, err := w.eventsOf(ctx, t.ref.Namespace, uid)
		if err == nil {
			d.Events = worded(events)
		}
	}
	d.Advice = advice(d, p)
	return d
}

// container adds how the container ended and what it said last.
func (w *watch) container(ctx context.Context, d *Diagnosis, p problem) {
	for _, s := range slices.Concat(p.pod.Status.InitContainerStatuses, p.pod.Status.ContainerStatuses) {
		if s.Name != p.container {
			continue
		}
		d.Restarts = s.RestartCount
		if end := lastEnd(s); end != nil {
			code := end.ExitCode
			d.ExitCode = &code
		}
		started := s.State.Running != nil || lastEnd(s) != nil
		if !started {
			return
		}
		// A container that waits to be started again has its log still; one that runs has said its last words before.
		d.Previous = s.State.Running != nil && s.LastTerminationState.Terminated != nil
		data, err := w.c.Logs(ctx, p.pod.Namespace, p.pod.Name, kubernetes.LogOptions{Container: p.container, Previous: d.Previous, Lines: logLines})
		if err != nil {
			return
		}
		d.Log = tail(string(data))
	}
}

func tail(log string) []string {
	var lines []string
	for _, line := range strings.Split(strings.TrimRight(log, "\n"), "\n") {
		if strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-logLines):]
}

// eventsOf are the events of one object, the newest last.
func (w *watch) eventsOf(ctx context.Context, namespace string, uid types.UID) ([]corev1.Event, error) {
	objects, err := w.view.list(ctx, kubernetes.Query{APIVersion: "v1", Kind: "Event", Namespace: namespace, Fields: "involvedObject.uid=" + string(uid)})
	if err != nil {
		return nil, err
	}
	events, err := typed[corev1.Event](objects)
	slices.SortStableFunc(events, func(a, b corev1.Event) int { return when(a).Compare(when(b)) })
	return events, err
}

func when(e corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

// worded are the warnings of the last events, each once.
func worded(events []corev1.Event) []string {
	var lines []string
	for _, e := range slices.Backward(events) {
		line := e.Reason + ": " + clean(e.Message)
		if e.Type == corev1.EventTypeWarning && !slices.Contains(lines, line) && len(lines) < eventLines {
			lines = append(lines, line)
		}
	}
	slices.Reverse(lines)
	return lines
}
