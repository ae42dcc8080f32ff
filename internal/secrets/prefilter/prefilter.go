// Package prefilter tells at little cost of most texts that gitleaks would find nothing in them.
package prefilter

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/regexp"
)

// DecodeDepth is how often what was decoded (base64, hex, percent) is decoded again, as in gitleaks' own program.
const DecodeDepth = 5

// Prefilter tells at little cost that gitleaks would find nothing in a text, which is so for nearly all texts. When it does
// not say so, gitleaks itself decides. It takes the way that gitleaks takes, and is never stricter:
//
//   - all keywords of all rules are looked for in one pass;
//   - around a keyword, the rule's expression is held against the text as a [shape], which is what every match has to look
//     like; where it fits, and something there looks like a [value] that counts, the expression itself runs over just that
//     part of the text;
//   - of a match, entropy and those allowlists are applied that need no more than the match;
//   - the same is done with what is left when encoded values are decoded.
type Prefilter struct {
	config  *config.Config
	words   *automaton // nil: nothing can be told
	rules   []config.Rule
	values  []*value // of the rules
	always  []int    // rules that need no keyword
	uses    [][]use
	length  []int         // of the words
	byName  []config.Rule // those that look at the name only
	paths   []int         // rules that do not apply to every path
	shared  sync.Map      // what ApplyTo gave, by the bits of paths
	subsets sync.Map      // detectors, by their rules
}

// use is a rule that a word belongs to; landmark is nil where the word may be anywhere in the text.
type use struct {
	rule int
	*landmark
}

// New prepares what is asked before the rules of a configuration.
func New(c *config.Config) *Prefilter {
	p := &Prefilter{config: c}
	ids := map[string]int{}
	var words []string
	for _, id := range slices.Sorted(keys(c.Rules)) {
		r := c.Rules[id]
		if r.SkipReport {
			continue
		}
		if r.Regex == nil {
			p.byName = append(p.byName, r)
			continue
		}
		n := len(p.rules)
		p.rules, p.values = append(p.rules, r), append(p.values, valueOf(&r))
		if r.Path != nil || slices.ContainsFunc(r.Allowlists, func(a *config.Allowlist) bool { return a != nil && len(a.Paths) > 0 }) {
			p.paths = append(p.paths, n)
		}
		own := lower(r.Keywords)
		if own == nil {
			p.always = append(p.always, n)
			continue
		}
		for _, w := range own {
			if _, ok := ids[w]; !ok {
				ids[w] = len(words)
				words = append(words, w)
				p.uses = append(p.uses, nil)
				p.length = append(p.length, len(w))
			}
		}
		landmarks := landmarksIn(r.Regex, own)
		for i := range landmarks {
			id := ids[landmarks[i].word]
			p.uses[id] = append(p.uses[id], use{n, &landmarks[i]})
		}
		if landmarks == nil {
			for _, w := range own {
				p.uses[ids[w]] = append(p.uses[ids[w]], use{rule: n})
			}
		}
	}
	p.words = newAutomaton(words)
	return p
}

func keys(m map[string]config.Rule) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// lower gives the keywords in lower case, the longest first; nil where there are none, or one that is not of ASCII.
func lower(keywords []string) []string {
	var words []string
	for _, k := range keywords {
		k = strings.ToLower(k)
		if k == "" || strings.ContainsFunc(k, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return nil
		}
		words = append(words, k)
	}
	slices.SortStableFunc(words, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(words)
}

func landmarksIn(re *regexp.Regexp, words []string) []landmark {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return nil
	}
	return landmarksOf(shapeOf(tree), words)
}

// FindsName tells that a rule which looks at the name only finds the name itself.
func (p *Prefilter) FindsName(path string) bool {
	return slices.ContainsFunc(p.byName, func(r config.Rule) bool { return r.Path.MatchString(path) })
}

// ApplyTo tells which rules apply to a path.
func (p *Prefilter) ApplyTo(path string) []bool {
	key := make([]byte, len(p.paths))
	for i, n := range p.paths {
		r := &p.rules[n]
		if r.Path != nil && !r.Path.MatchString(path) {
			key[i] = 1
		}
		for _, a := range r.Allowlists {
			if a != nil && a.MatchCondition == config.AllowlistMatchOr && a.PathAllowed(path) {
				key[i] = 1
			}
		}
	}
	if known, ok := p.shared.Load(string(key)); ok {
		return known.([]bool)
	}
	applies := make([]bool, len(p.rules))
	for n := range applies {
		applies[n] = true
	}
	for i, n := range p.paths {
		applies[n] = key[i] == 0
	}
	p.shared.Store(string(key), applies)
	return applies
}

// Detector is gitleaks with the rules of a verdict. What the others would look at is known to give nothing.
func (p *Prefilter) Detector(v Verdict, full *detect.Detector) *detect.Detector {
	if v.All {
		return full
	}
	key := fmt.Sprint(v.decode, v.rules)
	if known, ok := p.subsets.Load(key); ok {
		return known.(*detect.Detector)
	}
	subset := *p.config
	subset.Rules, subset.Keywords = map[string]config.Rule{}, map[string]struct{}{}
	for _, n := range v.rules {
		r := p.rules[n]
		subset.Rules[r.RuleID] = r
		for _, k := range r.Keywords {
			subset.Keywords[strings.ToLower(k)] = struct{}{}
		}
		if len(r.RequiredRules) > 0 { // rules that look for others near them
			return full
		}
	}
	d := detect.NewDetector(subset)
	d.IgnoreGitleaksAllow = full.IgnoreGitleaksAllow
	if v.decode {
		d.MaxDecodeDepth = full.MaxDecodeDepth
	}
	known, _ := p.subsets.LoadOrStore(key, d)
	return known.(*detect.Detector)
}
