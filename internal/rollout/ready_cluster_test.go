//go:build e2e

package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/rollout"
	"github.com/org/idp/internal/testkit/cluster"
)

const limit = 2 * time.Minute

// ready applies manifests and waits until they are.
func (b bench) ready(t *testing.T, manifests string) rollout.Ready {
	t.Helper()
	set := b.apply(t, manifests)
	ready, err := b.wait(t, set, limit)
	if strings.HasSuffix(t.Name(), "WaitsForReadyPods") {
		b.keep(t, "ready", set)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(fault.Lines(err), "\n"))
	}
	return ready
}

func TestClusterWaitsForReadyPods(t *testing.T) {
	t.Parallel()
	b := open(t)
	ready := b.ready(t, deploymentOf(2, `serve`, probe, ``)+"\n---\n"+service("app: app", "8080"))
	if ready.Pods != 2 {
		t.Errorf("%d pods, want 2", ready.Pods)
	}
	if got := b.c.Kubectl(t, "get", "deployment", "app", "-n", b.ns, "-o", "jsonpath={.status.readyReplicas}"); got != "2" {
		t.Errorf("%s pods are ready, want 2", got)
	}
	if again := b.ready(t, deploymentOf(2, `serve`, probe, ``)+"\n---\n"+service("app: app", "8080")); again.Pods != 2 {
		t.Errorf("applied again: %d pods, want 2", again.Pods)
	}
}

// Old pods are ready all the time, and must never be taken for the new version.
func TestClusterNeverCountsOldPods(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]string{"old pods are ready": "Deployment", "StatefulSet": "StatefulSet"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			manifests := strings.Replace(deploymentOf(2, `serve`, probe, ``), "Deployment", kind, 1)
			b.ready(t, manifests)
			old := b.c.Kubectl(t, "get", "pods", "-n", b.ns, "-o", "name")
			d := b.failsBy(t, b.probed(t, "statuscode: 500"), strings.Replace(manifests, `args: [serve]`, `args: [serve, "500"]`, 1), 10*time.Second)
			if d.Ready != 0 || d.Reason != "NotReady" || kind == "Deployment" && strings.Contains(old, d.Pod) {
				t.Errorf("%d pods of the new version are ready, %s names pod %s; the old ones are %s", d.Ready, d.Reason, d.Pod, old)
			}
			holds(t, "advice", d.Advice, "answers 500")
		})
	}
}

func TestClusterWaitsForUpgrade(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			manifests := strings.Replace(deploymentOf(2, `serve`, probe, ``), "Deployment", kind, 1)
			pods := "2"
			if kind == "DaemonSet" {
				manifests, pods = strings.Replace(manifests, "  replicas: 2\n", "", 1), "1"
			}
			b.ready(t, manifests)
			ready := b.ready(t, strings.Replace(manifests, "containers: [{", `containers: [{env: [{name: VERSION, value: "2"}], `, 1))
			if fmt.Sprint(ready.Pods) != pods {
				t.Errorf("%d pods, want %s", ready.Pods, pods)
			}
			got := b.c.Kubectl(t, "get", "pods", "-n", b.ns, "-o", `jsonpath={range .items[*]}{.spec.containers[0].env[0].value}{" "}{end}`)
			if strings.Count(got, "2") != ready.Pods {
				t.Errorf("versions of the pods: %q", got)
			}
		})
	}
}

func TestClusterWaitsForJobs(t *testing.T) {
	t.Parallel()
	b := open(t)
	b.ready(t, job("end", "backoffLimit: 1"))
	if got := b.c.Kubectl(t, "get", "job", "app", "-n", b.ns, "-o", "jsonpath={.status.succeeded}"); got != "1" {
		t.Errorf("%s runs succeeded, want 1", got)
	}
	b.c.Kubectl(t, "delete", "job", "app", "-n", b.ns)
	b.ready(t, job("end", "ttlSecondsAfterFinished: 0"))                     // it may be gone before it is looked at,
	b.c.Kubectl(t, "delete", "job", "app", "-n", b.ns, "--ignore-not-found") // or still be there, and its template cannot be changed
	set := b.apply(t, job("idle", "backoffLimit: 1"))
	b.c.Kubectl(t, "delete", "job", "app", "-n", b.ns)
	if _, err := b.wait(t, set, limit); err == nil || fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "no event tells") {
		t.Errorf("a Job that was deleted: %v", err)
	}
}

