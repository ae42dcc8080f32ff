package finding

import (
	"path"
	"slices"
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

// passes go from the surest to the least sure. Whether the code is the same comes first, then whether it is at the same
// place or was moved there; the last one takes renamed identifiers. What nothing but its own statement speaks for is new.
var passes = []pass{
	func(m Matcher, now, old *Finding) bool {
		return sameFile(now, old) && sameCode(now, old) && sameScope(now, old) && near(now, old)
	},
	func(m Matcher, now, old *Finding) bool {
		return sameFile(now, old) && sameCode(now, old) && sameScope(now, old)
	},
	func(m Matcher, now, old *Finding) bool { return sameFile(now, old) && sameCode(now, old) },
	func(m Matcher, now, old *Finding) bool {
		return m.renamed(now, old) && sameCode(now, old) && sameScope(now, old)
	},
	func(m Matcher, now, old *Finding) bool { return sameCode(now, old) && moved(now, old) },
	func(m Matcher, now, old *Finding) bool { return m.renamed(now, old) && sameCode(now, old) },
	func(m Matcher, now, old *Finding) bool { return m.Anywhere && sameCode(now, old) },
	func(m Matcher, now, old *Finding) bool {
		return (sameFile(now, old) || m.renamed(now, old) || sameFolder(now, old)) && sameShape(now, old)
	},
}

func sameFile(now, old *Finding) bool { return now.File == old.File }
func sameCode(now, old *Finding) bool { return SameContext(now.Fingerprint, old.Fingerprint) }
func sameScope(now, old *Finding) bool {
	return now.Scope == old.Scope
}
func sameFolder(now, old *Finding) bool { return path.Dir(now.File) == path.Dir(old.File) }
func sameShape(now, old *Finding) bool {
	return now.Around.Shape != "" && now.Around.Shape == old.Around.Shape
}

func (m Matcher) renamed(now, old *Finding) bool {
	before, ok := m.Renamed[now.File]
	return ok && before == old.File
}

// near tells whether a neighbour came along.
func near(now, old *Finding) bool {
	return slices.ContainsFunc(now.Around.Near, func(n string) bool { return slices.Contains(old.Around.Near, n) })
}

// moved asks for two of three to be the same: the folder, the function, the neighbours. A function's name is unique in its
// folder, so the first two are a function that went to another file.
func moved(now, old *Finding) bool {
	scope := now.Scope != "" && sameScope(now, old)
	n := 0
	for _, is := range []bool{sameFolder(now, old), scope, near(now, old)} {
		if is {
			n++
		}
	}
	return n >= 2
}

// Match gives for each finding of now the index of the one of old that it is, or -1.
func (m Matcher) Match(now, old []Finding) []int {
	found := make([]int, len(now))
	byRule := map[[2]string][]int{}
	for i := range old {
		key := [2]string{old[i].Scanner, old[i].Rule}
		byRule[key] = append(byRule[key], i)
	}
	for i := range found {
		found[i] = -1
	}
	taken := make([]bool, len(old))
	for _, same := range passes {
		for i := range now {
			if found[i] >= 0 {
				continue
			}
			for _, j := range byRule[[2]string{now[i].Scanner, now[i].Rule}] {
				if !taken[j] && same(m, &now[i], &old[j]) {
					found[i], taken[j] = j, true
					break
				}
			}
		}
	}
	return found
}

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
