package rollout

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/logtext"
	"github.com/org/idp/internal/ui"
)

const (
	logLines   = 20
	eventLines = 6
	otherLines = 5
)

// Diagnosis says why a set is not ready, in a form for the record and for people. Texts of the cluster in it are safe to
// print, and without the secrets that are known.
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
	Events    []string       `json:"events,omitempty"`   // warnings of the pod or object, the newest last
	Log       []string       `json:"log,omitempty"`      // last lines
	Previous  bool           `json:"previous,omitempty"` // the log is of the container before its last restart
	Others    []string       `json:"others,omitempty"`   // what else is not ready
	AfterMS   int64          `json:"afterMs"`            // from the start of the wait to the call
	TimedOut  bool           `json:"timedOut,omitempty"` // it was called because the time was over
	Advice    string         `json:"advice"`             // one or two sentences
}

// Error implements error: the headline.
func (d *Diagnosis) Error() string {
	after := (time.Duration(d.AfterMS) * time.Millisecond).Round(100 * time.Millisecond)
	how := fmt.Sprintf("failed after %s", after)
	if d.TimedOut {
		how = fmt.Sprintf("is not ready after %s", after)
	}
	if d.Wanted > 0 && d.Object.Kind != "Job" {
		how += fmt.Sprintf(" (%d of %s ready)", d.Ready, finding.Plural(d.Wanted, "pod"))
	}
	return d.Object.String() + " " + how
}

// Lines are the details for a person, without the headline and the advice.
func (d *Diagnosis) Lines() []string {
	where := d.Object.String()
	if d.Pod != "" {
		where = "pod " + d.Pod
	}
	if d.Container != "" {
		where += ", container " + d.Container
	}
	what := []string{d.Reason}
	if d.ExitCode != nil {
		what = append(what, fmt.Sprintf("exit code %d", *d.ExitCode))
	}
	if d.Restarts > 0 {
		what = append(what, finding.Plural(int(d.Restarts), "restart"))
	}
	lines := []string{where + ": " + strings.Join(what, ", ")}
	if d.Message != "" {
		lines = append(lines, "  "+d.Message)
	}
	// Where neither a message nor a log says why, events may.
	if d.Message == "" && len(d.Log) == 0 {
		for _, e := range d.Events {
			lines = append(lines, "  event "+e)
		}
	}
	for _, l := range d.Log {
		lines = append(lines, "  | "+l)
	}
	for i, o := range d.Others {
		if i == otherLines {
			lines = append(lines, fmt.Sprintf("also not ready: %d more", len(d.Others)-i))
			break
		}
		lines = append(lines, "also not ready: "+o)
	}
	return lines
}

// diagnose collects what explains a problem. What cannot be read is left out: it must not hide what is known.
func (w *watch) diagnose(ctx context.Context, p problem) *Diagnosis {
	t := p.target
	mask := w.secrets(ctx, p.pod)
	d := &Diagnosis{Object: t.ref, Wanted: t.wanted, Container: p.container, AfterMS: w.now().Sub(w.begun).Milliseconds(),
		TimedOut: w.now().Sub(w.begun) >= w.o.Timeout}
	for i := range t.pods {
		if isReady(&t.pods[i]) {
			d.Ready++
		}
	}
	for _, other := range w.targets {
		// A Service without pods to lead to has nothing of its own to tell.
		if !other.done && other != t && rank(other) <= rank(t) {
			d.Others = append(d.Others, strings.TrimSpace(other.ref.String()+" "+other.state))
		}
	}
	about := t.want.GetUID()
	if t.live != nil {
		about = t.live.GetUID()
	}
	if p.pod != nil {
		d.Pod, about = p.pod.Name, p.pod.UID
		w.container(ctx, d, p, mask)
	}
	if about != "" {
		if events, err := w.eventsOf(ctx, t.ref.Namespace, about); err == nil {
			p = learn(p, events)
			for _, line := range warnings(events) {
				d.Events = append(d.Events, mask.Line(line))
			}
		}
	}
	d.Reason, d.Message = mask.Line(p.reason), bounded(ui.Clean(mask.Hide(plain(p))))
	d.Advice = ui.Clean(advice(d, p))
	return d
}

// learn takes from the events what the status of a pod does not tell: which probe it was, and what that saw.
func learn(p problem, events []corev1.Event) problem {
	if !slices.Contains([]cause{causeCrash, causeProbe, causeStartup}, p.cause) {
		return p
	}
	for _, e := range slices.Backward(events) {
		switch {
		case e.Reason == "Killing" && strings.Contains(e.Message, "failed liveness probe"):
			p.cause = causeLiveness
		case e.Reason == "Killing" && strings.Contains(e.Message, "failed startup probe"):
			p.cause = causeStartup
		default:
			continue
		}
		break
	}
	kind := map[cause]string{causeLiveness: "Liveness", causeStartup: "Startup", causeProbe: "Readiness"}[p.cause]
	for _, e := range slices.Backward(events) {
		if e.Reason == "Unhealthy" && kind != "" && strings.HasPrefix(e.Message, kind+" probe") {
			p.message = e.Message
			break
		}
	}
	return p
}

