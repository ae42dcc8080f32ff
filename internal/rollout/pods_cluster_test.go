//go:build e2e

package rollout_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/testkit/cluster"
)

// sidecar is a Deployment whose pod is ready, but for a container that runs beside it from the start.
func sidecar(args, more string) string {
	return deploymentOf(1, `serve`, probe, `initContainers: [{name: proxy, image: "IMAGE", args: [`+args+`], restartPolicy: Always`+more+`}]`)
}

// A sidecar has to run for as long as the pod does, and tells of its trouble as any container does.
func TestClusterWatchesSidecars(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		manifests      string
		limit          time.Duration // at which it has to be called; 0: before
		reason, advice string
		exit           int32 // -1: none
	}{
		"it crashes":              {manifests: sidecar(`die, "2"`, ""), reason: "CrashLoopBackOff", exit: 3, advice: "DATABASE_URL"},
		"it ends":                 {manifests: sidecar("end", ""), reason: "CrashLoopBackOff", exit: 0, advice: "are to run until"},
		"its startup probe fails": {manifests: sidecar(`idle`, `, startupProbe: {httpGet: {path: /healthz, port: 9090}, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 600}`), limit: 8 * time.Second, reason: "NotStarted", exit: -1, advice: "port 9090"},
		"its readiness fails":     {manifests: sidecar(`idle`, `, readinessProbe: {httpGet: {path: /healthz, port: 9090}, periodSeconds: 1, timeoutSeconds: 20}`), limit: 8 * time.Second, reason: "NotReady", exit: -1, advice: "port 9090"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, limit := open(t), limit
			watch := &clock{at: time.Now()} // one that crashes a moment after its start must not be taken for ready
			if c.limit > 0 {
				limit, watch = c.limit, b.probed(t, "connection refused")
			}
			d := b.failsBy(t, watch, c.manifests, limit)
			if d.Reason != c.reason || d.Container != "proxy" || d.TimedOut != (c.limit > 0) || (d.ExitCode == nil) != (c.exit < 0) || d.ExitCode != nil && *d.ExitCode != c.exit {
				t.Errorf("%+v", d)
			}
			holds(t, "advice", d.Advice, c.advice)
			if strings.Contains(d.Advice, "has to succeed before") {
				t.Errorf("the advice takes it for what ends before the pod starts: %s", d.Advice)
			}
		})
	}
}

// A pod that its node has put out is replaced, and stays in the list for a long time.
func TestClusterCountsNoPodThatWasReplaced(t *testing.T) {
	t.Parallel()
	b := open(t)
	manifests := deploymentOf(2, `serve`, probe, ``)
	b.ready(t, manifests)
	name, _, _ := strings.Cut(b.c.Kubectl(t, "get", "pods", "-n", b.ns, "-o", "jsonpath={.items[*].metadata.name}"), " ")
	b.c.Kubectl(t, "patch", "pod", name, "-n", b.ns, "-p", `{"spec":{"activeDeadlineSeconds":1}}`)
	b.c.Kubectl(t, "wait", "pod", name, "-n", b.ns, "--for=jsonpath={.status.phase}=Failed", "--timeout=5m")
	cluster.Until(t, func() error { // what is waited for then is not the start of the other one
		ready := b.c.Kubectl(t, "get", "pods", "-n", b.ns, "-o", `jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status} {end}`)
		if strings.Count(ready, "True") != 2 {
			return fmt.Errorf("the pods are ready: %s", ready)
		}
		return nil
	})
	if ready := b.ready(t, manifests); ready.Pods != 2 || ready.After > 20*time.Second {
		t.Errorf("%+v", ready)
	}
}

