//go:build e2e

package rollout_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/rollout"
	"github.com/org/idp/internal/testkit/cluster"
)

// definition is the CustomResourceDefinition of a kind whose fields nobody checks, with or without a status of its own.
func definition(group, version, kind, plural, status string) string {
	return fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[4]s.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {kind: %[3]s, plural: %[4]s, singular: %[6]s}
  versions:
    - name: %[2]s
      served: true
      storage: true
      %[5]s
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`, group, version, kind, plural, status, strings.ToLower(kind))
}

// define makes kinds known to the cluster for a test. One that is there already, as in a cluster with Argo Rollouts, stays
// as it is.
func define(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	for name, text := range map[string]string{
		"rollouts.argoproj.io":    definition("argoproj.io", "v1alpha1", "Rollout", "rollouts", "subresources: {status: {}}"),
		"widgets.idp.example.com": definition("idp.example.com", "v1", "Widget", "widgets", "subresources: {status: {}}"),
		"gadgets.idp.example.com": definition("idp.example.com", "v1", "Gadget", "gadgets", ""),
	} {
		if c.Kubectl(t, "get", "crd", name, "--ignore-not-found", "-o", "name") != "" {
			continue
		}
		c.Apply(t, "default", text)
		c.Kubectl(t, "wait", "crd", name, "--for=condition=Established", "--timeout=5m")
		cluster.Until(t, func() error { // it is among the kinds of the cluster, and served, a moment later
			_, err := c.KubectlAs(t, c.Kubeconfig, "get", name, "-n", "default")
			return err
		})
		t.Cleanup(func() {
			if _, err := c.KubectlDetached(t, "delete", "crd", name); err != nil {
				t.Error(err)
			}
		})
	}
}

const (
	rolloutYAML = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: app}\nspec: {replicas: 1}"
	widgetYAML  = "apiVersion: idp.example.com/v1\nkind: Widget\nmetadata: {name: app}\nspec: {size: 1}"
	gadgetYAML  = "apiVersion: idp.example.com/v1\nkind: Gadget\nmetadata: {name: app}\nspec: {size: 1}"
)

// says writes the status of an object as its controller would.
func (b bench) says(t *testing.T, kind, status string) {
	t.Helper()
	b.c.Kubectl(t, "patch", kind, "app", "-n", b.ns, "--subresource=status", "--type=merge", "--patch", `{"status":`+status+`}`)
}

// TestClusterCustomResources writes the status of resources by hand, as their controllers document it. The step before it
// is what is there when the manifests are applied, so that a status of an earlier generation is among them.
func TestClusterCustomResources(t *testing.T) {
	c := cluster.Open(t)
	define(t, c)
	for name, tc := range map[string]struct {
		manifest, kind string
		before         string        // status of generation 1, whose spec is then changed; empty: the object is new
		status         string        // once it is applied; empty: none
		limit          time.Duration // of the wait
		reason         string        // why it fails; empty: it is ready
		message        string
		advice         string
		timedOut       bool
		note           string
	}{
		"a Rollout is healthy":  {manifest: rolloutYAML, kind: "rollout", status: `{"observedGeneration":"1","phase":"Healthy"}`},
		"a Rollout progresses":  {manifest: rolloutYAML, kind: "rollout", status: `{"observedGeneration":"1","phase":"Progressing","message":"more replicas need to be updated"}`, limit: 3 * time.Second, reason: "NotReady", message: "Progressing more replicas need to be updated", timedOut: true, advice: "kubectl describe rollout app"},
		"a Rollout is degraded": {manifest: rolloutYAML, kind: "rollout", status: `{"observedGeneration":"1","phase":"Degraded","message":"ProgressDeadlineExceeded: ReplicaSet \"app-5d\" has timed out progressing."}`, reason: "Degraded", message: `ReplicaSet "app-5d" has timed out progressing.`},
		"a Rollout is paused":   {manifest: rolloutYAML, kind: "rollout", status: `{"observedGeneration":"1","phase":"Paused","message":"CanaryPauseStep"}`, limit: 3 * time.Second, reason: "Paused", message: "CanaryPauseStep", advice: "kubectl argo rollouts promote app", timedOut: true},
		"a Rollout is not taken up": {manifest: rolloutYAML, kind: "rollout", before: `{"observedGeneration":"1","phase":"Healthy"}`, limit: 3 * time.Second,
			reason: "NotReady", message: "not taken up yet", timedOut: true},
		"a Rollout was degraded before": {manifest: rolloutYAML, kind: "rollout", before: `{"observedGeneration":"1","phase":"Degraded","message":"of the version before"}`,
			status: `{"observedGeneration":"2","phase":"Healthy","message":null}`},
		"a Rollout has no controller": {manifest: rolloutYAML, kind: "rollout", limit: 3 * time.Second, reason: "NotReady", message: "not taken up yet", timedOut: true},
		"a resource is ready":         {manifest: widgetYAML, kind: "widget", status: `{"observedGeneration":1,"conditions":[{"type":"Ready","status":"True","reason":"Made"}]}`},
		"a resource is not ready": {manifest: widgetYAML, kind: "widget", status: `{"observedGeneration":1,"conditions":[{"type":"Ready","status":"False","reason":"QuotaFull","message":"the account has no room for another one"}]}`,
			limit: 3 * time.Second, reason: "QuotaFull", message: "the account has no room for another one", timedOut: true, advice: "kubectl describe widget app"},
		"a resource is reconciled": {manifest: widgetYAML, kind: "widget", status: `{"observedGeneration":1,"conditions":[{"type":"Ready","status":"True"},{"type":"Reconciling","status":"True","reason":"Growing","message":"growing to size 1"}]}`,
			limit: 3 * time.Second, reason: "NotReady", message: "growing to size 1", timedOut: true},
		"a resource is stalled": {manifest: widgetYAML, kind: "widget", status: `{"observedGeneration":1,"conditions":[{"type":"Stalled","status":"True","reason":"NoSuchSize","message":"there is no size 1"}]}`,
			reason: "NoSuchSize", message: "there is no size 1"},
		"a resource was ready before": {manifest: widgetYAML, kind: "widget", before: `{"observedGeneration":1,"conditions":[{"type":"Ready","status":"True"}]}`, limit: 3 * time.Second,
			reason: "NotReady", message: "not taken up yet", timedOut: true},
		"a resource was ready before by its condition": {manifest: widgetYAML, kind: "widget", before: `{"conditions":[{"type":"Ready","status":"True","observedGeneration":1}]}`, limit: 3 * time.Second,
			reason: "NotReady", message: "not taken up yet", timedOut: true},
		"a resource was stalled before": {manifest: widgetYAML, kind: "widget", before: `{"conditions":[{"type":"Stalled","status":"True","reason":"NoSuchSize","observedGeneration":1}]}`,
			status: `{"conditions":[{"type":"Ready","status":"True","observedGeneration":2}]}`},
		"a resource says nothing":         {manifest: widgetYAML, kind: "widget", note: "Widget app has no status"},
		"a resource that keeps no status": {manifest: gadgetYAML, kind: "gadget"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := on(t, c)
			manifest, limit := tc.manifest, tc.limit
			if limit == 0 {
				limit = time.Minute
			}
			if tc.before != "" {
				b.apply(t, manifest)
				b.says(t, tc.kind, tc.before)
				manifest = strings.NewReplacer("replicas: 1", "replicas: 2", "size: 1", "size: 2").Replace(manifest)
			}
			set := b.apply(t, manifest)
			if tc.before != "" && set[0].GetGeneration() != 2 {
				t.Fatalf("generation %d, want 2", set[0].GetGeneration())
			}
			type end struct {
				ready rollout.Ready
				err   error
			}
			ended := make(chan end, 1)
			var written atomic.Bool
			written.Store(tc.status == "")
			go func() {
				ready, err := b.waitBy(t, &clock{at: time.Now(), until: written.Load}, set, limit)
				ended <- end{ready, err}
			}()
			if tc.status != "" {
				select { // what nobody has spoken of yet is not ready
				case e := <-ended:
					t.Fatalf("before its status was written: %+v, %v", e.ready, e.err)
				case <-time.After(1200 * time.Millisecond):
				}
				b.says(t, tc.kind, tc.status)
				written.Store(true)
			}
			e := <-ended
			b.keep(t, name, set)
			if notes := strings.Join(e.ready.Notes, " "); !strings.Contains(notes, tc.note) || tc.note == "" && notes != "" {
				t.Errorf("notes %q, want %q", notes, tc.note)
			}
			if tc.note != "" && e.ready.After < 10*time.Second {
				t.Errorf("it was taken for ready after %s", e.ready.After)
			}
			var d *rollout.Diagnosis
			switch {
			case tc.reason == "" && e.err != nil:
				t.Fatal(e.err)
			case tc.reason == "":
				return
			case !errors.As(e.err, &d) || fault.KindOf(e.err) != fault.Failed:
				t.Fatalf("it is ready, or there is no diagnosis: %+v, %v", e.ready, e.err)
			}
			t.Log(strings.Join(fault.Lines(e.err), "\n"))
			if d.Reason != tc.reason || d.TimedOut != tc.timedOut {
				t.Errorf("reason %q, timed out %t; want %q, %t", d.Reason, d.TimedOut, tc.reason, tc.timedOut)
			}
			holds(t, "message", d.Message, tc.message)
			holds(t, "advice", d.Advice, tc.advice)
		})
	}
	t.Run("the controller of a Rollout writes empty fields into it", func(t *testing.T) {
		t.Parallel()
		b := on(t, c)
		set := b.apply(t, strings.Replace(rolloutYAML, "replicas: 1", "replicas: 1, template: {spec: {containers: [{name: app, image: one}]}}", 1))
		b.c.Kubectl(t, "patch", "rollout", "app", "-n", b.ns, "--type=json", "-p", `[{"op": "add", "path": "/spec/template/spec/containers/0/resources", "value": {}}]`)
		b.says(t, "rollout", `{"observedGeneration":"2","phase":"Healthy"}`)
		if _, err := b.wait(t, set, time.Minute); err != nil {
			t.Error(err)
		}
		b.c.Kubectl(t, "patch", "rollout", "app", "-n", b.ns, "--type=json", "-p", `[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "other"}]`)
		b.says(t, "rollout", `{"observedGeneration":"3","phase":"Healthy"}`)
		if _, err := b.wait(t, set, time.Minute); fault.KindOf(err) != fault.Undetermined || !strings.Contains(err.Error(), "what runs now is not what was deployed") {
			t.Errorf("with another image: %v", err)
		}
	})
	t.Run("the pods of a Rollout crash", func(t *testing.T) {
		t.Parallel()
		b := on(t, c)
		set := b.apply(t, rolloutYAML)
		b.says(t, "rollout", `{"observedGeneration":"1","phase":"Progressing","currentPodHash":"5d"}`)
		b.apply(t, `apiVersion: v1
kind: Pod
metadata: {name: app-5d-x, labels: {rollouts-pod-template-hash: 5d}}
spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: "IMAGE", args: [die]}]}`)
		_, err := b.waitBy(t, b.exited(t, 3), set, time.Minute)
		var d *rollout.Diagnosis
		if !errors.As(err, &d) || d.Reason != "CrashLoopBackOff" || d.Pod != "app-5d-x" || d.TimedOut {
			t.Fatalf("%+v, %v", d, err)
		}
		holds(t, "log", strings.Join(d.Log, "\n"), "DATABASE_URL is not set")
	})
}
