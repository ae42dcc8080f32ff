package portal

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/dora"
	"github.com/org/idp/internal/fault"
)

// thingsOnPage is how many APIs and resources one page lists.
const thingsOnPage = 500

// facts are what matters of a thing at a glance; a nil value is left out.
type facts struct{ list parts }

func (f *facts) add(name string, value part) {
	if value != nil {
		f.list = append(f.list, el("div", el("dt", text(name)), el("dd", value)))
	}
}

func (f *facts) part() part { return el("dl", class("facts"), f.list) }

// section is a part of a page with a head.
func section(id, head string, inside ...part) part {
	return el("section", at("aria-labelledby", id), el("h2", at("id", id), text(head)), parts(inside))
}

// crumbs lead to the page that a page belongs to.
func crumbs(file, name string) part {
	return el("p", class("crumbs"), el("a", to("../"+file), text(name)), text(" / "))
}

// ownerName is an owner for people.
func ownerName(owner string) string {
	if name, ok := catalogfile.Person(owner); ok {
		return named(name) + " (person)"
	}
	return named(owner)
}

// ownerLink leads to the page of whoever owns something, where there is one.
func (s *site) ownerLink(up, owner string) part {
	if owner == "" {
		return unknown("nobody")
	}
	if g := s.byOwner[owner]; g != nil {
		return el("a", to(up+g.teamFile()), text(ownerName(owner)))
	}
	return text(clip(ownerName(owner), 80))
}

func (s *site) systemLink(up, system string) part {
	if g := s.bySystem[system]; g != nil {
		return el("a", to(up+g.systemFile()), text(named(system)))
	}
	return text(clip(named(system), 80))
}

// written is what people wrote of a team, a person or a system in its entity.
func (all *entities) written(kind, name string) part {
	ref, _ := catalogfile.Ref(name, kind, "default")
	e := all.byRef[ref]
	if e == nil {
		return nil
	}
	return e.written()
}

func (e *entity) written() part {
	var list parts
	for _, l := range e.Metadata.Links {
		list = append(list, el("li", out(l.URL, text(clip(named(cmp.Or(l.Title, l.URL)), 60)))))
	}
	return parts{only(e.Metadata.Description != "", el("p", class("lead"), text(clip(e.Metadata.Description, 600)))),
		only(len(list) > 0, el("ul", class("actions"), at("aria-label", "Links"), list))}
}

// teamPage is the services of one owner, and how they are delivered.
func (s *site) teamPage(g *group) page {
	title, kind, name := named(g.name), "group", g.name
	var who part
	if person, ok := catalogfile.Person(g.name); ok {
		title, kind, name = named(person), "user", person
		who = el("span", class("kind"), text("person"))
	}
	return page{made: s.made, title: title, up: "../", here: organisationPage, main: parts{
		crumbs(organisationPage, "Organisation"),
		el("div", class("title"), el("h1", text(title)), who),
		s.entities.written(kind, name),
		s.groupFacts(g, nil),
		section("owned", counted(len(g.services), "service", "services"), s.table("../", g.services, false)),
		s.groupFigures(s.figures.dora.Teams[g.name], s.figures.teamCosts[g.name], g.services),
	}}
}

// groupFacts are what the services of a team or a system come to now.
func (s *site) groupFacts(g *group, owner part) part {
	var f facts
	f.add("Owner", owner)
	f.add("State of its services", g.states())
	f.add("Cost a month", s.groupCost(g.services))
	return f.part()
}

// groupCost adds up what services cost as they are deployed, and says how many it knows nothing of.
func (s *site) groupCost(services []*entry) part {
	total, without := costNow(services)
	if total == "" {
		return unknown("not known")
	}
	return parts{text(total), only(without > 0, el("span", class("sub"), text("without "+counted(without, "service", "services"))))}
}

// organisationPage is everything in the catalogue, by team and by system.
func (s *site) organisationPage() page {
	return page{made: s.made, title: "Organisation", here: organisationPage, main: parts{
		el("h1", text("Organisation")),
		s.groupFigures(s.figures.dora.Organization, s.figures.allCosts[""], s.services),
		s.figures.ofNobody(),
		section("teams", s.ownersCounted(), s.groupTable("Team", s.teams, s.figures.dora.Teams, s.figures.teamCosts)),
		only(len(s.systems) > 0, section("systems", counted(len(s.systems), "system", "systems"), s.groupTable("System", s.systems, s.figures.dora.Systems, s.figures.systemCosts))),
	}}
}

// ownersCounted are how many teams and persons own services.
func (s *site) ownersCounted() string {
	persons := 0
	for _, g := range s.teams {
		if _, ok := catalogfile.Person(g.name); ok {
			persons++
		}
	}
	says := counted(len(s.teams)-persons, "team", "teams")
	if persons > 0 {
		says += " and " + counted(persons, "person", "persons")
	}
	return says
}

