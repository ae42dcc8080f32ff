//go:build e2e

package rollout_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/rollout"
	"github.com/org/idp/internal/testkit/cluster"
)

// bench is a namespace of a real cluster with an image that behaves as it is told.
type bench struct {
	c      *cluster.Cluster
	client *kubernetes.Client
	ns     string
	image  string
}

func open(t *testing.T) bench {
	t.Helper()
	return on(t, cluster.Open(t))
}

func on(t *testing.T, c *cluster.Cluster) bench {
	t.Helper()
	client, err := kubernetes.Connect(kubernetes.Options{Files: []string{c.Kubeconfig}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return bench{c: c, client: client, ns: c.Namespace(t), image: c.Push(t, "rollout-test", program(t))}
}

var built = sync.OnceValues(func() (v1.Image, error) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "program")
	cmd := exec.Command("go", "build", "-o", file, "./testdata/program")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.New(string(out))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "program", Mode: 0o755, Size: int64(len(data))}), write(w, data), w.Close()); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers", DiffIDs: diffIDs(layer)},
		Config: v1.Config{Entrypoint: []string{"/program"}}})
})

func write(w io.Writer, data []byte) error {
	_, err := w.Write(data)
	return err
}

func diffIDs(l v1.Layer) []v1.Hash {
	id, err := l.DiffID()
	if err != nil {
		return nil
	}
	return []v1.Hash{id}
}

func program(t *testing.T) v1.Image {
	t.Helper()
	image, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// apply applies manifests as a deploy does and gives what the cluster made of them. IMAGE in them is the image.
func (b bench) apply(t *testing.T, manifests string) []kubernetes.Object {
	t.Helper()
	var set []kubernetes.Object
	for _, doc := range strings.Split(strings.ReplaceAll(manifests, "IMAGE", b.image), "\n---\n") {
		o := kubernetes.Object{}
		if err := yaml.Unmarshal([]byte(doc), &o.Object); err != nil {
			t.Fatal(err)
		}
		data, err := o.MarshalJSON() // numbers as the API machinery has them
		if err != nil {
			t.Fatal(err)
		}
		if err := o.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
		o.SetNamespace(b.ns)
		applied, err := b.client.Apply(t.Context(), &o, kubernetes.ApplyOptions{Force: true})
		if err != nil {
			t.Fatal(err)
		}
		set = append(set, *applied)
	}
	return set
}

func (b bench) wait(t *testing.T, set []kubernetes.Object, limit time.Duration) (rollout.Ready, error) {
	t.Helper()
	return b.waitBy(t, &clock{at: time.Now()}, set, limit)
}

func (b bench) waitBy(t *testing.T, c *clock, set []kubernetes.Object, limit time.Duration) (rollout.Ready, error) {
	t.Helper()
	return rollout.Wait(t.Context(), b.client, set, rollout.Options{Timeout: limit, Now: c.now, Sleep: c.sleep, Progress: func(s string) { t.Log(s) }})
}

// clock is that of a wait. It goes on only while the wait pauses between two looks, so that a machine or a cluster that stands
// still for some seconds takes none from it; and not before what a case is about is so.
type clock struct {
	at    time.Time
	until func() bool // nil: it goes on from the start
}

func (c *clock) now() time.Time { return c.at }

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	if err := sleep(ctx, d); err != nil {
		return err
	}
	if c.until == nil || c.until() {
		c.until, c.at = nil, c.at.Add(d)
	}
	return nil
}

// held is a clock that stands until something is so of an object of a kind in the namespace.
func (b bench) held(t *testing.T, kind kubernetes.Query, is func(o map[string]any) bool) *clock {
	t.Helper()
	kind.Namespace = b.ns
	end := time.Now().Add(10 * time.Minute)
	return &clock{at: time.Now(), until: func() bool {
		list, err := b.client.List(t.Context(), kind)
		if slices.ContainsFunc(list, func(o kubernetes.Object) bool { return is(o.Object) }) {
			return true
		}
		if time.Now().After(end) {
			t.Errorf("what the case is about never was, of %d objects of kind %s: %v", len(list), kind.Kind, err)
			return true
		}
		return false
	}}
}

// probed stands until a probe of a pod has failed in these words.
func (b bench) probed(t *testing.T, words string) *clock {
	t.Helper()
	return b.held(t, kubernetes.Query{APIVersion: "v1", Kind: "Event", Fields: "reason=Unhealthy"}, func(o map[string]any) bool {
		message, _, _ := unstructured.NestedString(o, "message")
		return strings.Contains(message, words)
	})
}

// exited stands until a container has ended with an exit code.
func (b bench) exited(t *testing.T, code int32) *clock {
	t.Helper()
	return b.containers(t, func(s corev1.ContainerStatus) bool {
		now, before := s.State.Terminated, s.LastTerminationState.Terminated
		return now != nil && now.ExitCode == code || before != nil && before.ExitCode == code
	})
}

