package portal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/dora"
	"github.com/org/idp/internal/fault"
)

// firstRows is how many services the first view has; the script knows the same number from the page.
const firstRows = 50

// descriptionInList is how many characters of a description a list shows.
const descriptionInList = 120

// listPage is the page that is opened first. It has the first services; the script loads all of them when somebody looks for
// one, so that this page stays small however many there are.
func (s *site) listPage() page {
	rows := s.services[:min(firstRows, len(s.services))]
	return page{made: s.made, title: "Services", here: indexPage, main: parts{
		el("h1", text("Services")),
		s.tiles(),
		s.filters(),
		el("p", at("id", "count"), at("role", "status"), class("muted"), text(rangeText(1, len(rows), len(s.services)))),
		s.table("", rows, true),
		only(len(s.services) > len(rows), el("noscript", el("p", text("Searching and paging need JavaScript. Without it, "), el("a", to(organisationPage), text("the pages of the teams")),
			text(" list every service.")))),
		el("nav", at("id", "pages"), at("aria-label", "Pages"), class("pages"), at("hidden", ""),
			el("button", at("type", "button"), at("id", "previous"), text("Previous")),
			el("button", at("type", "button"), at("id", "next"), text("Next"))),
	}}
}

func rangeText(from, to, of int) string {
	if of == 0 {
		return "No service"
	}
	if from == 1 && to == of {
		return counted(of, "service", "services")
	}
	return fmt.Sprintf("%s–%s of %s", thousands(strconv.Itoa(from)), thousands(strconv.Itoa(to)), counted(of, "service", "services"))
}

// tiles count the services by what is known of them, and are filters.
func (s *site) tiles() part {
	count := counts(s.services)
	tiles := parts{tile("", "all", len(s.services), counted(len(s.teams), "team", "teams"), "Services")}
	for _, one := range []struct {
		state state
		name  string
		below string
	}{
		{stateLive, "Delivered", "last delivery passed everywhere"},
		{stateKept, "Held back", "last delivery failed, older one stays"},
		{stateUnsure, "Not determined", "nobody knows what runs: look first"},
		{stateNone, "Not live yet", "no delivery has passed"},
	} {
		if one.state == stateLive || count[one.state] > 0 {
			tiles = append(tiles, tile(looks[one.state].class, string(one.state), count[one.state], one.below, one.name))
		}
	}
	return el("ul", class("tiles"), at("aria-label", "Services by what is known of them"), tiles)
}

func tile(look, key string, n int, below, name string) part {
	return el("li", el("a", class("tile "+look), to("#state="+key), at("data-state", key), el("span", class("tile-name"), text(name)),
		el("span", class("tile-number"), text(thousands(strconv.Itoa(n)))), el("span", class("muted"), text(below))))
}

// filters are shown by the script, which they need.
func (s *site) filters() part {
	tiers, environments := map[int]bool{}, map[string]bool{}
	for _, x := range s.services {
		tiers[x.Tier] = true
		for name := range x.targets {
			environments[name] = true
		}
	}
	owner := parts{option("", "All")}
	for _, g := range s.teams {
		owner = append(owner, option(named(g.name), named(g.name)))
	}
	tier := parts{option("", "All")}
	for _, t := range slices.Sorted(maps.Keys(tiers)) {
		if t > 0 {
			tier = append(tier, option(strconv.Itoa(t), tierName(t)))
		}
	}
	states := parts{option("all", "All")}
	for _, one := range worst {
		states = append(states, option(string(one), looks[one].mark+" "+looks[one].word))
	}
	return el("form", at("id", "filters"), at("role", "search"), class("filters"), at("data-total", strconv.Itoa(len(s.services))), at("hidden", ""),
		field("q", "Search", el("input", at("id", "q"), at("type", "search"), at("autocomplete", "off"), at("placeholder", "Name, description, team or system"))),
		field("owner", "Team", el("select", at("id", "owner"), owner)),
		field("tier", "Tier", el("select", at("id", "tier"), tier)),
		field("runbook", "Runbook", el("select", at("id", "runbook"), option("", "All"), option("none", "Not given"))),
		field("state", "State", el("select", at("id", "state"), states)))
}

