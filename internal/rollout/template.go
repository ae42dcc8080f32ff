package rollout

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/org/idp/internal/kubernetes"
)

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
