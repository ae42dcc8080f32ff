package manifest

import (
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func kind(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}

func (r *renderer) serviceAccount() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:   kind("v1", "ServiceAccount"),
		ObjectMeta: r.meta(),
		// The service does not talk to the cluster, so a hijacked one must find no token to do it with.
		AutomountServiceAccountToken: new(false),
	}
}

func (r *renderer) service() *corev1.Service {
	return &corev1.Service{
		TypeMeta:   kind("v1", "Service"),
		ObjectMeta: r.meta(),
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeClusterIP,
			Selector: r.selector(),
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolTCP}},
		},
	}
}

// networkPolicy lets in the named services from whatever namespace they live in, since each service has one of its own
// by default. Probes are let in by every network plug-in: they come from the pod's own node.
func (r *renderer) networkPolicy() *networkingv1.NetworkPolicy {
	from := slices.Clone(r.svc.Network.From)
	slices.Sort(from)
	var peers []networkingv1.NetworkPolicyPeer
	for _, name := range slices.Compact(from) {
		peers = append(peers, networkingv1.NetworkPolicyPeer{
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{labelName: name}},
			NamespaceSelector: &metav1.LabelSelector{},
		})
	}
	return &networkingv1.NetworkPolicy{
		TypeMeta:   kind("networking.k8s.io/v1", "NetworkPolicy"),
		ObjectMeta: r.meta(),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: r.selector()},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From:  peers,
				Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromString("http")), Protocol: new(corev1.ProtocolTCP)}},
			}},
		},
	}
}

func (r *renderer) autoscaler() *autoscalingv2.HorizontalPodAutoscaler {
	use := int32(r.svc.Scale.CPU) // #nosec G115 -- a percentage
	if use == 0 {
		use = 70
	}
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta:   kind("autoscaling/v2", "HorizontalPodAutoscaler"),
		ObjectMeta: r.meta(),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: r.svc.Name},
			MinReplicas:    new(r.min),
			MaxReplicas:    r.max,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ResourceMetricSourceType,
				Resource: &autoscalingv2.ResourceMetricSource{
					Name:   corev1.ResourceCPU,
					Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(use)},
				},
			}},
		},
	}
}

// disruptionBudget lets a drain take one pod at a time. Pods that are not healthy may always be evicted: otherwise one
// crashing service keeps every node under it from being drained.
func (r *renderer) disruptionBudget() *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   kind("policy/v1", "PodDisruptionBudget"),
		ObjectMeta: r.meta(),
		Spec: policyv1.PodDisruptionBudgetSpec{
			Selector:                   &metav1.LabelSelector{MatchLabels: r.selector()},
			MaxUnavailable:             new(intstr.FromInt32(1)),
			UnhealthyPodEvictionPolicy: new(policyv1.AlwaysAllow),
		},
	}
}
