package cost

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/org/idp/internal/manifest"
)

// hours of a month: 365 days a year over 12.
const hours = 730

// line is one container's or claim's part of the estimate, exactly.
type line struct {
	workload, name       string
	claim                bool
	minCount, maxCount   int
	cpu, memory, storage *big.Rat // of one replica: cores, GB, GB
	min, max             *big.Rat // a month
}

// estimate is what objects cost a month.
type estimate struct {
	lines    []line
	min, max *big.Rat
	left     []string // what is not in it, and why
	missing  []string // what would have to be in it and cannot be told
}

// replicas is a range that an autoscaler moves in.
type replicas struct{ min, max int }

// estimator walks the objects of a set.
type estimator struct {
	prices Prices
	scaled map[string]replicas // by target
	used   map[string]bool     // targets that were found
	estimate
}

func newEstimate(set manifest.Set, prices Prices) estimate {
	e := &estimator{prices: prices, scaled: map[string]replicas{}, used: map[string]bool{}}
	e.min, e.max = new(big.Rat), new(big.Rat)
	for _, o := range set.Objects {
		e.autoscaler(o)
	}
	for _, o := range set.Objects {
		e.object(o)
	}
	for target := range e.scaled {
		if !e.used[target] {
			e.missing = append(e.missing, fmt.Sprintf("an autoscaler scales %s, which is not among the manifests or cannot be estimated", target))
		}
	}
	slices.Sort(e.missing)
	return e.estimate
}

// autoscaler notes the range of a HorizontalPodAutoscaler.
func (e *estimator) autoscaler(o manifest.Object) {
	switch h := o.Typed.(type) {
	case *autoscalingv1.HorizontalPodAutoscaler:
		ref := h.Spec.ScaleTargetRef
		e.scale(target(ref.APIVersion, ref.Kind, o.Namespace, ref.Name), replicas{count(h.Spec.MinReplicas), int(h.Spec.MaxReplicas)})
	case *autoscalingv2.HorizontalPodAutoscaler:
		ref := h.Spec.ScaleTargetRef
		e.scale(target(ref.APIVersion, ref.Kind, o.Namespace, ref.Name), replicas{count(h.Spec.MinReplicas), int(h.Spec.MaxReplicas)})
	case nil:
		e.custom(o)
	}
}

// scale notes the range of a target.
func (e *estimator) scale(key string, now replicas) {
	if seen, ok := e.scaled[key]; ok { // two of them fight; either may win
		now = replicas{min(seen.min, now.min), max(seen.max, now.max)}
	}
	e.scaled[key] = now
}

// custom notes the range of KEDA's ScaledObject (https://keda.sh/docs/latest/reference/scaledobject-spec/). What else names a
// target to scale moves it in a range that is not known.
func (e *estimator) custom(o manifest.Object) {
	spec, _ := o.Fields["spec"].(map[string]any)
	ref, ok := spec["scaleTargetRef"].(map[string]any)
	if !ok {
		return
	}
	text := func(key, standard string) string {
		s, _ := ref[key].(string)
		return cmp.Or(s, standard)
	}
	whole := func(key string, standard int64) int {
		if n, err := json.Number(fmt.Sprint(spec[key])).Int64(); spec[key] != nil && err == nil {
			return int(n)
		}
		return int(standard)
	}
	if o.Kind != "ScaledObject" || !strings.HasPrefix(o.APIVersion, "keda.sh/") {
		e.missing = append(e.missing, fmt.Sprintf("%s (%s) scales %s %s in a range that is not known here", o, o.APIVersion, text("kind", "Deployment"), text("name", "")))
		return
	}
	low := whole("minReplicaCount", 0)
	e.scale(target(text("apiVersion", "apps/v1"), text("kind", "Deployment"), o.Namespace, text("name", "")),
		replicas{min(low, whole("idleReplicaCount", int64(low))), whole("maxReplicaCount", 100)})
}

