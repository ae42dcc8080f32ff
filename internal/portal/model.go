package portal

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
)

// timelineWindow is how far back the timeline of a service goes.
const timelineWindow = 90 * 24 * time.Hour

// site is everything that is shown.
type site struct {
	made     time.Time
	services []*entry // by name
	byName   map[string]*entry
	teams    []*group // by name
	figures  *figures
}

// group is services that belong together.
type group struct {
	name     string
	services []*entry
}

func (g *group) teamFile() string { return "teams/" + fileName(g.name) + ".html" }

// entry is one service.
type entry struct {
	catalogfile.Service
	about   about
	targets map[string]*target
	ordered []*target // production first
}

// target is a service in one environment.
type target struct {
	name           string
	index          catalogfile.Environment
	latest, passed *catalogfile.Line // nil where the log has none
	lines          []*catalogfile.Line
	points         []point
}

// point is one delivery in a timeline.
type point struct {
	time     time.Time
	delivery int
	outcome  record.Outcome
}

// state is what is known of what runs.
type state string

const (
	stateLive   state = "live"   // the last delivery passed, so that is what runs
	stateKept   state = "kept"   // the last delivery did not pass, and yet it is known what runs: it changed nothing, or was taken back, or failed after it was live
	stateNone   state = "none"   // nothing was ever delivered whole
	stateUnsure state = "unsure" // the last delivery had begun to change what runs, and did not end well
)

// worst has what needs a look first.
var worst = []state{stateUnsure, stateKept, stateNone, stateLive}

// live tells whether a delivery is what ran after it: it passed, or only what comes after the smoke test did not.
func live(l *catalogfile.Line) bool {
	if l.Outcome != record.Failed && l.Outcome != record.Error {
		return l.Outcome == record.Passed
	}
	deploy, _ := l.Find(record.StageDeploy)
	smoke, smoked := l.Find(record.StageSmoke)
	return deploy.Outcome == record.Passed && !l.RolledBack && (!smoked || smoke.Outcome == record.Passed)
}

// untouched tells whether what ran before a delivery ran after it.
func untouched(l *catalogfile.Line) bool {
	if l.RolledBack || (l.Changed != nil && !*l.Changed) {
		return true
	}
	for _, s := range l.Stages {
		changes := s.Name == record.StageDeploy || s.Name == record.StageSmoke || s.Name == record.StageRollback
		if changes && s.Outcome != record.Skipped {
			return false
		}
	}
	return len(l.Stages) > 0
}

func (t *target) state() state {
	switch {
	case t.latest == nil && t.index.Latest.Outcome == record.Passed, t.latest != nil && t.latest.Outcome == record.Passed:
		return stateLive
	case t.latest != nil && live(t.latest):
		return stateKept
	case t.latest == nil || !untouched(t.latest):
		return stateUnsure
	case t.passed != nil:
		return stateKept
	}
	return stateNone
}

// state of a service is that of the environment that needs a look first.
func (x *entry) state() state {
	for _, s := range worst {
		for _, t := range x.ordered {
			if t.state() == s {
				return s
			}
		}
	}
	return stateNone
}

// counts says of how many services each state is.
func counts(services []*entry) map[state]int {
	count := map[state]int{}
	for _, x := range services {
		count[x.state()]++
	}
	return count
}

// blamed is the stage that a delivery ended with: the first that could not be determined, else the first that failed.
func blamed(l *catalogfile.Line) string {
	for _, o := range []record.Outcome{record.Error, record.Failed} {
		for _, s := range l.Stages {
			if s.Outcome == o {
				return s.Name
			}
		}
	}
	return ""
}

// grouped gives the groups by name; what the key is empty for is in none.
func grouped(services []*entry, key func(*entry) string) []*group {
	all := map[string]*group{}
	for _, x := range services {
		name := key(x)
		if name == "" {
			continue
		}
		if all[name] == nil {
			all[name] = &group{name: name}
		}
		all[name].services = append(all[name].services, x)
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *group) int { return strings.Compare(a.name, b.name) })
}

// finish puts services into groups and environments in order, once all deliveries are there.
func (s *site) finish() {
	s.teams = grouped(s.services, func(x *entry) string { return x.Owner })
	for _, x := range s.services {
		x.ordered = slices.SortedFunc(maps.Values(x.targets), func(a, b *target) int {
			return cmp.Or(cmp.Compare(rank(a.name), rank(b.name)), strings.Compare(a.name, b.name))
		})
	}
}

// rank puts first what matters most to whoever uses the service.
func rank(environment string) int {
	switch {
	case strings.HasPrefix(environment, "prod"):
		return 0
	case strings.HasPrefix(environment, "stag"):
		return 1
	case environment == "local":
		return 3
	}
	return 2
}

func (x *entry) file() string { return "services/" + fileName(x.Name) + ".html" }

// cost is the estimate of what runs, over all environments; nil where none is known. Environments without one are named.
func (x *entry) cost() (total *catalogfile.Cost, without []string) {
	for _, t := range x.ordered {
		if t.passed == nil || t.passed.Cost == nil || (total != nil && total.Currency != t.passed.Cost.Currency) {
			without = append(without, t.name)
			continue
		}
		if total == nil {
			total = &catalogfile.Cost{Currency: t.passed.Cost.Currency}
		}
		total.Min, total.Max = total.Min+t.passed.Cost.Min, total.Max+t.passed.Cost.Max
	}
	return total, without
}

// last is when anything was delivered last, whatever came of it.
func (x *entry) last() time.Time {
	var last time.Time
	for _, t := range x.ordered {
		if t.latest != nil && t.latest.Time.After(last) {
			last = t.latest.Time
		}
		if t.latest == nil && t.index.Latest.Time.After(last) {
			last = t.index.Latest.Time
		}
	}
	return last
}
