package strategy

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/kubernetes"
)

// doors are Services that lead to pods with the labels alone, one for each Deployment that a Service leads to.
func (p *planner) doors(suffix string, labels map[string]string) (list []kubernetes.Object) {
	for _, m := range p.mains {
		if len(m.services) > 0 {
			list = append(list, doorTo(m.services[0], suffix, labels))
		}
	}
	return list
}

// copies gives the ConfigMaps and Secrets of the set that a Deployment's pods use and the Deployment, all under names
// with a suffix, and the labels on pods and selector. So what runs never sees the configuration of what comes.
func (p *planner) copies(m workload, suffix string, labels map[string]string) []kubernetes.Object {
	d := m.deployment.DeepCopy()
	d.SetName(d.GetName() + suffix)
	for key, value := range labels {
		_ = unstructured.SetNestedField(d.Object, value, "spec", "template", "metadata", "labels", key)
		_ = unstructured.SetNestedField(d.Object, value, "spec", "selector", "matchLabels", key)
	}
	var used []kubernetes.Object
	pod, _, _ := unstructured.NestedMap(d.Object, "spec", "template", "spec")
	rename(pod, func(kind, name string) string {
		o := find(p.set, kubernetes.Ref{APIVersion: "v1", Kind: kind, Namespace: d.GetNamespace(), Name: name})
		// A Secret of a service account's token is filled by the cluster; a copy would stay empty.
		if o == nil || o.Object["type"] == "kubernetes.io/service-account-token" {
			return name
		}
		copied := o.DeepCopy()
		copied.SetName(name + suffix)
		if find(used, kubernetes.RefOf(copied)) == nil {
			used = append(used, *copied)
		}
		return name + suffix
	})
	_ = unstructured.SetNestedMap(d.Object, pod, "spec", "template", "spec")
	return append(used, *d)
}

// Uses are the ConfigMaps and Secrets that a workload's pods take files and variables from.
func Uses(workload *kubernetes.Object) (refs []kubernetes.Ref) {
	pod, _, _ := unstructured.NestedMap(workload.Object, "spec", "template", "spec")
	rename(pod, func(kind, name string) string {
		refs = append(refs, kubernetes.Ref{APIVersion: "v1", Kind: kind, Namespace: workload.GetNamespace(), Name: name})
		return name
	})
	return refs
}

// rename walks a pod's spec and gives every ConfigMap and Secret that it names another name.
func rename(v any, name func(kind, name string) string) {
	set := func(m map[string]any, kind, field string) {
		if old, ok := m[field].(string); ok && old != "" {
			m[field] = name(kind, old)
		}
	}
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			rename(item, name)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			value := v[key]
			m, _ := value.(map[string]any)
			switch key {
			case "configMap", "configMapRef", "configMapKeyRef":
				set(m, "ConfigMap", "name")
			case "secret", "secretRef", "secretKeyRef", "nodePublishSecretRef":
				set(m, "Secret", "name")
				set(m, "Secret", "secretName")
			case "imagePullSecrets":
				list, _ := value.([]any)
				for _, item := range list {
					if m, ok := item.(map[string]any); ok {
						set(m, "Secret", "name")
					}
				}
			}
			rename(value, name)
		}
	}
}

// doorTo is a Service that leads to the pods with the labels alone, reachable from within the cluster only.
func doorTo(service *kubernetes.Object, suffix string, labels map[string]string) kubernetes.Object {
	door := kubernetes.Object{Object: map[string]any{"apiVersion": "v1", "kind": "Service"}}
	door.SetName(service.GetName() + suffix)
	door.SetNamespace(service.GetNamespace())
	door.SetLabels(service.GetLabels())
	want := selector(service)
	for key, value := range labels {
		want = merged(want, key, value)
	}
	ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	for _, port := range ports {
		if port, ok := port.(map[string]any); ok {
			delete(port, "nodePort")
		}
	}
	_ = unstructured.SetNestedStringMap(door.Object, want, "spec", "selector")
	_ = unstructured.SetNestedSlice(door.Object, ports, "spec", "ports")
	_ = unstructured.SetNestedField(door.Object, "ClusterIP", "spec", "type")
	return door
}

// late are API groups and kinds that act on what is live, so that they wait for the last step even when they are new.
func late(o *kubernetes.Object) bool {
	return slices.Contains([]string{"networking.k8s.io", "gateway.networking.k8s.io", "policy", "autoscaling", "autoscaling.k8s.io", "keda.sh",
		"admissionregistration.k8s.io", "apiregistration.k8s.io", "batch", "apps"}, group(o)) || isService(o)
}

// supports tells of objects that pods may need to start: service accounts, roles, claims, definitions, custom resources
// that make Secrets.
func supports(o *kubernetes.Object) bool { return !late(o) }

// support gives the objects that pods of the new version may need and that the cluster does not have yet, and what of
// that can be removed again when the deploy is given up: nothing that holds data.
func (p *planner) support() (apply []kubernetes.Object, created []kubernetes.Ref) {
	for i := range p.set {
		o := &p.set[i]
		if !supports(o) || find(p.live, kubernetes.RefOf(o)) != nil {
			continue
		}
		apply = append(apply, *o.DeepCopy())
		switch o.GetKind() {
		case "Namespace", "CustomResourceDefinition", "PersistentVolumeClaim", "PersistentVolume":
		default:
			created = append(created, kubernetes.RefOf(o))
		}
	}
	return apply, created
}
