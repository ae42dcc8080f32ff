package prefilter

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"unicode/utf8"

	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect/codec"
)

// view is what a rule has to look at in one text.
type view struct {
	whole bool
	parts []span // in no order
}

// Sieve is a prefilter with the memory of one worker.
type Sieve struct {
	*Prefilter
	views   []view
	touched []int // views that are not empty
	seen    map[seen]bool
}

// Sieve gives one for a worker.
func (p *Prefilter) Sieve() *Sieve {
	return &Sieve{Prefilter: p, views: make([]view, len(p.rules)), seen: map[seen]bool{}}
}

// Verdict is what of gitleaks has to look at what of a text; nothing, if it is zero.
type Verdict struct {
	All    bool   // every rule
	rules  []int  // of the prefilter
	decode bool   // something is found only once it is decoded
	parts  []span // of the text, whole lines, the end not included; nil is all of it
	Clear  bool   // nothing is found in any run of lines of the text either
}

// Nothing tells that gitleaks finds nothing in the text.
func (v Verdict) Nothing() bool { return !v.All && len(v.rules) == 0 }

// Partial tells that it has to look at parts of the text only.
func (v Verdict) Partial() bool { return v.parts != nil }

// Pieces gives the parts of the text that gitleaks has to look at, and where each begins.
func (v Verdict) Pieces(text []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		if v.Nothing() {
			return
		}
		if v.parts == nil {
			yield(0, text)
			return
		}
		for _, p := range v.parts {
			if !yield(p.from, text[p.from:p.to]) {
				return
			}
		}
	}
}

// Look tells what gitleaks may find in the text of a file whose name says nothing about the file. applies leaves rules out;
// nil leaves out none.
func (s *Sieve) Look(ctx context.Context, text []byte, applies []bool) Verdict {
	if s.words == nil || hasOddCase(text) {
		return Verdict{All: true}
	}
	rules, parts, none := s.mayMatch(text, applies)
	v := Verdict{rules: rules, parts: parts, Clear: none}
	if !mayDecode(text) {
		return v
	}
	v.Clear = false
	decoder, decoded := codec.NewDecoder(), true
	for depth := 0; depth < DecodeDepth && ctx.Err() == nil; depth++ {
		if text, decoded = decode(decoder, text); !decoded {
			break
		}
		if hasOddCase(text) {
			return Verdict{All: true}
		}
		if more, _, _ := s.mayMatch(text, applies); len(more) > 0 {
			v.rules, v.parts, v.decode = append(v.rules, more...), nil, true
		}
	}
	slices.Sort(v.rules)
	v.rules = slices.Compact(v.rules)
	return v
}

// decode is one pass of gitleaks' decoder. It is given only the lines that it may change, as nearly all encodings end with
// the line.
func decode(d *codec.Decoder, text []byte) (decoded []byte, changed bool) {
	if hasCodePoint(text) { // these may go on in the next line
		out, segments := d.Decode(string(text), nil)
		return []byte(out), len(segments) > 0
	}
	for line := range bytes.Lines(text) {
		if out, ok := percentOnly(line); ok {
			decoded, changed = append(decoded, out...), true
		} else if mayDecode(line) {
			out, segments := d.Decode(string(line), nil)
			decoded, changed = append(decoded, out...), changed || len(segments) > 0
		} else {
			decoded = append(decoded, line...)
		}
	}
	return decoded, changed
}

// hasOddCase looks for the [oddCases].
func hasOddCase(text []byte) bool {
	for _, r := range oddBytes {
		if bytes.Contains(text, r) {
			return true
		}
	}
	return false
}

var oddBytes = func() (all [][]byte) {
	for _, r := range oddCases {
		all = append(all, utf8.AppendRune(nil, r))
	}
	return all
}()