func option(value, name string) part { return el("option", at("value", value), text(clip(name, 60))) }

func field(id, label string, control part) part {
	return el("p", class("field "+id), el("label", at("for", id), text(label)), control)
}

// table lists services; the script writes the same rows.
func (s *site) table(up string, services []*entry, withOwner bool) part {
	var rows parts
	for _, x := range services {
		rows = append(rows, s.row(up, x, withOwner))
	}
	return el("div", class("scroll"), el("table", class("services"), at("id", "services"), el("caption", class("hidden"), text("Services and what is live")),
		el("thead", el("tr", columnHead("Service", ""), only(withOwner, columnHead("Team", "owner")), columnHead("Tier", "tier"), columnHead("Environments", ""),
			columnHead("Last delivery", "last"), s.costHead())),
		el("tbody", rows)))
}

func columnHead(name, class_ string) part {
	if class_ == "" {
		return el("th", at("scope", "col"), text(name))
	}
	return el("th", at("scope", "col"), class(class_), text(name))
}

func (s *site) row(up string, x *entry, withOwner bool) part {
	var chips parts
	for _, t := range x.ordered {
		chips = append(chips, chip(t.state(), t.name))
	}
	cost := parts{unknown("not known")}
	if c, _ := x.cost(); c != nil {
		cost = parts{text(priceRange(*c))}
	}
	cost = append(cost, s.chargeSub(s.figures.costs[x.Name]))
	last := parts{unknown("none yet")}
	if t := x.last(); !t.IsZero() {
		last = parts{ago(t)}
	}
	return el("tr",
		el("th", at("scope", "row"), x.link(up), el("span", class("sub"), text(clip(x.about.description, descriptionInList))), el("span", class("sub brief"), x.brief(withOwner))),
		only(withOwner, el("td", class("owner"), el("a", to(up+(&group{name: x.Owner}).teamFile()), text(named(x.Owner))))),
		el("td", class("tier"), text(tierName(x.Tier))),
		el("td", el("span", class("chips"), chips)),
		el("td", class("last"), last),
		el("td", class("cost"), cost))
}

// bit is shorter than a word.
func bit(is bool) int {
	if is {
		return 1
	}
	return 0
}

// brief is what a narrow page has in the place of columns.
func (x *entry) brief(withOwner bool) part {
	cost := "cost not known"
	if c, _ := x.cost(); c != nil {
		cost = priceRange(*c)
	}
	last := part(text("none yet"))
	if t := x.last(); !t.IsZero() {
		last = ago(t)
	}
	return parts{only(withOwner && x.Owner != "", text(x.Owner+" · ")), last, text(" · " + cost)}
}

// listData is a script with all services, as short as it can be: fetching a file does not work from a folder.
func (s *site) listData() ([]byte, error) {
	owners := make([][2]string, len(s.teams))
	at := map[string]int{}
	for i, g := range s.teams {
		owners[i], at[g.name] = [2]string{named(g.name), g.teamFile()}, i
	}
	rows := make([][]any, len(s.services))
	for i, x := range s.services {
		owner, ok := at[x.Owner]
		if !ok {
			owner = -1
		}
		environments := [][2]string{}
		for _, t := range x.ordered {
			environments = append(environments, [2]string{t.name, string(t.state())})
		}
		cost := ""
		if c, _ := x.cost(); c != nil {
			cost = priceRange(*c)
		}
		last := ""
		if t := x.last(); !t.IsZero() {
			last = t.UTC().Format("2006-01-02T15:04:05Z")
		}
		rows[i] = []any{named(x.Name), x.file(), clip(x.about.description, descriptionInList), owner, x.Tier, x.System, string(x.state()), environments, last, cost, s.figures.charge(s.figures.costs[x.Name]), bit(len(x.about.runbook) > 0)}
	}
	data, err := json.Marshal(map[string]any{"owners": owners, "services": rows})
	if err != nil {
		return nil, err
	}
	return append(append([]byte("portal("), data...), ")\n"...), nil
}

