//go:build e2e

package rollout_test

import (
	"strings"
	"testing"
	"time"
)

// TestClusterNamesFailures deploys what cannot work and holds what is said of it.
func TestClusterNamesFailures(t *testing.T) {
	cases := map[string]struct {
		before    string // manifests that are there, and whose probe has failed so
		manifests string
		limit     time.Duration // at which it has to be called, from the first failure of the probe on; 0: it has to be called long before any
		reason    string
		container string
		exit      int32 // -1: none
		message   string
		log       string
		advice    string
	}{
		"crash loop":                            {manifests: deployment(`die`, ``), reason: "CrashLoopBackOff", container: "app", exit: 3, log: "panic: DATABASE_URL is not set", advice: "DATABASE_URL"},
		"crash after it was ready for a moment": {manifests: deployment(`die, "2"`, ``), reason: "CrashLoopBackOff", container: "app", exit: 3, log: "panic:"},
		"it ends without an error":              {manifests: deployment(`end`, ``), reason: "CrashLoopBackOff", container: "app", exit: 0, log: "all done"},
		"out of memory":                         {manifests: deployment(`eat`, `resources: {limits: {memory: 20Mi}}`), reason: "OOMKilled", container: "app", exit: 137, advice: "20Mi"},
		"no such command":                       {manifests: deployment(``, `command: [/nope]`), container: "app", exit: 128, message: "no such file", reason: "StartError", advice: "/nope"},
		"digest that is not there": {manifests: strings.ReplaceAll(deployment(`serve`, ``), "IMAGE", "REGISTRY/rollout-test@sha256:"+strings.Repeat("0", 64)),
			reason: "ImagePullBackOff", container: "app", exit: -1, message: "not found", advice: "registry"},
		"registry that is not there": {manifests: strings.ReplaceAll(deployment(`serve`, ``), "IMAGE", "registry.invalid/app@sha256:"+strings.Repeat("0", 64)),
			reason: "ImagePullBackOff", container: "app", exit: -1, message: "no such host", advice: "registry.invalid"},
		"registry that refuses": {manifests: strings.ReplaceAll(deployment(`serve`, ``), "IMAGE", "127.0.0.1:1/app@sha256:"+strings.Repeat("0", 64)),
			reason: "ImagePullBackOff", container: "app", exit: -1, message: "connection refused"},
		"not an image": {manifests: strings.ReplaceAll(deployment(`serve`, ``), "IMAGE", "NOT AN IMAGE"), reason: "InvalidImageName", container: "app", exit: -1},
		"readiness": {manifests: deployment(`serve, "503"`, probe), limit: 8 * time.Second, reason: "NotReady", container: "app", exit: -1,
			message: "Readiness probe failed: HTTP probe failed with statuscode: 503", advice: "/healthz"},
		"readiness on another port": {manifests: deployment(`serve`, `readinessProbe: {httpGet: {path: /, port: 9}, periodSeconds: 1, timeoutSeconds: 20}`), limit: 8 * time.Second, reason: "NotReady",
			container: "app", exit: -1, message: "connection refused", advice: "port 9"},
		"startup": {manifests: deployment(`serve, "503"`, `startupProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 600}`), limit: 8 * time.Second,
			reason: "NotStarted", container: "app", exit: -1, message: "Startup probe failed: HTTP probe failed with statuscode: 503"},
		"liveness": {manifests: deployment(`serve, "503"`, `livenessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, failureThreshold: 1}`),
			reason: "CrashLoopBackOff", container: "app", exit: 2, message: "iveness probe", advice: "liveness"},
		"no ConfigMap": {manifests: deployment(`serve`, `envFrom: [{configMapRef: {name: settings}}]`), reason: "CreateContainerConfigError", container: "app", exit: -1,
			message: `configmap "settings" not found`, advice: "ConfigMap settings"},
		"no key of a Secret": {manifests: "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {other: x}\n---\n" +
			deployment(`serve`, `env: [{name: KEY, valueFrom: {secretKeyRef: {name: keys, key: api}}}]`), reason: "CreateContainerConfigError", container: "app", exit: -1,
			message: "couldn't find key api in Secret", advice: "key api"},
		"no Secret to mount": {manifests: deploymentOf(1, `serve`, `volumeMounts: [{name: v, mountPath: /v}]`, `volumes: [{name: v, secret: {secretName: certificate}}]`),
			reason: "FailedMount", exit: -1, message: `secret "certificate" not found`, advice: "Secret certificate"},
		"user root": {manifests: deployment(`serve`, `securityContext: {runAsNonRoot: true}`), reason: "CreateContainerConfigError", container: "app", exit: -1,
			message: "runAsNonRoot", advice: "user"},
		"too much CPU": {manifests: deployment(`serve`, `resources: {requests: {cpu: "500"}}`), reason: "Unschedulable", exit: -1, message: "Insufficient cpu", advice: "CPU"},
		"no such node": {manifests: deploymentOf(1, `serve`, ``, `nodeSelector: {disk: fast}`), reason: "Unschedulable", exit: -1,
			message: "didn't match Pod's node affinity/selector", advice: "nodeSelector"},
		"no such claim": {manifests: deploymentOf(1, `serve`, `volumeMounts: [{name: v, mountPath: /v}]`, `volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]`),
			reason: "Unschedulable", exit: -1, message: `persistentvolumeclaim "data" not found`, advice: "PersistentVolumeClaim data"},
		"no such service account": {manifests: deploymentOf(1, `serve`, ``, `serviceAccountName: nobody`), reason: "FailedCreate", exit: -1, message: `serviceaccount "nobody" not found`,
			advice: "ServiceAccount nobody"},
		"init container": {manifests: deploymentOf(1, `serve`, ``, `initContainers: [{name: migrate, image: "IMAGE", args: [die]}]`), reason: "CrashLoopBackOff", container: "migrate", exit: 3,
			log: "panic: DATABASE_URL is not set", advice: "before"},
		"init container that does not end": {manifests: deploymentOf(1, `serve`, ``, `initContainers: [{name: migrate, image: "IMAGE", args: [serve]}]`), limit: 8 * time.Second, reason: "InitRunning",
			container: "migrate", exit: -1, message: "the others start only after it", advice: "restartPolicy: Always"},
		"second container": {manifests: strings.Replace(deployment(`serve`, ``), "}], terminationGrace", `}, {name: sidecar, image: "IMAGE", args: [die]}], terminationGrace`, 1),
			reason: "CrashLoopBackOff", container: "sidecar", exit: 3},
		"paused":                  {manifests: strings.Replace(deployment(`serve`, ``), "replicas: 1", "replicas: 1\n  paused: true", 1), reason: "Paused", exit: -1, advice: "spec.paused"},
		"job":                     {manifests: job("die", "backoffLimit: 0"), reason: "BackoffLimitExceeded", container: "app", exit: 3, message: "backoff limit", log: "panic: DATABASE_URL is not set", advice: "DATABASE_URL"},
		"job that takes too long": {manifests: job("idle", "activeDeadlineSeconds: 2"), reason: "DeadlineExceeded", exit: -1, message: "longer than specified deadline"},
		"progress deadline": {before: deployment(`serve, "503"`, probe), manifests: strings.Replace(deployment(`serve, "503"`, probe), "replicas: 1", "replicas: 1\n  progressDeadlineSeconds: 4", 1), reason: "NotReady", container: "app", exit: -1,
			message: "Readiness probe failed: HTTP probe failed with statuscode: 503", advice: "answers 503"},
		"no endpoints": {manifests: deployment(`serve`, probe) + "\n---\n" + service("app: ap", "8080"), reason: "NoEndpoints", exit: -1, message: "app=ap", advice: "selector"},
		"no such port": {manifests: deployment(`serve`, probe) + "\n---\n" + service("app: app", "http"), reason: "NoPort", exit: -1, message: "http", advice: "targetPort"},
		"stateful set": {manifests: strings.Replace(deployment(`die`, ``), "Deployment", "StatefulSet", 1), reason: "CrashLoopBackOff", container: "app", exit: 3},
		"daemon set":   {manifests: strings.Replace(strings.Replace(deployment(`die`, ``), "Deployment", "DaemonSet", 1), "  replicas: 1\n", "", 1), reason: "CrashLoopBackOff", container: "app", exit: 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			limit, watch := c.limit, &clock{at: time.Now()}
			switch {
			case c.reason == "InitRunning":
				watch = b.runs(t, c.container)
			case limit > 0:
				watch = b.probed(t, c.message)
			case c.exit >= 0 && !strings.Contains(name, "ready for a moment"): // that one must not be taken for ready
				watch = b.exited(t, c.exit)
			}
			if limit == 0 {
				limit = 2 * time.Minute
			}
			if c.before != "" {
				b.failsBy(t, b.probed(t, c.message), c.before, time.Second)
			}
			d := b.failsBy(t, watch, strings.ReplaceAll(c.manifests, "REGISTRY", b.c.Registry), limit)
			if d.TimedOut != (c.limit > 0) {
				t.Errorf("the deadline called it: %t, after %d ms", d.TimedOut, d.AfterMS)
			}
			if d.Reason != c.reason || d.Container != c.container {
				t.Errorf("reason %q, container %q; want %q, %q", d.Reason, d.Container, c.reason, c.container)
			}
			switch {
			case d.ExitCode == nil && c.exit != -1:
				t.Errorf("no exit code, want %d", c.exit)
			case d.ExitCode != nil && *d.ExitCode != c.exit:
				t.Errorf("exit code %d, want %d", *d.ExitCode, c.exit)
			}
			holds(t, "message", d.Message, c.message)
			holds(t, "log", strings.Join(d.Log, "\n"), c.log)
			holds(t, "advice", d.Advice, c.advice)
		})
	}
}

func holds(t *testing.T, what, text, want string) {
	t.Helper()
	if !strings.Contains(text, want) {
		t.Errorf("%s %q does not hold %q", what, text, want)
	}
}

func job(args, spec string) string {
	return `apiVersion: batch/v1
kind: Job
metadata: {name: app}
spec:
  ` + spec + `
  template:
    spec: {restartPolicy: Never, containers: [{name: app, image: "IMAGE", args: [` + args + `]}]}`
}

func service(selector, port string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {selector: {" + selector + "}, ports: [{port: 80, targetPort: " + port + "}]}"
}