// mayMatch gives the rules that match the text in a way that they do not let pass, in order, and the parts of the text
// where they do; no parts are all of it. With none, no rule matches so in any run of lines of it either.
func (s *Sieve) mayMatch(text []byte, applies []bool) (rules []int, parts []span, none bool) {
	for _, n := range s.touched {
		s.views[n] = view{parts: s.views[n].parts[:0]}
	}
	s.touched = s.touched[:0]
	for _, n := range s.always {
		s.touch(n).whole = true
	}
	s.words.find(text, func(word uint16, end int) {
		for _, u := range s.uses[word] {
			switch {
			case (applies != nil && !applies[u.rule]) || s.views[u.rule].whole:
			case u.landmark == nil:
				s.touch(u.rule).whole = true
			default:
				if from, to, ok := u.around(text, end-s.length[word], end); ok {
					v := s.touch(u.rule)
					v.parts = append(v.parts, span{from, to})
				}
			}
		}
	})
	whole, none := false, true
	for _, n := range s.touched {
		if (applies != nil && !applies[n]) || !s.holdsValue(n, text) {
			continue
		}
		none = false
		v := &s.views[n]
		if s.ruleMayFind(&s.rules[n], text, v) {
			rules, parts = append(rules, n), append(parts, v.parts...)
			whole = whole || v.whole || len(s.rules[n].RequiredRules) > 0
		}
	}
	slices.Sort(rules)
	if whole {
		return rules, nil, none
	}
	return rules, joined(parts, func(p span) span { return wholeLines(text, p) }), none
}

// holdsValue tells whether anything that the rule has to look at holds a value that counts, and leaves out the other parts.
// As the parts do not meet, no match is in two of them.
func (s *Sieve) holdsValue(n int, text []byte) bool {
	v := &s.views[n]
	if v.whole {
		return s.values[n].mayBeIn(text)
	}
	v.parts = joined(v.parts, func(p span) span { return span{max(p.from-margin, 0), min(p.to+margin, len(text))} })
	v.parts = slices.DeleteFunc(v.parts, func(p span) bool { return !s.values[n].mayBeIn(text[p.from:p.to]) })
	return len(v.parts) > 0
}

func (s *Sieve) touch(n int) *view {
	v := &s.views[n]
	if !v.whole && len(v.parts) == 0 {
		s.touched = append(s.touched, n)
	}
	return v
}

// joined widens the parts, and makes one of those that meet. What an expression finds in one of them is what it finds there
// in the whole text:
//
//   - every match in the text is within one part, as each holds a keyword with such surroundings;
//   - a match in a part is one in the text, or it reaches to the part's end, where the cut may have made it one. It cannot
//     begin with the part: then it would hold a keyword whose surroundings begin there, which would have widened the part;
//   - so the search, which goes on behind each match, takes the same ones.
func joined(parts []span, widen func(span) span) []span {
	slices.SortFunc(parts, func(a, b span) int { return a.from - b.from })
	out := parts[:0]
	for _, p := range parts {
		p = widen(p)
		if n := len(out); n > 0 && p.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, p.to)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// margin is more than one character, so that what an expression sees beside a match is what is there.
const margin = 8

// wholeLines gives the lines of a part, and the one before them: gitleaks counts columns differently in the first line. Of
// what an expression finds in them, nothing is owed to the cut: a part takes the end of every line for that of the text, and
// the lines go on behind it.
func wholeLines(text []byte, p span) span {
	p.from = lineStart(text, lineStart(text, max(p.from-margin, 0))-1)
	p.to = min(p.to+margin, len(text))
	if i := bytes.IndexByte(text[p.to:], '\n'); i >= 0 {
		p.to += i + 1
	} else {
		p.to = len(text)
	}
	return p
}

func lineStart(text []byte, at int) int { return bytes.LastIndexByte(text[:max(at, 0)], '\n') + 1 }

// ruleMayFind runs the rule over what it has to look at, which is widened to the whole text where a cut may have made a
// match.
func (s *Sieve) ruleMayFind(r *config.Rule, text []byte, v *view) bool {
	counts := false
	for i := 0; i < len(v.parts) && !v.whole; i++ {
		part := text[v.parts[i].from:v.parts[i].to]
		found := r.Regex.FindAllIndex(part, -1)
		if n := len(found); n > 0 && found[n-1][1] == len(part) && v.parts[i].to < len(text) {
			v.whole = true
		}
		counts = counts || s.anyCounts(r, part, found)
	}
	if v.whole {
		return s.anyCounts(r, text, r.Regex.FindAllIndex(text, -1))
	}
	return counts
}
