package prefilter

import (
	"maps"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// shape is a part of a rule's expression, simplified: every text that the expression matches is matched by the shape too.
type shape interface{}

type (
	// run is a repeated byte of a set. Of characters beyond ASCII, all bytes are in the set or none.
	run struct {
		set      *[256]bool
		min, max int // max of unlimited is no limit
	}
	either []shape  // one of them
	chain  []shape  // one after the other
	again  struct { // a shape that is repeated
		shape
		min int
	}
	atEnd   struct{} // the end of the text
	unknown struct{} // anything
)

const unlimited = 1 << 30

// shapeOf takes what has no width, but for the end of the text, for always true.
func shapeOf(re *syntax.Regexp) shape {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return chain{}
	case syntax.OpEndText:
		return atEnd{}
	case syntax.OpLiteral:
		var c chain
		for _, r := range re.Rune {
			c = append(c, literal(r, re.Flags&syntax.FoldCase != 0)...)
		}
		return c
	case syntax.OpCharClass:
		return classRun(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		set := new([256]bool)
		for i := range set {
			set[i] = i != '\n' || re.Op == syntax.OpAnyChar
		}
		return run{set, 1, utf8.UTFMax}
	case syntax.OpCapture:
		return shapeOf(re.Sub[0])
	case syntax.OpConcat:
		var c chain
		for _, sub := range re.Sub {
			c = flat(c, shapeOf(sub))
		}
		return c
	case syntax.OpAlternate:
		var e either
		for _, sub := range re.Sub {
			e = append(e, shapeOf(sub))
		}
		return e
	case syntax.OpStar:
		return repeated(shapeOf(re.Sub[0]), 0, unlimited)
	case syntax.OpPlus:
		return repeated(shapeOf(re.Sub[0]), 1, unlimited)
	case syntax.OpQuest:
		return repeated(shapeOf(re.Sub[0]), 0, 1)
	case syntax.OpRepeat:
		if re.Max < 0 {
			return repeated(shapeOf(re.Sub[0]), re.Min, unlimited)
		}
		return repeated(shapeOf(re.Sub[0]), re.Min, re.Max)
	}
	return unknown{}
}

func flat(c chain, s shape) chain {
	if inner, ok := s.(chain); ok {
		return append(c, inner...)
	}
	return append(c, s)
}

// literal is a character, with its other cases if fold is set.
func literal(r rune, fold bool) chain {
	if r >= utf8.RuneSelf {
		var c chain
		set := new([256]bool)
		for i := utf8.RuneSelf; i < len(set); i++ {
			set[i] = true
		}
		return append(c, run{set, 1, utf8.UTFMax})
	}
	set := new([256]bool)
	set[r] = true
	if fold {
		set[unicode.ToLower(r)], set[unicode.ToUpper(r)] = true, true
	}
	return chain{run{set, 1, 1}}
}

// classRun takes pairs of the first and the last character of a range.
func classRun(ranges []rune) run {
	r := run{new([256]bool), 1, 1}
	for i := 0; i+1 < len(ranges); i += 2 {
		for c := ranges[i]; c <= min(ranges[i+1], utf8.RuneSelf-1); c++ {
			r.set[c] = true
		}
		if beyondASCII(ranges[i], ranges[i+1]) {
			r.max = utf8.UTFMax
			for b := utf8.RuneSelf; b < len(r.set); b++ {
				r.set[b] = true
			}
		}
	}
	return r
}

// beyondASCII tells whether a range holds a character beyond ASCII other than those of [oddCases], which a text must not
// have in order to be held against a shape.
func beyondASCII(from, to rune) bool {
	n := to - max(from, utf8.RuneSelf) + 1
	for _, odd := range oddCases {
		if from <= odd && odd <= to {
			n--
		}
	}
	return n > 0
}

// oddCases are the characters beyond ASCII that fold to an ASCII letter (long s, Kelvin), or whose lower case is one
// (dotted I).
var oddCases = []rune{'\u017f', '\u212a', '\u0130'}

func repeated(s shape, low, high int) shape {
	if c, ok := s.(chain); ok && len(c) == 1 {
		s = c[0]
	}
	if r, ok := s.(run); ok && r.min == 1 {
		most := unlimited
		if high != unlimited && r.max != unlimited {
			most = high * r.max
		}
		return run{r.set, low, most}
	}
	if low == 0 && high == 1 {
		return either{s, chain{}}
	}
	return again{s, low}
}

// landmark is a keyword in an expression: in every match, before comes before it and after behind it.
type landmark struct {
	word          string
	before, after chain
}

const (
	maxLandmarks = 64   // told apart in one expression
	maxTries     = 5000 // to find them: an expression of a repository's own may be of any form
)

// landmarksOf finds, for every way in which the shape can match, a keyword that the match holds. It is nil where there is a
// way without one, or none was found in time.
func landmarksOf(s shape, words []string) []landmark {
	f := finder{words: words, tries: maxTries}
	return f.find(flat(nil, s), nil, nil)
}

type finder struct {
	words []string
	tries int
}

func (f *finder) find(c, before, after chain) []landmark {
	if f.tries--; f.tries < 0 {
		return nil
	}
	if l, ok := f.inLetters(c); ok {
		l.before, l.after = slices.Concat(before, l.before), slices.Concat(l.after, after)
		return []landmark{l}
	}
	for i, s := range c {
		if e, ok := s.(either); ok {
			if all := f.everyWay(e, slices.Concat(before, c[:i]), slices.Concat(c[i+1:], after)); all != nil {
				return all
			}
		}
	}
	for i, s := range c { // a keyword may begin before an alternative and end in it
		if ways := waysOf(s); ways != nil {
			spread := make(either, len(ways))
			for j, way := range ways {
				spread[j] = slices.Concat(c[:i], flat(nil, way), c[i+1:])
			}
			if all := f.everyWay(spread, before, after); all != nil {
				return all
			}
		}
	}
	return nil
}

func (f *finder) everyWay(e either, before, after chain) []landmark {
	var all []landmark
	for _, way := range e {
		found := f.find(flat(nil, way), before, after)
		if found == nil || len(all)+len(found) > maxLandmarks {
			return nil
		}
		all = append(all, found...)
	}
	return all
}

// waysOf gives the alternatives of an either, and the letters of a small set, present or not.
func waysOf(s shape) either {
	switch s := s.(type) {
	case either:
		return s
	case run:
		if s.max == 1 {
			return waysOfRun(s)
		}
	}
	return nil
}

// maxLetters is how many letters of a set are told apart.
const maxLetters = 6

func waysOfRun(r run) either {
	letters := map[byte]*[256]bool{}
	for b, in := range r.set {
		if !in {
			continue
		}
		if b >= utf8.RuneSelf || len(letters) > maxLetters {
			return nil
		}
		l := lowerCase(byte(b)) // #nosec G115 -- an index of 256
		if letters[l] == nil {
			letters[l] = new([256]bool)
		}
		letters[l][b] = true
	}
	if len(letters)+1-r.min < 2 {
		return nil
	}
	var ways either
	for _, l := range slices.Sorted(maps.Keys(letters)) {
		ways = append(ways, run{letters[l], 1, 1})
	}
	if r.min == 0 {
		ways = append(ways, chain{})
	}
	return ways
}

func lowerCase(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// inLetters looks for a keyword in neighbouring single letters.
func (f *finder) inLetters(c chain) (landmark, bool) {
	letters := make([]byte, len(c)) // 0 for what is no single letter
	for i, s := range c {
		if r, ok := s.(run); ok && r.min == 1 && r.max == 1 {
			letters[i] = onlyLetter(r.set)
		}
	}
	for _, w := range f.words {
		if i := strings.Index(string(letters), w); i >= 0 {
			return landmark{w, c[:i], c[i+len(w):]}, true
		}
	}
	return landmark{}, false
}

// onlyLetter is the one ASCII character in the set, in lower case, or 0.
func onlyLetter(set *[256]bool) byte {
	var only byte
	for b, in := range set {
		if !in {
			continue
		}
		lower := lowerCase(byte(b)) // #nosec G115 -- an index of 256
		if b >= utf8.RuneSelf || (only != 0 && only != lower) {
			return 0
		}
		only = lower
	}
	return only
}
