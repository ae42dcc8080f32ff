package finding

import (
	"path"
	"slices"

	"github.com/agnivade/levenshtein"
)

// Around is what surrounds a finding in its source. Hashes of code, never more.
type Around struct {
	// Near has the statements before and after it, as far as they say enough to be recognised.
	Near []string
	// Shape is of the whole declaration around it, with every name replaced by a number, and where in it the finding is.
	Shape string
}

// Matcher recognises findings of an earlier scan in a later one. Each earlier finding is recognised at most once, so that
// a copy of an old weakness is a new one.
type Matcher struct {
	// Renamed says what a file was called before, by its name now.
	Renamed map[string]string
	// Anywhere is for contexts that identify by themselves, as the value of a secret does: wherever it went, it is the same.
	Anywhere bool
}

// pass is one way to recognise a finding.
type pass func(m Matcher, now, old *Finding) bool

// passes go from the surest to the least sure. What stayed in its function comes before what did not, so that a copy in
// another function never takes the place of the original; renamed identifiers, where only the shape of the whole function
// stayed, come last on either side. What nothing but its own statement speaks for is new.
var passes = []pass{
	func(m Matcher, now, old *Finding) bool {
		return sameFile(now, old) && sameCode(now, old) && sameScope(now, old) && near(now, old)
	},
	func(m Matcher, now, old *Finding) bool {
		return sameFile(now, old) && sameCode(now, old) && sameScope(now, old)
	},
	func(m Matcher, now, old *Finding) bool {
		return m.renamed(now, old) && sameCode(now, old) && sameScope(now, old)
	},
	// The name of a function is unique in its folder: it went to another file.
	func(m Matcher, now, old *Finding) bool {
		return sameFolder(now, old) && sameCode(now, old) && inScope(now, old)
	},
	func(m Matcher, now, old *Finding) bool {
		return near(now, old) && sameCode(now, old) && inScope(now, old)
	},
	func(m Matcher, now, old *Finding) bool {
		return m.placed(now, old) && sameShape(now, old) && inScope(now, old)
	},

	func(m Matcher, now, old *Finding) bool { return sameFile(now, old) && sameCode(now, old) },
	func(m Matcher, now, old *Finding) bool { return m.renamed(now, old) && sameCode(now, old) },
	func(m Matcher, now, old *Finding) bool {
		return sameFolder(now, old) && sameCode(now, old) && near(now, old)
	},
	func(m Matcher, now, old *Finding) bool { return m.Anywhere && sameCode(now, old) },
	func(m Matcher, now, old *Finding) bool { return m.placed(now, old) && sameShape(now, old) },
}

func sameFile(now, old *Finding) bool   { return now.File == old.File }
func sameFolder(now, old *Finding) bool { return path.Dir(now.File) == path.Dir(old.File) }
func sameCode(now, old *Finding) bool   { return SameContext(now.Fingerprint, old.Fingerprint) }
func sameScope(now, old *Finding) bool  { return now.Scope == old.Scope }
func inScope(now, old *Finding) bool    { return now.Scope != "" && now.Scope == old.Scope }
func sameShape(now, old *Finding) bool {
	return now.Around.Shape != "" && now.Around.Shape == old.Around.Shape
}

func (m Matcher) renamed(now, old *Finding) bool {
	before, ok := m.Renamed[now.File]
	return ok && before == old.File
}

func (m Matcher) placed(now, old *Finding) bool {
	return m.renamed(now, old) || sameFolder(now, old)
}

// near tells whether a neighbour came along.
func near(now, old *Finding) bool {
	return slices.ContainsFunc(now.Around.Near, func(n string) bool { return slices.Contains(old.Around.Near, n) })
}

// Match gives for each finding of now the index of the one of old that it is, or -1.
func (m Matcher) Match(now, old []Finding) []int {
	found := make([]int, len(now))
	for i := range found {
		found[i] = -1
	}
	// What is the same has the same context, or the same shape: nothing else is looked at.
	like := map[[3]string][]int{}
	for j := range old {
		for _, key := range old[j].keys() {
			like[key] = append(like[key], j)
		}
	}
	taken := make([]bool, len(old))
	for _, same := range passes {
		var pairs []pair
		for i := range now {
			if found[i] >= 0 {
				continue
			}
			for _, key := range now[i].keys() {
				for _, j := range like[key] {
					if !taken[j] && same(m, &now[i], &old[j]) {
						pairs = append(pairs, pair{i, j, distance(now[i].Scope, old[j].Scope)})
					}
				}
			}
		}
		// The nearest name of a function wins, then the order of the places.
		slices.SortStableFunc(pairs, func(a, b pair) int { return a.distance - b.distance })
		for _, p := range pairs {
			if found[p.now] < 0 && !taken[p.old] {
				found[p.now], taken[p.old] = p.old, true
			}
		}
	}
	return found
}

// keys are what a finding is looked up by.
func (f *Finding) keys() [][3]string {
	keys := [][3]string{{f.Scanner, f.Rule, contextOf(f.Fingerprint)}}
	if f.Around.Shape != "" {
		keys = append(keys, [3]string{f.Scanner, f.Rule, "shape " + f.Around.Shape})
	}
	return keys
}

func distance(a, b string) int {
	if a == b {
		return 0
	}
	return levenshtein.ComputeDistance(a, b)
}

// pair are two findings that may be the same.
type pair struct{ now, old, distance int }

// MarkKnown marks the findings that are among old, and tells which of old were found again.
func (m Matcher) MarkKnown(now, old []Finding) (again []bool) {
	again = make([]bool, len(old))
	for i, j := range m.Match(now, old) {
		if j >= 0 {
			now[i].Known, again[j] = true, true
		}
	}
	return again
}
