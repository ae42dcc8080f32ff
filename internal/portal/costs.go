package portal

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/spend"
)

// money is what one month came to; estimates and CI are of the currency that comes first. Absent amounts are nil.
type money struct {
	currency         string
	min, max, ci     *float64
	actual           map[string]float64 // by currency; nil where nothing is known of it
	without, skipped int                // deployments without an estimate, amounts of another currency
}

// enter adds an amount to a month. The first currency stays; others are counted as left out, never added.
func enter(to map[string]map[string]money, name, month string, m spend.Money, without int) {
	if to[name] == nil {
		to[name] = map[string]money{}
	}
	sum := to[name][month]
	sum.without += without
	if m.Actual != nil {
		if sum.actual == nil {
			sum.actual = map[string]float64{}
		}
		sum.actual[m.Currency] += *m.Actual
	}
	switch {
	case m.Estimate == nil && m.CI == nil:
	case sum.currency != "" && sum.currency != m.Currency:
		sum.skipped++
	default:
		sum.currency = m.Currency
		sum.min, sum.max, sum.ci = plus(sum.min, m.EstimateMin), plus(sum.max, m.Estimate), plus(sum.ci, m.CI)
	}
	to[name][month] = sum
}

func plus(a, b *float64) *float64 {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	sum := *a + *b
	return &sum
}

// cover finds the months that an export says anything of.
func (f *figures) cover(charges []spend.Charge, made time.Time) {
	f.export, f.covered = charges != nil, map[string]bool{}
	for _, c := range charges {
		if !c.Start.Before(f.months[0]) && !c.Start.After(made) {
			f.covered[monthKey(c.Start.UTC())] = true
		}
	}
	for i, m := range f.months {
		over := i < len(f.months)-1
		if f.covered[monthKey(m)] && (over || f.charged.IsZero()) {
			f.charged = m
		}
	}
}

// chargedIn is what a month came to, in each of its currencies; empty where it is not known.
func (m money) chargedIn() string {
	var list []string
	for _, currency := range slices.Sorted(maps.Keys(m.actual)) {
		list = append(list, amount(m.actual[currency], currency))
	}
	return strings.Join(list, " + ")
}

// chargedWhen is the month that tables and facts have what was charged of; empty without an export.
func (f *figures) chargedWhen() string {
	switch {
	case f.charged.IsZero():
		return ""
	case f.charged.Equal(f.months[len(f.months)-1]):
		return f.charged.Format("Jan") + " so far"
	}
	return f.charged.Format("Jan")
}

// charge is what that month came to; empty without an export.
func (f *figures) charge(months map[string]money) string {
	if f.charged.IsZero() {
		return ""
	}
	return cmp.Or(months[monthKey(f.charged)].chargedIn(), "not known")
}

// costHead is the head of a column of estimates, with what was charged below them.
func (s *site) costHead() part {
	when := s.figures.chargedWhen()
	return el("th", at("scope", "col"), class("cost"), text("A month"), only(when != "", el("span", class("sub"), text("charged in "+when))))
}

// chargeSub is what was charged, below an estimate in a table.
func (s *site) chargeSub(months map[string]money) part {
	charge := s.figures.charge(months)
	return only(charge != "", el("span", class("sub"), text(charge)))
}

// ofNobody is what was charged and is of no service in the catalogue.
func (f *figures) ofNobody() part {
	var sum money
	for _, u := range f.spend.Unattributed {
		all := map[string]map[string]money{"": {"": sum}}
		enter(all, "", "", u.Money, 0)
		sum = all[""][""]
	}
	if sum.actual == nil {
		return nil
	}
	return el("p", class("muted"), text("Charged since "+f.months[0].Format("January")+" and of no service in the catalogue, such as idle nodes: "+sum.chargedIn()+"."))
}

