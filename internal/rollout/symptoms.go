package rollout

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/kubernetes"
)

// cause is what kind of trouble it is: it chooses the advice, and what is named when there is more than one.
type cause string

const (
	causePull     cause = "image"
	causeCrash    cause = "crash"
	causeMemory   cause = "memory"
	causeStart    cause = "start"
	causeConfig   cause = "config"
	causeVolume   cause = "volume"
	causeSandbox  cause = "sandbox"
	causeRefused  cause = "refused"
	causeQuota    cause = "quota"
	causeSchedule cause = "schedule"
	causeClaim    cause = "claim"
	causePaused   cause = "paused"
	causeManual   cause = "manual"
	causeBlocked  cause = "blocked"
	causeEvicted  cause = "evicted"
	causeInit     cause = "init"
	causeStartup  cause = "startup"
	causeProbe    cause = "probe"
	causeLiveness cause = "liveness"
	causeGate     cause = "gate"
	causeJob      cause = "job"
	causeProgress cause = "progress"
	causeService  cause = "service"
	causeOther    cause = "other"
	causeOwn      cause = "own"
	causeShort    cause = "short"
	causeLate     cause = "late"
)

// byWeight has what explains most first.
var byWeight = []cause{causeOther, causeMemory, causeStart, causePull, causeConfig, causeCrash, causeVolume, causeQuota, causeRefused, causeSchedule, causeBlocked,
	causeClaim, causeSandbox, causePaused, causeManual, causeEvicted, causeLiveness, causeInit, causeStartup, causeProbe, causeGate, causeService, causeOwn, causeJob, causeProgress, causeShort, causeLate}

func (c cause) weight() int { return -slices.Index(byWeight, c) }

// What goes by itself is given some time, at most so long that a failure is called within 20 s.
const (
	graceConfig   = 10 * time.Second // an operator may be about to make the Secret
	gracePull     = 14 * time.Second // the kubelet tries again after 10 s
	graceCrash    = 12 * time.Second // the third start comes after 10 s
	graceSlow     = 8 * time.Second  // a container that took seconds to crash has had its time
	graceSchedule = 20 * time.Second // a node may be about to come up, or a pod to go
	graceQuota    = 10 * time.Second
	graceRefused  = 4 * time.Second
	graceWebhook  = 15 * time.Second // the pods of an admission webhook may be restarting
	graceBlocked  = 3 * time.Second  // a pod may just be about to become ready
	graceEvents   = 4 * time.Second  // a pod that is not running after that is asked for its events
	graceGone     = 15 * time.Second // the event of an end comes after it; to wait costs nothing, since without one nothing is known
)

// symptoms looks at the pods of this version.
func (w *watch) symptoms(ctx context.Context, t *target) error {
	for i := range t.pods {
		p := &t.pods[i]
		if name, image := replaced(t.live, p); name != "" {
			t.problems = append(t.problems, problem{target: t, pod: p, cause: causeOther, container: name, reason: "OtherImage",
				message: "it runs " + image + ", which is not the digest that was deployed"})
			continue
		}
		before := len(t.problems)
		statuses := slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses)
		for _, s := range statuses {
			// The time that the node has tried counts: it may take long to find out that a registry does not answer.
			tried := s.State.Waiting != nil && w.lasts(t, "start/"+string(p.UID), gracePull)
			if found := container(t, p, s); found != nil {
				if found.cause == causePull && tried {
					found.grace = 0
				}
				t.problems = append(t.problems, *found)
			}
		}
		if len(t.problems) > before {
			continue
		}
		if err := w.pod(ctx, t, p, statuses); err != nil {
			return err
		}
	}
	return nil
}

// final matches what a registry, or the way to it, says that it will say again.
var final = regexp.MustCompile(`(?i)not found|manifest unknown|name unknown|unauthorized|authorization failed|denied|forbidden|no match for platform|invalid reference|` +
	`InvalidImageName|ErrImageNeverPull|couldn't parse image|pull access|no such host|x509: |HTTP response to HTTPS client`)

// unstartable matches a command that no later try can run.
var unstartable = regexp.MustCompile(`(?i)no such file or directory|executable file not found|permission denied|exec format error|is a directory|not a directory`)

