package portal

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/idp/internal/dora"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/spend"
)

// monthsShown is how many calendar months the charts have, with the one that is not over yet.
const monthsShown = 6

// figures are counted from the log by the packages that `idp metrics` and `idp spend` print.
type figures struct {
	environment string
	months      []time.Time // the first of each
	to          time.Time   // the end, not within
	dora        *dora.Report
	spend       *spend.Report
	costs       map[string]map[string]money // by service, then month
	teamCosts   map[string]map[string]money
	systemCosts map[string]map[string]money
	allCosts    map[string]map[string]money // under ""
	export      bool                        // there is one of what was charged
	covered     map[string]bool             // the months of which it has anything
	charged     time.Time                   // the newest of them that is over, else the newest; zero where there is none
}

func readFigures(ctx context.Context, catalogue fs.FS, environment string, made time.Time, charges []spend.Charge, systems map[string]string) (*figures, error) {
	f := &figures{environment: environment, to: made.Truncate(24*time.Hour).AddDate(0, 0, 1)}
	first := time.Date(made.Year(), made.Month(), 1, 0, 0, 0, 0, time.UTC)
	for i := range monthsShown {
		f.months = append(f.months, first.AddDate(0, i+1-monthsShown, 0))
	}
	var err error
	if f.dora, err = dora.Compute(ctx, catalogue, dora.Options{Environment: environment, From: f.months[0], To: f.to, Systems: systems}); err != nil {
		return nil, err
	}
	if f.spend, err = spend.Compute(ctx, catalogue, spend.Options{From: f.months[0], To: made.Add(time.Second), Actual: charges, Systems: systems}); err != nil {
		return nil, err
	}
	f.costs, f.teamCosts, f.systemCosts, f.allCosts = map[string]map[string]money{}, map[string]map[string]money{}, map[string]map[string]money{}, map[string]map[string]money{}
	for _, r := range f.spend.Rows {
		enter(f.costs, r.Service, r.Month, r.Money, r.WithoutEstimate)
	}
	for _, s := range f.spend.Teams {
		enter(f.teamCosts, s.Name, s.Month, s.Money, 0)
	}
	for _, s := range f.spend.Systems {
		enter(f.systemCosts, s.Name, s.Month, s.Money, 0)
	}
	for _, s := range f.spend.Organization {
		enter(f.allCosts, "", s.Month, s.Money, 0)
	}
	f.cover(charges, made)
	return f, nil
}

func monthKey(m time.Time) string { return m.Format("2006-01") }

// since names the months that are shown.
func (f *figures) since() string {
	return f.months[0].Format("January 2006") + " to today"
}

// performance shows DORA's metrics of a service, a team or all. Where nothing is counted, a service says where it is deployed instead.
func (f *figures) performance(g dora.Group, elsewhere []string) part {
	intro := el("p", class("muted"), text("Deployments to "+f.environment+", "+f.since()+". Medians, by "), out("https://dora.dev/guides/dora-metrics/", text("DORA's definitions")), text("."))
	if g.Deployments == 0 && g.Failed == 0 {
		says := "No deployment to " + f.environment + ", " + f.since() + "."
		if len(elsewhere) > 0 {
			says += " What is deployed to " + strings.Join(elsewhere, ", ") + " is not counted here: idp portal --environment says where it is."
		}
		return parts{el("p", class("muted"), text(says))}
	}
	recovery := "no failure to recover from"
	switch {
	case g.Unrecovered > 0:
		recovery = counted(g.Unrecovered, "failure goes on", "failures go on")
	case g.Recovery != nil:
		recovery = "over " + counted(g.Recovery.Count, "failure", "failures")
	}
	lead := "no commit is known"
	if g.LeadTime != nil {
		lead = "90 % within " + dora.Span(g.LeadTime.P90)
	}
	if g.WithoutLead > 0 {
		lead += ", " + counted(g.WithoutLead, "deployment", "deployments") + " without"
	}
	tiles := parts{
		figure("Deployment frequency", perWeek(g.Metrics), counted(g.Deployments, "deployment", "deployments")+" in "+counted(g.Days, "day", "days")),
		figure("Lead time for changes", span(g.LeadTime), lead),
		figure("Change failure rate", share(g.FailureRate), counted(g.Failed, "failed", "failed")),
		figure("Recovery time", span(g.Recovery), recovery),
		figure("Rework rate", share(g.ReworkRate), counted(g.Rework, "because of a failure", "because of a failure")),
	}
	if g.FirstDelivery != nil {
		tiles = append(tiles, figure("First delivery", span(g.FirstDelivery), "from idp.yaml, "+counted(g.FirstDelivery.Count, "new service", "new services")))
	}
	return parts{intro, el("ul", class("tiles"), tiles), el("div", class("charts"), f.deploymentsChart(g), f.leadChart(g))}
}

