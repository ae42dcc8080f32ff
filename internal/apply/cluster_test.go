//go:build e2e

package apply_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/testkit/cluster"
)

// connect gives a client for a kubeconfig.
func connect(t *testing.T, kubeconfig string) *kubernetes.Client {
	t.Helper()
	c, err := kubernetes.Connect(kubernetes.Options{Files: []string{kubeconfig}, Agent: "idp-test", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// objects reads manifests, gives them the label of the service "shop" where they have none, and the namespace.
func objects(t *testing.T, namespace, manifests string) []kubernetes.Object {
	t.Helper()
	var list []kubernetes.Object
	for d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), 4096); ; {
		var o kubernetes.Object
		if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		labels := o.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		if _, ok := labels[kubernetes.LabelService]; !ok {
			labels[kubernetes.LabelService] = "shop"
		}
		o.SetLabels(labels)
		o.SetNamespace(namespace)
		list = append(list, o)
	}
}

// shop is a service as people write it.
const shop = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: app
        image: registry.example/shop:1
        ports: [{containerPort: 8080}]
        env: [{name: LEVEL, value: info}]
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {color: green}
`

func must(t *testing.T, changes []apply.Change, err error) []apply.Change {
	t.Helper()
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	return changes
}

// actions are what happens to each object, such as "Service shop: create".
func actions(changes []apply.Change) string {
	var list []string
	for _, c := range changes {
		list = append(list, c.Ref.String()+": "+c.Action)
	}
	return strings.Join(list, ", ")
}

func wantActions(t *testing.T, changes []apply.Change, want string) {
	t.Helper()
	if got := actions(changes); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// wantFault asks for the kind of an error, and for what a person has to read in it.
func wantFault(t *testing.T, err error, kind fault.Kind, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("there is no error")
	}
	all := strings.Join(fault.Lines(err), "\n")
	t.Log(all)
	if got := fault.KindOf(err); got != kind {
		t.Errorf("kind %d, want %d", got, kind)
	}
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("it does not say %q", text)
		}
	}
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

// established waits for definitions, as a rollout does.
func established(c *kubernetes.Client) func(context.Context, []kubernetes.Ref) error {
	return func(ctx context.Context, refs []kubernetes.Ref) error {
		for _, ref := range refs {
			for ready := ref.Kind != "CustomResourceDefinition"; !ready; time.Sleep(50 * time.Millisecond) {
				o, err := c.Get(ctx, ref)
				if err != nil {
					return err
				}
				conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
				for _, condition := range conditions {
					m := condition.(map[string]any)
					ready = ready || m["type"] == "Established" && m["status"] == "True"
				}
			}
		}
		return nil
	}
}

func TestClusterPlanChangesNothingAndApplyDoesWhatItSaid(t *testing.T) {
	k := cluster.Open(t)
	ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
	set := objects(t, ns, shop)

	plan, err := apply.Plan(t.Context(), c, set, apply.Options{})
	plan = must(t, plan, err)
	wantActions(t, plan, "Deployment shop: create, Service shop: create, ConfigMap shop: create")
	t.Log("\n" + apply.Diff(plan))
	if got := k.Kubectl(t, "get", "deployment,service,configmap", "-n", ns, "-l", "idp/service", "-o", "name"); got != "" {
		t.Errorf("a plan made %s", got)
	}

	done, err := apply.Apply(t.Context(), c, set, apply.Options{})
	wantActions(t, must(t, done, err), "ConfigMap shop: create, Service shop: create, Deployment shop: create")
	if done[2].After.GetUID() == "" || done[2].After.GetGeneration() != 1 {
		t.Error("the result does not say which object it is")
	}

	before := k.Kubectl(t, "get", "deployment,service,configmap", "-n", ns, "-l", "idp/service", "-o", "jsonpath={.items[*].metadata.managedFields}")
	done, err = apply.Apply(t.Context(), c, set, apply.Options{})
	wantActions(t, must(t, done, err), "ConfigMap shop: unchanged, Service shop: unchanged, Deployment shop: unchanged")
	after := k.Kubectl(t, "get", "deployment,service,configmap", "-n", ns, "-l", "idp/service", "-o", "jsonpath={.items[*].metadata.managedFields}")
	if withoutStatus(before) != withoutStatus(after) {
		t.Errorf("a second apply of the same changes something:\n%s\n%s", before, after)
	}

	next := objects(t, ns, strings.NewReplacer("shop:1", "shop:2", "env: [{name: LEVEL, value: info}]", "", "color: green", "colour: green").Replace(shop))
	plan, err = apply.Plan(t.Context(), c, next, apply.Options{})
	plan = must(t, plan, err)
	text := apply.Diff(plan)
	t.Log("\n" + text)
	wantIn(t, text, "2 to update, 1 unchanged",
		"-   spec.template.spec.containers[app].image: registry.example/shop:1\n+   spec.template.spec.containers[app].image: registry.example/shop:2\n",
		"-   spec.template.spec.containers[app].env[LEVEL].value: info\n", "-   data.color: green\n+   data.colour: green\n")
	done, err = apply.Apply(t.Context(), c, next, apply.Options{})
	done = must(t, done, err)
	if got := apply.Diff(done); got != apply.Diff([]apply.Change{plan[2], plan[1], plan[0]}) {
		t.Errorf("the apply did something else than planned:\n%s", got)
	}
	if env := k.Kubectl(t, "get", "deployment", "shop", "-n", ns, "-o", "jsonpath={.spec.template.spec.containers[0].env}{.metadata.generation}"); env != "2" {
		t.Errorf("variables and generation are %q", env)
	}
}

// withoutStatus takes the entries of the controllers away, which go on writing.
func withoutStatus(managedFields string) string {
	var kept []string
	for _, entry := range strings.Split(managedFields, `{"apiVersion"`) {
		if !strings.Contains(entry, `"subresource":"status"`) {
			kept = append(kept, strings.TrimRight(entry, ",[] "))
		}
	}
	return strings.Join(kept, "\n")
}

func TestClusterConflictsNameOwnerAndFieldAndChangeNothing(t *testing.T) {
	k := cluster.Open(t)
	ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
	done, err := apply.Apply(t.Context(), c, objects(t, ns, shop), apply.Options{})
	must(t, done, err)
	k.Kubectl(t, "scale", "deployment", "shop", "-n", ns, "--replicas=3")
	k.Kubectl(t, "patch", "deployment", "shop", "-n", ns, "--field-manager=someone", "-p", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.example/shop:hotfix"}]}}}}`)

	next := objects(t, ns, strings.NewReplacer("shop:1", "shop:2", "green", "red").Replace(shop))
	_, err = apply.Apply(t.Context(), c, next, apply.Options{})
	wantFault(t, err, fault.Failed, "2 fields belong to another manager", `spec.replicas is set by kubectl (scale)`,
		`spec.template.spec.containers[app].image is set by someone`, "conflicts: force")
	if got := k.Kubectl(t, "get", "configmap", "shop", "-n", ns, "-o", "jsonpath={.data.color}"); got != "green" {
		t.Errorf("a refused apply changed another object: %s", got)
	}
	plan, err := apply.Plan(t.Context(), c, next, apply.Options{})
	wantFault(t, err, fault.Failed)
	t.Log("\n" + apply.Diff(plan))
	wantIn(t, apply.Diff(plan), "1 to update, 1 refused, 1 unchanged", "is set by someone", "-   spec.replicas: 3\n+   spec.replicas: 1\n")

	done, err = apply.Apply(t.Context(), c, next, apply.Options{Force: true})
	done = must(t, done, err)
	t.Log("\n" + apply.Diff(done))
	wantIn(t, apply.Diff(done), "is taken over from someone")
	if got := k.Kubectl(t, "get", "deployment", "shop", "-n", ns, "-o", "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image}"); got != "1 registry.example/shop:2" {
		t.Errorf("after force: %s", got)
	}
	done, err = apply.Apply(t.Context(), c, next, apply.Options{})
	wantActions(t, must(t, done, err), "ConfigMap shop: unchanged, Service shop: unchanged, Deployment shop: unchanged")
}

