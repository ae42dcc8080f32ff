package prefilter

import (
	"math"
	"regexp/syntax"
	"strings"

	"github.com/zricethezav/gitleaks/v8/config"
)

// value is what the secret of a rule has to look like. Where nothing in a text does, no match in it counts, and the rule's
// expression need not run. It is known for rules of the form that most have, NAME SEPARATOR (VALUE)(?:END|$), the secret
// being what is in the one pair of brackets.
type value struct {
	set      [256]bool // its bytes, all of ASCII
	min      int       // bytes
	distinct int       // the fewest different bytes that can have the entropy that the rule asks for
	allowed  [][256]bool
}

// valueOf is nil for rules of another form. gitleaks takes the secret out of a match by a second match within the first,
// without line ends at its ends; and takes all of it where that fails. So it must not fail: nothing in the expression looks
// at what is around the match, the match starts with no line end, and the end of the text can be in the place of a line end
// at its end.
func valueOf(r *config.Rule) *value {
	tree, err := syntax.Parse(r.Regex.String(), syntax.Perl)
	if err != nil || tree.Op != syntax.OpConcat || tree.MaxCap() != 1 || looksAround(tree) {
		return nil
	}
	n := len(tree.Sub) - 2
	if n < 1 || tree.Sub[n].Op != syntax.OpCapture || !startsInLine(tree.Sub[:n]) || !endsWithText(tree.Sub[n+1]) {
		return nil
	}
	v := &value{}
	var known bool
	if v.min, known = bytesOfShape(shapeOf(tree.Sub[n]), &v.set); !known || v.min == 0 || v.set['\n'] {
		return nil
	}
	for b := 0x80; b < len(v.set); b++ {
		if v.set[b] {
			return nil
		}
	}
	if r.Entropy > 0 {
		v.distinct = int(math.Ceil(math.Exp2(r.Entropy) - 1e-6)) // the entropy of n different bytes is at most log2 n
	}
	for _, a := range r.Allowlists {
		v.allowed = append(v.allowed, onlyOf(a)...)
	}
	return v
}

// looksAround tells of anything but the end of the text.
func looksAround(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	}
	for _, sub := range re.Sub {
		if looksAround(sub) {
			return true
		}
	}
	return false
}

// startsInLine tells that no match starts with a line end.
func startsInLine(list []*syntax.Regexp) bool {
	for _, re := range list {
		var set [256]bool
		low, known := bytesOfShape(shapeOf(re), &set)
		if !known || set['\n'] {
			return false
		}
		if low > 0 {
			return true
		}
	}
	return false
}

// endsWithText tells that the expression matches at most one line end, and that the end of the text will do instead.
func endsWithText(re *syntax.Regexp) bool {
	if re.Op != syntax.OpAlternate {
		return false
	}
	end := false
	for _, sub := range re.Sub {
		if sub.Op == syntax.OpEndText {
			end = true
			continue
		}
		var set [256]bool
		if _, known := bytesOfShape(shapeOf(sub), &set); !known || (set['\n'] && sub.Op != syntax.OpCharClass) {
			return false
		}
	}
	return end
}

// bytesOfShape adds the bytes that a match may consist of, and gives the least length; known is false where neither can be
// told.
func bytesOfShape(s shape, set *[256]bool) (low int, known bool) {
	switch s := s.(type) {
	case run:
		for b, in := range s.set {
			set[b] = set[b] || in
		}
		return s.min, true
	case chain:
		for _, part := range s {
			n, known := bytesOfShape(part, set)
			if !known {
				return 0, false
			}
			low += n
		}
		return low, true
	case either:
		low = unlimited
		for _, way := range s {
			n, known := bytesOfShape(way, set)
			if !known {
				return 0, false
			}
			low = min(low, n)
		}
		return low, len(s) > 0
	case again:
		n, known := bytesOfShape(s.shape, set)
		return n * s.min, known
	}
	return 0, false
}

