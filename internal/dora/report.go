package dora

import (
	"cmp"
	"slices"
	"time"

	"github.com/org/idp/internal/record"
)

// sum is what services came to together.
type sum struct {
	known  time.Time // of the first of them
	months map[string]*tally
}

func (t *sum) add(s *service) {
	t.known = earlier(t.known, s.known)
	if t.months == nil {
		t.months = map[string]*tally{}
	}
	for month, m := range s.months {
		if t.months[month] == nil {
			t.months[month] = &tally{}
		}
		t.months[month].add(m)
	}
}

// earlier is the first of two times, of which one may not be known.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// report closes the count. What still goes on is counted as not recovered.
func (c *count) report() *Report {
	r := &Report{Schema: Schema, Environment: c.Environment, From: c.From, To: c.To, Teams: map[string]Group{}, Systems: map[string]Group{},
		Services: map[string]Group{}, Adoption: Adoption{Stages: map[string]int{}, Suites: map[string]int{}}}
	var all sum
	teams, systems := map[string]*sum{}, map[string]*sum{}
	for name, s := range c.services {
		all.known = earlier(all.known, s.known)
		if s.newest.IsZero() {
			continue
		}
		s.close(c)
		g := c.group(sum{s.known, s.months})
		g.Owner = s.owner
		r.Services[name] = g
		all.add(s)
		within(teams, s.owner).add(s)
		if system := c.Systems[name]; system != "" {
			within(systems, system).add(s)
		}
		r.Adoption.add(s)
	}
	for owner, t := range teams {
		r.Teams[owner] = c.group(*t)
	}
	for system, t := range systems {
		r.Systems[system] = c.group(*t)
	}
	r.Organization = c.group(all)
	return r
}

func within(sums map[string]*sum, name string) *sum {
	if sums[name] == nil {
		sums[name] = &sum{}
	}
	return sums[name]
}

// close counts what is known only at the end of the log.
func (s *service) close(c *count) {
	for _, f := range s.open {
		if f.in != nil {
			f.in.unrecovered++
		}
	}
	if !s.adopted.IsZero() && !s.older && c.within(s.first) {
		m := s.month(s.first)
		m.first = append(m.first, seconds(s.first.Sub(s.adopted)))
	}
}

func (a *Adoption) add(s *service) {
	a.Services++
	a.Suites[cmp.Or(s.suite, "unknown")]++
	for _, stage := range s.stages {
		if stage.Outcome != record.Skipped {
			a.Stages[stage.Name]++
		}
	}
}

func (m *tally) add(o *tally) {
	m.changes += o.changes
	m.deployed += o.deployed
	m.failed += o.failed
	m.unrecovered += o.unrecovered
	m.back += o.back
	m.rework += o.rework
	m.withoutLead += o.withoutLead
	m.lead = append(m.lead, o.lead...)
	m.recovery = append(m.recovery, o.recovery...)
	m.first = append(m.first, o.first...)
}

func (c *count) group(t sum) Group {
	g := Group{Months: map[string]Metrics{}}
	var whole tally
	for name, m := range t.months {
		whole.add(m)
		from, _ := time.Parse("2006-01", name)
		g.Months[name] = m.metrics(c.days(t.known, from, from.AddDate(0, 1, 0)))
	}
	g.Metrics = whole.metrics(c.days(t.known, c.From, c.To))
	return g
}

// days is how many days of a time are in the window, from the day on that the log has the first delivery of. Before that it is not
// known what was deployed: DORA's own Four Keys leave these days out, https://github.com/dora-team/fourkeys/blob/main/METRICS.md.
func (c *count) days(known, from, to time.Time) int {
	for _, t := range []time.Time{c.From, known.UTC().Truncate(24 * time.Hour)} {
		if from.Before(t) {
			from = t
		}
	}
	if to.After(c.To) {
		to = c.To
	}
	return max(int(to.Sub(from).Hours()/24), 0)
}

func (m *tally) metrics(days int) Metrics {
	return Metrics{Deployments: m.deployed, Days: days, PerWeek: weekly(m.deployed, days),
		LeadTime: spread(m.lead), WithoutLead: m.withoutLead,
		Failed: m.failed, FailureRate: share(m.failed, m.changes),
		Recovery: spread(m.recovery), Unrecovered: m.unrecovered,
		Rework: m.rework, ReworkRate: share(m.rework, m.deployed+m.back),
		FirstDelivery: spread(m.first)}
}

// weekly is absent where there was no week: one deployment on one day is not seven a week.
func weekly(n, days int) *float64 {
	if days < 7 {
		return nil
	}
	f := 7 * float64(n) / float64(days)
	return &f
}

// share is absent where there is nothing to have a share of.
func share(part, whole int) *float64 {
	if whole == 0 {
		return nil
	}
	s := float64(part) / float64(whole)
	return &s
}

// spread sorts the times that it is given.
func spread(times []float32) *Spread {
	if len(times) == 0 {
		return nil
	}
	slices.Sort(times)
	return &Spread{Count: len(times), Median: quantile(times, 0.5), P90: quantile(times, 0.9)}
}

// quantile interpolates between the two nearest of sorted values, as R's type 7 and most spreadsheets do.
func quantile(sorted []float32, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	part := at - float64(low)
	return float64(sorted[low])*(1-part) + float64(sorted[high])*part
}