// What is no pod's trouble does not keep a set from being ready.
func TestClusterWaitsForNothingElse(t *testing.T) {
	t.Parallel()
	b := open(t)
	ready := b.ready(t, deployment(`serve`, probe)+`
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, storageClassName: none}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: app}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
  minReplicas: 1
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: app}
spec: {minAvailable: 3, selector: {matchLabels: {app: app}}}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: example.org}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: b}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {schedule: "0 3 * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: app, image: "IMAGE", args: [end]}]}}}}}`)
	if len(ready.Notes) != 1 || !strings.Contains(ready.Notes[0], "PersistentVolumeClaim data is not bound") {
		t.Errorf("notes: %q", ready.Notes)
	}
	nobody := strings.Replace(service("app: app", "8080"), "spec: {", "spec: {type: LoadBalancer, loadBalancerClass: example.org/nobody, ", 1)
	zero := b.ready(t, deploymentOf(0, `serve`, probe, ``)+"\n---\n"+nobody)
	if zero.Pods != 0 || len(zero.Notes) != 2 || !strings.Contains(zero.Notes[1], "Service app has no external address yet") {
		t.Errorf("scaled to zero: %+v", zero)
	}
}

func TestClusterNamesQuotaAndAdmission(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]string{"quota of a Deployment": "Deployment", "quota of a StatefulSet": "StatefulSet"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			b.c.Quota(t, b.ns, "small", 1)
			d := b.fails(t, strings.Replace(deploymentOf(2, `serve`, probe, ``), "Deployment", kind, 1), limit)
			if d.Reason != "FailedCreate" || d.Pod != "" || d.TimedOut {
				t.Errorf("%+v", d)
			}
			holds(t, "message", d.Message, "exceeded quota: small")
			holds(t, "advice", d.Advice, "pods=1 of pods=1")
		})
	}
	t.Run("pod security", func(t *testing.T) {
		t.Parallel()
		b := open(t)
		b.c.Restrict(t, b.ns, "restricted")
		d := b.fails(t, deployment(`serve`, probe), limit)
		if d.Reason != "FailedCreate" || d.TimedOut {
			t.Errorf("%+v", d)
		}
		holds(t, "message", d.Message, "allowPrivilegeEscalation != false")
		holds(t, "advice", d.Advice, "level restricted")
	})
	t.Run("policy", func(t *testing.T) {
		t.Parallel()
		b := open(t)
		b.policy(t)
		d := b.fails(t, deployment(`serve`, probe), limit)
		if d.Reason != "FailedCreate" || d.TimedOut {
			t.Errorf("%+v", d)
		}
		holds(t, "message", d.Message, "a team label is needed")
	})
}

// policy makes the cluster refuse pods without a label in the bench's namespace.
func (b bench) policy(t *testing.T) {
	t.Helper()
	b.c.Apply(t, b.ns, strings.ReplaceAll(`apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NAME}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  validations: [{expression: "has(object.metadata.labels) && 'team' in object.metadata.labels", message: a team label is needed}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NAME}
spec:
  policyName: NAME
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME}}}
`, "NAME", b.ns))
	t.Cleanup(func() {
		ref := kubernetes.Ref{APIVersion: "admissionregistration.k8s.io/v1", Name: b.ns}
		for _, ref.Kind = range []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
			if err := b.client.Delete(context.WithoutCancel(t.Context()), ref, ""); err != nil {
				t.Error(err)
			}
		}
	})
	b.c.Refuses(t, b.ns, cluster.Pod, "a team label is needed")
}

// Somebody else's version says nothing of this one.
func TestClusterToleratesNoOtherHand(t *testing.T) {
	t.Parallel()
	b := open(t)
	set := b.apply(t, deployment(`serve, "503"`, probe))
	b.c.Kubectl(t, "set", "env", "deployment/app", "-n", b.ns, "VERSION=3")
	if _, err := b.wait(t, set, limit); fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), `changed by "kubectl-set"`) {
		t.Errorf("changed: %v", err)
	}
	set = b.apply(t, deployment(`serve, "503"`, probe))
	b.c.Kubectl(t, "scale", "deployment/app", "-n", b.ns, "--replicas=2")
	if _, err := b.wait(t, set, 5*time.Second); fault.KindOf(err) != fault.Failed {
		t.Errorf("scaled, as an autoscaler does: %v", err)
	}
	b.c.Kubectl(t, "delete", "deployment/app", "-n", b.ns)
	if _, err := b.wait(t, set, limit); fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "deleted") {
		t.Errorf("deleted: %v", err)
	}
}

