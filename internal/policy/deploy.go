package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/org/idp/internal/guard"
	"github.com/org/idp/internal/strictyaml"
)

// After is the environment that comes before this one.
type After struct {
	Environment string   `yaml:"environment" json:"environment" jsonschema:"required,pattern=^[a-z0-9]([a-z0-9-]{0\\,61}[a-z0-9])?$" want:"lower-case letters, digits and hyphens" jsonschema_description:"Its name. It does not come after itself, so this may stand in the defaults."`
	HealthyFor  string   `yaml:"healthy-for" json:"healthy-for,omitempty" jsonschema:"pattern=^[1-9][0-9]{0\\,4}[mhd]$" want:"a number of minutes, hours or days, such as 10m, 12h or 7d" jsonschema_description:"Such as 10m: how long it has to be healthy there. Left out, it is enough that it is healthy."`
	Require     []string `yaml:"require" json:"require,omitempty" jsonschema:"enum=deployment,enum=smoke" jsonschema_description:"Signed evidence from there that must be attached to the digest: that it was live, and that it passed the smoke test."`
}

// Freeze is a time without deploys that comes again and again.
type Freeze struct {
	Cron string `yaml:"cron" json:"cron" jsonschema:"required,minLength=1" jsonschema_description:"When it begins: minute, hour, day of the month, month, day of the week, such as 0 16 * * FRI."`
	For  string `yaml:"for" json:"for" jsonschema:"required,pattern=^[1-9][0-9]{0\\,4}[mhd]$" want:"a number of minutes, hours or days, such as 10m, 12h or 7d" jsonschema_description:"How long it lasts, such as 64h; at most 366d."`
	Zone string `yaml:"zone" json:"zone,omitempty" jsonschema:"minLength=1,default=UTC" jsonschema_description:"Time zone of cron, such as Europe/Berlin."`
}

// Approve is who has to agree before a version comes to the environment.
type Approve struct {
	By     string `yaml:"by" json:"by,omitempty" jsonschema:"pattern=^(codeowners|nobody|[A-Za-z0-9][A-Za-z0-9-]{0\\,38}/[a-z0-9._-]{1\\,100})$" want:"codeowners, a team as ORG/TEAM, or nobody" jsonschema_description:"codeowners: an owner of what changed, by CODEOWNERS. ORG/TEAM: a member of that team. nobody lifts what the defaults ask. Whoever wrote the change cannot approve it."`
	Within string `yaml:"within" json:"within,omitempty" jsonschema:"pattern=^[1-9][0-9]{0\\,4}[mhd]$,default=7d" want:"a number of minutes, hours or days, such as 10m, 12h or 7d" jsonschema_description:"How long an approval counts, such as 7d."`
}

// Deploy is what a deploy to Kubernetes may do.
type Deploy struct {
	Conflicts string `yaml:"conflicts" json:"conflicts,omitempty" jsonschema:"enum=fail,enum=force,default=fail" jsonschema_description:"A field that something else in the cluster owns: fail, or take it over."`
	PruneMax  *int   `yaml:"prune-max" json:"prune-max,omitempty" jsonschema:"minimum=0,default=10" jsonschema_description:"How many objects one deploy may remove because they are no longer in the manifests."`
	Undo      string `yaml:"undo" json:"undo,omitempty" jsonschema:"enum=warn,enum=refuse,default=warn" jsonschema_description:"A deploy that would remove commits that are live: warn, or refuse it."`
}

func (a After) over(base After) After {
	a.Environment = cmp.Or(a.Environment, base.Environment)
	a.HealthyFor = cmp.Or(a.HealthyFor, base.HealthyFor)
	a.Require = list(a.Require, base.Require)
	return a
}

func (a Approve) over(base Approve) Approve {
	a.By = cmp.Or(a.By, base.By)
	a.Within = cmp.Or(a.Within, base.Within)
	return a
}

// Guard is the rule as the guard takes it.
func (a Approve) Guard() (guard.Approve, error) {
	if a.By == "" || a.By == "nobody" {
		return guard.Approve{}, nil
	}
	within, err := ParseAge(cmp.Or(a.Within, "7d"))
	return guard.Approve{By: a.By, Within: within}, err
}

func (d Deploy) over(base Deploy) Deploy {
	d.Conflicts = cmp.Or(d.Conflicts, base.Conflicts)
	d.PruneMax = cmp.Or(d.PruneMax, base.PruneMax)
	d.Undo = cmp.Or(d.Undo, base.Undo)
	return d
}

// Force tells whether fields are taken over from other managers.
func (d Deploy) Force() bool { return d.Conflicts == "force" }

// MaxPruned is how many objects one deploy may remove.
func (d Deploy) MaxPruned() int {
	if d.PruneMax == nil {
		return 10
	}
	return *d.PruneMax
}

// UndoRule is guard.UndoWarn or guard.UndoRefuse.
func (d Deploy) UndoRule() string { return cmp.Or(d.Undo, guard.UndoWarn) }

// Guard is the rule as the guard takes it.
func (a After) Guard() (guard.After, error) {
	g := guard.After{Environment: a.Environment}
	if a.HealthyFor == "" {
		return g, nil
	}
	var err error
	g.HealthyFor, err = ParseAge(a.HealthyFor)
	return g, err
}

// Windows are the freezes as the guard takes them.
func (r Rules) Windows() ([]guard.Window, error) {
	var windows []guard.Window
	for _, f := range r.Freeze {
		length, err := ParseAge(f.For)
		if err != nil {
			return nil, err
		}
		windows = append(windows, guard.Window{Cron: f.Cron, For: length, Zone: f.Zone})
	}
	return windows, nil
}

// validate adds what the tags cannot say.
func (f Freeze) validate(doc *strictyaml.Document, p strictyaml.Path) {
	sub := func(key string) strictyaml.Path { return append(p[:len(p):len(p)], key) }
	if f.Cron != "" {
		if err := guard.CheckCron(f.Cron); err != nil {
			doc.Wrong(sub("cron"), err.Error())
		}
	}
	if err := guard.CheckZone(f.Zone); err != nil {
		doc.Wrong(sub("zone"), err.Error())
	}
	if length, err := ParseAge(f.For); err == nil && length > guard.LongestWindow {
		doc.Wrong(sub("for"), "want at most 366d")
	}
}

// order refuses environments that wait for each other: nothing could ever be deployed to them.
func (p *Policy) order(doc *strictyaml.Document, names []string) {
	before := func(name string) string {
		if after := p.Environments[name].After.over(p.Defaults.After).Environment; after != name {
			return after
		}
		return ""
	}
	for _, name := range names {
		if p.Environments[name].After.Environment == "" {
			continue
		}
		chain := []string{name}
		for next := before(name); next != "" && !slices.Contains(chain, next); next = before(next) {
			chain = append(chain, next)
		}
		last := chain[len(chain)-1]
		switch {
		case p.Environments[name].After.Environment == name:
			doc.Wrong(strictyaml.Path{"environments", name, "after", "environment"}, "an environment does not come after itself")
		case before(last) == name:
			doc.Wrong(strictyaml.Path{"environments", name, "after", "environment"}, "they wait for each other: "+strings.Join(append(chain, name), " after "))
		}
	}
}
