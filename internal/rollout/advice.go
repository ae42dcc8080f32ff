package rollout

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/org/idp/internal/finding"
)

// advice says what most likely is wrong and what to do, by what was seen.
func advice(d *Diagnosis, p problem) string {
	text := p.message
	switch p.cause {
	case causePull:
		return adviceOnPull(p)
	case causeCrash:
		return adviceOnCrash(d, p)
	case causeMemory:
		return adviceOnMemory(p)
	case causeStart:
		return adviceOnStart(p)
	case causeConfig:
		return adviceOnConfig(p)
	case causeVolume:
		if strings.Contains(text, "Multi-Attach") {
			return "Its volume is still attached to another node: one of access mode ReadWriteOnce cannot be with old and new pods at once, so the Deployment needs strategy Recreate."
		}
		return "A volume of it cannot be mounted: see what the message names, and kubectl describe pvc" + in(d)
	case causeSandbox:
		return "The node cannot set up its network. That is the cluster's trouble: talk to who runs it."
	case causeQuota, causeRefused:
		return adviceOnRefusal(p)
	case causeSchedule:
		return adviceOnScheduling(p)
	case causeClaim:
		return "A PersistentVolumeClaim has no volume: check its storage class and what provisions it: kubectl describe pvc" + in(d)
	case causePaused:
		return adviceOnPause(d)
	case causeManual:
		return adviceOnUnreplaced(d)
	case causeOther:
		return "An admission webhook of the cluster puts another image in its place: let it keep the digest, or talk to who runs the cluster."
	case causeShort:
		return "Give the deploy more time than that (--wait), or let it ask for less."
	case causeBlocked:
		return fmt.Sprintf("Delete the pod, and the StatefulSet makes it anew in the new version: kubectl delete pod %s%s", d.Pod, in(d))
	case causeEvicted:
		return "The node put it out: see what it ran short of, and say in resources what the pod needs."
	case causeProbe, causeStartup, causeLiveness:
		return adviceOnProbe(p)
	case causeInit:
		return "An init container has to end by itself: see in its log what it waits for. One that is to run beside the others needs restartPolicy: Always."
	case causeGate:
		return "The pod has a readiness gate that nothing has opened: see who sets that condition, such as the controller of a load balancer."
	case causeJob:
		if d.Reason == "DeadlineExceeded" {
			return "It did not end within its activeDeadlineSeconds: see what it waits for, or give it more time."
		}
		return "It failed more often than it may: see its pods with kubectl logs job/" + d.Object.Name + in(d)
	case causeService:
		if p.reason == "NoPort" {
			return "Give the Service a targetPort that the container has: its number, or the name that it has there."
		}
		return "Make the selector of the Service and the labels of the pods the same."
	}
	return fmt.Sprintf("See what its controller says: kubectl describe %s %s%s", strings.ToLower(d.Object.Kind), d.Object.Name, in(d))
}

func adviceOnUnreplaced(d *Diagnosis) string {
	switch d.Reason {
	case "ReplicaSet":
		return "Make it a Deployment, which replaces its pods, or delete them one by one."
	case "Partition":
		return "Lower spec.updateStrategy.rollingUpdate.partition, so that some of its pods are replaced."
	}
	return "Take updateStrategy OnDelete out of it, or delete its pods one by one."
}

// in is the namespace for a command.
func in(d *Diagnosis) string {
	if d.Object.Namespace == "" {
		return ""
	}
	return " --namespace " + d.Object.Namespace
}

// rule gives a piece of advice for messages that match.
type rule struct {
	pattern *regexp.Regexp
	advice  string // $1 and so on are the groups of the pattern
}

func match(rules []rule, text, otherwise string) string {
	for _, r := range rules {
		if m := r.pattern.FindStringSubmatchIndex(text); m != nil {
			return string(r.pattern.ExpandString(nil, r.advice, text, m))
		}
	}
	return otherwise
}

func on(pattern, advice string) rule { return rule{regexp.MustCompile(pattern), advice} }

