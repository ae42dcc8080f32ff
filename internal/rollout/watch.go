package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// watch is one wait.
type watch struct {
	c       Cluster
	set     []kubernetes.Object
	o       Options
	begun   time.Time
	targets []*target
	still   []*target // what is ready as soon as it is applied
	told    string
	notes   []string
	view    *view
	first   map[string]sighting // of symptoms, by what they are
	looked  time.Time           // the last look
	watched time.Duration       // since begun, as far as it was looked at
}

// sighting is when a symptom was seen first and last, as far as it was looked at.
type sighting struct{ first, last time.Duration }

// longestLook is what the time between two looks counts at most for how long something lasts: a machine that stood still has seen
// nothing meanwhile, and where the cluster is on it, nothing could go by itself.
const longestLook = 2 * time.Second

// target is one object that is waited for.
type target struct {
	want  *kubernetes.Object // as applied
	ref   kubernetes.Ref
	live  *kubernetes.Object // as last read
	done  bool
	state string // for people, such as "(1 of 2 ready)"; empty: nothing to say

	wanted   int                // pods
	pods     []corev1.Pod       // of this version
	set      *kubernetes.Object // the ReplicaSet of this version; nil for kinds without
	others   []corev1.Pod       // of other versions
	ended    []corev1.Pod       // of this version, that were to run and have ended: put out by their node, and replaced
	leaving  int                // pods of any version that are being deleted
	asked    bool               // a pod's events were looked at in this look
	problems []problem
}

// problem is what keeps a target from being ready, seen in one look.
type problem struct {
	target    *target
	cause     cause
	reason    string // the cluster's word, such as ImagePullBackOff
	message   string
	pod       *corev1.Pod
	container string
	// grace is how long it may last before it is a failure: some go by themselves. Negative: until the deadline.
	grace time.Duration
}

// never is the grace of what is only named at the deadline.
const never = -1

func newWatch(c Cluster, set []kubernetes.Object, o Options) *watch {
	w := &watch{c: c, set: set, o: o, first: map[string]sighting{}}
	for i := range set {
		t := &target{want: &set[i], ref: kubernetes.RefOf(&set[i])}
		switch {
		case !static(&set[i]):
			w.targets = append(w.targets, t)
		case set[i].GetUID() != "":
			w.still = append(w.still, t)
		}
	}
	// Services last: what they lead to has to be ready first.
	slices.SortStableFunc(w.targets, func(a, b *target) int { return rank(a) - rank(b) })
	return w
}

func rank(t *target) int {
	if isService(t.want) {
		return 1
	}
	return 0
}

func (w *watch) now() time.Time { return w.o.Now() }

// look reads the state of everything that is not ready yet, and of everything once more when all was ready.
func (w *watch) look(ctx context.Context) (done bool, err error) {
	now := w.now()
	w.watched += min(now.Sub(w.looked), longestLook)
	w.looked = now
	w.view = newView(w.c, w.targets)
	again := w.missing() == 0
	for _, t := range w.targets {
		if t.done && !again {
			continue
		}
		if rank(t) > 0 && slices.ContainsFunc(w.targets, func(o *target) bool { return rank(o) == 0 && !o.done }) {
			continue
		}
		t.done, t.asked, t.state, t.problems = false, false, "", nil
		if err := w.observe(ctx, t); err != nil {
			return false, err
		}
	}
	w.tell()
	return again && w.missing() == 0 || len(w.targets) == 0, nil
}

func (w *watch) missing() int {
	n := 0
	for _, t := range w.targets {
		if !t.done {
			n++
		}
	}
	return n
}

// observe brings one target up to date.
func (w *watch) observe(ctx context.Context, t *target) error {
	live, err := w.view.get(ctx, t.ref)
	if err != nil {
		return err
	}
	if live == nil {
		return w.gone(ctx, t)
	}
	t.live = live
	if err := same(t); err != nil {
		return err
	}
	switch {
	case isWorkload(live):
		return w.workload(ctx, t)
	case isService(live):
		return w.service(ctx, t)
	}
	return w.other(ctx, t)
}

// gone is a target that is not in the cluster.
func (w *watch) gone(ctx context.Context, t *target) error {
	if t.want.GetUID() == "" {
		t.state = "(not there yet)"
		return nil
	}
	if t.ref.Kind == "Job" {
		return w.jobGone(ctx, t)
	}
	return deleted(t.ref)
}

// same holds that the target is what was applied: another object of its name, or another template of its pods, has been
// put there by somebody else, and its health says nothing of this version.
func same(t *target) error {
	if t.want.GetUID() == "" {
		return nil
	}
	if t.live.GetUID() != t.want.GetUID() {
		return fault.Undeterminedf("%s was deleted and made anew by somebody else while it was waited for", t.ref).
			WithNext("Find out who does so, and deploy again.")
	}
	want, has, _ := unstructured.NestedFieldNoCopy(t.want.Object, "spec", "template")
	live, _, _ := unstructured.NestedFieldNoCopy(t.live.Object, "spec", "template")
	if has && t.live.GetGeneration() != t.want.GetGeneration() && !equality.Semantic.DeepEqual(kubernetes.Filled(want), kubernetes.Filled(live)) {
		return fault.Undeterminedf("%s was changed by %s while it was waited for: what runs now is not what was deployed", t.ref, lastManager(t.live)).
			WithNext("Let one of both deploy it, and deploy again.")
	}
	return nil
}

