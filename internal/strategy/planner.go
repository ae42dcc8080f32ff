package strategy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

const (
	suffixCanary  = "-canary"
	suffixPreview = "-preview"
	suffixBlue    = "-blue"
	suffixGreen   = "-green"
)

// planner is one set on its way to a plan.
type planner struct {
	kind  string
	o     Options
	set   []kubernetes.Object
	live  []kubernetes.Object
	mains []workload
	color string // of the live pods; empty where no Service selects one
}

// workload is a Deployment of the set with what leads to it.
type workload struct {
	deployment *kubernetes.Object
	services   []*kubernetes.Object // of the set, whose selector matches the Deployment's pods
	live       *kubernetes.Object   // the Deployment that runs the version before; nil: none does
	scaled     bool                 // its replicas are not the set's to say
}

func prepare(kind string, set, live []kubernetes.Object, o Options) (*planner, error) {
	p := &planner{kind: kind, o: o, set: set, live: live}
	if len(set) == 0 {
		return nil, fault.Undeterminedf("there is nothing to deploy: the set has no object")
	}
	for i := range set {
		if isDeployment(&set[i]) {
			p.mains = append(p.mains, p.workload(&set[i]))
		}
	}
	// The Deployment that the smoke test asks for comes first.
	slices.SortStableFunc(p.mains, func(a, b workload) int {
		return cmp.Compare(p.rank(a), p.rank(b))
	})
	for _, m := range p.mains {
		for _, s := range m.services {
			if found := find(live, kubernetes.RefOf(s)); found != nil && p.color == "" {
				p.color = selector(found)[LabelColor]
			}
		}
	}
	for i := range p.mains {
		p.mains[i].live = p.liveOf(p.mains[i].deployment)
	}
	if kind == Canary || kind == BlueGreen {
		return p, p.check()
	}
	return p, nil
}

func (p *planner) rank(w workload) int {
	switch {
	case len(w.services) == 0:
		return 2
	case w.deployment.GetName() != p.o.Service:
		return 1
	}
	return 0
}

func (p *planner) workload(d *kubernetes.Object) workload {
	w := workload{deployment: d}
	labels := podLabels(d)
	for i := range p.set {
		s := &p.set[i]
		if isService(s) && s.GetNamespace() == d.GetNamespace() && selects(s, labels) {
			w.services = append(w.services, s)
		}
	}
	slices.SortStableFunc(w.services, func(a, b *kubernetes.Object) int {
		return cmp.Compare(differs(a.GetName(), d.GetName()), differs(b.GetName(), d.GetName()))
	})
	_, written, _ := unstructured.NestedFieldNoCopy(d.Object, "spec", "replicas")
	w.scaled = !written || slices.ContainsFunc(p.set, func(o kubernetes.Object) bool { return slices.Contains(scales(&o, d), "scaleTargetRef") })
	return w
}

func differs(a, b string) int {
	if a == b {
		return 0
	}
	return 1
}

// base names a Deployment without the color that it was made in.
func (p *planner) base(d *kubernetes.Object) kubernetes.Ref {
	ref := kubernetes.RefOf(d)
	if color := podLabels(d)[LabelColor]; color != "" {
		ref.Name = strings.TrimSuffix(ref.Name, "-"+color)
	}
	return ref
}

// liveOf is the Deployment that serves now in place of d.
func (p *planner) liveOf(d *kubernetes.Object) *kubernetes.Object {
	ref := p.base(d)
	if p.color != "" {
		if colored := find(p.live, renamed(ref, "-"+p.color)); colored != nil {
			return colored
		}
	}
	return find(p.live, ref)
}

func find(list []kubernetes.Object, ref kubernetes.Ref) *kubernetes.Object {
	for i := range list {
		if kubernetes.RefOf(&list[i]).Same(ref) {
			return &list[i]
		}
	}
	return nil
}

// check refuses what canary and blue-green cannot do.
func (p *planner) check() error {
	var problems []string
	for i := range p.set {
		o := &p.set[i]
		_, pods, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "template", "spec", "containers")
		if !isDeployment(o) && (pods || o.GetKind() == "Pod") {
			problems = append(problems, fmt.Sprintf("%s: %s works with Deployments only", kubernetes.RefOf(o), p.kind))
		}
	}
	for _, m := range p.mains {
		if p.kind == BlueGreen && len(m.services) == 0 {
			problems = append(problems, fmt.Sprintf("%s: no Service selects its pods, so there is nothing to switch", kubernetes.RefOf(m.deployment)))
		}
		for _, o := range append([]*kubernetes.Object{m.deployment}, m.services...) {
			if len(o.GetName()) > 63-len(suffixPreview) {
				problems = append(problems, fmt.Sprintf("%s: a name of at most %d characters leaves room for %s", kubernetes.RefOf(o), 63-len(suffixPreview), suffixPreview))
			}
		}
	}
	if len(p.mains) == 0 {
		problems = append(problems, "there is no Deployment in the set")
	}
	if len(problems) == 0 {
		return nil
	}
	slices.Sort(problems)
	problems = slices.Compact(problems)
	if len(problems) == 1 {
		return fault.BadInputf("%s", problems[0]).WithNext("Deploy it with deploy.strategy: rolling in idp.yaml.")
	}
	return fault.BadInputf("%d objects cannot be deployed by %s", len(problems), p.kind).WithDetail(problems...).
		WithNext("Deploy them with deploy.strategy: rolling in idp.yaml.")
}

