package dora

import (
	"hash/maphash"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
)

// count is what is known while the log is read.
type count struct {
	Options
	services map[string]*service
}

// service is one of them, over all its environments.
type service struct {
	known   time.Time // first line of any environment, in the window or before it
	newest  time.Time // of any environment, in the window
	owner   string
	stages  []catalogfile.Stage
	suite   string
	adopted time.Time // when idp.yaml came; zero where it is not known
	first   time.Time // successful deployment to any environment
	begun   time.Time // first change to any environment, whatever became of it
	older   bool      // something was live before that: the service is older than the log

	months    map[string]*tally
	open      []change            // failures that go on
	live      change              // the newest deployment that worked; zero when it was taken back
	delivered map[uint64]struct{} // commits, by their hash: a million deliveries have a few million
}

// change is one that was made to the environment.
type change struct {
	at time.Time
	in *tally // where it is counted; nil for one outside of the window
}

// tally is what one month has. Times are seconds, kept one by one for the median.
type tally struct {
	changes                       int // deployments, whatever became of them
	deployed, failed, unrecovered int
	back, rework, withoutLead     int
	lead, recovery, first         []float32
}

var seed = maphash.MakeSeed()

func newCount(o Options) *count { return &count{Options: o, services: map[string]*service{}} }

func (c *count) within(t time.Time) bool { return !t.Before(c.From) && t.Before(c.To) }

func (c *count) add(l *catalogfile.Line) {
	s := c.services[l.Service]
	if s == nil {
		s = &service{months: map[string]*tally{}, delivered: map[uint64]struct{}{}}
		c.services[l.Service] = s
	}
	if l.Adopted != nil && (s.adopted.IsZero() || l.Adopted.Before(s.adopted)) {
		s.adopted = *l.Adopted
	}
	if s.known.IsZero() || l.Time.Before(s.known) {
		s.known = l.Time
	}
	did := l.Effect()
	s.begin(l, did)
	if !c.within(l.Time) {
		if l.Environment == c.Environment {
			s.follow(l, did, nil)
		}
		return
	}
	if !l.Time.Before(s.newest) {
		s.newest, s.owner, s.stages, s.suite = l.Time, l.Owner, l.Stages, l.Suite
	}
	if l.Environment == c.Environment {
		s.follow(l, did, s.month(l.Time))
	}
}

// begin keeps which delivery was the first one, whatever the order in which environments are read.
func (s *service) begin(l *catalogfile.Line, did catalogfile.Effect) {
	if did == catalogfile.Nothing {
		return
	}
	if s.begun.IsZero() || l.Time.Before(s.begun) {
		s.begun, s.older = l.Time, l.Previous != nil || did == catalogfile.Kept || did == catalogfile.WentBack
	}
	if (did == catalogfile.CameLive || did == catalogfile.Kept) && (s.first.IsZero() || l.Time.Before(s.first)) {
		s.first = l.Time
	}
}

func (s *service) month(t time.Time) *tally {
	name := t.UTC().Format("2006-01")
	m := s.months[name]
	if m == nil {
		m = &tally{}
		s.months[name] = m
	}
	return m
}

// follow keeps what a line changes, in the order of the log. Nothing is counted in a nil month, which is outside of the window; but
// a failure that goes on from before it is kept, and after it those of the window end, and its deployments are taken back.
func (s *service) follow(l *catalogfile.Line, did catalogfile.Effect, m *tally) {
	this := change{l.Time, m}
	switch did {
	case catalogfile.Broke:
		s.fail(l, this)
	case catalogfile.CameLive:
		if m != nil {
			m.deploy(len(s.open) > 0)
		}
		s.lead(l, m)
		s.recover(l.Time)
		s.live = this
	case catalogfile.Kept:
		if len(s.open) > 0 { // what had failed is live, and works now
			s.recover(l.Time)
			s.live = change{}
		}
	case catalogfile.WentBack:
		if m != nil {
			m.back++
			m.rework++
		}
		if len(s.open) == 0 {
			s.takeBack(l.Time)
		}
		s.recover(l.Time)
		s.live = change{}
	}
}

// deploy counts one that worked; after is true when something had failed before it.
func (m *tally) deploy(after bool) {
	m.changes++
	m.deployed++
	if after {
		m.rework++
	}
}

// lead keeps how long the commits of a deployment took. Those that were live once, and came again after somebody had gone back,
// are not counted a second time.
func (s *service) lead(l *catalogfile.Line, m *tally) {
	if l.Previous == nil { // a first deployment has nothing that it could be compared with
		return
	}
	if l.Brings == nil {
		if m != nil {
			m.withoutLead++
		}
		return
	}
	for _, c := range l.Brings.Commits {
		id := maphash.String(seed, c.ID)
		if _, again := s.delivered[id]; again {
			continue
		}
		s.delivered[id] = struct{}{}
		if m != nil {
			m.lead = append(m.lead, seconds(l.Time.Sub(c.Time)))
		}
	}
}

// fail counts a failure. One that the delivery itself took back is over with it; any other goes on until the next change that
// works.
func (s *service) fail(l *catalogfile.Line, this change) {
	if this.in != nil {
		this.in.changes++
		this.in.failed++
	}
	if !l.RolledBack {
		s.open = append(s.open, this)
		return
	}
	if this.in != nil {
		this.in.recovery = append(this.in.recovery, seconds(exposed(l)))
	}
}

// exposed is how long a change that was taken back may have been seen: from the begin of its deploy to the end of what took it
// back, which both are in these two stages.
func exposed(l *catalogfile.Line) time.Duration {
	var ms int64
	for _, name := range []string{record.StageDeploy, record.StageSmoke} {
		if s, ok := l.Find(name); ok {
			ms += s.DurationMS
		}
	}
	return time.Duration(ms) * time.Millisecond
}

// recover ends the failures that went on.
func (s *service) recover(at time.Time) {
	for _, f := range s.open {
		f.end(at)
	}
	s.open = nil
}

// takeBack makes a failure of the deployment that somebody takes back by hand although it had worked.
func (s *service) takeBack(at time.Time) {
	if s.live.in != nil {
		s.live.in.failed++
	}
	s.live.end(at)
}

func (c change) end(at time.Time) {
	if c.in != nil {
		c.in.recovery = append(c.in.recovery, seconds(at.Sub(c.at)))
	}
}

func seconds(d time.Duration) float32 { return float32(max(d, 0).Seconds()) }
