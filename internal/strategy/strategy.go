// Package strategy turns a rendered set into the steps by which it becomes live: at once (rolling), by replicas beside
// the old version (canary), or by a second set of pods that the Service is switched to (blue-green). It talks to no
// cluster: whoever walks the steps applies, waits and asks.
package strategy

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// Kinds of strategies, as idp.yaml names them.
const (
	Rolling   = "rolling"
	Canary    = "canary"
	BlueGreen = "blue-green"
)

// Labels of pods that tell versions apart that are live at the same time.
const (
	LabelTrack = "idp/track" // canary
	LabelColor = "idp/color" // blue or green
)

// Options of a plan.
type Options struct {
	Service string        // name in idp.yaml: of several Deployments, the one of this name is smoke-tested
	Steps   []int         // percent of the live replicas that each step of a canary has beside them; none: 10 and 50
	Drain   time.Duration // how long the old color stays after the switch was confirmed; 0: 5 s
}

// Plan is how a set becomes live.
type Plan struct {
	Kind string
	// Set is what the release consists of in the end: what is kept for a rollback, and what is pruned against. For a
	// blue-green deploy it is not the set that was rendered.
	Set []kubernetes.Object
	// Temporary is what steps create and is gone after the last one: it belongs into the inventory of a release that is
	// being made, so that a deploy after a kill removes it.
	Temporary []kubernetes.Ref
	// Steps are walked in order. The last one applies Set.
	Steps []Step
	// Note says why the steps are other than the kind of strategy suggests; often empty.
	Note string
}

// Step is one step of a plan: apply, wait until everything of Apply is ready, smoke-test through Smoke. Then, passed, go
// on; failed, apply Restore and remove Abort.
type Step struct {
	Name  string // for people, such as "canary 10% (1 beside 4)"
	Apply []kubernetes.Object
	// Counts are Deployments of Apply that have as many pods as something live, which may have another number by now.
	Counts []Count
	Smoke  *Door // nil where no Service leads to the new version
	// Restore leads traffic back to the old version as long as that still runs: applied first of all when this step, its
	// smoke test or what is after it fails. It does not replace the re-apply of the last good release.
	Restore []kubernetes.Object
	// Abort is removed when this step fails, after Restore.
	Abort []kubernetes.Ref
	// Drain is the time to let pass between the confirmation and Remove.
	Drain time.Duration
	// Remove is removed when the step has passed; for the last step: when the release is confirmed.
	Remove []kubernetes.Ref
}

// Count says that one Deployment has a share of the replicas of another one, at least one.
type Count struct {
	For, Of kubernetes.Ref
	Percent int
}

// Recount gives the Deployments of Apply their share of what is live now, and gives those that have another number for it. Where only
// more is asked for, none gets fewer.
func (s Step) Recount(live []kubernetes.Object, more bool) (changed []kubernetes.Object) {
	for _, c := range s.Counts {
		to, of := find(s.Apply, c.For), find(live, c.Of)
		if to == nil || of == nil {
			continue
		}
		if n := share(max(1, replicas(of)), c.Percent); n != replicas(to) && (n > replicas(to) || !more) {
			setReplicas(to, n)
			changed = append(changed, *to)
		}
	}
	return changed
}

// Door is a Service through which one version alone is reached; for the last step, the Service that everybody uses.
type Door struct {
	Namespace, Service string
	Port               string // name or number of the Service's port
}

// New plans how set becomes live. live is what Reads names, as read from the cluster, without what is not there. A set that
// a blue-green plan made, and that a release has kept, is brought back in its color, whatever the kind; to bring back any
// other one at once, ask for Rolling. Something else than Deployments under canary or blue-green is bad input that names
// the object.
func New(kind string, set, live []kubernetes.Object, o Options) (Plan, error) {
	p, err := prepare(kind, set, live, o)
	if err != nil {
		return Plan{}, err
	}
	if color := madeIn(set); color != "" {
		return p.again(color), nil
	}
	switch kind {
	case Rolling, "":
		return p.rolling(), nil
	case Canary:
		return p.canary()
	case BlueGreen:
		return p.blueGreen()
	}
	return Plan{}, fault.BadInputf("deploy.strategy %q in idp.yaml: one of rolling, canary, blue-green", kind)
}

// Reads names what has to be read from the cluster before a plan can be made.
func Reads(kind string, set []kubernetes.Object) []kubernetes.Ref {
	color := madeIn(set)
	var refs []kubernetes.Ref
	for i := range set {
		ref := kubernetes.RefOf(&set[i])
		switch {
		case isDeployment(&set[i]):
			ref.Name = strings.TrimSuffix(ref.Name, "-"+color)
			refs = append(refs, ref)
			for _, suffix := range []string{suffixCanary, suffixBlue, suffixGreen} {
				refs = append(refs, renamed(ref, suffix))
			}
		case isService(&set[i]):
			refs = append(refs, ref, renamed(ref, suffixCanary), renamed(ref, suffixPreview))
		case follows(&set[i]), (kind == Canary || kind == BlueGreen) && supports(&set[i]):
			refs = append(refs, ref)
		}
	}
	return refs
}

// Passing tells whether an object is a copy that a strategy makes of one of the set, under a name of its own: it comes and
// goes with deploys, though the manifests stay as they are.
func Passing(set []kubernetes.Object, ref kubernetes.Ref) bool {
	color := madeIn(set)
	for i := range set {
		own := kubernetes.RefOf(&set[i])
		if isDeployment(&set[i]) && color != "" {
			if own.Name = strings.TrimSuffix(own.Name, "-"+color); own.Same(ref) {
				return true // from before there were colors
			}
		}
		for _, suffix := range []string{suffixCanary, suffixPreview, suffixBlue, suffixGreen} {
			if renamed(own, suffix).Same(ref) && (isDeployment(&set[i]) || isService(&set[i]) || isConfiguration(&set[i])) {
				return true
			}
		}
	}
	return false
}

// madeIn is the color of the Deployments of a set that a blue-green plan made; empty for any other.
func madeIn(set []kubernetes.Object) string {
	for i := range set {
		if color := podLabels(&set[i])[LabelColor]; isDeployment(&set[i]) && strings.HasSuffix(set[i].GetName(), "-"+color) {
			return color
		}
	}
	return ""
}

func renamed(ref kubernetes.Ref, suffix string) kubernetes.Ref {
	ref.Name += suffix
	return ref
}

func group(o *kubernetes.Object) string { return o.GroupVersionKind().Group }

func isDeployment(o *kubernetes.Object) bool {
	return o.GetKind() == "Deployment" && group(o) == "apps"
}

func isService(o *kubernetes.Object) bool { return o.GetKind() == "Service" && group(o) == "" }

// isConfiguration tells of what pods take files and variables from.
func isConfiguration(o *kubernetes.Object) bool {
	return group(o) == "" && (o.GetKind() == "ConfigMap" || o.GetKind() == "Secret")
}

// podLabels are the labels of a workload's pods.
func podLabels(o *kubernetes.Object) map[string]string {
	labels, _, _ := unstructured.NestedStringMap(o.Object, "spec", "template", "metadata", "labels")
	return labels
}

func selector(service *kubernetes.Object) map[string]string {
	m, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
	return m
}

// selects tells whether a Service leads to pods with the labels.
func selects(service *kubernetes.Object, labels map[string]string) bool {
	want := selector(service)
	for key, value := range want {
		if labels[key] != value {
			return false
		}
	}
	return len(want) > 0
}
