// Package spend computes what services cost a month from a catalogue's delivery log: the estimate that was in force, what their
// deliveries took of CI, and beside them what an export of OpenCost or a FOCUS file says they really cost.
//
// An amount that cannot be known is absent, never zero, and what no service can be charged with is listed.
package spend

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/org/idp/internal/catalogfile"
)

// Schema names the form of a Report.
const Schema = "idp.spend/v1"

// Options say what is counted.
type Options struct {
	From, To time.Time         // first day of the first month, and the end: nothing after it is counted. Both in UTC
	Actual   []Charge          // what was really charged; nil where there is no export
	Systems  map[string]string // of each service that is part of one
}

// Report is what services cost, by month.
type Report struct {
	Schema string    `json:"schema"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// Rows are sorted by month, owner, service and environment.
	Rows         []Row  `json:"rows"`
	Now          []Now  `json:"now" jsonschema_description:"What each service costs a month as it is deployed now."`
	Teams        []Sum  `json:"teams" jsonschema_description:"By month and owner."`
	Systems      []Sum  `json:"systems" jsonschema_description:"By month and system, as the catalogue says it now of each service. A service of none is in none."`
	Environments []Sum  `json:"environments" jsonschema_description:"By month and environment."`
	Organization []Sum  `json:"organization" jsonschema_description:"By month."`
	Unattributed []Sum  `json:"unattributed" jsonschema_description:"Charges of the export that are of no service in the catalogue, by month."`
	Prices       string `json:"prices,omitempty" jsonschema_description:"Name and date of the price file of the newest estimate that is in force."`
}

// Row is one service in one environment and month.
type Row struct {
	Month       string `json:"month" jsonschema_description:"YYYY-MM, in UTC."`
	Service     string `json:"service"`
	Owner       string `json:"owner"`
	Environment string `json:"environment"`
	Money
	Deliveries      int `json:"deliveries"`
	WithoutEstimate int `json:"withoutEstimate,omitempty" jsonschema_description:"Deliveries that came live without an estimate: for as long as they ran, the estimate above has nothing."`
}

// Money is amounts of one currency.
type Money struct {
	Currency    string   `json:"currency"`
	Estimate    *float64 `json:"estimate,omitempty" jsonschema_description:"At the most replicas, for the part of the month in which it was deployed."`
	EstimateMin *float64 `json:"estimateMin,omitempty" jsonschema_description:"At the fewest."`
	CI          *float64 `json:"ci,omitempty" jsonschema_description:"List price of the runner's minutes that idp itself took."`
	Actual      *float64 `json:"actual,omitempty" jsonschema_description:"From the export."`
}

// Sum adds rows up. Currencies are never added to each other.
type Sum struct {
	Month string `json:"month"`
	Name  string `json:"name,omitempty"`
	Money
}

// Now is what one service costs a month as it is deployed at the end of the window.
type Now struct {
	Service     string   `json:"service"`
	Owner       string   `json:"owner"`
	Environment string   `json:"environment"`
	Currency    string   `json:"currency"`
	Max         float64  `json:"max"`
	Min         float64  `json:"min"`
	Change      *float64 `json:"change,omitempty" jsonschema_description:"Against the deployment before; absent for a first one, and where that had no estimate of this currency."`
	Delivery    int      `json:"delivery" jsonschema_description:"Number of the delivery that it is from."`
}

// Compute reads the whole log once. A log that cannot be read whole is an error.
func Compute(ctx context.Context, catalogue fs.FS, o Options) (*Report, error) {
	if !o.From.Before(o.To) {
		return nil, fmt.Errorf("costs from %s to %s: there is no such window", o.From.Format(time.DateOnly), o.To.Format(time.DateOnly))
	}
	l := ledger{Options: o, places: map[place]*state{}, rows: map[cell]*Row{}}
	if err := catalogfile.Deliveries(ctx, catalogue, func(d *catalogfile.Line) error { l.add(d); return nil }); err != nil {
		return nil, err
	}
	for p, s := range l.places {
		l.accrue(p, s, o.To)
	}
	return l.report(), nil
}

// place is where something runs.
type place struct{ service, environment string }

// cell is a row's key.
type cell struct {
	month string
	place
	owner, currency string
}

// state is what runs at a place.
type state struct {
	owners       []tenure  // the oldest first
	came         time.Time // when live was delivered
	since        time.Time // until when it is charged
	live, before *catalogfile.Cost
	version      string // commit and digest
	running      bool   // something is live; with a nil cost it has no estimate
	delivery     int
	known        map[string]*catalogfile.Cost // by commit and digest, for going back
}

// tenure is since when a team owns it.
type tenure struct {
	owner string
	from  time.Time
}

// owner is whose it was at a time; the first one's also before that.
func (s *state) owner(at time.Time) string {
	for _, t := range slices.Backward(s.owners) {
		if !at.Before(t.from) {
			return t.owner
		}
	}
	return s.owners[0].owner
}

type ledger struct {
	Options
	places map[place]*state
	rows   map[cell]*Row
	spare  []Sum
}

// add takes the next line of a place.
func (l *ledger) add(d *catalogfile.Line) {
	if !d.Time.Before(l.To) {
		return
	}
	p := place{d.Service, d.Environment}
	s := l.places[p]
	if s == nil {
		s = &state{known: map[string]*catalogfile.Cost{}}
		l.places[p] = s
	}
	if n := len(s.owners); n == 0 || s.owners[n-1].owner != d.Owner {
		l.accrue(p, s, d.Time)
		s.since = d.Time
		s.owners = append(s.owners, tenure{d.Owner, d.Time})
	}
	if !d.Time.Before(l.From) {
		l.delivered(p, d)
	}
	if did := d.Effect(); did == catalogfile.CameLive || did == catalogfile.Kept || did == catalogfile.WentBack {
		l.live(p, s, d, did)
	}
}

// live takes a delivery that decides what runs from then on.
func (l *ledger) live(p place, s *state, d *catalogfile.Line, did catalogfile.Effect) {
	l.accrue(p, s, d.Time)
	cost, key := d.Cost, d.Commit+d.Digest
	switch {
	case did == catalogfile.WentBack:
		cost = s.known[key]
	case did == catalogfile.Kept && cost == nil:
		cost = s.live
	}
	if cost == nil && !d.Time.Before(l.From) {
		l.row(p, d.Time, "").WithoutEstimate++
	}
	if did != catalogfile.Kept || key != s.version {
		s.before = s.live
	}
	s.live, s.version, s.since, s.came, s.running, s.delivery = cost, key, d.Time, d.Time, true, d.Delivery
	s.known[key] = cost
}

func (l *ledger) delivered(p place, d *catalogfile.Line) {
	currency := ""
	if d.Cost != nil {
		currency = d.Cost.Currency
	}
	r := l.row(p, d.Time, currency)
	r.Deliveries++
	if d.CI != nil {
		r = l.row(p, d.Time, d.CI.Currency)
		r.CI = plus(r.CI, d.CI.Amount)
	}
}

// row gives that of a month. A currency that is not known is that of what is live.
func (l *ledger) row(p place, t time.Time, currency string) *Row {
	s := l.places[p]
	if currency == "" && s.live != nil {
		currency = s.live.Currency
	}
	key := cell{t.UTC().Format("2006-01"), p, s.owner(t), currency}
	r := l.rows[key]
	if r == nil {
		r = &Row{Month: key.month, Service: p.service, Owner: key.owner, Environment: p.environment, Money: Money{Currency: currency}}
		l.rows[key] = r
	}
	return r
}

// join adds rows whose currency never became known to another of the same month, service, environment and owner, so that a
// delivery without an estimate has a row of its own only where there is none.
func (l *ledger) join() {
	for _, key := range slices.SortedFunc(maps.Keys(l.rows), order) {
		to := key
		to.currency = ""
		if from := l.rows[to]; from != nil && key != to {
			l.rows[key].Deliveries += from.Deliveries
			l.rows[key].WithoutEstimate += from.WithoutEstimate
			delete(l.rows, to)
		}
	}
}

// accrue charges each month with its share of what has been live until now: an estimate is of a month whatever its days.
func (l *ledger) accrue(p place, s *state, until time.Time) {
	if !s.running || s.live == nil {
		return
	}
	from := s.since
	if from.Before(l.From) {
		from = l.From
	}
	for from.Before(until) {
		start := time.Date(from.UTC().Year(), from.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
		end := start.AddDate(0, 1, 0)
		to := end
		if until.Before(to) {
			to = until
		}
		share := float64(to.Sub(from)) / float64(end.Sub(start))
		r := l.row(p, from, s.live.Currency)
		r.Estimate, r.EstimateMin = plus(r.Estimate, share*s.live.Max), plus(r.EstimateMin, share*s.live.Min)
		from = to
	}
}

func plus(sum *float64, n float64) *float64 {
	if sum != nil {
		n += *sum
	}
	return &n
}

func (l *ledger) report() *Report {
	for _, c := range l.Actual {
		l.charge(c)
	}
	l.join()
	r := &Report{Schema: Schema, From: l.From, To: l.To, Rows: []Row{}, Unattributed: sums{}.list(l.spare)}
	teams, systems, environments, all := sums{}, sums{}, sums{}, sums{}
	for _, key := range slices.SortedFunc(maps.Keys(l.rows), order) {
		row := *l.rows[key]
		r.Rows = append(r.Rows, row)
		teams.add(row.Month, row.Owner, row.Money)
		if system := l.Systems[row.Service]; system != "" {
			systems.add(row.Month, system, row.Money)
		}
		environments.add(row.Month, row.Environment, row.Money)
		all.add(row.Month, "", row.Money)
	}
	r.Teams, r.Systems, r.Environments, r.Organization = teams.list(nil), systems.list(nil), environments.list(nil), all.list(nil)
	r.Now, r.Prices = l.now()
	return r
}

// now is what runs at the end of the window, and the price file of the newest estimate of it.
func (l *ledger) now() (list []Now, prices string) {
	list = []Now{}
	var newest time.Time
	for p, s := range l.places {
		if s.live == nil {
			continue
		}
		n := Now{Service: p.service, Owner: s.owner(l.To), Environment: p.environment, Currency: s.live.Currency, Max: s.live.Max, Min: s.live.Min, Delivery: s.delivery}
		if s.before != nil && s.before.Currency == s.live.Currency {
			n.Change = plus(nil, s.live.Max-s.before.Max)
		}
		list = append(list, n)
		if cmp.Or(s.came.Compare(newest), cmp.Compare(s.live.Prices, prices)) > 0 {
			newest, prices = s.came, s.live.Prices
		}
	}
	slices.SortFunc(list, func(a, b Now) int {
		return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Environment, b.Environment))
	})
	return list, prices
}

func order(a, b cell) int {
	return cmp.Or(cmp.Compare(a.month, b.month), cmp.Compare(a.owner, b.owner), cmp.Compare(a.service, b.service),
		cmp.Compare(a.environment, b.environment), cmp.Compare(a.currency, b.currency))
}

// charge puts a charge to its row, or beside them all.
func (l *ledger) charge(c Charge) {
	if c.Start.Before(l.From) || !c.Start.Before(l.To) {
		return
	}
	p := place{c.Service, c.Environment}
	if l.places[p] == nil {
		l.spare = append(l.spare, Sum{Month: c.Start.UTC().Format("2006-01"), Money: Money{Currency: c.Currency, Actual: &c.Amount}})
		return
	}
	r := l.row(p, c.Start, c.Currency)
	r.Actual = plus(r.Actual, c.Amount)
}

// sums adds up by month, name and currency.
type sums map[[3]string]*Sum

func (s sums) add(month, name string, m Money) {
	key := [3]string{month, name, m.Currency}
	if s[key] == nil {
		s[key] = &Sum{Month: month, Name: name, Money: Money{Currency: m.Currency}}
	}
	t := s[key]
	for _, f := range []struct{ sum, n **float64 }{{&t.Estimate, &m.Estimate}, {&t.EstimateMin, &m.EstimateMin}, {&t.CI, &m.CI}, {&t.Actual, &m.Actual}} {
		if *f.n != nil {
			*f.sum = plus(*f.sum, **f.n)
		}
	}
}

// list adds more, and sorts by month, name and currency.
func (s sums) list(more []Sum) []Sum {
	for _, m := range more {
		s.add(m.Month, m.Name, m.Money)
	}
	list := []Sum{}
	for _, key := range slices.SortedFunc(maps.Keys(s), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		list = append(list, *s[key])
	}
	return list
}
