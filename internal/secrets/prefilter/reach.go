package prefilter

// span is a range of places in a text, the last one included.
type span struct{ from, to int }

// spans are ranges in order, which may touch. More than maxSpans are joined, which only adds places.
type spans []span

const maxSpans = 12

// text is what a shape is held against, forwards from a place or backwards.
type direction struct {
	text []byte
	back bool
}

// at gives the byte behind place i, in the direction: places are counted from the keyword on.
func (d direction) at(i int) byte {
	if d.back {
		return d.text[len(d.text)-1-i]
	}
	return d.text[i]
}

// follow gives the places that the chain can reach from those of set: all of them, and maybe more.
func (d direction) follow(c chain, set spans) spans {
	for i := range c {
		s := c[i]
		if d.back {
			s = c[len(c)-1-i]
		}
		if set = d.step(s, set); len(set) == 0 {
			return nil
		}
	}
	return set
}

func (d direction) step(s shape, set spans) spans {
	switch s := s.(type) {
	case run:
		return d.stepRun(s, set)
	case chain:
		return d.follow(s, set)
	case either:
		var out spans
		for _, way := range s {
			out = out.union(d.step(way, set))
		}
		return out
	case again:
		for range s.min {
			if set = d.step(s.shape, set); len(set) == 0 {
				return nil
			}
		}
		return spans{{set[0].from, len(d.text)}}
	case atEnd:
		if d.back {
			return set
		}
		return d.ends(set)
	}
	return spans{{set[0].from, len(d.text)}}
}

// ends keeps the end of the text, and the ends of lines, which is where a part of the text may be cut.
func (d direction) ends(set spans) spans {
	var out spans
	for _, s := range set {
		for at := s.from; at <= s.to; at++ {
			if at == len(d.text) || (at > 0 && d.at(at-1) == '\n') {
				out = out.union(spans{{at, at}})
			}
		}
	}
	return out
}

// stepRun takes, from every place, between min and max bytes of the set.
func (d direction) stepRun(r run, set spans) spans {
	var out spans
	for _, from := range set {
		for at := from.from; at <= from.to; {
			limit := len(d.text)
			if r.max < limit-min(limit, from.to) {
				limit = from.to + r.max
			}
			end := at
			for end < limit && r.set[d.at(end)] {
				end++
			}
			// From at to end all bytes are in the set, so the places among them reach on to end.
			lastStart := min(from.to, end-r.min)
			if lastStart >= at {
				to := end
				if r.max < end-lastStart {
					to = lastStart + r.max
				}
				out = out.union(spans{{at + r.min, to}})
			}
			at = end + 1
		}
	}
	return out
}

// union joins two sets.
func (s spans) union(other spans) spans {
	for _, o := range other {
		at := 0
		for at < len(s) && s[at].to+1 < o.from {
			at++
		}
		end := at
		for end < len(s) && s[end].from <= o.to+1 {
			o = span{min(o.from, s[end].from), max(o.to, s[end].to)}
			end++
		}
		if end > at {
			s[at] = o
			s = append(s[:at+1], s[end:]...)
			continue
		}
		s = append(s, span{})
		copy(s[at+1:], s[at:])
		s[at] = o
	}
	if len(s) > maxSpans {
		s = append(s[:0], span{s[0].from, s[len(s)-1].to})
	}
	return s
}

// around gives the smallest part of text that holds every match with the keyword from at to end; ok is false where there is
// none.
func (l *landmark) around(text []byte, at, end int) (from, to int, ok bool) {
	behind := direction{text: text[end:]}.follow(l.after, spans{{0, 0}})
	if len(behind) == 0 {
		return 0, 0, false
	}
	before := direction{text: text[:at], back: true}.follow(l.before, spans{{0, 0}})
	if len(before) == 0 {
		return 0, 0, false
	}
	return at - before[len(before)-1].to, end + behind[len(behind)-1].to, true
}
