package prefilter

import (
	"slices"
)

// automaton finds every occurrence of a set of words in one pass, in whatever case of ASCII letters (Aho and Corasick,
// with the transitions laid out for every byte).
type automaton struct {
	class [256]uint8 // bytes that no word tells apart have the same class
	width uint32     // classes
	next  []uint32   // state*width+class: the next state*width, and hasWords where words end there
	ends  [][]uint16 // state: the words that end there
}

const (
	hasWords  = 1 << 31
	maxStates = 1 << 16
)

// newAutomaton takes words in lower case, of ASCII only. It is nil where there are too many of them.
func newAutomaton(words []string) *automaton {
	a := &automaton{width: 1}
	for _, w := range words {
		for i := range len(w) {
			if c := w[i]; a.class[c] == 0 {
				a.class[c] = uint8(a.width) // #nosec G115 -- at most 128 bytes are ASCII
				a.width++
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.class[c] = a.class[c-'A'+'a']
	}
	edges := a.tree(words)
	if len(a.ends) > maxStates {
		return nil
	}
	a.next = make([]uint32, len(edges)*int(a.width))
	fail := make([]int, len(edges))
	queue := []int{0}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		if state != 0 {
			a.ends[state] = append(a.ends[state], a.ends[fail[state]]...)
		}
		for class := range int(a.width) {
			to, ok := edges[state][uint8(class)] // #nosec G115 -- as above
			switch {
			case ok && state != 0:
				fail[to] = a.target(fail[state], class)
			case !ok && state != 0:
				to = a.target(fail[state], class)
			}
			a.next[state*int(a.width)+class] = uint32(to) * a.width // #nosec G115 -- below maxStates
			if ok {
				queue = append(queue, to)
			}
		}
	}
	for i, to := range a.next {
		if len(a.ends[to/a.width]) > 0 {
			a.next[i] = to | hasWords
		}
	}
	return a
}

func (a *automaton) target(state, class int) int {
	return int(a.next[state*int(a.width)+class] / a.width)
}

// tree gives the states' edges by class, without those that follow from others.
func (a *automaton) tree(words []string) []map[uint8]int {
	edges := []map[uint8]int{{}}
	a.ends = [][]uint16{nil}
	for id, w := range words {
		state := 0
		for i := range len(w) {
			class := a.class[w[i]]
			to, ok := edges[state][class]
			if !ok {
				to = len(edges)
				edges, a.ends = append(edges, map[uint8]int{}), append(a.ends, nil)
				edges[state][class] = to
			}
			state = to
		}
		if !slices.Contains(a.ends[state], uint16(id)) { // #nosec G115 -- fewer than states
			a.ends[state] = append(a.ends[state], uint16(id)) // #nosec G115
		}
	}
	return edges
}

// find calls found with the number of a word and the end of its occurrence, for every occurrence, in the order of ends.
func (a *automaton) find(text []byte, found func(word uint16, end int)) {
	state := uint32(0)
	for i, c := range text {
		state = a.next[state+uint32(a.class[c])]
		if state&hasWords != 0 {
			state &^= hasWords
			for _, word := range a.ends[state/a.width] {
				found(word, i+1)
			}
		}
	}
}
