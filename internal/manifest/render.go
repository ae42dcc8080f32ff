package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/service"
)

// Names of the labels and annotations that idp sets besides the recommended ones of Kubernetes.
const (
	LabelOwner       = "idp/owner"
	LabelEnvironment = "idp/environment"
	LabelTier        = "idp/tier"

	AnnotationOwner      = "idp/owner"
	AnnotationCommit     = "idp/commit"
	AnnotationRepository = "idp/repository"

	labelName = "app.kubernetes.io/name"
)

// unbuilt is the image of a plan that built nothing. The .invalid domain never resolves (RFC 6761), so the manifests
// cannot be applied by mistake.
const unbuilt = "not-built.invalid/%s@sha256:0000000000000000000000000000000000000000000000000000000000000000"

// maxReplicas is where a typing error is likelier than a wish: it is more than a cluster's supported number of pods.
const maxReplicas = 150_000

// A Service's name must be an RFC 1035 label, which starts with a letter; idp.yaml also allows a digit.
var (
	serviceName   = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	namespaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	notLabel      = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)
)

// renderer is one rendering: the checked input and what all objects share.
type renderer struct {
	svc         *service.Service
	opts        Options
	image       string
	namespace   string
	cpu, memory resource.Quantity
	min, max    int32
}

// Render generates the manifests of a service that service.In has resolved for the environment. What the file says
// wrongly is reported together, as bad input.
func Render(svc *service.Service, opts Options) (Set, error) {
	r := &renderer{svc: svc, opts: opts}
	if problems := r.resolve(); len(problems) > 0 {
		if len(problems) == 1 {
			return Set{}, fault.BadInputf("%s", problems[0])
		}
		return Set{}, fault.BadInputf("%d settings of %s cannot be rendered for Kubernetes", len(problems), svc.Name).WithDetail(problems...)
	}
	// In the order in which they are needed: identity and fences before the first pod starts.
	typed := []runtime.Object{r.serviceAccount()}
	if len(svc.Network.From) > 0 {
		typed = append(typed, r.networkPolicy())
	}
	typed = append(typed, r.service(), r.deployment())
	if r.autoscaled() {
		typed = append(typed, r.autoscaler())
	}
	if r.min >= 2 {
		typed = append(typed, r.disruptionBudget())
	}
	var set Set
	for _, t := range typed {
		o, err := object(t)
		if err != nil {
			return Set{}, err
		}
		set.Objects = append(set.Objects, o)
	}
	return set, nil
}

// resolve checks all that the objects need, so that a cluster does not refuse them later.
func (r *renderer) resolve() (problems []string) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if !serviceName.MatchString(r.svc.Name) {
		bad("name %q: the name of a Kubernetes Service has at most 63 of a-z, 0-9 and -, and starts with a letter", r.svc.Name)
	}
	r.namespace = cmp.Or(r.svc.Environments[r.opts.Environment].Namespace, r.svc.Name)
	if !namespaceName.MatchString(r.namespace) {
		bad("namespace %q: at most 63 of a-z, 0-9 and -", r.namespace)
	}
	if r.svc.Port < 1 || r.svc.Port > 65535 {
		bad("port %d: from 1 to 65535", r.svc.Port)
	}
	if !strings.HasPrefix(r.svc.Health, "/") {
		bad("health %q: a path starts with /", r.svc.Health)
	}
	low, high := r.svc.Scale.Min, cmp.Or(r.svc.Scale.Max, r.svc.Scale.Min)
	if low < 1 || high < low || high > maxReplicas {
		bad("scale: min is %d and max is %d; min is at least 1, max at least min and at most %d", low, high, maxReplicas)
	} else {
		r.min, r.max = int32(low), int32(high) // #nosec G115 -- checked the line before
	}
	for _, own := range []string{"PORT", "IDP_REVISION", "IDP_DIGEST"} {
		if _, ok := r.svc.Env[own]; ok {
			bad("env %s: idp sets it; the port is the key port", own)
		}
	}
	for _, from := range r.svc.Network.From {
		if !namespaceName.MatchString(from) {
			bad("network.from %q is not the name of a service", from)
		}
	}
	r.image = cmp.Or(r.opts.Image, fmt.Sprintf(unbuilt, r.svc.Name))
	return append(problems, r.resolveSize()...)
}

func (r *renderer) resolveSize() (problems []string) {
	size, ok := r.opts.Sizes[r.svc.Size]
	if !ok {
		names := slices.SortedFunc(maps.Keys(r.opts.Sizes), strings.Compare)
		if len(names) == 0 {
			return []string{fmt.Sprintf("size %q: the policy has no sizes", r.svc.Size)}
		}
		return []string{fmt.Sprintf("size %q: one of %s", r.svc.Size, strings.Join(names, ", "))}
	}
	parse := func(what, text string) resource.Quantity {
		q, err := resource.ParseQuantity(text)
		if err != nil || q.Sign() <= 0 {
			problems = append(problems, fmt.Sprintf("%s %q of size %s in the policy is not a quantity above 0, such as 100m or 128Mi", what, text, r.svc.Size))
		}
		return q
	}
	r.cpu, r.memory = parse("cpu", size.CPU), parse("memory", size.Memory)
	return problems
}

func (r *renderer) autoscaled() bool { return r.max > r.min }

func (r *renderer) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: r.svc.Name, Namespace: r.namespace, Labels: r.labels(), Annotations: r.annotations()}
}

func (r *renderer) labels() map[string]string {
	labels := r.selector()
	labels["app.kubernetes.io/managed-by"] = "idp"
	labels["app.kubernetes.io/part-of"] = labelValue(cmp.Or(r.svc.System, r.svc.Name))
	optional := map[string]string{
		"app.kubernetes.io/version": labelValue(r.opts.Commit),
		LabelOwner:                  labelValue(r.svc.Owner),
		LabelEnvironment:            labelValue(r.opts.Environment),
	}
	if r.svc.Tier > 0 {
		optional[LabelTier] = fmt.Sprint(r.svc.Tier)
	}
	for key, value := range optional {
		if value != "" {
			labels[key] = value
		}
	}
	return labels
}

// selector is kept to the name alone: a Deployment's selector can never be changed, owners and tiers do change.
func (r *renderer) selector() map[string]string { return map[string]string{labelName: r.svc.Name} }

// annotations hold what a label cannot: the exact owner and URLs.
func (r *renderer) annotations() map[string]string {
	notes := map[string]string{}
	for key, value := range map[string]string{
		AnnotationOwner: r.svc.Owner, AnnotationCommit: r.opts.Commit, AnnotationRepository: r.opts.Repository,
	} {
		if value != "" {
			notes[key] = value
		}
	}
	return notes
}

// labelValue makes a text safe as the value of a label: at most 63 letters, digits, -, _ and ., and neither end of it
// punctuation.
func labelValue(text string) string {
	text = notLabel.ReplaceAllString(text, "-")
	return strings.Trim(text[:min(len(text), 63)], "-_.")
}
