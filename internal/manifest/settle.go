package manifest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/service"
)

// LabelService names the service that an object belongs to. It is on the object itself only: a label in a pod template
// would restart every pod, and a selector can never be changed.
const LabelService = kubernetes.LabelService

// Unstructured is the set as a cluster takes it, in the same order. The objects are copies.
func (s Set) Unstructured() []kubernetes.Object {
	list := make([]kubernetes.Object, len(s.Objects))
	for i, o := range s.Objects {
		list[i].Object = runtime.DeepCopyJSON(normal(o.Fields).(map[string]any))
	}
	return list
}

// normal gives numbers the types that Kubernetes' own decoder gives them: int64 and float64.
func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = normal(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = normal(value)
		}
		return out
	case int:
		return int64(v)
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return v
}

// settle makes a set what is deployed to one environment: its label, namespaces and image. All that is wrong is reported
// together.
func settle(set Set, svc *service.Service, opts Options) (Set, error) {
	s := settler{svc: svc, opts: opts, namespace: svc.Namespace(opts.Environment), scopes: scopes(set)}
	if opts.Image != "" {
		ref, err := name.NewDigest(opts.Image)
		if err != nil {
			return Set{}, fmt.Errorf("the image to deploy is not named by a digest: %w", err)
		}
		s.image = ref
	}
	objects := slices.Clone(set.Objects)
	for i, o := range objects {
		o.Fields = runtime.DeepCopyJSON(normal(o.Fields).(map[string]any))
		s.object(&o)
		if err := o.retype(); err != nil {
			return Set{}, err
		}
		objects[i] = o
	}
	if opts.Image != "" && s.ours == 0 && len(s.problems) == 0 {
		return Set{}, fault.BadInputf("no container in the manifests runs %s, so the image would not be deployed", s.image.Context().Name()).
			WithNext("Name it in one of them, with any tag or none: image: " + s.image.Context().Name())
	}
	set.Objects = objects
	return set, problem(s.problems, "the manifests of "+svc.Name)
}

func problem(problems []string, where string) error {
	switch len(problems) {
	case 0:
		return nil
	case 1:
		return fault.BadInputf("%s", problems[0])
	}
	return fault.BadInputf("%d problems in %s", len(problems), where).WithDetail(problems...)
}

// settler is one settling.
type settler struct {
	svc       *service.Service
	opts      Options
	namespace string
	scopes    map[schema.GroupKind]bool
	image     name.Digest // zero where it is not known
	ours      int         // containers that run it
	problems  []string
}

func (s *settler) bad(o *Object, format string, args ...any) {
	where := ""
	if o.File != "" {
		where = o.File + ": "
	}
	s.problems = append(s.problems, where+o.String()+": "+fmt.Sprintf(format, args...))
}

func (s *settler) object(o *Object) {
	meta, _ := o.Fields["metadata"].(map[string]any)
	if meta == nil {
		s.bad(o, "metadata is missing")
		return
	}
	labels, _ := meta["labels"].(map[string]any)
	if labels == nil {
		labels = map[string]any{}
		meta["labels"] = labels
	}
	if other, ok := labels[LabelService]; ok && other != s.svc.Name {
		s.bad(o, "has the label %s: %v, and this is %s", LabelService, other, s.svc.Name)
	}
	labels[LabelService] = s.svc.Name
	good := s.space(o, meta)
	before := s.ours
	s.images(o, "", o.Fields)
	if good && s.ours > before && o.Namespace != s.namespace && s.opts.Environment != service.Local {
		s.bad(o, "runs the service in namespace %q, and that of environment %s is %s", o.Namespace, s.opts.Environment, s.namespace)
	}
}

// space gives the object the namespace of the environment where it names none. That of another environment is refused.
func (s *settler) space(o *Object, meta map[string]any) bool {
	namespaced, known := s.scopes[schema.FromAPIVersionAndKind(o.APIVersion, o.Kind).GroupKind()]
	switch {
	case known && !namespaced:
		delete(meta, "namespace")
		o.Namespace = ""
		return true
	case o.Namespace == "": // of a kind that is not known, the cluster says whether it has one
		meta["namespace"], o.Namespace = s.namespace, s.namespace
		return true
	case s.opts.Environment == service.Local: // has no cluster
		return true
	}
	for name := range s.svc.Environments {
		if space := s.svc.Namespace(name); space == o.Namespace && space != s.namespace {
			s.bad(o, "is in namespace %s, which is environment %s, and this is %s", space, name, s.opts.Environment)
			return false
		}
	}
	return true
}

// retype makes the typed object what the fields say now.
func (o *Object) retype() error {
	if o.Typed == nil {
		return nil
	}
	data, err := yaml.Marshal(o.Fields)
	if err != nil {
		return err
	}
	typed, err := scheme().New(schema.FromAPIVersionAndKind(o.APIVersion, o.Kind))
	if err == nil {
		err = yaml.Unmarshal(data, typed)
	}
	o.Typed = typed
	return err
}

// images has every container of our repository run the image. Of a custom resource only its own controller knows where it
// has its containers, so there it is the key image at any depth.
func (s *settler) images(o *Object, at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			place := strings.TrimPrefix(at+"."+key, ".")
			container := key == "image" && (o.Typed == nil || strings.Contains(at, "ontainers["))
			text, isText := value.(string)
			switch {
			case isText && (container || key == "reference" && strings.HasSuffix(at, ".image")): // or the image of a volume
				var ours bool
				if v[key], ours = s.reference(o, place, text); ours && container {
					s.ours++
				}
			default:
				s.images(o, place, value)
			}
		}
	case []any:
		for i, item := range v {
			s.images(o, fmt.Sprintf("%s[%d]", at, i), item)
		}
	}
}

// reference is what a container runs in place of what the manifest says, and whether that is ours.
func (s *settler) reference(o *Object, at, text string) (string, bool) {
	if s.image.Identifier() == "" {
		return text, false
	}
	ref, err := name.ParseReference(text)
	if err != nil {
		if strings.Contains(at, "ontainers[") {
			s.bad(o, "%s %.100q is not the name of an image", at, text)
		}
		return text, false
	}
	own, theirs := repository(s.image.Context()), repository(ref.Context())
	digest, pinned := ref.(name.Digest)
	switch {
	case strings.HasPrefix(theirs, own+"/"):
		s.bad(o, "%s runs %s, another image of the service than the one that is verified, %s", at, text, s.image)
	case theirs != own:
	case pinned && digest.DigestStr() != s.image.DigestStr():
		s.bad(o, "%s runs %s of %s, and the one that is verified is %s; write it without a digest", at, digest.DigestStr(), own, s.image.DigestStr())
	default:
		return s.opts.Image, true
	}
	return text, false
}

// repository is the full name of a repository, in one way of many to write it.
func repository(r name.Repository) string {
	return strings.TrimSuffix(strings.ToLower(r.RegistryStr()), ":443") + "/" + r.RepositoryStr()
}

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