// groupTable holds teams, or systems, side by side.
func (s *site) groupTable(what string, groups []*group, metrics map[string]dora.Group, costs map[string]map[string]money) part {
	systems := what == "System"
	var rows parts
	for _, g := range groups {
		m := metrics[g.name]
		week := "–"
		if m.PerWeek != nil && m.Deployments+m.Failed > 0 {
			week = fmt.Sprintf("%.1f", *m.PerWeek)
		}
		link, owners := el("a", to(g.teamFile()), text(ownerName(g.name))), part(nil)
		if systems {
			link, owners = el("a", to(g.systemFile()), text(named(g.name))), el("td", class("owner"), s.ownersOf(g))
		}
		rows = append(rows, el("tr", el("th", at("scope", "row"), link), owners, el("td", class("number"), text(thousands(strconv.Itoa(len(g.services))))),
			el("td", g.states()), el("td", class("number"), text(week)), el("td", class("number"), text(span(m.LeadTime))), el("td", class("number"), text(share(m.FailureRate))),
			el("td", class("cost"), s.groupCost(g.services), s.chargeSub(costs[g.name]))))
	}
	return el("div", class("scroll"), at("tabindex", "0"), at("role", "region"), at("aria-label", what+"s"), el("table", class("teams"), el("thead", el("tr", columnHead(what, ""),
		only(systems, columnHead("Teams", "owner")), columnHead("Services", "number"), columnHead("By state", ""), columnHead("Deployments a week", "number"), columnHead("Lead time", "number"),
		columnHead("Failure rate", "number"), s.costHead())), el("tbody", rows)))
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

// ownersOf are the teams whose services a system has.
func (s *site) ownersOf(g *group) part {
	var list parts
	for _, team := range grouped(g.services, func(x *entry) string { return x.Owner }) {
		list = append(list, only(len(list) > 0, text(", ")), s.ownerLink("", team.name))
	}
	return list
}

// systemPage is the services of a system, what goes with them, how they are delivered and what they cost.
func (s *site) systemPage(g *group) page {
	ref, _ := catalogfile.Ref(g.name, "system", "default")
	var owner part
	if e := s.entities.byRef[ref]; e != nil && e.spec.Owner != "" {
		owner = s.ownerLink("../", catalogfile.Owner(e.spec.Owner))
	}
	var apis, resources parts
	for _, e := range s.entities.bySystem[ref] {
		item := el("li", e.link("../"), el("span", class("sub"), text(e.what())))
		switch {
		case e.api():
			apis = append(apis, item)
		case e.page():
			resources = append(resources, item)
		}
	}
	services := section("parts", counted(len(g.services), "service", "services"), s.table("../", g.services, true))
	if len(g.services) == 0 {
		services = section("parts", "Services", el("p", class("muted"), text("No service of the catalogue is part of it. The key system of idp.yaml says that one is.")))
	}
	return page{made: s.made, title: named(g.name), up: "../", here: organisationPage, main: parts{
		crumbs(organisationPage, "Organisation"),
		el("div", class("title"), el("h1", text(named(g.name))), el("span", class("kind"), text("system"))),
		s.entities.written("system", g.name),
		s.groupFacts(g, owner),
		services,
		only(len(apis)+len(resources) > 0, section("related", "APIs and resources", el("div", class("related"), relatedCard("APIs", apis), relatedCard("Resources", resources)))),
		s.groupFigures(s.figures.dora.Systems[g.name], s.figures.systemCosts[g.name], g.services),
	}}
}

func (s *site) groupFigures(g dora.Group, costs map[string]money, services []*entry) part {
	return parts{section("performance", "Delivery performance", s.figures.performance(g, nil)), section("cost", "Cost", s.figures.cost(costs, names(services)))}
}

// thingsPages list the APIs and resources of the catalogue, so many on each.
func (s *site) thingsPages() map[string]page {
	pages := map[string]page{}
	all := s.entities.things
	count := max((len(all)+thingsOnPage-1)/thingsOnPage, 1)
	for i := range count {
		some := all[min(i*thingsOnPage, len(all)):min((i+1)*thingsOnPage, len(all))]
		shown := part(el("p", class("muted"), text("The catalogue has none. The keys apis and resources of idp.yaml say what a service has.")))
		if len(some) > 0 {
			shown = parts{el("p", class("muted"), text(rangeOf(i*thingsOnPage+1, i*thingsOnPage+len(some), len(all), "API or resource", "APIs and resources"))), s.thingsTable(some)}
		}
		var turn parts
		if i > 0 {
			turn = append(turn, el("a", class("turn"), to(thingsFile(i-1)), text("Previous")))
		}
		if i+1 < count {
			turn = append(turn, el("a", class("turn"), to(thingsFile(i+1)), text("Next")))
		}
		pages[thingsFile(i)] = page{made: s.made, title: "APIs and resources", here: thingsPage, main: parts{
			el("h1", text("APIs and resources")), shown, only(len(turn) > 0, el("nav", at("aria-label", "Pages"), class("pages"), turn))}}
	}
	return pages
}

func thingsFile(i int) string {
	if i == 0 {
		return thingsPage
	}
	return strings.TrimSuffix(thingsPage, ".html") + "-" + strconv.Itoa(i+1) + ".html"
}

func (s *site) thingsTable(some []*entity) part {
	var rows parts
	for _, e := range some {
		of := part(nil)
		for i, x := range e.providers[:min(len(e.providers), 3)] {
			of = parts{of, only(i > 0, text(", ")), x.link("")}
		}
		used := part(unknown("nobody"))
		if len(e.users) > 0 {
			used = text(counted(len(e.users), "service", "services"))
		}
		rows = append(rows, el("tr", el("th", at("scope", "row"), e.link(""), el("span", class("sub"), text(clip(e.Metadata.Description, descriptionInList)))), el("td", text(e.what())),
			el("td", class("owner"), s.ownerLink("", catalogfile.Owner(e.spec.Owner))), el("td", class("owner"), only(e.spec.System != "", s.systemLink("", e.system()))),
			el("td", class("owner"), of), el("td", used)))
	}
	return el("div", class("scroll"), at("tabindex", "0"), at("role", "region"), at("aria-label", "APIs and resources"), el("table", class("things"), el("thead", el("tr", columnHead("Name", ""),
		columnHead("Kind", ""), columnHead("Owner", "owner"), columnHead("System", "owner"), columnHead("Provided by", "owner"), columnHead("Used by", ""))), el("tbody", rows)))
}

// thingPage is an API or a resource: whose it is, which services need it, and of an API its definition as it was delivered last.
func (s *site) thingPage(e *entity) (page, error) {
	name := named(cmp.Or(e.Metadata.Title, e.Metadata.Name))
	var f facts
	f.add("Owner", s.ownerLink("../", catalogfile.Owner(e.spec.Owner)))
	if e.spec.System != "" {
		f.add("System", s.systemLink("../", e.system()))
	}
	if e.spec.Lifecycle != "" {
		f.add("Lifecycle", text(clip(e.spec.Lifecycle, 40)))
	}
	head := "Depended on by"
	if e.api() {
		var links parts
		for i, x := range e.providers {
			links = append(links, only(i > 0, text(", ")), x.link("../"))
		}
		if len(links) == 0 {
			links = parts{unknown("not known")}
		}
		f.add("Provided by", links)
		head = "Consumed by"
	}
	users := part(el("p", class("muted"), text("No service of the catalogue says so.")))
	if n := len(e.users); n > 0 {
		owners := len(grouped(e.users, func(x *entry) string { return x.Owner }))
		head += " " + counted(n, "service", "services") + " of " + counted(owners, "owner", "owners")
		users = s.table("../", e.users, true)
	}
	main := parts{crumbs(thingsPage, "APIs and resources"), el("div", class("title"), el("h1", text(name)), el("span", class("kind"), text(e.what()))), e.written(), f.part(), section("users", head, users)}
	var needs parts
	for _, r := range e.needs {
		needs = append(needs, el("li", r.shown(false)))
	}
	if len(needs) > 0 {
		main = append(main, section("related", "What it works with", el("div", class("related"), relatedCard("Depends on", needs))))
	}
	if e.api() {
		definition, err := s.definitionPart(e)
		if err != nil {
			return page{}, err
		}
		main = append(main, section("definition", "Definition", definition))
	}
	return page{made: s.made, title: name, up: "../", here: thingsPage, main: main}, nil
}

// definitionPart is shown as text, whatever it is.
func (s *site) definitionPart(e *entity) (part, error) {
	definition, elsewhere, err := e.definition(s.files)
	switch {
	case err != nil:
		return nil, fault.Undeterminedf("the catalogue cannot be read: %w", err)
	case definition != "":
		var lines parts
		for line := range strings.Lines(strings.ReplaceAll(definition, "\t", "  ")) {
			lines = append(lines, text(strings.TrimRight(line, "\r\n")), newline{})
		}
		return el("pre", class("scroll"), at("tabindex", "0"), at("role", "region"), at("aria-label", "Text of the definition"), el("code", lines)), nil
	case elsewhere != "":
		return el("p", class("muted"), text("It is at "), out(elsewhere, text(clip(elsewhere, 200))), text(".")), nil
	}
	return el("p", class("muted"), text("The catalogue does not have it.")), nil
}
