package portal

import (
	"bytes"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/ui"
)

// Pages are built from elements, not from templates: html/template calls methods by name, so that the linker could drop no
// method of any type, which is 14 MB of a program that every job downloads. Whatever comes from a catalogue is a text or the
// value of an attribute, and there is no way to write it as it is. So which place it is for never has to be guessed.

// part is what an element is made of.
type part interface{ write(b *bytes.Buffer) }

// text is shown as it reads. Characters that cannot be seen are taken out, as they change how the rest is read.
type text string

func (t text) write(b *bytes.Buffer) { b.WriteString(html.EscapeString(ui.Clean(string(t)))) }

// newline is one in a text that is shown as it is set.
type newline struct{}

func (newline) write(b *bytes.Buffer) { b.WriteByte('\n') }

// parts is several in a row; nil ones are left out.
type parts []part

func (p parts) write(b *bytes.Buffer) {
	for _, one := range p {
		if one != nil {
			one.write(b)
		}
	}
}

// attribute is a name, which code gives, and a value, which anyone may have given: for a link see [to] and [out].
type attribute struct{ name, value string }

func (a attribute) write(b *bytes.Buffer) {
	b.WriteByte(' ')
	b.WriteString(a.name)
	b.WriteString(`="`)
	b.WriteString(html.EscapeString(ui.Clean(a.value)))
	b.WriteByte('"')
}

type element struct {
	tag        string
	attributes []attribute
	inside     parts
}

// el makes an element. Attributes may stand anywhere among what is inside; a nil part is none.
func el(tag string, inside ...part) element {
	e := element{tag: tag}
	for _, p := range inside {
		switch p := p.(type) {
		case nil:
		case attribute:
			if p.name != "" {
				e.attributes = append(e.attributes, p)
			}
		default:
			e.inside = append(e.inside, p)
		}
	}
	return e
}

// void elements have nothing inside and no end.
var void = map[string]bool{"meta": true, "link": true, "input": true, "br": true}

func (e element) write(b *bytes.Buffer) {
	b.WriteByte('<')
	b.WriteString(e.tag)
	for _, a := range e.attributes {
		a.write(b)
	}
	b.WriteByte('>')
	if void[e.tag] {
		return
	}
	e.inside.write(b)
	b.WriteString("</")
	b.WriteString(e.tag)
	b.WriteByte('>')
}

func class(names string) attribute { return attribute{"class", names} }

func at(name, value string) attribute { return attribute{name, value} }

// to leads to a file of the site, whose names are safe in an address.
func to(path string) attribute { return attribute{"href", path} }

// safeURL is an address that a person may follow: of the web or of mail, with nothing else hidden in it.
func safeURL(address string) bool {
	u, err := url.Parse(address)
	if err != nil || ui.Clean(address) != address {
		return false
	}
	switch u.Scheme {
	case "https", "http":
		return u.Host != ""
	case "mailto":
		return u.Opaque != ""
	}
	return false
}

// out is a link to elsewhere; of an address that nobody should follow only the text is left.
func out(address string, inside ...part) part {
	if !safeURL(address) {
		return parts(inside)
	}
	return el("a", append([]part{attribute{"href", address}, at("rel", "noreferrer")}, inside...)...)
}

// only gives the part where it holds.
func only(holds bool, p part) part {
	if holds {
		return p
	}
	return nil
}

// fileName is a name as that of a file which is the same in an address and on every file system. Different names have
// different files, also where upper and lower case are one.
func fileName(name string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'_', hex[c>>4], hex[c&15]})
		}
	}
	if s := b.String(); len(s) > 0 && len(s) <= maxFileName {
		return s
	}
	return longName(name)
}

// The pages at the top of the site.
const (
	indexPage        = "index.html"
	organisationPage = "organisation.html"
	adoptionPage     = "adoption.html"
	thingsPage       = "apis-and-resources.html"
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

// mark is the same in the head of every page, in the colours of the page.
var mark = el("svg", at("aria-hidden", "true"), at("viewBox", "0 0 16 16"), at("width", "22"), at("height", "22"), el("rect", at("width", "16"), at("height", "16"), at("rx", "4")),
	el("path", at("d", "M4 8.5l2.7 2.7L12 5.5")))

var menu = []struct{ file, name, more string }{{indexPage, "Services", ""}, {thingsPage, "APIs", " and resources"}, {organisationPage, "Organisation", ""}, {adoptionPage, "Adoption", ""}}

func (p page) render() []byte {
	var nav parts
	for _, m := range menu {
		current := attribute{}
		if m.file == p.here {
			current = at("aria-current", "page")
		}
		nav = append(nav, el("a", to(p.up+m.file), current, text(m.name), only(m.more != "", el("span", class("more"), text(m.more)))))
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
			el("a", class("brand"), to(p.up+indexPage), mark, text("Service catalogue")),
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