// container adds how the container ended and what it said last.
func (w *watch) container(ctx context.Context, d *Diagnosis, p problem, mask *logtext.Mask) {
	for _, s := range slices.Concat(p.pod.Status.InitContainerStatuses, p.pod.Status.ContainerStatuses) {
		if s.Name != p.container {
			continue
		}
		d.Restarts = s.RestartCount
		end := lastEnd(s)
		if end != nil {
			code := end.ExitCode
			d.ExitCode = &code
		}
		if s.State.Running == nil && end == nil {
			return // it never ran
		}
		// One that runs again has said why it died before it was started again.
		d.Log, d.Previous = w.log(ctx, p, s.State.Running != nil && end != nil, s.RestartCount > 0, mask)
	}
}

// logTries is how often a log is asked for. Between two starts the node may have neither the log of the one nor of the other,
// and says so in place of the log; a node that is busy may not answer. A moment later it has.
const logTries = 8

// log reads the last lines of a container.
func (w *watch) log(ctx context.Context, p problem, previous, restarted bool, mask *logtext.Mask) ([]string, bool) {
	for range logTries {
		data, err := w.c.Logs(ctx, p.pod.Namespace, p.pod.Name, kubernetes.LogOptions{Container: p.container, Previous: previous, Lines: logLines})
		lines := mask.Tail(string(data), logLines)
		had := err == nil && (len(lines) == 0 || !strings.HasPrefix(lines[0], "unable to retrieve container logs"))
		if had && len(lines) > 0 {
			return lines, previous
		}
		if had && !restarted || w.o.Sleep(ctx, pollFirst) != nil { // it said nothing
			break
		}
		previous = restarted && !previous
	}
	return nil, false
}

// secrets are the values that a pod was given and that must not be shown: of variables whose names say so, and of the
// Secrets that it uses, as far as they are in the set or may be read.
func (w *watch) secrets(ctx context.Context, p *corev1.Pod) *logtext.Mask {
	mask := &logtext.Mask{}
	hide := func(o *kubernetes.Object) {
		for _, field := range []string{"data", "stringData"} {
			values, _, _ := unstructured.NestedStringMap(o.Object, field)
			for _, value := range values {
				if data, err := base64.StdEncoding.DecodeString(value); err == nil && field == "data" {
					value = string(data)
				}
				mask.Secret(value)
			}
		}
	}
	for i := range w.set {
		if o := &w.set[i]; o.GetKind() == "Secret" && group(o) == "" {
			hide(o)
		}
	}
	if p == nil {
		return mask
	}
	var names []string
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, e := range c.Env {
			mask.Variable(e.Name, e.Value)
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				names = append(names, e.ValueFrom.SecretKeyRef.Name)
			}
		}
		for _, e := range c.EnvFrom {
			if e.SecretRef != nil {
				names = append(names, e.SecretRef.Name)
			}
		}
	}
	for _, v := range p.Spec.Volumes {
		if v.Secret != nil {
			names = append(names, v.Secret.SecretName)
		}
		if v.Projected == nil {
			continue
		}
		for _, from := range v.Projected.Sources {
			if from.Secret != nil {
				names = append(names, from.Secret.Name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if o, err := w.c.Get(ctx, kubernetes.Ref{APIVersion: "v1", Kind: "Secret", Namespace: p.Namespace, Name: name}); err == nil && o != nil {
			hide(o)
		}
	}
	return mask
}

// messageLimit is the characters of a message that are shown.
const messageLimit = 600

func bounded(text string) string {
	if runes := []rune(text); len(runes) > messageLimit {
		return string(runes[:messageLimit]) + "…"
	}
	return text
}

var (
	// aside matches what the kubelet and the scheduler add to a message for their own log.
	aside     = regexp.MustCompile(` ?\(pod: "[^"]*", container: [^)]*\)| no new claims to deallocate,?| preemption: .*$|^rpc error: code = \w+ desc = |: unknown$`)
	shim      = regexp.MustCompile(`^failed to create containerd task: .*?unable to start container process: `)
	doublings = regexp.MustCompile(`not found\. not found$`)
)

// plain is the message of a problem without what says nothing to the person who deploys.
func plain(p problem) string {
	text := clean(p.message)
	if p.cause == causePull {
		if image := imageOf(p); image != "" {
			if i := strings.LastIndex(text, image+`": `); i >= 0 {
				text = text[i+len(image)+3:]
			}
			text = image + ": " + strings.TrimPrefix(text, image+": ")
		}
	}
	text = shim.ReplaceAllString(aside.ReplaceAllString(text, ""), "")
	return strings.TrimSpace(doublings.ReplaceAllString(text, "not found"))
}

// specOf is the container of a problem as its pod has it; nil where it has none.
func specOf(p problem) *corev1.Container {
	if p.pod == nil {
		return nil
	}
	return containerOf(p.pod, p.container)
}

func imageOf(p problem) string {
	if c := specOf(p); c != nil {
		return c.Image
	}
	return ""
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

// warnings are the last ones of the events, each once.
func warnings(events []corev1.Event) []string {
	var lines []string
	for _, e := range slices.Backward(events) {
		line := e.Reason + ": " + clean(e.Message)
		if n := cmp.Or(seriesCount(e), e.Count); n > 1 {
			line = fmt.Sprintf("%s (%d times): %s", e.Reason, n, clean(e.Message))
		}
		if e.Type == corev1.EventTypeWarning && !slices.Contains(lines, line) && len(lines) < eventLines {
			lines = append(lines, line)
		}
	}
	slices.Reverse(lines)
	return lines
}

func seriesCount(e corev1.Event) int32 {
	if e.Series == nil {
		return 0
	}
	return e.Series.Count
}
