package strategy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/kubernetes"
)

// annotationContent on a colored Deployment tells whether a deploy has the same version again, and so no need of another
// color.
const annotationContent = "idp/content"

// labelHash is on every pod of a Deployment.
const labelHash = "pod-template-hash"

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
	same := p.color != "" && !slices.ContainsFunc(p.mains, func(m workload) bool {
		return m.live == nil || m.live.GetName() != m.deployment.GetName()+"-"+p.color || m.live.GetAnnotations()[annotationContent] != content
	})
	if same {
		next = p.color
	}
	plan := Plan{Kind: BlueGreen, Set: p.colored(next, content)}
	last := Step{Name: "switch to " + next, Smoke: p.door(""), Remove: p.others(next)}
	last.Apply, last.Counts = p.withReplicas(plan.Set, next)
	if same || !slices.ContainsFunc(p.mains, func(m workload) bool { return replicas(m.live) > 0 }) {
		last.Name, plan.Note = next, "nothing runs yet that could be switched from"
		if same {
			plan.Note = "this version is live already, in " + next
		}
		plan.Steps = []Step{last}
		return plan, nil
	}
	var own []kubernetes.Object
	for i := range last.Apply {
		if find(p.set, kubernetes.RefOf(&last.Apply[i])) == nil {
			own = append(own, last.Apply[i])
		}
	}
	previews := p.doors(suffixPreview, map[string]string{LabelColor: next})
	shared, created := p.support()
	first := Step{Name: next + " beside " + p.liveName(), Apply: slices.Concat(shared, clone(own), previews), Counts: last.Counts, Smoke: p.door(suffixPreview),
		Restore: p.restore(), Abort: slices.Concat(refs(own), refs(previews), created)}
	last.Restore, last.Abort, last.Drain = first.Restore, first.Abort, p.drain()
	last.Remove = union(last.Remove, refs(previews))
	plan.Temporary = refs(previews)
	if p.color != "" {
		plan.Steps = []Step{first, last}
		return plan, nil
	}
	pin := p.pin()
	if pin == nil {
		plan.Note = "the Services select the new pods too as soon as these are ready, because what is live has no color yet"
		plan.Steps = []Step{first, last}
		return plan, nil
	}
	plan.Steps = []Step{{Name: "hold the Services to what is live", Apply: pin, Restore: first.Restore}, first, last}
	return plan, nil
}

// newest matches what the Deployment controller says when a rollout is complete: by that the pods' hash is known.
var newest = regexp.MustCompile(`^ReplicaSet "(.+)-([a-z0-9]+)" has successfully progressed\.$`)

// pin holds the Services to the pods that are live, for the first blue-green deploy: without a color of their own in the
// selector they would lead to the new pods too, before these are tested. It is nil where the pods' hash is not known.
func (p *planner) pin() []kubernetes.Object {
	var pinned []kubernetes.Object
	for _, m := range p.mains {
		if m.live == nil {
			continue
		}
		hash := ""
		conditions, _, _ := unstructured.NestedSlice(m.live.Object, "status", "conditions")
		for _, item := range conditions {
			c, _ := item.(map[string]any)
			message, _ := c["message"].(string)
			if found := newest.FindStringSubmatch(message); c["type"] == "Progressing" && found != nil && found[1] == m.live.GetName() {
				hash = found[2]
			}
		}
		if hash == "" {
			return nil
		}
		for _, s := range m.services {
			if now := find(p.live, kubernetes.RefOf(s)); now != nil {
				o := asLive(s, now)
				_ = unstructured.SetNestedField(o.Object, hash, "spec", "selector", labelHash)
				pinned = append(pinned, o)
			}
		}
	}
	return pinned
}

func (p *planner) liveName() string {
	if p.color != "" {
		return p.color
	}
	return "what is live"
}

// others are the live Deployments of every color but one, no color included, and what leads to them alone.
func (p *planner) others(color string) (list []kubernetes.Ref) {
	add := func(ref kubernetes.Ref, suffixes ...string) {
		for _, suffix := range suffixes {
			if other := renamed(ref, suffix); find(p.live, other) != nil {
				list = append(list, other)
			}
		}
	}
	for _, m := range p.mains {
		own := ""
		if color != "" {
			own = "-" + color
		}
		suffixes := []string{"", suffixCanary, suffixBlue, suffixGreen}
		add(p.base(m.deployment), slices.DeleteFunc(suffixes, func(s string) bool { return s == own })...)
		for _, s := range m.services {
			add(kubernetes.RefOf(s), suffixCanary, suffixPreview)
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
				o.SetAnnotations(merged(o.GetAnnotations(), annotationContent, content))
			}
			if find(set, kubernetes.RefOf(&o)) == nil {
				set = append(set, o)
			}
		}
	}
	return set
}

// withReplicas gives the Deployments of a color as many replicas as are live, where the set leaves the number to an
// autoscaler: they have to take all the traffic from one moment to the next. A release does not keep the number.
func (p *planner) withReplicas(set []kubernetes.Object, color string) ([]kubernetes.Object, []Count) {
	set = clone(set)
	var counts []Count
	for _, m := range p.mains {
		colored := renamed(kubernetes.RefOf(m.deployment), "-"+color)
		if !m.scaled || m.live == nil {
			continue
		}
		setReplicas(find(set, colored), max(1, replicas(m.live)))
		if of := kubernetes.RefOf(m.live); !of.Same(colored) {
			counts = append(counts, Count{For: colored, Of: of, Percent: 100})
		}
	}
	return set, counts
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

// restore is what leads traffic, scaling and protection back to what was live.
func (p *planner) restore() []kubernetes.Object {
	var back []kubernetes.Object
	for i := range p.set {
		o := &p.set[i]
		if now := find(p.live, kubernetes.RefOf(o)); now != nil && follows(o) {
			back = append(back, asLive(o, now))
		}
	}
	return back
}

// follows tells of objects that lead to a Deployment or its pods.
func follows(o *kubernetes.Object) bool {
	_, target, _ := unstructured.NestedMap(o.Object, "spec", "scaleTargetRef")
	return isService(o) || o.GetKind() == "PodDisruptionBudget" || target
}

// asLive is an object of the set with the spec that it has in the cluster, as far as the set says anything of it.
func asLive(o, now *kubernetes.Object) kubernetes.Object {
	back := *o.DeepCopy()
	spec, _, _ := unstructured.NestedMap(back.Object, "spec")
	has, _, _ := unstructured.NestedMap(now.Object, "spec")
	for key := range spec {
		if value, ok := has[key]; ok {
			spec[key] = value
		}
	}
	_ = unstructured.SetNestedMap(back.Object, spec, "spec")
	unstructured.RemoveNestedField(back.Object, "spec", "selector", labelHash) // that a deploy which was killed has left
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
