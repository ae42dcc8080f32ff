package strategy_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/strategy"
)

var update = flag.Bool("update", false, "write the expected plans")

const image = "registry.example/shop@sha256:0"

// live is what a real cluster had, as the test on a cluster writes it with -capture: the service three times, under an
// autoscaler, deployed by rolling or in blue.
func live(t *testing.T, name string) []kubernetes.Object {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "live-"+name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	if err := yaml.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	objects := make([]kubernetes.Object, len(list))
	for i := range list {
		o := kubernetes.Object{Object: list[i]}
		data, err := o.MarshalJSON() // numbers as the API machinery has them
		if err != nil {
			t.Fatal(err)
		}
		if err := objects[i].UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

// told is a plan as a person can check it: per step what is applied and what matters of it, and what is taken away.
func told(plan strategy.Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", plan.Kind)
	if plan.Note != "" {
		fmt.Fprintf(&b, "note: %s\n", plan.Note)
	}
	for _, step := range plan.Steps {
		fmt.Fprintf(&b, "\n%s\n", step.Name)
		for _, o := range step.Apply {
			fmt.Fprintf(&b, "  apply    %s\n", one(&o))
		}
		if step.Smoke != nil {
			fmt.Fprintf(&b, "  smoke    %s/%s:%s\n", step.Smoke.Namespace, step.Smoke.Service, step.Smoke.Port)
		}
		for _, o := range step.Restore {
			fmt.Fprintf(&b, "  restore  %s\n", one(&o))
		}
		for _, ref := range step.Abort {
			fmt.Fprintf(&b, "  abort    %s\n", ref)
		}
		if step.Drain > 0 {
			fmt.Fprintf(&b, "  drain    %s\n", step.Drain)
		}
		for _, ref := range step.Remove {
			fmt.Fprintf(&b, "  remove   %s\n", ref)
		}
	}
	fmt.Fprintf(&b, "\nthe release has\n")
	for _, o := range plan.Set {
		fmt.Fprintf(&b, "  %s\n", one(&o))
	}
	for _, ref := range plan.Temporary {
		fmt.Fprintf(&b, "  for a time %s\n", ref)
	}
	return b.String()
}

func one(o *kubernetes.Object) string {
	text := kubernetes.RefOf(o).String()
	if n, ok, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); ok {
		text += fmt.Sprintf(" ×%d", n)
	}
	for _, path := range [][]string{{"spec", "selector"}, {"spec", "selector", "matchLabels"}, {"spec", "podSelector", "matchLabels"}, {"spec", "template", "metadata", "labels"}} {
		m, ok, err := unstructured.NestedStringMap(o.Object, path...)
		if !ok || err != nil {
			continue
		}
		var pairs []string
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if strings.HasPrefix(key, "idp/") && key != "idp/owner" && key != "idp/environment" || key == "app.kubernetes.io/name" || key == "pod-template-hash" {
				pairs = append(pairs, strings.TrimPrefix(key, "app.kubernetes.io/")+"="+m[key])
			}
		}
		text += fmt.Sprintf(" %s{%s}", map[bool]string{true: "pods", false: "selects"}[path[1] == "template"], strings.Join(pairs, " "))
	}
	if target, ok, _ := unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "name"); ok {
		text += " scales " + target
	}
	containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	for _, c := range containers {
		from, _, _ := unstructured.NestedSlice(c.(map[string]any), "envFrom")
		for _, f := range from {
			name, _, _ := unstructured.NestedString(f.(map[string]any), "configMapRef", "name")
			text += " reads " + name
		}
	}
	return text
}