var pullRules = []rule{
	on(`InvalidImageName|couldn't parse image|invalid reference`, "That is no name of an image: correct it in the manifest."),
	on(`ErrImageNeverPull`, "imagePullPolicy is Never, and the node does not have the image: let it be pulled."),
	on(`(?i)unauthorized|authorization|denied|forbidden|\b40[13]\b`, "The registry does not let the node have it: give the namespace's ServiceAccount an imagePullSecret for this registry."),
	on(`no match for platform`, "The image is not built for the node's platform: build it for that one too."),
	on(`(?i)not found|manifest unknown|name unknown`, "The registry does not have this image: check that it was pushed, under this name and digest, and not deleted since."),
	on(`(?i)toomanyrequests|\b429\b|rate limit`, "The registry refuses more pulls for now: wait, or pull with credentials or from a mirror."),
	on(`x509|certificate|HTTP response to HTTPS`, "The node does not trust the registry's certificate, or the registry has none: that is set on the nodes."),
	on(`lookup (\S+)`, "The node finds no address for $1: check the registry's name, and the DNS of the node."),
	on(`(?i)connection refused|i/o timeout|no route|unreachable|deadline exceeded`, "The node cannot reach the registry: check its name and port, and that the node's network leads there."),
}

func adviceOnPull(p problem) string {
	return match(pullRules, p.reason+" "+plain(p), "The node cannot pull the image: try it from there, or look at the registry.")
}

func adviceOnCrash(d *Diagnosis, p problem) string {
	code := int32(0)
	if d.ExitCode != nil {
		code = *d.ExitCode
	}
	how := "It starts and dies at once."
	if ran := lasted(p); ran >= 2*time.Second {
		how = fmt.Sprintf("It dies %s after its start.", ran.Round(time.Second))
	}
	if isInit(p.pod, p.container) {
		how = "It has to succeed before the pod starts, and does not."
	}
	switch {
	case code == 0 && d.Object.Kind != "Job":
		return "It ends without an error, but its pods are to run until they are told to stop. If it is done then, make it a Job."
	case code == 126 || code == 127:
		return how + " A command that it calls is not in the image, or is no program."
	case code == 137:
		return how + " It was killed: by the system for want of memory, or because it did not stop when it was told to."
	case code == 139:
		return how + " It touched memory that is not its own (SIGSEGV)."
	case len(d.Log) == 0:
		return how + " It wrote nothing: let it say why it ends."
	}
	if name := missing(d.Log); name != "" && !isSet(p, name) {
		return fmt.Sprintf("%s It asks for %s, and its environment does not have that.", how, name)
	}
	return how + " Its last lines above say why."
}

// lasted is how long a container ran last.
func lasted(p problem) time.Duration {
	for _, s := range slices.Concat(p.pod.Status.InitContainerStatuses, p.pod.Status.ContainerStatuses) {
		if end := lastEnd(s); s.Name == p.container && end != nil {
			return end.FinishedAt.Sub(end.StartedAt.Time)
		}
	}
	return 0
}

// unset matches the usual ways to say that a variable is missing, with its name in the first or second group.
var unset = regexp.MustCompile(`\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b.{0,12}\b(?:not set|not defined|unset|undefined|required|missing|empty)\b` +
	`|\b(?:[Mm]issing|[Rr]equired?s?|undefined)\b.{0,32}?\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b`)

// missing is the variable that a log asks for last.
func missing(lines []string) string {
	for _, line := range slices.Backward(lines) {
		if m := unset.FindStringSubmatch(line); m != nil {
			return m[1] + m[2]
		}
	}
	return ""
}

func isSet(p problem, name string) bool {
	c := specOf(p)
	return c != nil && slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name })
}

func adviceOnMemory(p problem) string {
	if c := specOf(p); c != nil {
		if limit, ok := c.Resources.Limits[corev1.ResourceMemory]; ok {
			return fmt.Sprintf("It used more memory than its limit, %s: raise the limit (the size in idp.yaml), or let it use less.", limit.String())
		}
	}
	return "The node had no memory left for it: say in resources how much it needs."
}