// container finds what is wrong with one container; nil where nothing is.
func container(t *target, p *corev1.Pod, s corev1.ContainerStatus) *problem {
	found := &problem{target: t, pod: p, container: s.Name}
	if wait := s.State.Waiting; wait != nil {
		found.reason, found.message = wait.Reason, wait.Message
		switch wait.Reason {
		case "ErrImagePull":
			found.reason = "ImagePullBackOff" // the same, seen in the moment before
			fallthrough
		case "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed":
			found.cause, found.grace = causePull, gracePull
			if final.MatchString(wait.Reason + " " + strings.TrimPrefix(plain(*found), imageOf(*found))) {
				found.grace = 0
			}
			return found
		case "CreateContainerConfigError":
			found.cause, found.grace = causeConfig, graceConfig
			if strings.Contains(wait.Message, "runAsNonRoot") {
				found.grace = 0
			}
			return found
		case "CreateContainerError", "RunContainerError", "PostStartHookError", "PreStartHookError", "PreCreateHookError":
			found.cause, found.grace = causeStart, gracePull
			if wait.Reason == "RunContainerError" || wait.Reason == "CreateContainerError" {
				found.reason = "StartError" // as the container's last state has it a moment later
			}
			if unstartable.MatchString(wait.Message) {
				found.grace = 0
			}
			return found
		}
	}
	end := lastEnd(s)
	if end == nil || s.State.Running != nil {
		return nil
	}
	if s.State.Terminated != nil && end.ExitCode == 0 && t.ref.Kind == "Job" || isInit(p, s.Name) && end.ExitCode == 0 {
		return nil
	}
	found.cause, found.grace = causeCrash, graceCrash
	if found.reason = end.Reason; end.Reason == "Error" && s.RestartCount > 0 || end.Reason == "Completed" {
		found.reason = "CrashLoopBackOff" // which it is in as soon as it is not in between two starts
	}
	found.message = end.Message
	switch {
	case end.Reason == "OOMKilled":
		found.cause = causeMemory
	case end.Reason == "StartError" || end.Reason == "ContainerCannotRun":
		found.cause = causeStart
	}
	switch {
	case t.ref.Kind == "Job":
		found.grace = never // it has a number of tries of its own
	case s.RestartCount >= 2, found.cause == causeStart && unstartable.MatchString(end.Message):
		found.grace = 0
	case s.RestartCount == 0:
		found.grace = never // its node is about to start it once more, which may take a node that is busy long
	case end.FinishedAt.Sub(end.StartedAt.Time) >= 2*time.Second:
		found.grace = graceSlow
	}
	return found
}

// isInit tells of a container that has to end before the others start. One that runs beside them from the start, a sidecar, is
// as they are.
func isInit(p *corev1.Pod, name string) bool {
	return slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == name && !besides(c) })
}

