package portal

import "strconv"

// teamPage is the services of one owner.
func (s *site) teamPage(g *group) page {
	return page{made: s.made, title: named(g.name), up: "../", here: teamsPage, main: parts{
		el("p", class("crumbs"), el("a", to("../"+teamsPage), text("Teams")), text(" / ")),
		el("h1", text(named(g.name))),
		el("section", at("aria-labelledby", "owned"), el("h2", at("id", "owned"), text(counted(len(g.services), "service", "services"))), s.table("../", g.services, false)),
	}}
}

// teamsPage lists the teams.
func (s *site) teamsPage() page {
	return page{made: s.made, title: "Teams", here: teamsPage, main: parts{el("h1", text("Teams")), groupTable(s.teams, (*group).teamFile)}}
}

func groupTable(groups []*group, file func(*group) string) part {
	var rows parts
	for _, g := range groups {
		count := map[state]int{}
		for _, x := range g.services {
			count[x.state()]++
		}
		var chips parts
		for _, st := range worst {
			if n := count[st]; n > 0 {
				chips = append(chips, el("span", class("chip "+looks[st].class), el("span", at("aria-hidden", "true"), text(looks[st].mark)), el("span", text(strconv.Itoa(n))),
					el("span", class("hidden"), text(": "+looks[st].word))))
			}
		}
		rows = append(rows, el("tr", el("th", at("scope", "row"), el("a", to(file(g)), text(named(g.name)))), el("td", class("number"), text(strconv.Itoa(len(g.services)))),
			el("td", el("span", class("chips"), chips))))
	}
	return el("div", class("scroll"), el("table", el("thead", el("tr", columnHead("Name", ""), columnHead("Services", "number"), columnHead("By state", ""))), el("tbody", rows)))
}