var startRules = []rule{
	on(`exec format error`, "Its program is built for another platform than the node's: build the image for that one too."),
	on(`exec: "([^"]+)": .*(?:no such file|executable file not found)`, "There is no $1 in the image: correct the entrypoint or the command."),
	on(`exec: "([^"]+)": .*permission denied`, "$1 in the image may not be executed by the user that the pod runs as: correct its mode."),
	on(`PostStartHookError|PreStartHookError`, "Its lifecycle hook fails: see what the message says, or do without it."),
}

func adviceOnStart(p problem) string {
	return match(startRules, p.reason+" "+p.message, "Its command cannot be run: check the entrypoint and command of the image.")
}

var configRules = []rule{
	on(`(?i)couldn't find key (\S+) in (Secret|ConfigMap) [^/\s]+/(\S+)`, "$2 $3 has no key $1: add it there, or correct the key where it is asked for."),
	on(`(?i)references non-existent (?:secret|config) key:? (\S+)`, "What it mounts has no key $1: add it there, or correct the key in the volume."),
	on(`configmap "([^"]+)" not found`, "There is no ConfigMap $1 in this namespace: create it, or correct the name where it is asked for."),
	on(`service ?account "?([^"\s]+)"? not found`, "There is no ServiceAccount $1 in this namespace: create it, or correct serviceAccountName."),
	on(`secret "([^"]+)" not found`, "There is no Secret $1 in this namespace: create it, or correct the name where it is asked for."),
	on(`persistentvolumeclaim "([^"]+)" not found`, "There is no PersistentVolumeClaim $1 in this namespace: create it, or correct claimName."),
	on(`non-numeric user`, "The image names its user, and the cluster cannot tell that this is not root: give it a number (USER 65532), or set runAsUser."),
	on(`image will run as root`, "The image runs as root, and the pod may not: give the image another user (USER 65532), or set runAsUser."),
}

func adviceOnConfig(p problem) string {
	return match(configRules, p.message, "What its configuration names is not there: create it in this namespace, or correct the name.")
}

var refusalRules = []rule{
	on(`failed quota: (\S+?): must specify (.+)`, "Quota $1 wants every container to say $2: add it."),
	on(`exceeded quota: (\S+?), requested: (.+?), used: (.+?), limited: (.+)`, "Quota $1 of the namespace has no room ($3 of $4): scale down, ask for less, or ask for a larger quota."),
	on(`violates PodSecurity "([^":]+)`, "The namespace demands the Pod Security level $1: set in securityContext what the message names."),
	on(`failed calling webhook "([^"]+)"`, "The admission webhook $1 does not answer. That is the cluster's trouble: talk to who runs it."),
	on(`quota`, "The namespace has no room for it: scale down, ask for less, or ask for a larger quota."),
}

func adviceOnRefusal(p problem) string {
	return match(refusalRules, clean(p.message), "A rule of the cluster does not let its pods be made: change what the rule names, or talk to who runs the cluster.")
}

func adviceOnScheduling(p problem) string {
	if p.pod == nil {
		return "No node is as its nodeSelector, affinity and tolerations demand: correct them, or label a node."
	}
	request := func(name corev1.ResourceName) string {
		var all []string
		for _, c := range p.pod.Spec.Containers {
			if q, ok := c.Resources.Requests[name]; ok {
				all = append(all, q.String())
			}
		}
		return cmp.Or(strings.Join(all, " + "), "some")
	}
	switch text := p.message; {
	case strings.Contains(text, "Insufficient cpu"):
		return fmt.Sprintf("No node has that much CPU free: it asks for %s. Ask for less, or let a node be added.", request(corev1.ResourceCPU))
	case strings.Contains(text, "Insufficient memory"):
		return fmt.Sprintf("No node has that much memory free: it asks for %s. Ask for less, or let a node be added.", request(corev1.ResourceMemory))
	case strings.Contains(text, "Insufficient "):
		return "No node has enough of what it asks for: ask for less, or let a node be added."
	case strings.Contains(text, "Too many pods"):
		return "The nodes have as many pods as they may have: let a node be added."
	case strings.Contains(text, "affinity/selector"):
		if s := p.pod.Spec.NodeSelector; len(s) > 0 {
			var labels []string
			for _, key := range slices.Sorted(maps.Keys(s)) {
				labels = append(labels, key+"="+s[key])
			}
			return fmt.Sprintf("No node has the labels of its nodeSelector, %s: correct that, or label a node.", strings.Join(labels, ", "))
		}
		return "No node is as its affinity demands: correct that, or label a node."
	case strings.Contains(text, "taint"):
		return "The nodes that are left have a taint that it does not tolerate: add a toleration if it belongs there, or let a node be added."
	case strings.Contains(text, "free ports"):
		return "Its hostPort is taken on every node: do without it, a Service needs none."
	case strings.Contains(text, "anti-affinity"), strings.Contains(text, "topology spread"):
		return "Its own rules of where pods may be leave no node: loosen them (ScheduleAnyway, preferred), or let a node be added."
	case p.reason == corev1.PodReasonSchedulingGated:
		return "The pod has a scheduling gate that nothing has opened: see who sets schedulingGates."
	}
	return "No node takes it: see the message for what they lack, or let a node be added."
}

