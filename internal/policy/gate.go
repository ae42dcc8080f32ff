package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/strictyaml"
	"github.com/org/idp/internal/waiver"
)

func (g Gate) over(base Gate) Gate {
	g.FailOn = cmp.Or(g.FailOn, base.FailOn)
	g.NewOnly = cmp.Or(g.NewOnly, base.NewOnly)
	g.MinConfidence = cmp.Or(g.MinConfidence, base.MinConfidence)
	g.Suppressions = cmp.Or(g.Suppressions, base.Suppressions)
	g.RequireImport = cmp.Or(g.RequireImport, base.RequireImport)
	own := g.CWE
	g.CWE = maps.Clone(base.CWE)
	if g.CWE == nil && own != nil {
		g.CWE = map[string]string{}
	}
	maps.Copy(g.CWE, own)
	return g
}

// Rules are the gate's keys as a decision. FailOn, where it is not empty, takes the place of fail-on and cwe: whoever
// gives it on the command line means it for everything. Stage names the gate in errors.
func (g Gate) Rules(stage, failOn string) (finding.Rules, error) {
	rules := finding.Rules{MinConfidence: g.MinConfidence, NewOnly: isTrue(g.NewOnly), Suppressions: g.Suppressions}
	if failOn == "" && g.FailOn == "" {
		return rules, fault.Undeterminedf("the policy does not say what fails %s", stage).
			WithNext("Set " + stage + ": {fail-on: high} in the policy, or give --fail-on")
	}
	var err error
	if rules.FailOn, err = finding.ParseThreshold(cmp.Or(failOn, g.FailOn)); err != nil || failOn != "" {
		return rules, err
	}
	for _, name := range slices.Sorted(maps.Keys(g.CWE)) {
		t, err := finding.ParseThreshold(g.CWE[name])
		if err != nil {
			return rules, fmt.Errorf("%s.cwe.%s: %w", stage, name, err)
		}
		if rules.CWE == nil {
			rules.CWE = map[string]finding.Threshold{}
		}
		rules.CWE[name] = t
	}
	return rules, nil
}

// RulesOf are the rules that a scan says it was held to. Evidence of before there were more than a threshold has no gate.
func RulesOf(scan record.Scan) (finding.Rules, error) {
	gate := Gate{FailOn: scan.FailOn}
	if g := scan.Gate; g != nil {
		gate.MinConfidence, gate.CWE, gate.NewOnly, gate.Suppressions = g.MinConfidence, g.CWE, &g.NewOnly, g.Suppressions
	}
	return gate.Rules("it", "")
}

// NeedsImport tells whether a service without Go code has to import what another scanner found.
func (g Gate) NeedsImport() bool { return isTrue(g.RequireImport) }

// Rules are what waivers are held to.
func (w Waivers) Rules() waiver.Rules {
	return waiver.Rules{MaxDays: w.MaxDays, NeedReason: w.NeedReason == nil || *w.NeedReason}
}

func isTrue(b *bool) bool { return b != nil && *b }

// validate adds what the tags cannot say.
func (g Gate) validate(doc *strictyaml.Document, p strictyaml.Path) {
	for _, name := range slices.Sorted(maps.Keys(g.CWE)) {
		if _, err := finding.ParseThreshold(g.CWE[name]); err != nil {
			doc.Wrong(append(p[:len(p):len(p)], "cwe", name), "one of none, low, medium, high, critical")
		}
	}
	if g.RequireImport != nil && p[len(p)-1] == "secrets" {
		doc.Problem(append(p[:len(p):len(p)], "require-import"), "%s.require-import: is for sast", p)
	}
}
