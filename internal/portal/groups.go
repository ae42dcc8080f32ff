package portal

import (
	"fmt"
	"strconv"

	"github.com/org/idp/internal/dora"
)

// teamPage is the services of one owner, and how they are delivered.
func (s *site) teamPage(g *group) page {
	return page{made: s.made, title: named(g.name), up: "../", here: organisationPage, main: parts{
		el("p", class("crumbs"), el("a", to("../"+organisationPage), text("Organisation")), text(" / ")),
		el("h1", text(named(g.name))),
		el("section", at("aria-labelledby", "owned"), el("h2", at("id", "owned"), text(counted(len(g.services), "service", "services"))), s.table("../", g.services, false)),
		s.groupFigures(s.figures.dora.Teams[g.name], s.figures.teamCosts[g.name]),
	}}
}

// organisationPage is everything in the catalogue, by team.
func (s *site) organisationPage() page {
	return page{made: s.made, title: "Organisation", here: organisationPage, main: parts{
		el("h1", text("Organisation")),
		s.groupFigures(s.figures.dora.Organization, s.figures.allCosts[""]),
		el("section", at("aria-labelledby", "teams"), el("h2", at("id", "teams"), text(counted(len(s.teams), "team", "teams"))), s.teamTable()),
	}}
}

func (s *site) groupFigures(g dora.Group, costs map[string]money) part {
	return parts{
		el("section", at("aria-labelledby", "performance"), el("h2", at("id", "performance"), text("Delivery performance")), s.figures.performance(g)),
		el("section", at("aria-labelledby", "cost"), el("h2", at("id", "cost"), text("Cost")), s.figures.cost(costs)),
	}
}

func (s *site) teamTable() part {
	var rows parts
	for _, g := range s.teams {
		m := s.figures.dora.Teams[g.name]
		week := "–"
		if m.Deployments > 0 || m.Failed > 0 {
			week = fmt.Sprintf("%.1f", m.PerWeek)
		}
		rows = append(rows, el("tr", el("th", at("scope", "row"), el("a", to(g.teamFile()), text(named(g.name)))), el("td", class("number"), text(strconv.Itoa(len(g.services)))),
			el("td", g.states()), el("td", class("number"), text(week)), el("td", class("number"), text(span(m.LeadTime))), el("td", class("number"), text(share(m.FailureRate))),
			el("td", class("cost"), text(costNow(g.services)))))
	}
	return el("div", class("scroll"), at("tabindex", "0"), at("role", "region"), at("aria-label", "Teams"), el("table", class("teams"), el("thead", el("tr", columnHead("Team", ""),
		columnHead("Services", "number"), columnHead("By state", ""), columnHead("Deployments a week", "number"), columnHead("Lead time", "number"), columnHead("Failure rate", "number"),
		columnHead("A month", "cost"))), el("tbody", rows)))
}

// states counts the services of a group by what is known of them.
func (g *group) states() part {
	count := counts(g.services)
	var chips parts
	for _, st := range worst {
		if n := count[st]; n > 0 {
			chips = append(chips, el("span", class("chip "+looks[st].class), el("span", at("aria-hidden", "true"), text(looks[st].mark)), el("span", text(strconv.Itoa(n))),
				el("span", class("hidden"), text(": "+looks[st].word))))
		}
	}
	return el("span", class("chips"), chips)
}
