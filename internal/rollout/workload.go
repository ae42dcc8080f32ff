package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

const (
	labelTemplateHash = "pod-template-hash"
	labelRevision     = "controller-revision-hash"
	// settle is how long the pods of a workload have to run when nothing but the start of a process makes them ready: one
	// without a readiness probe counts as ready in the moment before it crashes.
	settle = 5 * time.Second
	// old is since when a process runs that need not be watched. The clock of its node may be minutes off from this machine's.
	old = time.Hour
	// stale is how long the status of a controller may be that of the version before.
	stale = 5 * time.Second
)

// workload is a kind with pods: it is ready when its own status says so, and the pods of this version bear it out.
func (w *watch) workload(ctx context.Context, t *target) error {
	if observed := number(t.live, -1, "status", "observedGeneration"); t.ref.Kind != "Job" && observed < t.live.GetGeneration() {
		t.state = "(not taken up yet)"
		return nil
	}
	if err := w.revision(ctx, t); err != nil {
		return err
	}
	r, err := status.Compute(t.live)
	if err != nil {
		return fault.Undeterminedf("the status of %s cannot be understood: %w", t.ref, err)
	}
	t.state = w.progress(t)
	if err := w.symptoms(ctx, t); err != nil {
		return err
	}
	if t.ref.Kind == "Job" {
		return w.job(ctx, t)
	}
	if err := w.stuck(ctx, t); err != nil {
		return err
	}
	switch r.Status {
	case status.CurrentStatus:
		t.done = len(t.problems) == 0 && w.borneOut(t)
	case status.FailedStatus:
		t.problems = append(t.problems, problem{target: t, cause: causeProgress, reason: reasonOf(r), message: r.Message, grace: stale})
	}
	if t.done {
		w.partition(t)
		return nil
	}
	w.short(t)
	for i := range t.ended {
		p := &t.ended[i]
		t.problems = append(t.problems, problem{target: t, pod: p, cause: causeEvicted, grace: never, reason: p.Status.Reason, message: p.Status.Message})
	}
	return nil
}

// short is a workload whose pods are ready, but not yet for as long as it wants them to be.
func (w *watch) short(t *target) {
	least := number(t.live, 0, "spec", "minReadySeconds")
	if least == 0 || len(t.problems) > 0 || len(t.pods) == 0 || slices.ContainsFunc(t.pods, func(p corev1.Pod) bool { return !isReady(&p) }) {
		return
	}
	t.state = strings.TrimSuffix(t.state, ")") + fmt.Sprintf(", minReadySeconds: %d)", least)
	t.problems = append(t.problems, problem{target: t, cause: causeShort, grace: never, reason: "MinReadySeconds",
		message: fmt.Sprintf("its pods are ready, and count only when they have been for minReadySeconds: %d", least)})
}

// revision finds the pods of exactly this version.
func (w *watch) revision(ctx context.Context, t *target) error {
	owner, label := t.live.GetUID(), ""
	t.set, t.pods, t.others, t.ended, t.leaving = nil, nil, nil, nil, 0
	switch t.ref.Kind {
	case "Deployment":
		rs, err := w.replicaSet(ctx, t)
		if err != nil {
			return err
		}
		if rs == nil {
			return nil
		}
		owner, t.set = rs.GetUID(), rs
	case "StatefulSet":
		label = text(t.live, "status", "updateRevision")
	case "DaemonSet":
		revision, err := w.controllerRevision(ctx, t)
		if err != nil {
			return err
		}
		label = revision
	}
	objects, err := w.view.selected(ctx, "v1", "Pod", t)
	if err != nil {
		return err
	}
	var mine, others []kubernetes.Object
	for _, o := range objects {
		switch {
		case o.GetDeletionTimestamp() != nil:
			t.leaving++
		case ownedBy(&o, owner) && (label == "" || o.GetLabels()[labelRevision] == label):
			mine = append(mine, o)
		case ownedBy(&o, owner):
			others = append(others, o)
		}
	}
	if t.others, err = typed[corev1.Pod](others); err != nil {
		return err
	}
	pods, err := typed[corev1.Pod](mine)
	for _, p := range pods {
		switch {
		case t.ref.Kind != "Job" && over(&p):
			t.ended = append(t.ended, p)
		case t.ref.Kind == "ReplicaSet" && !made(t.live, &p):
			t.others = append(t.others, p)
		default:
			t.pods = append(t.pods, p)
		}
	}
	return err
}

func ownedBy(o *kubernetes.Object, uid types.UID) bool {
	for _, ref := range o.GetOwnerReferences() {
		if ref.Controller != nil && *ref.Controller && ref.UID == uid {
			return true
		}
	}
	return false
}