func TestClusterWaitCanBeCancelled(t *testing.T) {
	t.Parallel()
	b := open(t)
	set := b.apply(t, deployment(`serve, "503"`, probe))
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	stopped := errors.New("that was long enough")
	_, err := rollout.Wait(ctx, b.client, set, rollout.Options{Timeout: limit, Now: time.Now, Sleep: sleep, Progress: func(what string) {
		if strings.Contains(what, "(0 of 1 ready)") {
			cancel(stopped)
		}
	}})
	if fault.KindOf(err) != fault.Undetermined || !errors.Is(err, stopped) || !strings.Contains(err.Error(), "Deployment app (0 of 1 ready)") {
		t.Errorf("cancelled: %v", err)
	}
}

// A StatefulSet that got a broken version waits for its pod for ever, whatever is applied then, until that is deleted.
func TestClusterKnowsWhatBlocksAStatefulSet(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]string{"blocked": `[die]`, "unready": `[serve, "500"]`} {
		broke := func(b bench, t *testing.T) *clock {
			if name == "blocked" {
				return b.exited(t, 3)
			}
			return b.probed(t, "statuscode: 500")
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			manifests := strings.Replace(deploymentOf(2, `serve`, probe, ``), "Deployment", "StatefulSet", 1)
			b.ready(t, manifests)
			b.failsBy(t, broke(b, t), strings.Replace(manifests, "args: [serve]", "args: "+broken, 1), 15*time.Second)
			d := b.fails(t, manifests, 30*time.Second)
			if d.Pod != "app-1" {
				t.Errorf("%+v", d)
			}
			holds(t, "advice", d.Advice, "kubectl delete pod app-1")
			var deleted []string
			ready, err := rollout.Wait(t.Context(), b.client, b.apply(t, manifests), rollout.Options{Timeout: limit, Now: time.Now, Sleep: sleep,
				Unblock: func(ctx context.Context, pod kubernetes.Ref, uid types.UID) error {
					deleted = append(deleted, pod.Name)
					return b.client.Delete(ctx, pod, uid)
				}})
			if err != nil || ready.Pods != 2 || !slices.Contains(deleted, "app-1") || slices.Contains(deleted, "app-0") {
				t.Errorf("after deleting %v: %+v, %v", deleted, ready, err)
			}
		})
	}
}

// What a pod knows and others must not.
func TestClusterShowsNoSecret(t *testing.T) {
	t.Parallel()
	b := open(t)
	hidden, inSecret, projected := "open"+"sesame", "hush"+"hush", "whisper"+"whisper"
	b.c.Kubectl(t, "create", "secret", "generic", "keys", "-n", b.ns, "--from-literal=key="+inSecret)
	b.c.Kubectl(t, "create", "secret", "generic", "more", "-n", b.ns, "--from-literal=key="+projected)
	d := b.fails(t, deploymentOf(1, `die`, `volumeMounts: [{name: v, mountPath: /v}], env: [{name: DATABASE_PASSWORD, value: `+hidden+`}, {name: FROM_SECRET, valueFrom: {secretKeyRef: {name: keys, key: key}}}]`,
		`volumes: [{name: v, projected: {sources: [{secret: {name: more}}]}}]`), limit)
	text := strings.Join(append(d.Lines(), d.Advice), "\n")
	if strings.Contains(text, hidden) || strings.Contains(text, inSecret) || strings.Contains(text, projected) ||
		!strings.Contains(text, "connecting with *** and ***") || !strings.Contains(text, "which was told ***") {
		t.Error(text)
	}
}

func TestClusterWaitSurvivesARestartOfTheAPIServer(t *testing.T) {
	c := cluster.Own(t)
	b := on(t, c)
	set := b.apply(t, deploymentOf(2, `serve`, strings.Replace(probe, "periodSeconds", "initialDelaySeconds: 8, periodSeconds", 1), ``))
	done := make(chan error, 1)
	go func() {
		ready, err := b.wait(t, set, limit)
		if err == nil && ready.Pods != 2 {
			err = fmt.Errorf("%d pods, want 2", ready.Pods)
		}
		done <- err
	}()
	c.RestartAPIServer(t)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
