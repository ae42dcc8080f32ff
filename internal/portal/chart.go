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
		svg(int(height), "Deliveries of the last 90 days", counted(total, "delivery", "deliveries")+"; the table below has the newest", inside))
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