func TestPlans(t *testing.T) {
	blue := func(t *testing.T) []kubernetes.Object {
		plan, err := strategy.New(strategy.BlueGreen, rendered(t, image, "four"), nil, strategy.Options{Service: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		return plan.Set
	}
	for name, c := range map[string]struct {
		kind string
		live string
		set  func(*testing.T) []kubernetes.Object
	}{
		"rolling":                    {kind: strategy.Rolling, live: "rolling"},
		"rolling in place of blue":   {kind: strategy.Rolling, live: "blue"},
		"canary":                     {kind: strategy.Canary, live: "rolling"},
		"canary in place of blue":    {kind: strategy.Canary, live: "blue"},
		"canary first":               {kind: strategy.Canary},
		"blue-green":                 {kind: strategy.BlueGreen, live: "blue"},
		"blue-green after a rolling": {kind: strategy.BlueGreen, live: "rolling"},
		"blue-green first":           {kind: strategy.BlueGreen},
		"back to blue":               {kind: strategy.Rolling, live: "rolling", set: blue},
	} {
		t.Run(name, func(t *testing.T) {
			set := rendered(t, image, "five")
			if c.set != nil {
				set = c.set(t)
			}
			var now []kubernetes.Object
			if c.live != "" {
				now = live(t, c.live)
			}
			before := []any{copied(set), copied(now)}
			plan, err := strategy.New(c.kind, set, now, strategy.Options{Service: "shop"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, []any{copied(set), copied(now)}); diff != "" {
				t.Errorf("what was given was changed: %s", diff)
			}
			got, file := told(plan), filepath.Join("testdata", "plans", strings.ReplaceAll(name, " ", "-")+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func copied(set []kubernetes.Object) []map[string]any {
	list := make([]map[string]any, len(set))
	for i := range set {
		list[i] = set[i].DeepCopy().Object
	}
	return list
}

// Replicas of a canary are max(1, round(n·pct/100)), and a step that would change nothing is left out.
func TestCanaryReplicas(t *testing.T) {
	for _, c := range []struct {
		n     int64
		steps []int
		want  string
	}{
		{1, nil, "1"},
		{2, nil, "1"},
		{3, nil, "1 2"},
		{10, nil, "1 5"},
		{15, []int{10, 50}, "2 8"}, // 1.5 and 7.5, rounded away from zero
		{200, []int{1, 25, 100}, "2 50 200"},
		{4, []int{10, 20, 30, 40}, "1 2"},
	} {
		now := live(t, "rolling")
		if err := unstructured.SetNestedField(of(t, now, "Deployment").Object, c.n, "spec", "replicas"); err != nil {
			t.Fatal(err)
		}
		plan, err := strategy.New(strategy.Canary, rendered(t, image, "five"), now, strategy.Options{Service: "shop", Steps: c.steps})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, step := range plan.Steps[:len(plan.Steps)-1] {
			n, _, _ := unstructured.NestedInt64(of(t, step.Apply, "Deployment").Object, "spec", "replicas")
			got = append(got, fmt.Sprint(n))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%d replicas, steps %v: canaries %v, want %s", c.n, c.steps, got, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	job := kubernetes.Object{Object: map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": "migrate", "namespace": "shop"},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{}}}}}}
	stateful := *job.DeepCopy()
	stateful.SetAPIVersion("apps/v1")
	stateful.SetKind("StatefulSet")
	with := func(o ...kubernetes.Object) []kubernetes.Object { return append(rendered(t, image, "five"), o...) }
	without := func(kind string) []kubernetes.Object {
		return slices.DeleteFunc(rendered(t, image, "five"), func(o kubernetes.Object) bool { return o.GetKind() == kind })
	}
	long := func() []kubernetes.Object {
		set := rendered(t, image, "five")
		of(t, set, "Service").SetName(strings.Repeat("s", 60))
		return set
	}
	for name, c := range map[string]struct {
		kind  string
		set   []kubernetes.Object
		steps []int
		want  string
		fault fault.Kind
	}{
		"a Job under canary":               {strategy.Canary, with(job), nil, "Job migrate: canary works with Deployments only", fault.BadInput},
		"a StatefulSet under blue-green":   {strategy.BlueGreen, with(stateful), nil, "StatefulSet migrate: blue-green works with Deployments only", fault.BadInput},
		"two of them":                      {strategy.BlueGreen, with(job, stateful), nil, "2 objects cannot be deployed by blue-green", fault.BadInput},
		"no Service to switch":             {strategy.BlueGreen, without("Service"), nil, "Deployment shop: no Service selects its pods", fault.BadInput},
		"no Deployment":                    {strategy.Canary, without("Deployment"), nil, "there is no Deployment in the set", fault.BadInput},
		"a name without room":              {strategy.Canary, long(), nil, "at most 55 characters leaves room for -preview", fault.BadInput},
		"a kind that nobody knows":         {"bluegreen", with(), nil, "one of rolling, canary, blue-green", fault.BadInput},
		"steps that go down":               {strategy.Canary, with(), []int{50, 10}, "each larger than the one before", fault.BadInput},
		"more than all":                    {strategy.Canary, with(), []int{101}, "percentages from 1 to 100", fault.BadInput},
		"no percent":                       {strategy.Canary, with(), []int{0}, "percentages from 1 to 100", fault.BadInput},
		"nothing":                          {strategy.Rolling, nil, nil, "there is nothing to deploy", fault.Undetermined},
		"a Service with an empty selector": {strategy.BlueGreen, unselective(t), nil, "no Service selects its pods", fault.BadInput},
		"a Service of another namespace":   {strategy.BlueGreen, elsewhere(t), nil, "no Service selects its pods", fault.BadInput},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := strategy.New(c.kind, c.set, live(t, "rolling"), strategy.Options{Service: "shop", Steps: c.steps})
			if err == nil {
				t.Fatalf("a plan: %+v", plan.Steps)
			}
			if fault.KindOf(err) != c.fault || !strings.Contains(strings.Join(fault.Lines(err), "\n"), c.want) {
				t.Errorf("%v %v, want %v: %s", fault.KindOf(err), err, c.fault, c.want)
			}
		})
	}
	if _, err := strategy.New(strategy.Rolling, with(job, stateful), live(t, "rolling"), strategy.Options{}); err != nil {
		t.Errorf("rolling takes every kind: %v", err)
	}
}

func unselective(t *testing.T) []kubernetes.Object {
	set := rendered(t, image, "five")
	unstructured.RemoveNestedField(of(t, set, "Service").Object, "spec", "selector")
	return set
}

func elsewhere(t *testing.T) []kubernetes.Object {
	set := rendered(t, image, "five")
	of(t, set, "Service").SetNamespace("other")
	return set
}

// The same version deployed again stays in its color, and a new one does not.
func TestSameVersionKeepsItsColor(t *testing.T) {
	again := rendered(t, image, "four")
	now := live(t, "blue")
	first, err := strategy.New(strategy.BlueGreen, again, nil, strategy.Options{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	deployed := of(t, now, "Deployment")
	deployed.SetAnnotations(of(t, first.Set, "Deployment").GetAnnotations()) // the image of the real one has another name
	for what, c := range map[string]struct {
		change func([]kubernetes.Object)
		steps  int
		last   string
	}{
		"the same":            {func([]kubernetes.Object) {}, 1, "blue"},
		"other configuration": {func(set []kubernetes.Object) { of(t, set, "ConfigMap").Object["data"] = map[string]any{"VERSION": "x"} }, 2, "switch to green"},
		"another image":       {func(set []kubernetes.Object) { container(t, set)["image"] = "other" }, 2, "switch to green"},
		"another autoscaler": {func(set []kubernetes.Object) {
			_ = unstructured.SetNestedField(of(t, set, "HorizontalPodAutoscaler").Object, int64(9), "spec", "maxReplicas")
		}, 1, "blue"},
	} {
		set := rendered(t, image, "four")
		c.change(set)
		plan, err := strategy.New(strategy.BlueGreen, set, now, strategy.Options{Service: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		if last := plan.Steps[len(plan.Steps)-1].Name; len(plan.Steps) != c.steps || last != c.last {
			t.Errorf("%s: %d steps, the last %q; want %d, %q", what, len(plan.Steps), last, c.steps, c.last)
		}
	}
}

// Secrets and ConfigMaps are found wherever a pod may name them.
func TestConfigurationIsCopiedWhereverItIsNamed(t *testing.T) {
	set := rendered(t, image, "five")
	for _, name := range []string{"a", "b", "c", "d", "e", "unused"} {
		o := kubernetes.Object{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "stringData": map[string]any{"k": "v"}}}
		o.SetName(name)
		o.SetNamespace("shop")
		set = append(set, o)
	}
	c := container(t, set)
	c["env"] = []any{map[string]any{"name": "A", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "a", "key": "k"}}}}
	c["envFrom"] = []any{map[string]any{"secretRef": map[string]any{"name": "b"}}, map[string]any{"configMapRef": map[string]any{"name": "not-ours"}}}
	pod, _, _ := unstructured.NestedFieldNoCopy(of(t, set, "Deployment").Object, "spec", "template", "spec")
	pod.(map[string]any)["imagePullSecrets"] = []any{map[string]any{"name": "c"}}
	pod.(map[string]any)["volumes"] = []any{
		map[string]any{"name": "d", "secret": map[string]any{"secretName": "d"}},
		map[string]any{"name": "e", "projected": map[string]any{"sources": []any{map[string]any{"secret": map[string]any{"name": "e"}}}}},
	}
	plan, err := strategy.New(strategy.Canary, set, live(t, "rolling"), strategy.Options{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, ref := range plan.Temporary {
		got = append(got, ref.String())
	}
	if want := "Secret a-canary Secret b-canary Secret c-canary Secret d-canary Secret e-canary Deployment shop-canary Service shop-canary"; !sameWords(strings.Join(got, " "), want) {
		t.Errorf("copies: %s", strings.Join(got, " "))
	}
	text := fmt.Sprint(of(t, plan.Steps[0].Apply, "Deployment").Object["spec"])
	for _, name := range []string{"name:a-canary", "name:b-canary", "name:c-canary", "secretName:d-canary", "name:e-canary", "name:not-ours"} {
		if !strings.Contains(text, name) {
			t.Errorf("%s is not in the pod: %s", name, text)
		}
	}
}

func sameWords(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// What a strategy makes beside the set comes and goes; what the set had itself, and has no more, does not.
func TestPassing(t *testing.T) {
	t.Parallel()
	set := rendered(t, image, "one")
	plan, err := strategy.New(strategy.BlueGreen, set, live(t, "blue"), strategy.Options{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	ref := func(apiVersion, kind, name string) kubernetes.Ref {
		return kubernetes.Ref{APIVersion: apiVersion, Kind: kind, Namespace: "shop", Name: name}
	}
	for _, tc := range []struct {
		ref           kubernetes.Ref
		rolling, blue bool // what it is beside a set of each kind
	}{
		{ref("apps/v1", "Deployment", "shop-blue"), true, true},
		{ref("apps/v1", "Deployment", "shop-canary"), true, true},
		{ref("apps/v1", "Deployment", "shop"), false, true},
		{ref("v1", "ConfigMap", "settings-blue"), true, true},
		{ref("v1", "Service", "shop-preview"), true, true},
		{ref("v1", "ConfigMap", "settings-old"), false, false},
		{ref("v1", "ConfigMap", "other-blue"), false, false},
		{ref("v1", "Secret", "settings-blue"), false, false},
		{ref("apps/v1", "Deployment", "shop-worker"), false, false},
		{ref("apps/v1", "StatefulSet", "shop-blue"), false, false},
		{kubernetes.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "bank", Name: "settings-blue"}, false, false},
	} {
		if got := strategy.Passing(set, tc.ref); got != tc.rolling {
			t.Errorf("%+v beside a rolling set: %t, want %t", tc.ref, got, tc.rolling)
		}
		if got := strategy.Passing(plan.Set, tc.ref); got != tc.blue {
			t.Errorf("%+v beside a set in green: %t, want %t", tc.ref, got, tc.blue)
		}
	}
}