// onlyOf gives the sets of bytes of which a secret may consist to be let pass by an allowlist: its expressions of the form
// ^[SET]+$.
func onlyOf(a *config.Allowlist) (sets [][256]bool) {
	if a == nil || a.MatchCondition != config.AllowlistMatchOr || a.RegexTarget != "" {
		return nil
	}
	for _, re := range a.Regexes {
		tree, err := syntax.Parse(re.String(), syntax.Perl)
		if err != nil || tree.Op != syntax.OpConcat || len(tree.Sub) != 3 || tree.Sub[0].Op != syntax.OpBeginText ||
			tree.Sub[1].Op != syntax.OpPlus || tree.Sub[1].Sub[0].Op != syntax.OpCharClass || tree.Sub[2].Op != syntax.OpEndText {
			continue
		}
		sets = append(sets, *classRun(tree.Sub[1].Sub[0].Rune).set)
	}
	return sets
}

// mayBeIn tells whether some part of the text looks like a secret that counts.
func (v *value) mayBeIn(text []byte) bool {
	if v == nil {
		return true
	}
	for at := 0; at+v.min <= len(text); {
		from := at
		for at < len(text) && v.set[text[at]] {
			at++
		}
		if at-from >= v.min && v.mayBe(text[from:at]) {
			return true
		}
		at++
	}
	return false
}

// mayBe tells whether part of a run of the value's bytes may count.
func (v *value) mayBe(run []byte) bool {
	var seen [2]uint64
	n := 0
	for _, c := range run {
		if bit := uint64(1) << (c & 63); seen[c>>6]&bit == 0 {
			seen[c>>6] |= bit
			n++
		}
	}
	if n < v.distinct {
		return false
	}
	for i := range v.allowed {
		if consistsOf(run, &v.allowed[i]) {
			return false
		}
	}
	return true
}

func consistsOf(text []byte, set *[256]bool) bool {
	for _, c := range text {
		if !set[c] {
			return false
		}
	}
	return true
}

// seen is a match that counts was asked about. The same lines are looked at again and again, as each change's context.
type seen struct {
	rule  string
	match string
}

// maxSeen bounds what is remembered: some MiB at most, as maxMatch bounds each.
const (
	maxSeen  = 4096
	maxMatch = 512
)

func (s *Sieve) anyCounts(r *config.Rule, text []byte, matches [][]int) bool {
	for _, m := range matches {
		key := seen{r.RuleID, strings.Trim(string(text[m[0]:m[1]]), "\n")}
		counts, known := s.seen[key]
		if !known {
			counts = s.Counts(r, key.match)
			if len(s.seen) == maxSeen {
				clear(s.seen)
			}
			if len(key.match) <= maxMatch {
				s.seen[key] = counts
			}
		}
		if counts {
			return true
		}
	}
	return false
}

// Counts takes the secret out of a match as gitleaks does.
func (s *Sieve) Counts(r *config.Rule, match string) bool {
	secret := match
	if groups := r.Regex.FindStringSubmatch(match); r.SecretGroup > 0 && len(groups) > r.SecretGroup {
		secret = groups[r.SecretGroup]
	} else if r.SecretGroup == 0 && len(groups) > 1 {
		for _, g := range groups[1:] {
			if g != "" {
				secret = g
				break
			}
		}
	}
	if r.Entropy != 0 && Entropy(secret) < r.Entropy-1e-9 { // the sum depends on its order
		return false
	}
	return !letPass(s.config.Allowlists, match, secret) && !letPass(r.Allowlists, match, secret)
}

// letPass applies the allowlists that need no more than the match; the others let nothing pass.
func letPass(lists []*config.Allowlist, match, secret string) bool {
	for _, a := range lists {
		if a == nil || a.MatchCondition != config.AllowlistMatchOr {
			continue
		}
		if stop, _ := a.ContainsStopWord(secret); stop {
			return true
		}
		if (a.RegexTarget == "match" && a.RegexAllowed(match)) || (a.RegexTarget != "match" && a.RegexTarget != "line" && a.RegexAllowed(secret)) {
			return true
		}
	}
	return false
}

// Entropy is Shannon's, in bits a character, as gitleaks computes it.
func Entropy(text string) float64 {
	counts := map[rune]int{}
	for _, r := range text {
		counts[r]++
	}
	sum := 0.0
	for _, n := range counts {
		share := float64(n) / float64(len(text))
		sum -= share * math.Log2(share)
	}
	return sum
}