// cost shows what months came to: the estimate at the fewest replicas and what the most add, and beside it what was charged, where
// an export is given.
func (f *figures) cost(months map[string]money, services []string) part {
	c := chart{name: "Estimated cost a month", low: series{"fewest replicas", "plain"}, high: series{"most replicas", "soft"}}
	if f.export {
		c.name, c.beside = "Cost a month, estimated and charged", series{"charged", "charged"}
	}
	without, skipped, ci, currency := 0, 0, 0.0, ""
	for _, m := range f.months {
		v := months[monthKey(m)]
		without, skipped = without+v.without, skipped+v.skipped
		if v.ci != nil {
			ci, currency = ci+*v.ci, v.currency
		}
		c.bars = append(c.bars, v.bar(m.Format("Jan")))
	}
	var notes parts
	note := func(s string) { notes = append(notes, el("li", text(s))) }
	if f.spend.Prices != "" {
		note("Estimates are at the list prices of " + f.spend.Prices + ", for the part of each month in which a version was live. They are not a bill.")
	}
	if currency != "" {
		note("CI minutes of idp itself since " + f.months[0].Format("January") + ": " + amount(ci, currency) + ".")
	}
	if without > 0 {
		note(counted(without, "deployment", "deployments") + " came live without an estimate; nothing is counted for them.")
	}
	if skipped > 0 {
		note("Amounts in other currencies are left out.")
	}
	f.exportNotes(months, services, note)
	return parts{el("div", class("charts"), c.draw()), el("ul", class("notes"), notes)}
}

// exportNotes say what the export does not.
func (f *figures) exportNotes(months map[string]money, services []string, note func(string)) {
	if !f.export {
		return
	}
	silent, foreign := map[string]bool{}, false
	for _, m := range f.months {
		if v := months[monthKey(m)]; v.actual != nil && v.max != nil {
			_, same := v.actual[v.currency]
			foreign = foreign || !same || len(v.actual) > 1
		}
		for _, name := range services {
			if v := f.costs[name][monthKey(m)]; f.covered[monthKey(m)] && v.max != nil && v.actual == nil {
				silent[name] = true
			}
		}
	}
	switch {
	case len(f.covered) == 0:
		note("The export of what was charged has nothing of these months.")
	case len(services) > 1 && len(silent) > 0:
		note("Of " + counted(len(silent), "service", "services") + " the export does not have every month: what they were charged is not in the sums.")
	}
	if foreign {
		note("What was charged in another currency than the estimate is in the figures, and not drawn.")
	}
}

// bar is one month. What was charged is drawn where it can be held against the estimate.
func (m money) bar(label string) bar {
	b := bar{label: label, asideSaid: m.chargedIn(), currency: m.currency}
	if m.max != nil {
		low := *m.max
		if m.min != nil {
			low = *m.min
		}
		b.known, b.low, b.high = true, low, *m.max-low
		b.said, b.more = amount(low, m.currency), amount(*m.max, m.currency)
		b.short = short(*m.max, m.currency)
	}
	if len(m.actual) != 1 {
		return b
	}
	for currency, f := range m.actual {
		if m.max == nil || m.currency == currency {
			b.asideKnown, b.aside, b.asideShort, b.currency = true, f, short(f, currency), currency
		}
	}
	return b
}

// short is an amount over a bar, where there is room for few letters.
func short(f float64, currency string) string {
	said := rounded(f, currency)
	if f >= 10 && f < 100 {
		said = priced(strconv.FormatFloat(f, 'f', 0, 64), currency)
	}
	if currency != "USD" {
		said = strings.TrimSuffix(said, " "+currency)
	}
	return said
}

// costNow adds up what services cost as they are deployed, of the currency that the first one has; it says nothing where it knows of
// none. It counts those that run somewhere at a cost that is not in there: without an estimate, or in another currency.
func costNow(services []*entry) (says string, without int) {
	var total *catalogfile.Cost
	for _, x := range services {
		partly := false
		for _, t := range x.ordered {
			if t.passed == nil {
				continue
			}
			c := t.passed.Cost
			if c == nil || (total != nil && total.Currency != c.Currency) {
				partly = true
				continue
			}
			if total == nil {
				total = &catalogfile.Cost{Currency: c.Currency}
			}
			total.Min, total.Max = total.Min+c.Min, total.Max+c.Max
		}
		without += bit(partly)
	}
	if total == nil {
		return "", without
	}
	return priceRange(*total), without
}

// names of services.
func names(services []*entry) []string {
	var list []string
	for _, x := range services {
		list = append(list, x.Name)
	}
	return list
}