func figure(name, value, below string) part {
	return el("li", el("div", class("tile"), el("span", class("tile-name"), text(name)), el("span", class("tile-number"), text(value)), el("span", class("muted"), text(below))))
}

// perWeek is a dash where there was no week yet.
func perWeek(m dora.Metrics) string {
	if m.PerWeek == nil {
		return "–"
	}
	return fmt.Sprintf("%.1f a week", *m.PerWeek)
}

// span is a median; a dash where it is not known.
func span(s *dora.Spread) string {
	if s == nil {
		return "–"
	}
	return dora.Span(s.Median)
}

func share(f *float64) string {
	if f == nil {
		return "–"
	}
	return strconv.FormatFloat(*f*100, 'f', 0, 64) + " %"
}

func (f *figures) deploymentsChart(g dora.Group) part {
	c := chart{name: "Deployments a month", low: series{"successful", "ok"}, high: series{"failed", "bad"}}
	begin := f.to.AddDate(0, 0, -g.Days) // of what the log knows
	for _, m := range f.months {
		d := g.Months[monthKey(m)]
		c.bars = append(c.bars, bar{label: m.Format("Jan"), low: float64(d.Deployments), high: float64(d.Failed), known: m.AddDate(0, 1, 0).After(begin),
			said: strconv.Itoa(d.Deployments), more: strconv.Itoa(d.Failed), short: strconv.Itoa(d.Deployments + d.Failed)})
	}
	return c.draw()
}

func (f *figures) leadChart(g dora.Group) part {
	c := chart{name: "Lead time for changes, median of the month", low: series{"median", "plain"}}
	for _, m := range f.months {
		b := bar{label: m.Format("Jan")}
		if l := g.Months[monthKey(m)].LeadTime; l != nil {
			b.known, b.low, b.said = true, l.Median, dora.Span(l.Median)
			b.short = b.said
		}
		c.bars = append(c.bars, b)
	}
	return c.draw()
}

// adoptionPage shows how much of the path services use.
func (s *site) adoptionPage() page {
	a := s.figures.dora.Adoption
	silent := len(s.services) - a.Services
	below := "of " + counted(len(s.services), "service", "services")
	tiles := parts{figure("Delivering", strconv.Itoa(a.Services), below+", "+s.figures.since()), figure("Silent", strconv.Itoa(max(silent, 0)), "no delivery in these months")}
	first := s.figures.dora.Organization.FirstDelivery
	if first == nil {
		tiles = append(tiles, figure("First delivery of a new service", "–", "no new service whose beginning is known"))
	} else {
		tiles = append(tiles, figure("First delivery of a new service", dora.Span(first.Median), "from idp.yaml to the first deployment, median of "+strconv.Itoa(first.Count)))
	}
	return page{made: s.made, title: "Adoption", here: adoptionPage, main: parts{
		el("h1", text("Adoption")), el("p", class("lead"), text("How much of the golden path services use, by the newest delivery of each.")), el("ul", class("tiles"), tiles),
		el("section", at("aria-labelledby", "stages"), el("h2", at("id", "stages"), text("Stages of the path")), shares("Stage", a.Stages, a.Services, pathOrder(a.Stages))),
		el("section", at("aria-labelledby", "suites"), el("h2", at("id", "suites"), text("Versions of idp")), shares("Version", a.Suites, a.Services, byCount(a.Suites))),
	}}
}

// pathOrder has the stages as a delivery walks them; those that it does not know come after.
func pathOrder(stages map[string]int) []string {
	order := []string{record.StageSAST, record.StageSecrets, record.StageBuild, record.StageCost, record.StageSign, record.StageVerify, record.StageDeploy, record.StageSmoke}
	rest := slices.Sorted(maps.Keys(stages))
	rest = slices.DeleteFunc(rest, func(name string) bool { return slices.Contains(order, name) })
	return append(order, rest...)
}

func byCount(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) })
}

// shares is a table with a bar for each row. Nothing is said of a share of nothing.
func shares(what string, counts map[string]int, all int, order []string) part {
	if all == 0 {
		return el("p", class("muted"), text("Nothing was delivered in these months."))
	}
	var rows parts
	for _, name := range order {
		part := float64(counts[name]) / float64(all)
		rows = append(rows, el("tr", el("th", at("scope", "row"), text(named(clip(name, 60)))), el("td", class("number"), text(strconv.Itoa(counts[name]))),
			el("td", class("number"), text(share(&part))), el("td", class("sharebar"), shareBar(part))))
	}
	return el("div", class("scroll"), el("table", el("thead", el("tr", columnHead(what, ""), columnHead("Services", "number"), columnHead("Share", "number"),
		el("td", class("sharebar")))), el("tbody", rows)))
}