// written is what people wrote of a team or a system in its entity.
func (all *entities) written(kind, name string) part {
	ref, _ := catalogfile.Ref(name, kind, "default")
	e := all.byRef[ref]
	if e == nil {
		return nil
	}
	var list parts
	for _, l := range e.Metadata.Links {
		list = append(list, el("li", out(l.URL, text(clip(named(cmp.Or(l.Title, l.URL)), 60)))))
	}
	return parts{only(e.Metadata.Description != "", el("p", class("lead"), text(clip(e.Metadata.Description, 600)))),
		only(len(list) > 0, el("ul", class("actions"), at("aria-label", "Links"), list))}
}

// teamPage is the services of one owner, and how they are delivered.
func (s *site) teamPage(g *group) page {
	return page{made: s.made, title: named(g.name), up: "../", here: organisationPage, main: parts{
		el("p", class("crumbs"), el("a", to("../"+organisationPage), text("Organisation")), text(" / ")),
		el("h1", text(named(g.name))),
		s.entities.written("group", g.name),
		el("section", at("aria-labelledby", "owned"), el("h2", at("id", "owned"), text(counted(len(g.services), "service", "services"))), s.table("../", g.services, false)),
		s.groupFigures(s.figures.dora.Teams[g.name], s.figures.teamCosts[g.name], g.services),
	}}
}

// organisationPage is everything in the catalogue, by team.
func (s *site) organisationPage() page {
	return page{made: s.made, title: "Organisation", here: organisationPage, main: parts{
		el("h1", text("Organisation")),
		s.groupFigures(s.figures.dora.Organization, s.figures.allCosts[""], s.services),
		s.figures.ofNobody(),
		el("section", at("aria-labelledby", "teams"), el("h2", at("id", "teams"), text(counted(len(s.teams), "team", "teams"))), s.teamTable()),
		only(len(s.systems) > 0, el("section", at("aria-labelledby", "systems"), el("h2", at("id", "systems"), text(counted(len(s.systems), "system", "systems"))), s.systemTable())),
	}}
}

func (s *site) systemTable() part {
	var rows parts
	for _, g := range s.systems {
		rows = append(rows, el("tr", el("th", at("scope", "row"), el("a", to(g.systemFile()), text(named(g.name)))), el("td", class("number"), text(strconv.Itoa(len(g.services)))),
			el("td", g.states()), el("td", class("owner"), s.ownersOf(g)), el("td", class("cost"), text(costNow(g.services)))))
	}
	return el("div", class("scroll"), at("tabindex", "0"), at("role", "region"), at("aria-label", "Systems"), el("table", class("teams"), el("thead", el("tr", columnHead("System", ""),
		columnHead("Services", "number"), columnHead("By state", ""), columnHead("Teams", "owner"), s.costHead())), el("tbody", rows)))
}

// ownersOf are the teams whose services a system has.
func (s *site) ownersOf(g *group) part {
	var list parts
	for _, team := range grouped(g.services, func(x *entry) string { return x.Owner }) {
		if len(list) > 0 {
			list = append(list, text(", "))
		}
		list = append(list, el("a", to(team.teamFile()), text(named(team.name))))
	}
	return list
}

