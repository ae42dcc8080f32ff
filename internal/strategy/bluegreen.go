package strategy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/kubernetes"
)

// annotationContent on a colored Deployment tells whether a deploy has the same version again, and so no need of another
// color.
const annotationContent = "idp/content"

// blueGreen has all pods of the new version ready, in the color that is not live, before the Services are switched.
func (p *planner) blueGreen() (Plan, error) {
	next := "blue"
	if p.color == "blue" {
		next = "green"
	}
	content, err := p.content()
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Kind: BlueGreen}
	same := p.color != ""
	for _, m := range p.mains {
		same = same && m.live != nil && m.live.GetName() == m.deployment.GetName()+"-"+p.color && m.live.GetAnnotations()[annotationContent] == content
	}
	if same {
		next = p.color
	}
	plan.Set = p.colored(next, content)
	last := Step{Name: "switch to " + next, Apply: plan.Set, Smoke: p.door("")}
	running := slices.ContainsFunc(p.mains, func(m workload) bool { return replicas(m.live) > 0 })
	if same || !running {
		last.Name, plan.Note = next, "nothing runs yet that could be switched from"
		if same {
			plan.Note = "this version is live already, in " + next
		}
		last.Remove = p.others(next)
		plan.Steps = []Step{last}
		return plan, nil
	}
	shared, created := p.support()
	apply := shared
	var own []kubernetes.Object
	for i := range plan.Set {
		if find(p.set, kubernetes.RefOf(&plan.Set[i])) == nil {
			own = append(own, plan.Set[i])
		}
	}
	var previews []kubernetes.Object
	for _, m := range p.mains {
		previews = append(previews, doorTo(m.services[0], suffixPreview, map[string]string{LabelColor: next}))
	}
	apply = append(append(apply, clone(own)...), previews...)
	abort := append(append(refs(own), refs(previews)...), created...)
	plan.Temporary = refs(previews)
	last.Restore, last.Abort, last.Drain = p.restore(), abort, p.drain()
	last.Remove = union(p.others(next), refs(previews))
	plan.Steps = []Step{{Name: next + " beside " + p.liveName(), Apply: apply, Smoke: p.door(suffixPreview), Abort: abort}, last}
	return plan, nil
}

func (p *planner) liveName() string {
	if p.color != "" {
		return p.color
	}
	return "what is live"
}

// others are the live Deployments, and Services and configuration made for them, of every color but one.
func (p *planner) others(color string) (list []kubernetes.Ref) {
	for _, m := range p.mains {
		ref := kubernetes.RefOf(m.deployment)
		for _, suffix := range []string{"", suffixCanary, suffixBlue, suffixGreen} {
			if suffix != "-"+color && find(p.live, renamed(ref, suffix)) != nil {
				list = append(list, renamed(ref, suffix))
			}
		}
		for _, s := range m.services {
			for _, suffix := range []string{suffixCanary, suffixPreview} {
				if other := renamed(kubernetes.RefOf(s), suffix); find(p.live, other) != nil {
					list = append(list, other)
				}
			}
		}
	}
	return list
}

// colored is the whole set with its Deployments in one color, and everything that selects or scales them following.
func (p *planner) colored(color, content string) []kubernetes.Object {
	var set []kubernetes.Object
	for _, o := range clone(p.set) {
		if isDeployment(&o) {
			continue
		}
		for _, m := range p.mains {
			if o.GetNamespace() == m.deployment.GetNamespace() {
				follow(&o, m.deployment, m.deployment.GetName()+"-"+color, color)
			}
		}
		set = append(set, o)
	}
	for _, m := range p.mains {
		for _, o := range p.copies(m, "-"+color, map[string]string{LabelColor: color}) {
			if isDeployment(&o) {
				notes := o.GetAnnotations()
				o.SetAnnotations(merged(notes, annotationContent, content))
				if m.scaled && m.live != nil {
					setReplicas(&o, max(1, replicas(m.live)))
				}
			}
			if find(set, kubernetes.RefOf(&o)) == nil {
				set = append(set, o)
			}
		}
	}
	return set
}

// follow leads to another Deployment, of a color, what led to d: Services, disruption budgets and autoscalers. A network
// policy needs nothing, since the pods keep all labels that they had.
func follow(o, d *kubernetes.Object, name, color string) {
	switch {
	case isService(o) && selects(o, podLabels(d)):
		_ = unstructured.SetNestedStringMap(o.Object, merged(selector(o), LabelColor, color), "spec", "selector")
	case o.GetKind() == "PodDisruptionBudget" && covers(o, podLabels(d)):
		_ = unstructured.SetNestedField(o.Object, color, "spec", "selector", "matchLabels", LabelColor)
	default:
		if path := scales(o, d); path != nil {
			_ = unstructured.SetNestedField(o.Object, name, append(path, "name")...)
		}
	}
}

// covers tells whether a disruption budget is for pods with the labels.
func covers(budget *kubernetes.Object, labels map[string]string) bool {
	want, _, _ := unstructured.NestedStringMap(budget.Object, "spec", "selector", "matchLabels")
	for key, value := range want {
		if labels[key] != value {
			return false
		}
	}
	return len(want) > 0
}

// scales gives the path of the reference by which an autoscaler, of Kubernetes or another, names d; nil where it does not.
func scales(o, d *kubernetes.Object) []string {
	if o.GetNamespace() != d.GetNamespace() {
		return nil
	}
	for _, key := range []string{"scaleTargetRef", "targetRef"} {
		target, found, _ := unstructured.NestedStringMap(o.Object, "spec", key)
		if found && target["name"] == d.GetName() && (target["kind"] == "" || target["kind"] == "Deployment") {
			return []string{"spec", key}
		}
	}
	return nil
}

// restore is what leads traffic, scaling and protection back to what was live: the set's objects with the selectors and
// targets that the live ones have.
func (p *planner) restore() []kubernetes.Object {
	var back []kubernetes.Object
	for _, o := range clone(p.set) {
		now := find(p.live, kubernetes.RefOf(&o))
		if !isService(&o) || now == nil || !slices.ContainsFunc(p.mains, func(m workload) bool { return selects(&o, podLabels(m.deployment)) }) {
			continue
		}
		_ = unstructured.SetNestedStringMap(o.Object, selector(now), "spec", "selector")
		back = append(back, o)
	}
	return back
}

// content is a digest of all that decides what runs: the Deployments without their replicas, and their configuration.
func (p *planner) content() (string, error) {
	hash := sha256.New()
	for _, m := range p.mains {
		for _, o := range p.copies(m, "", nil) {
			unstructured.RemoveNestedField(o.Object, "spec", "replicas")
			data, err := json.Marshal(o.Object)
			if err != nil {
				return "", err
			}
			hash.Write(data)
		}
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}
