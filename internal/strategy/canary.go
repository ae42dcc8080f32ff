package strategy

import (
	"fmt"
	"math"
	"slices"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// canary has a few pods of the new version beside all of the old, more with each step, and then everything rolling. What
// the old version uses is not touched before: configuration of the canary is a copy under a name of its own.
func (p *planner) canary() (Plan, error) {
	percents, err := p.percents()
	if err != nil {
		return Plan{}, err
	}
	plan := p.rolling()
	plan.Kind = Canary
	n := int64(0)
	for _, m := range p.mains {
		n = max(n, replicas(m.live))
	}
	if n == 0 {
		plan.Note = "no pod of a version before it runs, so there is nothing to have a canary beside"
		return plan, nil
	}
	var own []kubernetes.Object
	for _, m := range p.mains {
		for _, o := range p.copies(m, suffixCanary, p.trackLabels()) {
			if find(own, kubernetes.RefOf(&o)) == nil {
				own = append(own, o)
			}
		}
	}
	own = append(own, p.doors(suffixCanary, p.trackLabels())...)
	plan.Temporary = refs(own)
	last := plan.Steps[0]
	last.Name, last.Remove, last.Abort = "all pods", union(last.Remove, refs(own)), union(last.Abort, refs(own))
	shared, created := p.support()
	plan.Steps = nil
	for i, percent := range percents {
		count := share(n, percent)
		if i > 0 && count == share(n, percents[i-1]) {
			continue // the same pods again
		}
		step := Step{Name: fmt.Sprintf("canary %d%% (%d beside %d)", percent, count, n), Apply: slices.Concat(clone(shared), clone(own)), Smoke: p.door(suffixCanary),
			Abort: slices.Concat(refs(own), created)}
		for _, m := range p.mains {
			copied := renamed(kubernetes.RefOf(m.deployment), suffixCanary)
			setReplicas(find(step.Apply, copied), share(max(1, replicas(m.live)), percent))
			if m.live != nil {
				step.Counts = append(step.Counts, Count{For: copied, Of: kubernetes.RefOf(m.live), Percent: percent})
			}
		}
		plan.Steps = append(plan.Steps, step)
	}
	plan.Steps = append(plan.Steps, last)
	return plan, nil
}

// trackLabels mark the pods of a canary. Beside a blue-green release they carry its color, or its Service would not lead
// to them.
func (p *planner) trackLabels() map[string]string {
	labels := map[string]string{LabelTrack: "canary"}
	if p.color != "" {
		labels[LabelColor] = p.color
	}
	return labels
}

// share is how many replicas are percent of n, at least one.
func share(n int64, percent int) int64 {
	return max(1, int64(math.Round(float64(n)*float64(percent)/100)))
}

func (p *planner) percents() ([]int, error) {
	percents := p.o.Steps
	if len(percents) == 0 {
		percents = []int{10, 50}
	}
	for i, percent := range percents {
		if percent < 1 || percent > 100 || i > 0 && percent <= percents[i-1] {
			return nil, fault.BadInputf("deploy.steps %v in idp.yaml: percentages from 1 to 100, each larger than the one before", percents)
		}
	}
	return percents, nil
}

func refs(objects []kubernetes.Object) []kubernetes.Ref {
	list := make([]kubernetes.Ref, len(objects))
	for i := range objects {
		list[i] = kubernetes.RefOf(&objects[i])
	}
	return list
}

func union(a, b []kubernetes.Ref) []kubernetes.Ref {
	all := slices.Clone(a)
	for _, ref := range b {
		if !slices.ContainsFunc(all, ref.Same) {
			all = append(all, ref)
		}
	}
	return all
}
