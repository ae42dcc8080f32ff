package manifest

import "k8s.io/apimachinery/pkg/runtime/schema"

// clusterKinds are the kinds of Kubernetes 1.34 that live in no namespace (kubectl api-resources --namespaced=false),
// without those that only report something.
var clusterKinds = map[string][]string{
	"":                             {"Namespace", "Node", "PersistentVolume"},
	"admissionregistration.k8s.io": {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"},
	"apiextensions.k8s.io":         {"CustomResourceDefinition"},
	"apiregistration.k8s.io":       {"APIService"},
	"certificates.k8s.io":          {"CertificateSigningRequest", "ClusterTrustBundle"},
	"flowcontrol.apiserver.k8s.io": {"FlowSchema", "PriorityLevelConfiguration"},
	"internal.apiserver.k8s.io":    {"StorageVersion"},
	"networking.k8s.io":            {"IngressClass", "IPAddress", "ServiceCIDR"},
	"node.k8s.io":                  {"RuntimeClass"},
	"rbac.authorization.k8s.io":    {"ClusterRole", "ClusterRoleBinding"},
	"resource.k8s.io":              {"DeviceClass", "ResourceSlice"},
	"scheduling.k8s.io":            {"PriorityClass"},
	"storage.k8s.io":               {"CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"},
	"storagemigration.k8s.io":      {"StorageVersionMigration"},
}

// scopes tells of the kinds that are known without a cluster whether they live in a namespace: those of Kubernetes itself,
// and those that the set defines.
func scopes(set Set) map[schema.GroupKind]bool {
	known := map[schema.GroupKind]bool{}
	for gvk := range scheme().AllKnownTypes() {
		known[gvk.GroupKind()] = true
	}
	for group, kinds := range clusterKinds {
		for _, kind := range kinds {
			known[schema.GroupKind{Group: group, Kind: kind}] = false
		}
	}
	for _, d := range definitions(set) {
		known[d.kind] = d.namespaced
	}
	return known
}

// definition is a kind that the set itself brings.
type definition struct {
	kind       schema.GroupKind
	plural     string
	namespaced bool
}

func definitions(set Set) (list []definition) {
	for _, o := range set.Objects {
		if o.Kind != "CustomResourceDefinition" {
			continue
		}
		spec, _ := o.Fields["spec"].(map[string]any)
		names, _ := spec["names"].(map[string]any)
		group, _ := spec["group"].(string)
		kind, _ := names["kind"].(string)
		plural, _ := names["plural"].(string)
		list = append(list, definition{schema.GroupKind{Group: group, Kind: kind}, plural, spec["scope"] == "Namespaced"})
	}
	return list
}
