package apply

import (
	"slices"

	"github.com/org/idp/internal/kubernetes"
)

// order is in which kinds are applied: what others need comes first. A kind that is not here, such as a custom resource,
// comes where rankRest is: a certificate or an external secret before the pods that mount what comes of it.
var order = []string{
	"Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "ClusterRole", "ClusterRoleBinding",
	"NetworkPolicy", "ResourceQuota", "LimitRange", "ServiceAccount", "Role", "RoleBinding", "Secret", "ConfigMap",
	"PersistentVolume", "PersistentVolumeClaim", "Service", "PodDisruptionBudget",
	"", // any other kind
	"DaemonSet", "Pod", "ReplicaSet", "Deployment", "StatefulSet", "Rollout", "Job", "CronJob", "HorizontalPodAutoscaler", "Ingress",
	"APIService", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
}

// rankRest is the first rank of what needs definitions, namespaces and roles to be there.
var rankRest = slices.Index(order, "NetworkPolicy")

func rank(ref kubernetes.Ref) int {
	if i := slices.Index(order, ref.Kind); i >= 0 && ref.Kind != "" {
		return i
	}
	return slices.Index(order, "")
}

// waits tells of kinds that are not usable as soon as they are applied.
func waits(ref kubernetes.Ref) bool {
	return ref.Kind == "CustomResourceDefinition" || ref.Kind == "Namespace"
}

// Keeps tells of kinds that are never deleted here, since data or objects of others go with them.
func Keeps(ref kubernetes.Ref) bool {
	return waits(ref) || ref.Kind == "PersistentVolumeClaim" || ref.Kind == "PersistentVolume"
}