// replicas is how many pods of a Deployment are wanted now; under an autoscaler that is what the autoscaler wrote.
func replicas(d *kubernetes.Object) int64 {
	if d == nil {
		return 0
	}
	n, found, _ := unstructured.NestedInt64(d.Object, "spec", "replicas")
	if !found {
		return 1 // the API server's default
	}
	return n
}

// rolling is the set at once. It also leads back from blue-green, and removes what a canary that was killed left.
func (p *planner) rolling() Plan {
	step := Step{Name: "rolling", Apply: clone(p.set), Smoke: p.door(""), Remove: p.others("")}
	if p.color != "" {
		step.Name, step.Drain, step.Restore = "rolling, in place of "+p.color, p.drain(), p.restore()
	}
	for _, m := range p.mains {
		ref := kubernetes.RefOf(m.deployment)
		if m.live == nil || find(p.live, ref) != nil {
			continue // what has replicas keeps them
		}
		step.Abort = append(step.Abort, ref)
		if m.scaled {
			setReplicas(find(step.Apply, ref), replicas(m.live))
		}
	}
	return Plan{Kind: Rolling, Set: p.set, Steps: []Step{step}}
}

// again brings a set back that a blue-green plan made: first its pods, then the Services.
func (p *planner) again(color string) Plan {
	last := Step{Name: "switch to " + color, Apply: clone(p.set), Smoke: p.door(""), Remove: p.others(color)}
	if p.color == color || !slices.ContainsFunc(p.mains, func(m workload) bool { return m.live != nil }) {
		last.Name = color
		return Plan{Kind: BlueGreen, Set: p.set, Steps: []Step{last}}
	}
	first := Step{Name: color + " beside " + p.liveName()}
	for _, o := range last.Apply {
		if m := p.main(&o); m != nil && m.scaled && m.live != nil {
			setReplicas(&o, max(1, replicas(m.live)))
			first.Counts = append(first.Counts, Count{For: kubernetes.RefOf(&o), Of: kubernetes.RefOf(m.live), Percent: 100})
		}
		if !late(&o) || isDeployment(&o) {
			first.Apply = append(first.Apply, *o.DeepCopy())
		}
	}
	last.Drain, last.Restore, last.Counts = p.drain(), p.restore(), first.Counts
	return Plan{Kind: BlueGreen, Set: p.set, Steps: []Step{first, last}}
}

// main is what is known of a Deployment of the set; nil for anything else.
func (p *planner) main(o *kubernetes.Object) *workload {
	for i := range p.mains {
		if kubernetes.RefOf(p.mains[i].deployment).Same(kubernetes.RefOf(o)) {
			return &p.mains[i]
		}
	}
	return nil
}

// door is the Service of the main workload, with the suffix of a Service that a step makes.
func (p *planner) door(suffix string) *Door {
	if len(p.mains) == 0 || len(p.mains[0].services) == 0 {
		return nil
	}
	s := p.mains[0].services[0]
	return &Door{Namespace: s.GetNamespace(), Service: s.GetName() + suffix, Port: httpPort(s)}
}

// httpPort is the port that most likely speaks HTTP: called http, else number 80, else the first.
func httpPort(service *kubernetes.Object) string {
	ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	best := ""
	for _, item := range ports {
		port, _ := item.(map[string]any)
		name, _ := port["name"].(string)
		number := fmt.Sprint(port["port"])
		switch {
		case name == "http":
			return name
		case number == "80" || best == "":
			best = cmp.Or(name, number)
		}
	}
	return best
}

func (p *planner) drain() time.Duration { return cmp.Or(p.o.Drain, 5*time.Second) }

func clone(set []kubernetes.Object) []kubernetes.Object {
	copied := make([]kubernetes.Object, len(set))
	for i := range set {
		copied[i] = *set[i].DeepCopy()
	}
	return copied
}

func setReplicas(d *kubernetes.Object, n int64) {
	_ = unstructured.SetNestedField(d.Object, n, "spec", "replicas")
}

// merged gives labels with one more.
func merged(labels map[string]string, key, value string) map[string]string {
	all := maps.Clone(labels)
	if all == nil {
		all = map[string]string{}
	}
	all[key] = value
	return all
}