// object prices one object, or says why it does not.
func (e *estimator) object(o manifest.Object) {
	switch w := o.Typed.(type) {
	case *appsv1.Deployment:
		e.workload(o, w.Spec.Replicas, &w.Spec.Template.Spec, nil)
	case *appsv1.StatefulSet:
		e.workload(o, w.Spec.Replicas, &w.Spec.Template.Spec, w.Spec.VolumeClaimTemplates)
	case *appsv1.ReplicaSet:
		e.workload(o, w.Spec.Replicas, &w.Spec.Template.Spec, nil)
	case *corev1.ReplicationController:
		if w.Spec.Template == nil {
			e.missing = append(e.missing, o.String()+" has no template")
			return
		}
		e.workload(o, w.Spec.Replicas, &w.Spec.Template.Spec, nil)
	case *corev1.Pod:
		e.workload(o, nil, &w.Spec, nil)
	case *corev1.PersistentVolumeClaim:
		e.volume(o, w.Name, w.Spec.Resources, replicas{1, 1})
	case *appsv1.DaemonSet:
		e.left = append(e.left, o.String()+": it runs on every node, and how many there are is not known here")
	case *corev1.Service:
		if w.Spec.Type == corev1.ServiceTypeLoadBalancer {
			e.left = append(e.left, o.String()+": what its load balancer costs is not known")
		}
	case *batchv1.Job:
		e.left = append(e.left, o.String()+": how long it runs is not known")
	case *batchv1.CronJob:
		e.left = append(e.left, o.String()+": how long its runs take is not known")
	case nil:
		if runsPods(o.Fields) {
			e.missing = append(e.missing, fmt.Sprintf("%s (%s) runs containers in a way that is not known here", o, o.APIVersion))
		}
	}
}

// runsPods tells whether a custom resource has a pod template, as an Argo Rollout or a Knative Service does.
func runsPods(fields map[string]any) bool {
	var at any = fields
	for _, key := range []string{"spec", "template", "spec", "containers"} {
		m, _ := at.(map[string]any)
		at = m[key]
	}
	return at != nil
}

func (e *estimator) workload(o manifest.Object, fixed *int32, pod *corev1.PodSpec, claims []corev1.PersistentVolumeClaim) {
	n := replicas{count(fixed), count(fixed)}
	key := target(o.APIVersion, o.Kind, o.Namespace, o.Name)
	if scaled, ok := e.scaled[key]; ok {
		n = scaled
		e.used[key] = true
	}
	if n.min < 0 || n.max < n.min {
		e.missing = append(e.missing, fmt.Sprintf("%s is to have %d to %d replicas", o, n.min, n.max))
		return
	}
	shares, missing := podShares(pod)
	for _, m := range missing {
		e.missing = append(e.missing, o.String()+", "+m)
	}
	for _, s := range shares {
		e.add(line{workload: o.String(), name: s.name, minCount: n.min, maxCount: n.max, cpu: s.cpu, memory: s.memory, storage: new(big.Rat)})
	}
	for _, c := range claims {
		e.volume(o, c.Name, c.Spec.Resources, n)
	}
	for _, v := range pod.Volumes {
		if v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil {
			e.volume(o, v.Name, v.Ephemeral.VolumeClaimTemplate.Spec.Resources, n)
		}
	}
}

func (e *estimator) volume(o manifest.Object, name string, r corev1.VolumeResourceRequirements, n replicas) {
	size := quantity(r.Requests, corev1.ResourceStorage)
	if size.Sign() <= 0 {
		e.missing = append(e.missing, fmt.Sprintf("%s, claim %s requests no storage", o, name))
		return
	}
	e.add(line{workload: o.String(), name: name, claim: true, minCount: n.min, maxCount: n.max, cpu: new(big.Rat), memory: new(big.Rat), storage: size})
}

func (e *estimator) add(l line) {
	month := sum(sum(product(l.cpu, exact(e.prices.CPU)), product(l.memory, exact(e.prices.Memory))), product(l.storage, exact(e.prices.Storage)))
	month = product(month, big.NewRat(hours, 1))
	l.min, l.max = product(month, big.NewRat(int64(l.minCount), 1)), product(month, big.NewRat(int64(l.maxCount), 1))
	e.min, e.max = sum(e.min, l.min), sum(e.max, l.max)
	e.lines = append(e.lines, l)
}

func product(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }

// count is a number of replicas; Kubernetes takes 1 where none is given.
func count(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// target names what an autoscaler scales, whatever the version of its API.
func target(apiVersion, kind, namespace, name string) string {
	group := schema.FromAPIVersionAndKind(apiVersion, kind).Group
	if group != "" {
		kind += "." + group
	}
	if namespace != "" {
		name = namespace + "/" + name
	}
	return kind + " " + name
}