// runs stands until a container of a name runs.
func (b bench) runs(t *testing.T, name string) *clock {
	t.Helper()
	return b.containers(t, func(s corev1.ContainerStatus) bool { return s.Name == name && s.State.Running != nil })
}

// containers stands until something is so of a container of a pod.
func (b bench) containers(t *testing.T, is func(corev1.ContainerStatus) bool) *clock {
	t.Helper()
	return b.held(t, kubernetes.Query{APIVersion: "v1", Kind: "Pod"}, func(o map[string]any) bool {
		var pod corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o, &pod); err != nil {
			t.Error(err)
		}
		return slices.ContainsFunc(slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses), is)
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

var capture = flag.Bool("capture", false, "write what the cluster has when a case is decided to testdata/states, for the tests that need no cluster")

// captured are the cases that are kept: enough for every way to look at objects.
var captured = []string{"crash loop", "it ends without an error", "out of memory", "no such command", "digest that is not there", "readiness", "liveness", "no ConfigMap", "no Secret to mount",
	"too much CPU", "no such service account", "init container", "job", "no endpoints", "no such port", "stateful set", "old pods are ready", "quota of a StatefulSet", "ready", "blocked",
	"a Rollout is degraded", "a Rollout is not taken up", "a resource is stalled", "a resource is not ready", "a resource is ready", "a resource says nothing"}

// keep writes what the cluster has of a namespace, as kubectl gives it, with what was applied.
func (b bench) keep(t *testing.T, name string, set []kubernetes.Object) {
	t.Helper()
	if !*capture || !slices.Contains(captured, name) {
		return
	}
	now := time.Now()
	var state struct {
		At      time.Time         `json:"at"`
		Logs    map[string]string `json:"logs,omitempty"`
		Set     []map[string]any  `json:"set"`
		Objects []map[string]any  `json:"objects"`
	}
	state.At, state.Logs = now, map[string]string{}
	for i := range set {
		state.Set = append(state.Set, set[i].Object)
	}
	var list unstructured.UnstructuredList
	kinds := "deployments,replicasets,statefulsets,daemonsets,controllerrevisions,jobs,pods,events,services,endpointslices,persistentvolumeclaims"
	for i := range set {
		if gvk := set[i].GroupVersionKind(); gvk.Group == "argoproj.io" || gvk.Group == "idp.example.com" {
			kinds += "," + gvk.Kind + "." + gvk.Group
		}
	}
	out := b.c.Kubectl(t, "get", kinds, "-n", b.ns, "-o", "json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Items {
		o.SetManagedFields(nil)
		state.Objects = append(state.Objects, o.Object)
		if o.GetKind() != "Pod" {
			continue
		}
		for _, previous := range []string{"false", "true"} {
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "containers")
			inits, _, _ := unstructured.NestedSlice(o.Object, "spec", "initContainers")
			for _, c := range append(inits, containers...) {
				container, _ := c.(map[string]any)["name"].(string)
				log, err := b.c.KubectlAs(t, b.c.Kubeconfig, "logs", o.GetName(), "-n", b.ns, "-c", container, "--previous="+previous)
				if err == nil {
					state.Logs[o.GetName()+"/"+container+"/"+previous] = log
				}
			}
		}
	}
	data, err := yaml.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "states", strings.ReplaceAll(name, " ", "-")+".yaml")
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte(b.ns), []byte("test")), []byte(b.c.Registry), []byte("registry.example"))
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// fails applies manifests that must fail as a gate, and gives the diagnosis. It is shown as a person would read it.
func (b bench) fails(t *testing.T, manifests string, limit time.Duration) *rollout.Diagnosis {
	t.Helper()
	return b.failsBy(t, &clock{at: time.Now()}, manifests, limit)
}

func (b bench) failsBy(t *testing.T, c *clock, manifests string, limit time.Duration) *rollout.Diagnosis {
	t.Helper()
	set := b.apply(t, manifests)
	ready, err := b.waitBy(t, c, set, limit)
	_, name, _ := strings.Cut(t.Name(), "/")
	b.keep(t, strings.ReplaceAll(name, "_", " "), set)
	var d *rollout.Diagnosis
	if !errors.As(err, &d) {
		t.Fatalf("it was ready, or there is no diagnosis: %+v, %v", ready, err)
	}
	t.Log("\n    " + strings.Join(fault.Lines(err), "\n    "))
	if fault.KindOf(err) != fault.Failed {
		t.Errorf("the kind of the error is %v, want failed", fault.KindOf(err))
	}
	return d
}

// deployment is a Deployment called app of one pod, with what is given added to its container.
func deployment(args, container string) string {
	return deploymentOf(1, args, container, "")
}

func deploymentOf(replicas int, args, container, pod string) string {
	return strings.NewReplacer("REPLICAS", string(rune('0'+replicas)), "ARGS", args, "CONTAINER", container, "POD", pod).Replace(`apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec: {containers: [{name: app, image: "IMAGE", args: [ARGS], CONTAINER}], terminationGracePeriodSeconds: 60, POD}`) // it ends at once, unless it has no processor
}

const probe = `readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, timeoutSeconds: 20}`
