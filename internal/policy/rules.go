package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
)

// For gives the rules of an environment: its own over the defaults, field by field, sizes by name. An environment that the
// policy does not list has the defaults. The rules may lack something that a decision needs: a caller that decides has to
// refuse while Missing names anything.
func (p *Policy) For(environment string) (Rules, error) {
	if environment == "" {
		return Rules{}, fault.BadInputf("no environment was named")
	}
	rules := p.Environments[environment].over(p.Defaults)
	if rules.After.Environment == environment {
		rules.After = After{} // the defaults name the first environment
	}
	return rules, nil
}

// String is the name and the digest, for evidence.
func (p *Policy) String() string { return p.Name + " " + p.Digest }

// Lists tells whether an environment has rules of its own.
func (p *Policy) Lists(environment string) bool {
	_, ok := p.Environments[environment]
	return ok
}

func (r Rules) over(base Rules) Rules {
	r.Signer = r.Signer.over(base.Signer)
	if r.Require == nil {
		r.Require = base.Require
	}
	r.Require = slices.Clone(r.Require)
	r.Provenance, r.SBOM = r.Provenance.over(base.Provenance), r.SBOM.over(base.SBOM)
	r.SAST, r.Secrets = r.SAST.over(base.SAST), r.Secrets.over(base.Secrets)
	r.Waivers.MaxDays = cmp.Or(r.Waivers.MaxDays, base.Waivers.MaxDays)
	r.Waivers.NeedReason = cmp.Or(r.Waivers.NeedReason, base.Waivers.NeedReason)
	r.EvidenceMaxAge = cmp.Or(r.EvidenceMaxAge, base.EvidenceMaxAge)
	r.Smoke.Rounds = cmp.Or(r.Smoke.Rounds, base.Smoke.Rounds)
	r.Budget = cmp.Or(r.Budget, base.Budget)
	r.After, r.Deploy = r.After.over(base.After), r.Deploy.over(base.Deploy)
	r.Approve = r.Approve.over(base.Approve)
	if r.Freeze == nil {
		r.Freeze = base.Freeze
	}
	r.Freeze = slices.Clone(r.Freeze)
	own := r.Sizes
	r.Sizes = maps.Clone(base.Sizes)
	if r.Sizes == nil && own != nil {
		r.Sizes = map[string]Size{}
	}
	maps.Copy(r.Sizes, own)
	return r
}

// Missing names the keys without which nothing can be decided: who must have signed, what must be shown, what fails a
// gate, how old evidence may be and how long a smoke test must stay good. While there is one, every delivery is refused.
// Sizes and budget are not among them.
func (r Rules) Missing() []string {
	var keys []string
	for _, field := range []struct {
		key string
		set bool
	}{
		{"signer", r.Signer.Named()},
		{"require", len(r.Require) > 0},
		{"sast.fail-on", r.SAST.FailOn != ""},
		{"secrets.fail-on", r.Secrets.FailOn != ""},
		{"evidence-max-age", r.EvidenceMaxAge != ""},
		{"smoke.rounds", r.Smoke.Rounds > 0},
	} {
		if !field.set {
			keys = append(keys, field.key)
		}
	}
	return keys
}

// Undecided names those of Missing without which no evidence can be judged; a scan that is not required needs no threshold.
func (r Rules) Undecided() []string {
	unneeded := []string{"smoke.rounds"}
	for stage, key := range map[string]string{record.StageSAST: "sast.fail-on", record.StageSecrets: "secrets.fail-on"} {
		if !slices.Contains(r.Require, stage) {
			unneeded = append(unneeded, key)
		}
	}
	return slices.DeleteFunc(r.Missing(), func(key string) bool { return slices.Contains(unneeded, key) })
}

// Size finds a T-shirt by name; one that is not there is BadInput.
func (r Rules) Size(name string) (Size, error) {
	size, ok := r.Sizes[name]
	if !ok {
		return Size{}, fault.BadInputf("size %.40q is not in the policy", name).WithNext(
			"Name one of " + strings.Join(sizeNames(r.Sizes), ", ") + ", or add it under sizes in the policy.")
	}
	return size, nil
}

// SizeNames lists every T-shirt that some environment has, smallest first.
func (p *Policy) SizeNames() []string {
	all := maps.Clone(p.Defaults.Sizes)
	if all == nil {
		all = map[string]Size{}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Environments)) {
		maps.Copy(all, p.Environments[name].Sizes)
	}
	return sizeNames(all)
}

func sizeNames(sizes map[string]Size) []string {
	names := slices.Sorted(maps.Keys(sizes))
	slices.SortStableFunc(names, func(a, b string) int {
		x, y := sizes[a], sizes[b]
		return cmp.Or(compare(x.CPU, y.CPU), compare(x.Memory, y.Memory))
	})
	return names
}

func compare(a, b string) int {
	x, errX := resource.ParseQuantity(a)
	y, errY := resource.ParseQuantity(b)
	if errX != nil || errY != nil {
		return strings.Compare(a, b)
	}
	return x.Cmp(y)
}
