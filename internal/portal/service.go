package portal

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
)

// servicePage says of one service what somebody needs who is called at night: what runs, since when, whose it is, where the
// runbook is. Why comes below.
func (s *site) servicePage(x *entry) page {
	look := looks[x.state()]
	return page{made: s.made, title: named(x.Name), up: "../", here: indexPage, main: parts{
		el("p", class("crumbs"), el("a", to("../"+indexPage), text("Services")), text(" / ")),
		el("div", class("title"), el("h1", text(named(x.Name))), badge(look.class, look.mark, look.word)),
		only(x.about.description != "", el("p", class("lead"), text(clip(x.about.description, 600)))),
		x.actions(),
		s.facts(x),
		el("section", at("aria-labelledby", "runs"), el("h2", at("id", "runs"), text("What runs where")), x.targetsPart()),
		s.relatedPart(x),
		el("section", at("aria-labelledby", "deliveries"), el("h2", at("id", "deliveries"), text("Deliveries")), s.timeline(x)),
		el("section", at("aria-labelledby", "performance"), el("h2", at("id", "performance"), text("Delivery performance")), s.figures.performance(s.figures.dora.Services[x.Name], x.elsewhere(s.figures.environment))),
		el("section", at("aria-labelledby", "cost"), el("h2", at("id", "cost"), text("Cost")), s.figures.cost(s.figures.costs[x.Name], []string{x.Name})),
		el("section", at("aria-labelledby", "log"), el("h2", at("id", "log"), text("Delivery log")), x.deliveries()),
	}}
}

// actions are where to go from here; the runbook is first.
func (x *entry) actions() part {
	var list parts
	for _, l := range x.about.runbook {
		list = append(list, el("li", class("first"), out(l.url, text(clip(named(l.title), 60)))))
	}
	if len(list) == 0 {
		list = append(list, el("li", class("missing"), text("No runbook")))
	}
	for _, l := range x.about.links {
		list = append(list, el("li", out(l.url, text(clip(named(l.title), 60)))))
	}
	if x.about.source != "" {
		list = append(list, el("li", out(x.about.source, text("Source"))))
	}
	return el("ul", class("actions"), at("aria-label", "Links"), list)
}

// elsewhere are the environments in which deployments are not counted.
func (x *entry) elsewhere(counted string) []string {
	var list []string
	for _, t := range x.ordered {
		if t.name != counted && t.passed != nil {
			list = append(list, clip(named(t.name), 40))
		}
	}
	return list
}

func (s *site) facts(x *entry) part {
	var f facts
	said := func(value, otherwise string) part {
		if value == "" {
			return unknown(otherwise)
		}
		return text(value)
	}
	f.add("Owner", s.ownerLink("../", x.Owner))
	f.add("Tier", said(strings.TrimPrefix(tierName(x.Tier), "Tier "), "not given"))
	slo := x.about.slo
	if slo != "" {
		slo += " %"
	}
	f.add("SLA", said(slo, "not given"))
	f.add("Cost a month", s.costFact(x))
	if x.System != "" {
		f.add("System", s.systemLink("../", x.PartOf()))
	}
	if x.about.lifecycle != "" {
		f.add("Lifecycle", text(x.about.lifecycle))
	}
	repository := x.Repository
	if x.Path != "" {
		repository += " · " + x.Path
	}
	f.add("Repository", said(repository, "not known"))
	return f.part()
}

// relatedPart is what a service works with: whom it breaks, and who breaks it.
func (s *site) relatedPart(x *entry) part {
	var cards parts
	for _, g := range []struct {
		name string
		list []relation
	}{{"Provides", x.related.provides}, {"Consumes", x.related.consumes}, {"Depends on", x.related.dependsOn}} {
		var items parts
		for _, r := range g.list {
			items = append(items, el("li", r.shown(g.name == "Consumes")))
		}
		cards = append(cards, relatedCard(g.name, items))
	}
	var users parts
	for _, user := range x.related.usedBy {
		users = append(users, el("li", user.link("../"), only(user.Owner != "", el("span", class("sub"), text(ownerName(user.Owner))))))
	}
	cards = append(cards, relatedCard("Used by", users))
	if len(slices.DeleteFunc(slices.Clone(cards), func(p part) bool { return p == nil })) == 0 {
		return nil
	}
	return el("section", at("aria-labelledby", "related"), el("h2", at("id", "related"), text("What it works with")), el("div", class("related"), cards))
}

