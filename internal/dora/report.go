package dora

import (
	"cmp"
	"slices"
	"time"

	"github.com/org/idp/internal/record"
)

// report closes the count. What still goes on is counted as not recovered.
func (c *count) report() *Report {
	r := &Report{Schema: Schema, Environment: c.Environment, From: c.From, To: c.To, Teams: map[string]Group{}, Services: map[string]Group{},
		Adoption: Adoption{Stages: map[string]int{}, Suites: map[string]int{}}}
	all := map[string]*tally{}
	teams := map[string]map[string]*tally{}
	for name, s := range c.services {
		if s.newest.IsZero() {
			continue
		}
		s.close(c)
		g := c.group(s.months)
		g.Owner = s.owner
		r.Services[name] = g
		if teams[s.owner] == nil {
			teams[s.owner] = map[string]*tally{}
		}
		for month, m := range s.months {
			add(all, month, m)
			add(teams[s.owner], month, m)
		}
		r.Adoption.add(s)
	}
	for owner, months := range teams {
		r.Teams[owner] = c.group(months)
	}
	r.Organization = c.group(all)
	return r
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

func add(months map[string]*tally, name string, m *tally) {
	sum := months[name]
	if sum == nil {
		sum = &tally{}
		months[name] = sum
	}
	sum.add(m)
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

func (c *count) group(months map[string]*tally) Group {
	g := Group{Months: map[string]Metrics{}}
	var sum tally
	for name, m := range months {
		sum.add(m)
		from, _ := time.Parse("2006-01", name)
		g.Months[name] = m.metrics(c.clip(from, from.AddDate(0, 1, 0)))
	}
	g.Metrics = sum.metrics(c.To.Sub(c.From))
	return g
}

// clip is how much of a month is in the window.
func (c *count) clip(from, to time.Time) time.Duration {
	if from.Before(c.From) {
		from = c.From
	}
	if to.After(c.To) {
		to = c.To
	}
	return to.Sub(from)
}

func (m *tally) metrics(window time.Duration) Metrics {
	return Metrics{Deployments: m.deployed, PerWeek: float64(m.deployed) / (window.Hours() / (7 * 24)),
		LeadTime: spread(m.lead), WithoutLead: m.withoutLead,
		Failed: m.failed, FailureRate: share(m.failed, m.changes),
		Recovery: spread(m.recovery), Unrecovered: m.unrecovered,
		Rework: m.rework, ReworkRate: share(m.rework, m.deployed+m.back),
		FirstDelivery: spread(m.first)}
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
