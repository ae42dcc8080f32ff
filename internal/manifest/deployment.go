package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// nonRoot is the user "nonroot" of the distroless images.
const nonRoot = 65532

func (r *renderer) deployment() *appsv1.Deployment {
	d := &appsv1.Deployment{
		TypeMeta:   kind("apps/v1", "Deployment"),
		ObjectMeta: r.meta(),
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: r.selector()},
			// The old pods serve until as many new ones are ready.
			Strategy: appsv1.DeploymentStrategy{
				Type: appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{
					MaxUnavailable: new(intstr.FromInt32(0)),
					MaxSurge:       new(intstr.FromString("25%")),
				},
			},
			RevisionHistoryLimit:    new(int32(5)),
			ProgressDeadlineSeconds: new(int32(300)),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: r.labels(), Annotations: r.annotations()},
				Spec:       r.pod(),
			},
		},
	}
	// Under an autoscaler the number of replicas is the autoscaler's: were it written here, every deploy would throw a
	// service that is scaled out under load back to its minimum.
	if !r.autoscaled() {
		d.Spec.Replicas = new(r.min)
	}
	return d
}

func (r *renderer) pod() corev1.PodSpec {
	security := &corev1.PodSecurityContext{
		RunAsNonRoot:   new(true),
		RunAsUser:      new(int64(nonRoot)),
		RunAsGroup:     new(int64(nonRoot)),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if r.svc.Port < 1024 {
		// A user other than root may not listen there otherwise; this one counts as a safe sysctl since Kubernetes 1.22.
		security.Sysctls = []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}}
	}
	return corev1.PodSpec{
		ServiceAccountName:           r.svc.Name,
		AutomountServiceAccountToken: new(false),
		// Without this every other Service of the namespace is in the environment of the process.
		EnableServiceLinks:            new(false),
		SecurityContext:               security,
		TerminationGracePeriodSeconds: new(int64(30)),
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
			MaxSkew:           1,
			TopologyKey:       "kubernetes.io/hostname",
			WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector:     &metav1.LabelSelector{MatchLabels: r.selector()},
			// Counts each version for itself, else a rollout is spread around the pods that are about to go.
			MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
		}},
		Containers: []corev1.Container{r.container()},
		Volumes:    []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
	}
}

func (r *renderer) container() corev1.Container {
	return corev1.Container{
		Name:            "app",
		Image:           r.image,
		ImagePullPolicy: corev1.PullIfNotPresent,                                                                                // a digest never changes its content
		Ports:           []corev1.ContainerPort{{Name: "http", ContainerPort: int32(r.svc.Port), Protocol: corev1.ProtocolTCP}}, // #nosec G115 -- checked to be a port
		Env:             r.env(),
		// No limit of CPU: it would slow the service down while the node is idle. Memory is limited, since it cannot be
		// given back, to what is requested, so that the node never promises more than it has.
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: r.cpu, corev1.ResourceMemory: r.memory},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: r.memory},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts:   []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}},
		StartupProbe:   r.probe(2, 60), // two minutes to start; the other probes wait for it
		ReadinessProbe: r.probe(5, 3),
		LivenessProbe:  r.probe(10, 6), // a restart is the last resort: a minute of no answer
		// Endpoints learn of a stopping pod later than the pod does; until then it still gets requests.
		Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}},
	}
}

func (r *renderer) probe(period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: r.svc.Health, Port: intstr.FromString("http"), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds: period, TimeoutSeconds: 2, FailureThreshold: failures,
	}
}

// env is what idp.yaml says and what tells the service its port and version. The kubelet replaces $(NAME) in values; a
// doubled $ makes it leave the text as idp.yaml has it.
func (r *renderer) env() []corev1.EnvVar {
	all := map[string]string{"PORT": fmt.Sprint(r.svc.Port), "IDP_REVISION": r.opts.Commit, "IDP_DIGEST": r.opts.Digest}
	for name, value := range r.svc.Env {
		all[name] = strings.ReplaceAll(value, "$(", "$$(")
	}
	var env []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, corev1.EnvVar{Name: name, Value: all[name]})
	}
	return env
}