func relatedCard(name string, items parts) part {
	if len(items) == 0 {
		return nil
	}
	return el("div", el("h3", text(name)), el("ul", items))
}

func (x *entry) link(up string) part { return el("a", to(up+x.file()), text(named(x.Name))) }

// shown is a relation on the page of a service: a link where there is a page, and what it is.
func (r relation) shown(withProvider bool) part {
	switch {
	case r.service != nil:
		return parts{r.service.link("../"), only(r.service.Owner != "", el("span", class("sub"), text(ownerName(r.service.Owner))))}
	case r.of == nil:
		return parts{text(clip(named(r.name), 80)), el("span", class("sub"), text("not in the catalogue"))}
	case r.of.page():
		what := parts{text(r.of.what())}
		for i, p := range r.of.providers {
			if withProvider && i < 3 {
				what = append(what, text(" of "), p.link("../"))
			}
		}
		return parts{r.of.link("../"), el("span", class("sub"), what)}
	}
	return parts{text(clip(named(r.name), 80)), el("span", class("sub"), text(clip(cmp.Or(r.of.spec.Type, strings.ToLower(r.of.Kind)), 40)))}
}

func (s *site) costFact(x *entry) part {
	total, without := x.cost()
	value := parts{unknown("not known")}
	if total != nil {
		value = parts{text(priceRange(*total))}
	}
	if total != nil && len(without) > 0 {
		value = append(value, el("span", class("sub"), text("without "+strings.Join(without, ", "))))
	}
	if charge := s.figures.charge(s.figures.costs[x.Name]); charge != "" {
		value = append(value, el("span", class("sub"), text("charged in "+s.figures.chargedWhen()+": "+charge)))
	}
	return value
}

func (x *entry) targetsPart() part {
	if len(x.ordered) == 0 {
		return el("p", class("muted"), text("Nothing was delivered yet."))
	}
	var cards parts
	for _, t := range x.ordered {
		cards = append(cards, el("li", class("card "+looks[t.state()].class), x.card(t)))
	}
	return el("ul", class("cards"), cards)
}

// card is one environment.
func (x *entry) card(t *target) part {
	inside := parts{el("h3", el("span", text(t.name)), t.verdict())}
	if note := t.note(); note != "" {
		inside = append(inside, el("p", class("note"), text(note)))
	}
	l := t.passed
	if l == nil {
		return inside
	}
	since := "Live since"
	if t.state() == stateUnsure {
		since = "Last known good, of"
	}
	rows := parts{
		el("div", el("dt", text("Version")), el("dd", x.commit(l.Commit), text(" · delivery "+strconv.Itoa(l.Delivery)))),
		el("div", el("dt", text(since)), el("dd", ago(l.Time))),
	}
	if l.Cost != nil {
		rows = append(rows, el("div", el("dt", text("Cost a month")), el("dd", text(priceRange(*l.Cost)))))
	}
	return append(inside, el("dl", rows), t.evidence(l))
}

// verdict is what came of the last delivery.
func (t *target) verdict() part {
	if t.state() == stateUnsure {
		return badge("unsure", "?", "not determined")
	}
	o := t.index.Latest.Outcome
	if t.latest != nil {
		o = t.latest.Outcome
	}
	look, ok := outcomes[o]
	if !ok {
		look = outcomes[record.Error]
	}
	return badge(look.class, look.mark, look.word)
}

// note says what a person must know beside what runs.
func (t *target) note() string {
	l := t.latest
	if l == nil {
		if t.state() == stateUnsure {
			return "The log of its deliveries is not in the catalogue, so what runs is not known."
		}
		return ""
	}
	what := "Delivery " + strconv.Itoa(l.Delivery) + " failed"
	if l.Outcome == record.Error {
		what = "Delivery " + strconv.Itoa(l.Delivery) + " could not be determined"
	}
	if stage := blamed(l); stage != "" {
		what += " at " + stage
	}
	switch t.state() {
	case stateKept:
		if live(l) && l.Effect() == catalogfile.WentBack {
			return what + ", after the older version was live again."
		}
		if live(l) {
			return what + ", after the new version was live and well."
		}
		if l.RolledBack {
			return what + "; the older version was put back."
		}
		return what + "; nothing was changed."
	case stateUnsure:
		return what + " after it had begun to change what runs. Look at the environment itself."
	case stateNone:
		return what + "; nothing was live before."
	}
	return ""
}

