package portal

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/spend"
)

// Of one service in one environment, so that a catalogue of a million deliveries fits into memory.
const (
	maxShown  = 12  // deliveries in its table
	maxPoints = 300 // deliveries in its timeline
)

// sparkWeeks is how far the list of services looks back.
const sparkWeeks = 13

// timelineWindow is how far back the timeline of a service goes.
const timelineWindow = 90 * 24 * time.Hour

// site is everything that is shown.
type site struct {
	made     time.Time
	services []*entry // by name
	byName   map[string]*entry
	teams    []*group // by name
	systems  []*group // by name
	byOwner  map[string]*group
	bySystem map[string]*group
	entities *entities
	files    fs.FS // of the catalogue
	figures  *figures
}

// group is services that belong together: a team's, or those of a system.
type group struct {
	name     string
	services []*entry
}

func (g *group) systemFile() string { return "systems/" + fileName(g.name) + ".html" }

func (g *group) teamFile() string { return "teams/" + fileName(g.name) + ".html" }

// entry is one service.
type entry struct {
	catalogfile.Service
	about   about
	related relations
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
	recent         int      // deliveries in the window of the timeline, of which points are the newest
	weeks          [][2]int // passed, and not, in each of the last sparkWeeks, the oldest first
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

// live tells whether a delivery is what ran after it: it passed, or only what comes after the smoke test, or after a
// rollback by hand, did not.
func live(l *catalogfile.Line) bool {
	if l.Outcome != record.Failed && l.Outcome != record.Error {
		return l.Outcome == record.Passed
	}
	did := l.Effect()
	return did == catalogfile.CameLive || did == catalogfile.Kept || did == catalogfile.WentBack
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

func byName(groups []*group) map[string]*group {
	all := map[string]*group{}
	for _, g := range groups {
		all[g.name] = g
	}
	return all
}

// load reads a catalogue whole.
func load(ctx context.Context, catalogue fs.FS, environment string, made time.Time, charges []spend.Charge) (*site, error) {
	index, err := catalogfile.ReadIndex(catalogue)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.BadInputf("there is no catalogue here: no %s", catalogfile.IndexFile).WithNext("Name the folder of a checkout with --catalog; a bare repository is to be cloned first.")
	}
	if err != nil {
		return nil, fault.Undeterminedf("the catalogue cannot be read: %w", err)
	}
	s := &site{made: made, byName: map[string]*entry{}, files: catalogue}
	if s.entities, err = readEntities(ctx, catalogue); err != nil {
		return nil, fault.Undeterminedf("the catalogue cannot be read: %w", err).WithNext("Mend it: idp catalog-check says what else is wrong.")
	}
	for _, name := range slices.Sorted(maps.Keys(index.Services)) {
		x := &entry{Service: index.Services[name], targets: map[string]*target{}}
		x.Name = name
		if x.about, err = s.entities.about(catalogue, x.Entity, name); err != nil {
			return nil, fault.Undeterminedf("the catalogue cannot be read: %w", err).WithNext("Mend it: idp catalog-check says what else is wrong.")
		}
		for environment, runs := range x.Environments {
			x.targets[environment] = &target{name: environment, index: runs}
		}
		s.services, s.byName[name] = append(s.services, x), x
	}
	if err := catalogfile.Deliveries(ctx, catalogue, s.delivery); err != nil {
		return nil, fault.Undeterminedf("the catalogue cannot be read: %w", err)
	}
	if s.figures, err = readFigures(ctx, catalogue, environment, made, charges, index.Systems()); err != nil {
		return nil, fault.Undeterminedf("the catalogue cannot be read: %w", err)
	}
	s.finish()
	s.entities.relate(s)
	return s, nil
}

// delivery takes in one line of the log. Services that are no longer in the index are not shown.
func (s *site) delivery(l *catalogfile.Line) error {
	x, ok := s.byName[l.Service]
	if !ok {
		return nil
	}
	t, ok := x.targets[l.Environment]
	if !ok {
		t = &target{name: l.Environment}
		x.targets[l.Environment] = t
	}
	t.add(l, s.made)
	t.rhythm(l, s.made)
	return nil
}

func (t *target) add(l *catalogfile.Line, made time.Time) {
	if l.Brings != nil { // the commits themselves are many, and not shown
		brings := *l.Brings
		brings.More += len(brings.Commits)
		brings.Commits = nil
		l.Brings = &brings
	}
	t.lines = append(t.lines, l)
	if len(t.lines) > 2*maxShown {
		t.lines = slices.Clone(t.lines[len(t.lines)-maxShown:])
	}
	t.latest = l
	if live(l) {
		t.passed = l
	}
	if made.Sub(l.Time) <= timelineWindow {
		t.recent++
		t.points = append(t.points, point{l.Time, l.Delivery, l.Outcome})
		if len(t.points) > maxPoints {
			t.points = t.points[1:]
		}
	}
}

// rhythm counts a delivery in its week.
func (t *target) rhythm(l *catalogfile.Line, made time.Time) {
	age := made.Sub(l.Time)
	if age < 0 || age >= sparkWeeks*7*24*time.Hour {
		return
	}
	if t.weeks == nil {
		t.weeks = make([][2]int, sparkWeeks)
	}
	t.weeks[sparkWeeks-1-int(age/(7*24*time.Hour))][bit(l.Outcome != record.Passed)]++
}

// finish puts services into groups and environments in order, once all deliveries are there.
func (s *site) finish() {
	s.teams = grouped(s.services, func(x *entry) string { return x.Owner })
	s.systems = s.entities.systems(grouped(s.services, func(x *entry) string { return x.PartOf() }))
	s.byOwner, s.bySystem = byName(s.teams), byName(s.systems)
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