// A ReplicaSet replaces none of its pods, whatever its template says.
func TestClusterCountsNoOldPodOfAReplicaSet(t *testing.T) {
	t.Parallel()
	b := open(t)
	manifests := strings.Replace(deploymentOf(1, `serve`, probe, ``), "kind: Deployment", "kind: ReplicaSet", 1)
	b.ready(t, manifests)
	d := b.fails(t, strings.Replace(manifests, "args: [serve]", `args: [serve, "200"]`, 1), limit)
	if d.TimedOut || d.Ready != 0 {
		t.Errorf("%+v", d)
	}
	holds(t, "message", d.Message, "ReplicaSet")
}

// Where a partition leaves pods on another version, that is said.
func TestClusterSaysWhatAPartitionLeaves(t *testing.T) {
	t.Parallel()
	b := open(t)
	manifests := strings.NewReplacer("kind: Deployment", "kind: StatefulSet", "  replicas: 2", "  replicas: 2\n  updateStrategy: {rollingUpdate: {partition: PARTITION}}").Replace(deploymentOf(2, `serve`, probe, ``))
	at := func(n int) string { return strings.Replace(manifests, "PARTITION", fmt.Sprint(n), 1) }
	if ready := b.ready(t, at(1)); len(ready.Notes) > 0 {
		t.Errorf("all pods are new: %q", ready.Notes)
	}
	ready := b.ready(t, strings.Replace(at(1), "args: [serve]", `args: [serve, "200"]`, 1))
	if len(ready.Notes) != 1 || !strings.Contains(ready.Notes[0], "1 of 2 pods") || ready.Pods != 1 {
		t.Errorf("one is new: %+v", ready)
	}
	d := b.fails(t, strings.Replace(at(2), "args: [serve]", `args: [serve, "201"]`, 1), limit)
	if d.TimedOut || d.Reason != "Partition" {
		t.Errorf("none is new: %+v", d)
	}
}

// A Job that may not make its pod says so at once.
func TestClusterNamesWhatRefusesAJob(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.c.Restrict(t, b.ns, "restricted")
	d := b.fails(t, job("end", "backoffLimit: 1"), limit)
	if d.Reason != "FailedCreate" || d.TimedOut {
		t.Errorf("%+v", d)
	}
	holds(t, "advice", d.Advice, "level restricted")
}

// Pods that are ready and not yet for long enough are not called ready and nothing else.
func TestClusterWaitsForMinReadySeconds(t *testing.T) {
	t.Parallel()
	b := open(t)
	manifests := strings.Replace(deployment(`serve`, probe), "  replicas: 1", "  replicas: 1\n  minReadySeconds: 500", 1)
	d := b.failsBy(t, b.held(t, kubernetes.Query{APIVersion: "apps/v1", Kind: "Deployment"}, func(o map[string]any) bool {
		ready, _, _ := unstructured.NestedInt64(o, "status", "readyReplicas")
		return ready == 1
	}), manifests, 8*time.Second)
	holds(t, "message", d.Message, "minReadySeconds")
}

// What a pod needs may come after it, as from an operator. Its node tries again after up to 15 s, and what it lacked before is no
// failure meanwhile, nor while a large image comes.
func TestClusterWaitsForWhatComesLate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		manifests, reason string // until the pod waits so
	}{
		"a variable": {deployment(`serve`, probe+`, envFrom: [{configMapRef: {name: settings}}]`), "CreateContainerConfigError"},
		"a volume":   {deploymentOf(1, `serve`, probe+`, volumeMounts: [{name: v, mountPath: /v}]`, `volumes: [{name: v, configMap: {name: settings}}]`), "ContainerCreating"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			set := b.apply(t, c.manifests)
			waits := b.containers(t, func(s corev1.ContainerStatus) bool {
				return s.State.Waiting != nil && s.State.Waiting.Reason == c.reason
			})
			watch := &clock{at: time.Now(), until: func() bool {
				if !waits.until() {
					return false
				}
				b.c.Kubectl(t, "create", "configmap", "settings", "-n", b.ns)
				return true
			}}
			if ready, err := b.waitBy(t, watch, set, limit); err != nil || ready.Pods != 1 {
				t.Errorf("%+v, %v", ready, err)
			}
		})
	}
}