func besides(c corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// over tells of a pod that has come to its end. Where it has a controller that keeps pods running, another one takes its place.
func over(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
}

// lastEnd is how a container ended last.
func lastEnd(s corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	if s.State.Terminated != nil {
		return s.State.Terminated
	}
	return s.LastTerminationState.Terminated
}

// pod finds what keeps a pod from being ready whose containers have nothing to tell.
func (w *watch) pod(ctx context.Context, t *target, p *corev1.Pod, statuses []corev1.ContainerStatus) error {
	add := func(c cause, grace time.Duration, container, reason, message string) {
		t.problems = append(t.problems, problem{target: t, pod: p, cause: c, grace: grace, container: container, reason: reason, message: message})
	}
	if c := podCondition(p, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		return w.unscheduled(ctx, t, p, c)
	}
	creating, begun := false, false
	for _, s := range statuses {
		begun = begun || s.State.Running != nil
		switch {
		case s.State.Waiting != nil && (s.State.Waiting.Reason == "ContainerCreating" || s.State.Waiting.Reason == "PodInitializing"):
			creating = true
		case s.State.Running != nil && isInit(p, s.Name):
			add(causeInit, never, s.Name, "InitRunning", "it has not come to its end, and the others start only after it")
		case s.State.Running != nil && !s.Ready && s.Started != nil && !*s.Started && !isInit(p, s.Name):
			add(causeStartup, never, s.Name, "NotStarted", "")
		case s.State.Running != nil && !s.Ready && !isInit(p, s.Name) && t.ref.Kind != "Job":
			add(causeProbe, never, s.Name, "NotReady", "")
		}
	}
	if c := podCondition(p, corev1.PodReady); c != nil && c.Reason == "ReadinessGatesNotReady" {
		add(causeGate, never, "", c.Reason, c.Message)
	}
	if creating && !begun { // else its volumes and network are there
		return w.creating(ctx, t, p)
	}
	return nil
}

func podCondition(p *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// unscheduled is a pod that no node takes.
func (w *watch) unscheduled(ctx context.Context, t *target, p *corev1.Pod, c *corev1.PodCondition) error {
	found := problem{target: t, pod: p, cause: causeSchedule, grace: graceSchedule, reason: c.Reason, message: c.Message}
	switch {
	case strings.Contains(c.Message, "persistentvolumeclaim") && strings.Contains(c.Message, "not found"):
		found.cause, found.grace = causeConfig, graceConfig
	case strings.Contains(c.Message, "unbound immediate PersistentVolumeClaims"):
		found.cause, found.grace = causeClaim, never
	case c.Reason == corev1.PodReasonSchedulingGated, t.leaving > 0:
		found.grace = never
	case w.lasts(t, "unscheduled", graceSchedule/2):
		events, err := w.eventsOf(ctx, p.Namespace, p.UID)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Reason == "TriggeredScaleUp" || e.Reason == "Nominated" {
				found.grace = never // a node is on its way
			}
		}
	}
	t.problems = append(t.problems, found)
	return nil
}

// creating is a pod on a node that has not started its containers: only its events tell why.
func (w *watch) creating(ctx context.Context, t *target, p *corev1.Pod) error {
	if !w.lasts(t, "creating", graceEvents) || t.asked {
		return nil
	}
	t.asked = true
	events, err := w.eventsOf(ctx, p.Namespace, p.UID)
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(events) {
		found := problem{target: t, pod: p, grace: never, reason: e.Reason, message: e.Message}
		switch e.Reason {
		case "FailedMount", "FailedAttachVolume", "FailedMapVolume":
			found.cause = causeVolume
			if notThere.MatchString(e.Message) {
				found.cause, found.grace = causeConfig, graceConfig
			}
		case "FailedCreatePodSandBox", "NetworkNotReady":
			found.cause = causeSandbox
		case "Pulling", "Pulled": // which the node does when the volumes and the network are there
			return nil
		default:
			continue
		}
		t.problems = append(t.problems, found)
		return nil
	}
	return nil
}

var notThere = regexp.MustCompile(`(?i)(configmap|secret|persistentvolumeclaim)s? "[^"]*" not found|references non-existent (config|secret) key`)

// appeared tells that what a pod was refused for is there by now: who has refused it tries again only after a while, the kubelet after
// up to 15 s. What may not be read is as they say.
func (w *watch) appeared(ctx context.Context, p *problem) bool {
	if p.cause != causeConfig {
		return false
	}
	ref, key := lacked(p.message)
	ref.Namespace = p.target.ref.Namespace
	if ref.Name == "" {
		return false
	}
	o, err := w.c.Get(ctx, ref)
	if err != nil || o == nil || key == "" {
		return err == nil && o != nil
	}
	for _, field := range []string{"data", "binaryData"} {
		if values, _, _ := unstructured.NestedMap(o.Object, field); values[key] != nil {
			return true
		}
	}
	return false
}

var (
	lackedObject = regexp.MustCompile(`(?i)\b(configmap|secret|serviceaccount|persistentvolumeclaim)s? "([^"]+)" not found`)
	lackedKey    = regexp.MustCompile(`couldn't find key (\S+) in (Secret|ConfigMap) [^/\s]+/(\S+)`)
	lackedKinds  = map[string]string{"configmap": "ConfigMap", "secret": "Secret", "serviceaccount": "ServiceAccount", "persistentvolumeclaim": "PersistentVolumeClaim"}
)

// lacked is what a message says is not there, and the key that it lacks; without a name where it says nothing of the kind.
func lacked(message string) (ref kubernetes.Ref, key string) {
	ref.APIVersion = "v1"
	if m := lackedObject.FindStringSubmatch(message); m != nil {
		ref.Kind, ref.Name = lackedKinds[strings.ToLower(m[1])], m[2]
	} else if m := lackedKey.FindStringSubmatch(message); m != nil {
		key, ref.Kind, ref.Name = m[1], m[2], m[3]
	}
	return ref, key
}

// lasts tells whether something has been so for a while.
func (w *watch) lasts(t *target, what string, d time.Duration) bool {
	return w.seen(what+"/"+t.ref.Kind+"/"+t.ref.Name) >= d
}
