package portal

import (
	"strconv"
	"strings"
	"time"
)

// Charts are inline SVG whose places across are in percent: they fill the width that there is, and their texts keep their size.

func svg(height int, name, description string, inside ...part) part {
	return el("svg", append([]part{class("chart"), at("role", "img"), at("width", "100%"), at("height", strconv.Itoa(height)), at("aria-label", name+": "+description)}, inside...)...)
}

func percent(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) + "%" }

func px(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

// timeline shows when deliveries were, a lane for each environment.
func (s *site) timeline(x *entry) part {
	const lane, axis = 44.0, 22.0
	from := s.made.Add(-timelineWindow)
	place := func(t time.Time) string {
		return percent(1 + 98*float64(t.Sub(from))/float64(timelineWindow))
	}
	var inside parts
	total, drawn := 0, 0
	height := axis + lane*float64(len(x.ordered))
	for m := time.Date(from.Year(), from.Month()+1, 1, 0, 0, 0, 0, time.UTC); m.Before(s.made); m = m.AddDate(0, 1, 0) {
		inside = append(inside, el("line", class("grid"), at("x1", place(m)), at("x2", place(m)), at("y1", "0"), at("y2", px(height-axis+4))),
			el("text", class("axis"), at("x", place(m)), at("y", px(height-4)), text(m.Format("Jan"))))
	}
	for i, t := range x.ordered {
		y := lane*float64(i) + 28
		inside = append(inside, el("text", class("lane"), at("x", "0"), at("y", px(y-13)), text(clip(t.name, 30))),
			el("line", class("rail"), at("x1", "0"), at("x2", "100%"), at("y1", px(y)), at("y2", px(y))))
		total += t.recent
		for _, p := range t.points {
			drawn++
			inside = append(inside, dot(place(p.time), y, p))
		}
	}
	if total == 0 {
		return el("p", class("muted"), text("None in the last 90 days."))
	}
	says := "The last 90 days: " + counted(total, "delivery", "deliveries")
	if drawn < total {
		says += ", of which the newest " + thousands(strconv.Itoa(drawn)) + " are drawn"
	}
	return el("figure", el("figcaption", text(says)),
		svg(int(height), "Deliveries of the last 90 days", counted(total, "delivery", "deliveries")+"; the delivery log below has the newest", inside))
}

// dot is one delivery: a dot, a cross or a ring, so that colour is not all that tells them apart.
func dot(x string, y float64, p point) part {
	look, ok := outcomes[p.outcome]
	if !ok {
		look = outcomes["error"]
	}
	inside := parts{el("title", text("Delivery "+strconv.Itoa(p.delivery)+" "+look.word+", "+p.time.UTC().Format("2 Jan 2006, 15:04")))}
	switch look.class {
	case "ok":
		inside = append(inside, el("circle", at("cx", x), at("cy", px(y)), at("r", "5")))
	case "bad":
		inside = append(inside, el("text", class("glyph"), at("x", x), at("y", px(y+6)), text("✕")))
	default:
		inside = append(inside, el("text", class("glyph"), at("x", x), at("y", px(y+6)), text("?")))
	}
	return el("g", class("mark "+look.class), inside)
}

// spark is the rhythm of a service's deliveries, over all environments, in two digits of base 36 a week: passed, and not.
func (x *entry) spark() string {
	var b strings.Builder
	for i := range sparkWeeks {
		var sum [2]int
		for _, t := range x.ordered {
			if t.weeks != nil {
				sum[0], sum[1] = sum[0]+t.weeks[i][0], sum[1]+t.weeks[i][1]
			}
		}
		b.WriteString(strconv.FormatInt(int64(min(sum[0], 35)), 36) + strconv.FormatInt(int64(min(sum[1], 35)), 36))
	}
	return b.String()
}

// sparkHeight is in pixels.
const sparkHeight = 16

// sparkPart draws it; the script draws the same. It says nothing that the page of the service does not say in words.
func sparkPart(digits string) part {
	var weeks [sparkWeeks][2]int
	most := 1
	for i := range weeks {
		for j := range 2 {
			n, _ := strconv.ParseInt(digits[2*i+j:2*i+j+1], 36, 0)
			weeks[i][j] = int(n)
		}
		most = max(most, weeks[i][0]+weeks[i][1])
	}
	bars := parts{}
	bar := func(look string, i, y, height int) {
		if height > 0 {
			bars = append(bars, el("rect", class(look), at("x", strconv.Itoa(5*i)), at("y", strconv.Itoa(y)), at("width", "4"), at("height", strconv.Itoa(height))))
		}
	}
	for i, w := range weeks {
		all := w[0] + w[1]
		if all == 0 {
			bar("idle", i, sparkHeight-1, 1)
			continue
		}
		height := (sparkHeight*all + most - 1) / most
		bad := (height*w[1] + all - 1) / all
		bar("bad", i, sparkHeight-height, bad)
		bar("ok", i, sparkHeight-height+bad, height-bad)
	}
	return el("svg", class("spark"), at("width", strconv.Itoa(5*sparkWeeks)), at("height", strconv.Itoa(sparkHeight)), at("aria-hidden", "true"), bars)
}

// chart is a bar for each month, of two parts, and another one beside it.
type chart struct {
	name      string
	low, high series // high has no name where there is one part only
	beside    series // no name where there is none
	bars      []bar
}

type series struct{ name, class string }

// bar is one month. Of what is not known there is no bar, and no number either.
type bar struct {
	label      string
	known      bool
	low, high  float64
	said, more string // both parts in words
	short      string // what stands over the bar: there is room for few letters

	asideKnown            bool // of the bar beside it
	aside                 float64
	asideSaid, asideShort string // said also where it is not drawn; empty where it is not known
	currency              string // of amounts, where short does not say it
}

// Places in a chart, in pixels from its top.
const (
	chartTop    = 22.0
	chartHeight = 120.0
	chartFloor  = chartTop + chartHeight
)

// draw gives the picture and its figures as a table, which is what somebody reads who cannot see it.
func (c chart) draw() part {
	most := 0.0
	for _, b := range c.bars {
		most = max(most, b.low+b.high, b.aside)
	}
	inside := parts{el("line", class("rail"), at("x1", "0"), at("x2", "100%"), at("y1", px(chartFloor)), at("y2", px(chartFloor)))}
	each := 100 / float64(len(c.bars))
	for i, b := range c.bars {
		left := each * float64(i)
		inside = append(inside, el("text", class("axis"), at("x", percent(left+each*.5)), at("y", px(chartFloor+18)), text(b.label)))
		if c.beside.name == "" {
			inside = append(inside, c.bar(b, left+each*.22, each*.56, most, true))
			continue
		}
		inside = append(inside, c.bar(b, left+each*.12, each*.36, most, !b.asideKnown), c.asideBar(b, left+each*.52, each*.36, most))
	}
	return el("figure", el("figcaption", text(c.title()), c.legend()), svg(int(chartFloor)+24, c.title(), c.summary(), inside), c.figures())
}

// title has the currency that the numbers over the bars leave out.
func (c chart) title() string {
	for _, b := range c.bars {
		if b.currency != "" && b.currency != "USD" {
			return c.name + ", " + b.currency
		}
	}
	return c.name
}

// bar draws the two parts of a month.
func (c chart) bar(b bar, x, width, most float64, labelled bool) part {
	middle := percent(x + width/2)
	if !b.known {
		return el("text", class("axis"), at("x", middle), at("y", px(chartFloor-6)), text("–"))
	}
	low, high := scaled(b.low, most), scaled(b.high, most)
	inside := parts{c.low.rect(b.label, b.said, x, width, chartFloor-low, low)}
	if high > 0 {
		inside = append(inside, c.high.rect(b.label, b.more, x, width, chartFloor-low-high, high))
	}
	if labelled {
		inside = append(inside, over(middle, chartFloor-low-high, b.short))
	}
	return inside
}

// asideBar draws what is beside it. There is room for the number of one of them, and what was charged is what is looked for.
func (c chart) asideBar(b bar, x, width, most float64) part {
	middle := percent(x + width/2)
	if !b.asideKnown {
		return el("text", class("axis"), at("x", middle), at("y", px(chartFloor-6)), text("–"))
	}
	height := scaled(b.aside, most)
	return parts{c.beside.rect(b.label, b.asideSaid, x, width, chartFloor-height, height), over(middle, chartFloor-height, b.asideShort)}
}

func (s series) rect(label, value string, x, width, y, height float64) part {
	if height <= 0 {
		return nil
	}
	return el("rect", class("bar "+s.class), at("x", percent(x)), at("y", px(y)), at("width", percent(width)), at("height", px(height)), at("rx", "2"),
		el("title", text(label+", "+s.name+": "+value)))
}

// over is a number over a bar.
func over(middle string, top float64, short string) part {
	return el("text", class("value"), at("x", middle), at("y", px(max(top-6, chartTop-8))), text(short))
}

func scaled(v, most float64) float64 {
	if most == 0 {
		return 0
	}
	return v / most * chartHeight
}

// summary is what the picture says at a glance: its last month with a number.
func (c chart) summary() string {
	const where = "the figures are in the table below"
	if c.beside.name == "" {
		return where
	}
	for i := len(c.bars) - 1; i >= 0; i-- {
		if b := c.bars[i]; b.asideSaid != "" && b.known {
			return "in " + b.label + " " + b.asideSaid + " " + c.beside.name + ", with " + b.said + " to " + b.more + " estimated; " + where
		}
	}
	return where
}

func (c chart) legend() part {
	if c.high.name == "" {
		return nil
	}
	return el("span", class("legend"), c.low.key(), c.high.key(), only(c.beside.name != "", c.beside.key()))
}

func (s series) key() part { return el("span", class("key "+s.class), text(s.name)) }

// figures are folded, unless there are more of them than numbers over the bars.
func (c chart) figures() part {
	var rows parts
	aside := c.beside.name != ""
	for _, b := range c.bars {
		said, more, charged := part(text(b.said)), part(text(b.more)), part(text(b.asideSaid))
		if !b.known {
			said, more = unknown("not known"), unknown("not known")
		}
		if b.asideSaid == "" {
			charged = unknown("not known")
		}
		rows = append(rows, el("tr", el("th", at("scope", "row"), text(b.label)), el("td", class("number"), said), only(c.high.name != "", el("td", class("number"), more)),
			only(aside, el("td", class("number"), charged))))
	}
	opened := attribute{}
	if aside {
		opened = at("open", "")
	}
	return el("details", opened, el("summary", text("Figures"), el("span", class("hidden"), text(" of "+c.name))), el("table", el("caption", class("hidden"), text(c.name)),
		el("thead", el("tr", columnHead("Month", ""), columnHead(c.low.name, "number"), only(c.high.name != "", columnHead(c.high.name, "number")),
			only(aside, columnHead(c.beside.name, "number")))), el("tbody", rows)))
}

// shareBar is a share of a whole.
func shareBar(f float64) part {
	return el("svg", class("share"), at("aria-hidden", "true"), at("width", "100%"), at("height", "10"), el("rect", class("track"), at("width", "100%"), at("height", "10"), at("rx", "5")),
		only(f > 0, el("rect", class("bar plain"), at("width", percent(100*f)), at("height", "10"), at("rx", "5"))))
}