// byHand is shop as somebody deployed it before, with more in it than the manifests have now.
var byHand = strings.NewReplacer(
	"env: [{name: LEVEL, value: info}]", "env: [{name: LEVEL, value: debug}, {name: OLD, value: hunter2}]",
	"metadata: {name: shop}\nspec:\n  replicas: 1", "metadata: {name: shop, labels: {by: hand}, annotations: {note: hello}}\nspec:\n  minReadySeconds: 7\n  replicas: 2",
	"data: {color: green}", "data: {color: blue, shape: round}").Replace(shop)

func TestClusterAdoptsWhatKubectlApplied(t *testing.T) {
	k := cluster.Open(t)
	for name, args := range map[string][]string{"client-side": nil, "server-side": {"--server-side"}} {
		t.Run(name, func(t *testing.T) {
			ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
			file := write(t, byHand)
			k.Kubectl(t, append([]string{"apply", "-n", ns, "-f", file}, args...)...)
			plan, err := apply.Plan(t.Context(), c, objects(t, ns, shop), apply.Options{})
			plan = must(t, plan, err)
			t.Log("\n" + apply.Diff(plan))
			wantActions(t, plan, "Deployment shop: adopt, Service shop: adopt, ConfigMap shop: adopt")
			wantIn(t, apply.Diff(plan), "-   data.shape: round\n", "-   spec.minReadySeconds: 7\n", "-   metadata.labels.by: hand\n", "-   metadata.annotations.note: hello\n",
				"containers[app].env[OLD].value: hunter2\n", "-   spec.replicas: 2\n+   spec.replicas: 1\n")

			done, err := apply.Apply(t.Context(), c, objects(t, ns, shop), apply.Options{})
			done = must(t, done, err)
			if got, want := apply.Diff(done), apply.Diff([]apply.Change{plan[2], plan[1], plan[0]}); got != want {
				t.Errorf("the apply did something else than planned:\n%s", got)
			}
			yaml := k.Kubectl(t, "get", "deployment,service,configmap", "-l", "idp/service", "-n", ns, "-o", "yaml", "--show-managed-fields")
			for _, gone := range []string{"OLD", "hunter2", "by: hand", "note: hello", "minReadySeconds", "shape", "last-applied-configuration", "manager: kubectl"} {
				if strings.Contains(yaml, gone) {
					t.Errorf("%q is still there", gone)
				}
			}
			done, err = apply.Apply(t.Context(), c, objects(t, ns, shop), apply.Options{})
			wantActions(t, must(t, done, err), "ConfigMap shop: unchanged, Service shop: unchanged, Deployment shop: unchanged")
		})
	}
}

