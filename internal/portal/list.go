package portal

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
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
		s.summary(),
		s.tiles(),
		s.filters(),
		el("p", at("id", "count"), at("role", "status"), class("muted"), text(rangeOf(1, len(rows), len(s.services), "service", "services"))),
		s.table("", rows, true),
		only(len(s.services) > len(rows), el("noscript", el("p", text("Searching and paging need JavaScript. Without it, "), el("a", to(organisationPage), text("the pages of the teams")),
			text(" list every service.")))),
		el("nav", at("id", "pages"), at("aria-label", "Pages"), class("pages"), at("hidden", ""),
			el("button", at("type", "button"), at("id", "previous"), text("Previous")),
			el("button", at("type", "button"), at("id", "next"), text("Next"))),
	}}
}

func rangeOf(from, to, of int, one, many string) string {
	if from == 1 && to == of {
		return counted(of, one, many)
	}
	return fmt.Sprintf("%s–%s of %s", thousands(strconv.Itoa(from)), thousands(strconv.Itoa(to)), counted(of, one, many))
}

// summary is what all services come to, as far as that is known.
func (s *site) summary() part {
	var says []string
	if total, without := costNow(s.services); total != "" {
		cost := total + " a month"
		if without > 0 {
			cost += " without " + counted(without, "service", "services")
		}
		says = append(says, cost)
	}
	all := s.figures.dora.Organization.Metrics
	if all.PerWeek != nil && all.Deployments > 0 {
		says = append(says, fmt.Sprintf("%.1f deployments a week to %s", *all.PerWeek, clip(s.figures.environment, 40)))
	}
	if all.FailureRate != nil {
		says = append(says, share(all.FailureRate)+" of changes failed")
	}
	if len(says) == 0 {
		return nil
	}
	return el("p", class("lead"), el("a", to(organisationPage), text(strings.Join(says, " · "))))
}

// tiles count the services by what is known of them, and are filters.
func (s *site) tiles() part {
	count := counts(s.services)
	tiles := parts{tile("", "all", len(s.services), s.ownersCounted(), "Services")}
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
		owner = append(owner, option(ownerName(g.name), ownerName(g.name)))
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

// rowsOnPage is of how many services a page has a row; of the others it has the name, so that it stays one that can be opened.
const rowsOnPage = 100

// table lists services; the script writes the same rows.
func (s *site) table(up string, services []*entry, withOwner bool) part {
	var rows, more parts
	for i, x := range services {
		if i < rowsOnPage {
			rows = append(rows, s.row(up, x, withOwner))
		} else {
			more = append(more, el("li", x.link(up)))
		}
	}
	if len(more) == 0 {
		return s.rows(rows, withOwner)
	}
	return parts{s.rows(rows, withOwner), el("details", el("summary", text("And "+counted(len(more), "service", "services")+" more")), el("ul", class("names"), more))}
}

func (s *site) rows(rows parts, withOwner bool) part {
	return el("div", class("scroll"), el("table", class("services"), at("id", "services"), el("caption", class("hidden"), text("Services and what is live")),
		el("thead", el("tr", columnHead("Service", ""), only(withOwner, columnHead("Team", "owner")), columnHead("Tier", "tier"), columnHead("Environments", ""),
			el("th", at("scope", "col"), class("last"), text("Last delivery"), el("span", class("sub"), text("13 weeks"))), s.costHead())),
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
		only(withOwner, el("td", class("owner"), s.ownerLink(up, x.Owner))),
		el("td", class("tier"), text(tierName(x.Tier))),
		el("td", el("span", class("chips"), chips)),
		el("td", class("last"), last, sparkPart(x.spark())),
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
	return parts{only(withOwner && x.Owner != "", text(ownerName(x.Owner)+" · ")), last, text(" · " + cost)}
}

// listData is a script with all services, as short as it can be: fetching a file does not work from a folder.
func (s *site) listData() ([]byte, error) {
	owners := make([][2]string, len(s.teams))
	at := map[string]int{}
	for i, g := range s.teams {
		owners[i], at[g.name] = [2]string{ownerName(g.name), g.teamFile()}, i
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
		rows[i] = []any{named(x.Name), x.file(), clip(x.about.description, descriptionInList), owner, x.Tier, x.System, string(x.state()), environments, last, cost, s.figures.charge(s.figures.costs[x.Name]), bit(len(x.about.runbook) > 0), x.spark()}
	}
	data, err := json.Marshal(map[string]any{"owners": owners, "services": rows})
	if err != nil {
		return nil, err
	}
	return append(append([]byte("portal("), data...), ")\n"...), nil
}