// replicaSet is the one with the template of the Deployment as it is now; nil while there is none.
func (w *watch) replicaSet(ctx context.Context, t *target) (*kubernetes.Object, error) {
	sets, err := w.view.selected(ctx, "apps/v1", "ReplicaSet", t)
	if err != nil {
		return nil, err
	}
	want, _, _ := unstructured.NestedMap(t.live.Object, "spec", "template")
	for i := range sets {
		if !ownedBy(&sets[i], t.live.GetUID()) {
			continue
		}
		has, _, _ := unstructured.NestedMap(sets[i].Object, "spec", "template")
		unstructured.RemoveNestedField(has, "metadata", "labels", labelTemplateHash)
		if equality.Semantic.DeepEqual(want, has) {
			return &sets[i], nil
		}
	}
	return nil, nil
}

// controllerRevision is the hash that marks the pods of a DaemonSet's newest version.
func (w *watch) controllerRevision(ctx context.Context, t *target) (string, error) {
	all, err := w.view.selected(ctx, "apps/v1", "ControllerRevision", t)
	if err != nil {
		return "", err
	}
	newest, hash := int64(-1), ""
	for i := range all {
		if n := number(&all[i], 0, "revision"); ownedBy(&all[i], t.live.GetUID()) && n > newest {
			newest, hash = n, all[i].GetLabels()[labelRevision]
		}
	}
	return hash, nil
}

// progress says how far a workload is.
func (w *watch) progress(t *target) string {
	t.wanted = int(number(t.live, 1, "spec", "replicas"))
	switch t.ref.Kind {
	case "DaemonSet":
		t.wanted = int(number(t.live, 0, "status", "desiredNumberScheduled"))
	case "Job":
		return fmt.Sprintf("(%d of %d succeeded)", number(t.live, 0, "status", "succeeded"), number(t.live, 1, "spec", "completions"))
	}
	ready := 0
	for i := range t.pods {
		if isReady(&t.pods[i]) {
			ready++
		}
	}
	return fmt.Sprintf("(%d of %d ready)", ready, t.wanted)
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// borneOut holds the pods against what the workload's status says of them.
func (w *watch) borneOut(t *target) bool {
	ready, key, young := 0, t.ref.Kind+"/"+t.ref.Name, false
	for i := range t.pods {
		p := &t.pods[i]
		if isReady(p) {
			ready++
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if isInit(p, c.Name) {
				continue
			}
			if c.State.Running == nil {
				young = true
				continue
			}
			key += fmt.Sprint("/", p.UID, c.RestartCount)
			young = young || w.now().Sub(c.State.Running.StartedAt.Time) < old
		}
	}
	if t.ref.Kind != "DaemonSet" && ready < t.wanted-int(partitionOf(t)) {
		return false
	}
	if !young || probed(t.live) {
		return true
	}
	s, known := w.first[key]
	if !known {
		w.first[key] = sighting{first: w.watched}
		return false
	}
	return w.watched-s.first >= settle
}

// probed tells whether every container that is to run has a readiness probe.
func probed(o *kubernetes.Object) bool {
	spec := podSpec(o)
	return !slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return c.ReadinessProbe == nil }) &&
		!slices.ContainsFunc(spec.InitContainers, func(c corev1.Container) bool { return besides(c) && c.ReadinessProbe == nil })
}

// podSpec is what the template of a workload says of its pods; empty where it cannot be read.
func podSpec(o *kubernetes.Object) (spec corev1.PodSpec) {
	m, _, _ := unstructured.NestedMap(o.Object, "spec", "template", "spec")
	if runtime.DefaultUnstructuredConverter.FromUnstructured(m, &spec) != nil {
		return corev1.PodSpec{}
	}
	return spec
}

// made tells whether a pod was made from the template as it is now, by what its containers run. Admission may have added to it.
func made(o *kubernetes.Object, p *corev1.Pod) bool {
	spec := podSpec(o)
	for _, want := range slices.Concat(spec.InitContainers, spec.Containers) {
		has := containerOf(p, want.Name)
		if has == nil || has.Image != want.Image || !slices.Equal(has.Command, want.Command) || !slices.Equal(has.Args, want.Args) {
			return false
		}
		for _, e := range want.Env {
			if !slices.ContainsFunc(has.Env, func(h corev1.EnvVar) bool { return equality.Semantic.DeepEqual(h, e) }) {
				return false
			}
		}
	}
	return true
}

// replaced is a container of a pod that runs another image than the digest that the template names, and the image; empty where
// none does. The same digest from a mirror is the same image.
func replaced(o *kubernetes.Object, p *corev1.Pod) (container, image string) {
	spec := podSpec(o)
	for _, want := range slices.Concat(spec.InitContainers, spec.Containers) {
		_, digest, pinned := strings.Cut(want.Image, "@")
		has := containerOf(p, want.Name)
		if !pinned || has == nil || strings.HasSuffix(has.Image, "@"+digest) {
			continue
		}
		pulled := slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), func(s corev1.ContainerStatus) bool {
			return s.Name == want.Name && strings.HasSuffix(s.ImageID, "@"+digest)
		})
		if !pulled {
			return want.Name, has.Image
		}
	}
	return "", ""
}

// containerOf is the container of a pod of a name; nil where it has none.
func containerOf(p *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}