// commit is a version as people name it.
func (x *entry) commit(id string) part {
	if id == "" {
		return unknown("not known")
	}
	short := el("code", text(id[:min(7, len(id))]))
	if x.about.commits == "" || strings.Trim(id, "0123456789abcdef") != "" {
		return short
	}
	return out(x.about.commits+id, short)
}

// predicates in the words that people use.
var predicates = map[string]string{
	"https://slsa.dev/provenance/v1":                  "provenance",
	"https://cyclonedx.org/bom":                       "SBOM",
	"https://in-toto.io/attestation/test-result/v0.1": "scan results",
	"https://sigstore.dev/cosign/sign/v1":             "signature",
}

// evidence is what is attached to the digest that runs. A rollback says nothing of it, the delivery that it went back to does.
func (t *target) evidence(l *catalogfile.Line) part {
	from := l
	for _, older := range t.lines {
		if len(from.Evidence) == 0 && older.Digest == l.Digest && len(older.Evidence) > 0 {
			from = older
		}
	}
	var names []string
	for _, p := range from.Evidence {
		names = append(names, cmp.Or(predicates[p], p))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	short := "Digest " + record.ShortDigest(l.Digest) + " · "
	if len(names) == 0 {
		short += "evidence not known"
	} else {
		short += counted(len(names), "kind", "kinds") + " of evidence"
	}
	if l.Digest == "" {
		return el("p", class("muted"), text("Its digest is not known."))
	}
	rows := parts{el("div", el("dt", text("Digest")), el("dd", el("code", text(l.Digest))))}
	if l.Image != "" {
		rows = append(rows, el("div", el("dt", text("Image")), el("dd", el("code", text(l.Image)))))
	}
	signer := part(unknown("not known"))
	if from.Signer != "" {
		signer = text(from.Signer)
	}
	attached := part(unknown("not known"))
	if len(names) > 0 {
		attached = text(strings.Join(names, ", "))
	}
	rows = append(rows, el("div", el("dt", text("Signed by")), el("dd", signer)), el("div", el("dt", text("Attached")), el("dd", attached)))
	return el("details", el("summary", text(short)), el("dl", rows))
}

// deliveries is a table of the newest.
func (x *entry) deliveries() part {
	var lines []*catalogfile.Line
	for _, t := range x.ordered {
		lines = append(lines, t.lines...)
	}
	if len(lines) == 0 {
		return el("p", class("muted"), text("The log has none yet."))
	}
	slices.SortStableFunc(lines, func(a, b *catalogfile.Line) int { return b.Time.Compare(a.Time) })
	var rows parts
	for _, l := range lines[:min(2*maxShown, len(lines))] {
		rows = append(rows, x.deliveryRow(l))
	}
	return el("div", class("scroll"), at("tabindex", "0"), at("role", "region"), at("aria-label", "Newest deliveries"), el("table", class("log"),
		el("caption", class("hidden"), text("Newest deliveries")),
		el("thead", el("tr", columnHead("Delivery", ""), columnHead("Outcome", ""), columnHead("When (UTC)", ""), columnHead("Version", ""), columnHead("Brings", "brings"), columnHead("Run", "run"))),
		el("tbody", rows)))
}

func (x *entry) deliveryRow(l *catalogfile.Line) part {
	look, ok := outcomes[l.Outcome]
	if !ok {
		look = outcomes[record.Error]
	}
	word := look.word
	if stage := blamed(l); stage != "" && l.Outcome != record.Passed {
		word += " at " + stage
	}
	if l.RolledBack {
		word += ", taken back"
	}
	run := part(unknown("not in CI"))
	if l.Run != nil {
		run = text("run " + clip(l.Run.ID, 20))
		if l.Run.URL != "" {
			run = out(l.Run.URL, run)
		}
	}
	brings := part(unknown("not known"))
	if l.Brings != nil {
		brings = text(counted(l.Brings.More, "commit", "commits"))
	} else if l.Previous == nil {
		brings = text("the first")
	}
	return el("tr", el("th", at("scope", "row"), text(l.Environment+" "+strconv.Itoa(l.Delivery))), el("td", badge(look.class, look.mark, word)), el("td", logged(l.Time)),
		el("td", x.commit(l.Commit)), el("td", class("brings"), brings), el("td", class("run"), run))
}