// systemPage is the services of a system, and what goes with them.
func (s *site) systemPage(g *group) page {
	key, _ := catalogfile.Ref(g.services[0].System, "system", "default")
	var apis, resources parts
	for _, e := range s.entities.bySystem[key] {
		name := named(cmp.Or(e.Metadata.Title, e.Metadata.Name))
		switch strings.ToLower(e.Kind) {
		case "api":
			apis = append(apis, el("li", el("a", to("../"+e.apiFile()), text(clip(name, 80))), el("span", class("sub"), text(clip(e.spec.Type, 40)))))
		case "resource":
			resources = append(resources, el("li", text(clip(name, 80)), el("span", class("sub"), text(clip(e.spec.Type, 40)))))
		}
	}
	return page{made: s.made, title: named(g.name), up: "../", here: organisationPage, main: parts{
		el("p", class("crumbs"), el("a", to("../"+organisationPage), text("Organisation")), text(" / ")),
		el("h1", text(named(g.name))),
		s.entities.written("system", g.services[0].System),
		el("section", at("aria-labelledby", "parts"), el("h2", at("id", "parts"), text(counted(len(g.services), "service", "services"))), s.table("../", g.services, true)),
		only(len(apis)+len(resources) > 0, el("section", at("aria-labelledby", "related"), el("h2", at("id", "related"), text("APIs and resources")),
			el("div", class("related"), relatedCard("APIs", apis), relatedCard("Resources", resources)))),
	}}
}

// apiPage is an API with its definition, as it was delivered last.
func (s *site) apiPage(e *entity) (page, error) {
	name := named(cmp.Or(e.Metadata.Title, e.Metadata.Name))
	definition, elsewhere, err := e.definition(s.files)
	if err != nil {
		return page{}, fault.Undeterminedf("the catalogue cannot be read: %w", err)
	}
	shown := part(el("p", class("muted"), text("The catalogue does not have it.")))
	switch {
	case definition != "":
		var lines parts
		for line := range strings.Lines(strings.ReplaceAll(definition, "\t", "  ")) {
			lines = append(lines, text(strings.TrimRight(line, "\r\n")), newline{})
		}
		shown = el("pre", class("scroll"), at("tabindex", "0"), at("role", "region"), at("aria-label", "Text of the definition"), el("code", lines))
	case elsewhere != "":
		shown = el("p", class("muted"), text("It is at "), out(elsewhere, text(clip(elsewhere, 200))), text("."))
	}
	var list parts
	fact := func(name string, value part) { list = append(list, el("div", el("dt", text(name)), el("dd", value))) }
	services := func(of []*entry) part {
		var links parts
		for i, x := range of {
			links = append(links, only(i > 0, text(", ")), x.link("../"))
		}
		if len(links) == 0 {
			return unknown("not known")
		}
		return links
	}
	if e.spec.Type != "" {
		fact("Type", text(clip(e.spec.Type, 40)))
	}
	if e.spec.Lifecycle != "" {
		fact("Lifecycle", text(clip(e.spec.Lifecycle, 40)))
	}
	fact("Provided by", services(e.providers))
	fact("Consumed by", services(e.users))
	return page{made: s.made, title: name, up: "../", here: indexPage, main: parts{
		el("p", class("crumbs"), el("a", to("../"+indexPage), text("Services")), text(" / ")), el("h1", text(name)),
		only(e.Metadata.Description != "", el("p", class("lead"), text(clip(e.Metadata.Description, 600)))),
		el("dl", class("facts"), list),
		el("section", at("aria-labelledby", "definition"), el("h2", at("id", "definition"), text("Definition")), shown),
	}}, nil
}

func (s *site) groupFigures(g dora.Group, costs map[string]money, services []*entry) part {
	return parts{
		el("section", at("aria-labelledby", "performance"), el("h2", at("id", "performance"), text("Delivery performance")), s.figures.performance(g, nil)),
		el("section", at("aria-labelledby", "cost"), el("h2", at("id", "cost"), text("Cost")), s.figures.cost(costs, names(services))),
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
			el("td", class("cost"), text(costNow(g.services)), s.chargeSub(s.figures.teamCosts[g.name]))))
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