// kept holds, when all is ready, that everything still has the values that were applied. What is ready as soon as it is applied is
// read for that; what changes on the way, as traffic is shifted, has its values again by now.
func (w *watch) kept(ctx context.Context) error {
	v := newView(w.c, w.still)
	for _, t := range w.still {
		live, err := v.get(ctx, t.ref)
		if err != nil {
			return err
		}
		if live == nil {
			return deleted(t.ref)
		}
		if t.live = live; t.live.GetDeletionTimestamp() != nil && t.want.GetDeletionTimestamp() == nil {
			return deleted(t.ref)
		}
		if err := same(t); err != nil {
			return err
		}
	}
	for _, t := range slices.Concat(w.targets, w.still) {
		if err := altered(t); err != nil {
			return err
		}
	}
	return nil
}

// altered holds that a target has the values that were applied.
func altered(t *target) error {
	if t.live == nil || t.want == nil || t.want.GetUID() == "" {
		return nil
	}
	field, err := kubernetes.Changed(t.want, t.live)
	if err != nil {
		return fault.Undeterminedf("whether %s was changed while it was waited for is not known: %w", t.ref, err)
	}
	if field != "" {
		return fault.Undeterminedf("%s was changed by %s while it was waited for: %s is not what was deployed", t.ref, lastManager(t.live), clean(field)).
			WithNext("Let one of both deploy it, and deploy again.")
	}
	return nil
}

func deleted(ref kubernetes.Ref) error {
	return fault.Undeterminedf("%s was deleted by somebody else while it was waited for", ref).
		WithNext("Find out who does so, and deploy again.")
}

// lastManager is who wrote to an object last.
func lastManager(o *kubernetes.Object) string {
	name, at := "somebody else", time.Time{}
	for _, m := range o.GetManagedFields() {
		if m.Subresource == "" && m.Time != nil && !m.Time.Time.Before(at) {
			name, at = fmt.Sprintf("%q", m.Manager), m.Time.Time
		}
	}
	return name
}

// called is the problem of a target of which one has lasted longer than its grace; nil where there is none.
func (w *watch) called(ctx context.Context) *problem {
	for _, t := range w.targets {
		due := false
		for i := range t.problems {
			p := &t.problems[i]
			if p.grace == never {
				continue
			}
			key := t.ref.Kind + "/" + t.ref.Name + "/" + string(p.cause) + "/" + p.container
			due = w.seen(key) >= p.grace && !w.appeared(ctx, p) || due
		}
		if due {
			// What explains most may be something that would not have ended the wait by itself, such as a failing probe
			// where a deadline of the Deployment's own has passed.
			return merged(t.problems)
		}
	}
	return nil
}

// seen is for how long something has been so that is seen now.
func (w *watch) seen(key string) time.Duration {
	s, known := w.first[key]
	if !known || w.watched-s.last > forget {
		s.first = w.watched
	}
	s.last = w.watched
	w.first[key] = s
	return s.last - s.first
}

// merged is the worst problem of one target. A Job that has failed is told of by the pod that failed last.
func merged(problems []problem) *problem {
	most := *worst(problems)
	for _, p := range problems {
		if p.cause == causeJob && most.pod != nil {
			most.reason, most.message = p.reason, p.message
		}
	}
	return &most
}

func worst(problems []problem) *problem {
	var most *problem
	for i := range problems {
		if p := &problems[i]; most == nil || p.cause.weight() > most.cause.weight() {
			most = p
		}
	}
	return most
}

// forget is how long a symptom may be out of sight and still be the same: a container that is started again and again
// shows its trouble only in between.
const forget = 15 * time.Second

// late is the problem to name at the deadline.
func (w *watch) late() problem {
	var all []problem
	for _, t := range w.targets {
		all = append(all, t.problems...)
	}
	if p := worst(all); p != nil {
		return *merged(p.target.problems)
	}
	for _, t := range w.targets {
		if !t.done {
			late := problem{target: t, cause: causeLate, reason: "NotReady"}
			if t.wanted == 0 { // what has pods is told of by their number
				late.message = strings.Trim(t.state, "()")
			}
			return late
		}
	}
	return problem{target: &target{}, cause: causeLate, reason: "NotReady"}
}

// ready sums up.
func (w *watch) ready() Ready {
	r := Ready{After: w.now().Sub(w.begun), Notes: w.notes}
	for _, t := range w.targets {
		r.Pods += len(t.pods)
	}
	return r
}

func (w *watch) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(w.notes, text) {
		w.notes = append(w.notes, text)
	}
}