func TestClusterTakesOverWhatSomethingElseMade(t *testing.T) {
	k := cluster.Open(t)
	ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
	file := write(t, byHand)
	k.Kubectl(t, "create", "-n", ns, "-f", file, "--field-manager=helm")
	done, err := apply.Apply(t.Context(), c, objects(t, ns, shop), apply.Options{})
	wantActions(t, must(t, done, err), "ConfigMap shop: adopt, Service shop: adopt, Deployment shop: adopt")
	if got := k.Kubectl(t, "get", "configmap", "shop", "-n", ns, "-o", "jsonpath={.data}"); got != `{"color":"green"}` {
		t.Errorf("data is %s", got)
	}

	ns = k.Namespace(t)
	k.Kubectl(t, "create", "-n", ns, "-f", file, "--field-manager=terraform")
	_, err = apply.Apply(t.Context(), c, objects(t, ns, shop), apply.Options{})
	wantFault(t, err, fault.Failed, "2 of 3 objects cannot be applied", "data.color is set by terraform", "spec.replicas is set by terraform")
	done, err = apply.Apply(t.Context(), c, objects(t, ns, shop), apply.Options{Force: true})
	must(t, done, err)
	if got := k.Kubectl(t, "get", "deployment", "shop", "-n", ns, "-o", "jsonpath={.spec.replicas}"); got != "1" {
		t.Errorf("replicas are %s", got)
	}
}

// The step to an autoscaler must not scale to the cluster's default of one replica.
func TestClusterKeepsReplicasWhenAnAutoscalerTakesOver(t *testing.T) {
	k := cluster.Open(t)
	ns, c := k.Namespace(t), connect(t, k.Kubeconfig)
	const autoscaler = `
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop, labels: {idp/service: shop}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  maxReplicas: 6
  minReplicas: 2
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]`
	done, err := apply.Apply(t.Context(), c, objects(t, ns, strings.Replace(shop, "replicas: 1", "replicas: 3", 1)), apply.Options{})
	must(t, done, err)
	for range 2 { // the second time the autoscaler may have said the number too
		done, err = apply.Apply(t.Context(), c, objects(t, ns, strings.Replace(shop, "  replicas: 1\n", "", 1)+autoscaler), apply.Options{})
		must(t, done, err)
		if got := k.Kubectl(t, "get", "deployment", "shop", "-n", ns, "-o", "jsonpath={.spec.replicas}"); got != "3" {
			t.Errorf("%s replicas, want 3", got)
		}
	}
}