func adviceOnPause(d *Diagnosis) string {
	switch {
	case d.Object.GVK().Group == "argoproj.io":
		return "It waits for somebody to promote it: kubectl argo rollouts promote " + d.Object.Name + in(d)
	case d.Object.Kind == "Job":
		return "Take spec.suspend out of the manifest, or release it: kubectl patch job " + d.Object.Name + in(d) + ` --patch '{"spec":{"suspend":false}}'`
	}
	return fmt.Sprintf("Take spec.paused out of the manifest, or release it: kubectl rollout resume %s %s%s", strings.ToLower(d.Object.Kind), d.Object.Name, in(d))
}

var statusCode = regexp.MustCompile(`statuscode: (\d+)`)

func adviceOnProbe(p problem) string {
	c := specOf(p)
	if c == nil {
		return "It is not ready: see what its probe asks for."
	}
	kind, probe := "readiness", c.ReadinessProbe
	switch p.cause {
	case causeLiveness:
		kind, probe = "liveness", c.LivenessProbe
	case causeStartup:
		kind, probe = "startup", c.StartupProbe
	}
	after := ""
	if p.cause == causeLiveness {
		after = " The cluster restarts it for that; a startupProbe gives it the time that it needs to start."
	}
	if probe == nil {
		return "It is not ready, and has no probe that tells why: see its log." + after
	}
	asked := fmt.Sprintf("its %s probe", kind)
	port := "its port"
	switch {
	case probe.HTTPGet != nil:
		asked = fmt.Sprintf("GET %s on port %s", probe.HTTPGet.Path, probe.HTTPGet.Port.String())
		port = "port " + probe.HTTPGet.Port.String()
	case probe.TCPSocket != nil:
		port = "port " + probe.TCPSocket.Port.String()
	}
	within := finding.Plural(int(max(1, probe.TimeoutSeconds)), "second")
	switch text := p.message; {
	case text == "" && probe.InitialDelaySeconds > 0:
		return fmt.Sprintf("Its %s probe begins only %d s after the start (initialDelaySeconds), or has not answered since.", kind, probe.InitialDelaySeconds) + after
	case statusCode.MatchString(text):
		return fmt.Sprintf("%s answers %s, and a %s probe wants 200 to 399: see in its log what it lacks, or correct the path.", asked, statusCode.FindStringSubmatch(text)[1], kind) + after
	case strings.Contains(text, "connection refused"):
		return fmt.Sprintf("It does not listen on %s: correct the port of the %s probe, or let it listen there, on all addresses and not on 127.0.0.1 alone.", port, kind) + after
	case strings.Contains(text, "deadline exceeded"), strings.Contains(text, "timeout"), strings.Contains(text, "timed out"):
		return fmt.Sprintf("%s%s is not answered within %s: see what it waits for, or raise timeoutSeconds of the %s probe.", strings.ToUpper(asked[:1]), asked[1:], within, kind) + after
	case probe.Exec != nil:
		return fmt.Sprintf("The command of its %s probe fails: see what it says above.", kind) + after
	}
	return fmt.Sprintf("It has not passed its %s probe: see what that says above, and its log.", kind) + after
}
