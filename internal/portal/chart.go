package portal

import (
	"strconv"
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
	total := 0
	height := axis + lane*float64(len(x.ordered))
	for m := time.Date(from.Year(), from.Month()+1, 1, 0, 0, 0, 0, time.UTC); m.Before(s.made); m = m.AddDate(0, 1, 0) {
		inside = append(inside, el("line", class("grid"), at("x1", place(m)), at("x2", place(m)), at("y1", "0"), at("y2", px(height-axis+4))),
			el("text", class("axis"), at("x", place(m)), at("y", px(height-4)), text(m.Format("Jan"))))
	}
	for i, t := range x.ordered {
		y := lane*float64(i) + 28
		inside = append(inside, el("text", class("lane"), at("x", "0"), at("y", px(y-13)), text(clip(t.name, 30))),
			el("line", class("rail"), at("x1", "0"), at("x2", "100%"), at("y1", px(y)), at("y2", px(y))))
		for _, p := range t.points {
			total++
			inside = append(inside, mark(place(p.time), y, p))
		}
	}
	if total == 0 {
		return el("p", class("muted"), text("None in the last 90 days."))
	}
	return el("figure", el("figcaption", text("The last 90 days: "+counted(total, "delivery", "deliveries"))),
		svg(int(height), "Deliveries of the last 90 days", counted(total, "delivery", "deliveries")+"; the delivery log below has the newest", inside))
}

// mark is one delivery: a dot, a cross or a ring, so that colour is not all that tells them apart.
func mark(x string, y float64, p point) part {
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

// chart is a bar for each month, of two parts.
type chart struct {
	name      string
	low, high series // high has no name where there is one part only
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
}

// draw gives the picture and, folded, its figures as a table, which is what somebody reads who cannot see it.
func (c chart) draw() part {
	const top, height, floor = 22.0, 120.0, 142.0
	most := 0.0
	for _, b := range c.bars {
		most = max(most, b.low+b.high)
	}
	inside := parts{el("line", class("rail"), at("x1", "0"), at("x2", "100%"), at("y1", px(floor)), at("y2", px(floor)))}
	each := 100 / float64(len(c.bars))
	for i, b := range c.bars {
		x, middle := percent(each*(float64(i)+.22)), percent(each*(float64(i)+.5))
		inside = append(inside, el("text", class("axis"), at("x", middle), at("y", px(floor+18)), text(b.label)))
		if !b.known {
			inside = append(inside, el("text", class("axis"), at("x", middle), at("y", px(floor-6)), text("–")))
			continue
		}
		low, high := scaled(b.low, most, height), scaled(b.high, most, height)
		add := func(s series, y, h float64, value string) {
			if h > 0 {
				inside = append(inside, el("rect", class("bar "+s.class), at("x", x), at("y", px(y)), at("width", percent(each*.56)), at("height", px(h)), at("rx", "2"),
					el("title", text(b.label+", "+s.name+": "+value))))
			}
		}
		add(c.low, floor-low, low, b.said)
		add(c.high, floor-low-high, high, b.more)
		inside = append(inside, el("text", class("value"), at("x", middle), at("y", px(max(floor-low-high-6, top-8))), text(b.short)))
	}
	return el("figure", el("figcaption", text(c.name), c.legend()), svg(int(floor)+24, c.name, "the figures are in the table below", inside), c.figures())
}

func scaled(v, most, height float64) float64 {
	if most == 0 {
		return 0
	}
	return v / most * height
}

func (c chart) legend() part {
	if c.high.name == "" {
		return nil
	}
	return el("span", class("legend"), el("span", class("key "+c.low.class), text(c.low.name)), el("span", class("key "+c.high.class), text(c.high.name)))
}

func (c chart) figures() part {
	var rows parts
	for _, b := range c.bars {
		said, more := part(text(b.said)), part(text(b.more))
		if !b.known {
			said, more = unknown("not known"), unknown("not known")
		}
		rows = append(rows, el("tr", el("th", at("scope", "row"), text(b.label)), el("td", class("number"), said), only(c.high.name != "", el("td", class("number"), more))))
	}
	return el("details", el("summary", text("Figures"), el("span", class("hidden"), text(" of "+c.name))), el("table", el("caption", class("hidden"), text(c.name)),
		el("thead", el("tr", columnHead("Month", ""), columnHead(c.low.name, "number"), only(c.high.name != "", columnHead(c.high.name, "number")))), el("tbody", rows)))
}

// shareBar is a share of a whole.
func shareBar(f float64) part {
	return el("svg", class("share"), at("aria-hidden", "true"), at("width", "100%"), at("height", "10"), el("rect", class("track"), at("width", "100%"), at("height", "10"), at("rx", "5")),
		only(f > 0, el("rect", class("bar plain"), at("width", percent(100*f)), at("height", "10"), at("rx", "5"))))
}
