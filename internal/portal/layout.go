package portal

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/ui"
)

// The pages at the top of the site.
const (
	indexPage        = "index.html"
	organisationPage = "organisation.html"
	adoptionPage     = "adoption.html"
)

// page is one page of the site.
type page struct {
	made  time.Time
	title string
	up    string // way to the top of the site: empty or ../
	here  string // the page in the menu that this one belongs to
	main  parts
}

// policy of content: nothing but our own files, and no style or script in a page. A page in a folder is at file:, and not
// every browser takes that for 'self'.
const contentPolicy = "default-src 'none'; style-src 'self' file:; script-src 'self' file:; img-src data:; base-uri 'none'; form-action 'none'"

// icon is a check mark.
const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%230f766e'/%3E" +
	"%3Cpath d='M4 8.5l2.7 2.7L12 5.5' fill='none' stroke='white' stroke-width='2'/%3E%3C/svg%3E"

var menu = []struct{ file, name string }{{indexPage, "Services"}, {organisationPage, "Organisation"}, {adoptionPage, "Adoption"}}

func (p page) render() []byte {
	var nav parts
	for _, m := range menu {
		current := attribute{}
		if m.file == p.here {
			current = at("aria-current", "page")
		}
		nav = append(nav, el("a", to(p.up+m.file), current, text(m.name)))
	}
	head := el("head",
		el("meta", at("charset", "utf-8")),
		el("meta", at("name", "viewport"), at("content", "width=device-width, initial-scale=1")),
		el("meta", at("http-equiv", "Content-Security-Policy"), at("content", contentPolicy)),
		el("meta", at("name", "color-scheme"), at("content", "light dark")),
		el("meta", at("name", "referrer"), at("content", "no-referrer")),
		el("title", text(p.title+" · Service catalogue")),
		el("link", at("rel", "icon"), at("href", icon)),
		el("link", at("rel", "stylesheet"), at("href", p.up+"assets/portal.css")),
		el("script", at("src", p.up+"assets/portal.js"), at("defer", "")))
	body := el("body", el("a", class("skip"), to("#main"), text("Skip to content")),
		el("header", class("top"), el("div", class("wide"),
			el("a", class("brand"), to(p.up+indexPage), text("Service catalogue")),
			el("nav", at("aria-label", "Catalogue"), nav))),
		el("main", at("id", "main"), at("tabindex", "-1"), class("wide"), p.main),
		el("footer", class("wide"), text("Read from the delivery log at "), moment(p.made), text(". Written by CI alone; nobody edits what runs where.")))
	var b bytes.Buffer
	b.WriteString("<!doctype html>\n")
	el("html", at("lang", "en"), head, body).write(&b)
	b.WriteByte('\n')
	return b.Bytes()
}

// moment is a point in time; the script adds how long ago that is to those of class ago.
func moment(t time.Time) part {
	t = t.UTC()
	return el("time", at("datetime", t.Format(time.RFC3339)), text(t.Format("2 Jan 2006, 15:04")+" UTC"))
}

// logged is a point in time in a table that says UTC at its top.
func logged(t time.Time) part {
	t = t.UTC()
	return el("time", at("datetime", t.Format(time.RFC3339)), text(t.Format("2 Jan 2006, 15:04")))
}

// ago is a point in time of which mostly the distance matters.
func ago(t time.Time) part {
	t = t.UTC()
	return el("time", class("ago"), at("datetime", t.Format(time.RFC3339)), text(t.Format("2 Jan 2006")))
}

// looks is how a state is shown: never by colour alone.
var looks = map[state]struct{ mark, word, class string }{
	stateLive:   {"✓", "last delivery passed", "ok"},
	stateKept:   {"✗", "last delivery failed", "bad"},
	stateNone:   {"–", "nothing live yet", "none"},
	stateUnsure: {"?", "not determined", "unsure"},
}

// outcomes is how what came of a delivery is shown.
var outcomes = map[record.Outcome]struct{ mark, word, class string }{
	record.Passed: {"✓", "passed", "ok"},
	record.Failed: {"✗", "failed", "bad"},
	record.Error:  {"?", "not determined", "unsure"},
}

// chip is a state with its environment.
func chip(s state, environment string) part {
	look := looks[s]
	return el("span", class("chip "+look.class), el("span", at("aria-hidden", "true"), text(look.mark)), el("span", text(environment)),
		el("span", class("hidden"), text(": "+look.word)))
}

// badge is a state in words.
func badge(class_, mark, word string) part {
	return el("span", class("badge "+class_), el("span", at("aria-hidden", "true"), text(mark)), el("span", text(word)))
}

// unknown is shown for what the catalogue does not say. It is never a number.
func unknown(word string) part { return el("span", class("muted"), text(word)) }

// priceRange is an estimate of a month.
func priceRange(c catalogfile.Cost) string {
	if low, high := amount(c.Min, c.Currency), amount(c.Max, c.Currency); low != high {
		return low + "–" + high
	}
	return amount(c.Max, c.Currency)
}

func amount(f float64, currency string) string {
	if f > 0 && f < .01 { // what is small is not nothing
		return "< " + priced("0.01", currency)
	}
	if f >= 1000 {
		return rounded(f, currency)
	}
	return priced(strconv.FormatFloat(f, 'f', 2, 64), currency)
}

// rounded is an amount without what is small against it.
func rounded(f float64, currency string) string {
	if f < 100 {
		return amount(f, currency)
	}
	return priced(thousands(strconv.FormatFloat(f, 'f', 0, 64)), currency)
}

func priced(s, currency string) string {
	if currency == "USD" {
		return "$" + s
	}
	return s + " " + currency
}

// thousands groups the digits of a whole number, as 12,345.
func thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// counted is a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(strconv.Itoa(n)) + " " + many
}

// clip shortens what would push everything else away.
func clip(s string, limit int) string {
	runes := []rune(strings.TrimSpace(s))
	if len(runes) <= limit {
		return string(runes)
	}
	return strings.TrimSpace(string(runes[:limit-1])) + "…"
}

func tierName(tier int) string {
	if tier == 0 {
		return ""
	}
	return fmt.Sprintf("Tier %d", tier)
}

// named is a name as it is shown. One that nobody could see is said to be so, as a link has to have a text.
func named(name string) string {
	if strings.TrimSpace(ui.Clean(name)) == "" {
		return "(no name)"
	}
	return name
}
