package gosource

import (
	"bytes"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"sync"
)

// selected tells the imports of the packages asked for what those name of them, and in also of any import.
func (l *Loader) selected(also map[string][]string) {
	var all sync.WaitGroup
	for _, n := range l.order {
		if !n.DepOnly {
			all.Go(func() { l.slot(func() { l.selectedIn(n) }) })
		}
	}
	all.Wait()
	for path, names := range also {
		if n := l.nodes[path]; n != nil && n.direct {
			for _, name := range names {
				n.wanted.names[name] = true
			}
		}
	}
}

// selectedIn looks at one package. Where it is not sure what is meant, it asks for everything.
func (l *Loader) selectedIn(n *node) {
	asked := map[string]demand{}
	for _, path := range n.imports() {
		asked[path] = demand{all: len(n.CgoFiles) > 0}
	}
	for _, name := range n.Files() {
		src, err := os.ReadFile(name) // #nosec G304 -- what go list names
		if err != nil {
			continue // the package cannot be loaded either
		}
		names := selections(src)
		f, _ := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		if f == nil {
			continue
		}
		for _, spec := range f.Imports {
			path := importPath(spec)
			local := localName(spec, l.nameOf(n.Package))
			have := asked[path]
			have.all = have.all || local == "" || local == "."
			if have.names == nil {
				have.names = map[string]bool{}
			}
			maps.Copy(have.names, names[local])
			asked[path] = have
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for path, d := range asked {
		if i := l.imported(n.Package, path); i != nil {
			i.direct = true
			maps.Copy(i.wanted.names, d.names)
			i.wanted.all = i.wanted.all || d.all
		}
	}
}

// selections are the words behind each word and a dot.
func selections(src []byte) map[string]map[string]bool {
	found := map[string]map[string]bool{}
	s := stripper{src: src, line: 1}
	var before []byte
	dot := false
	for s.at < len(src) {
		c, begin := src[s.at], s.at
		s.next()
		s.inside = false // nothing is to be left out
		switch {
		case isLetter(c):
			if dot && len(before) > 0 {
				x := string(before)
				if found[x] == nil {
					found[x] = map[string]bool{}
				}
				found[x][string(s.word)] = true
			}
			before, dot = s.word, false
		case c == '.' && !dot:
			dot = true
		case isBlank(c), bytes.HasPrefix(src[begin:], []byte("//")), bytes.HasPrefix(src[begin:], []byte("/*")):
		default:
			before, dot = nil, false
		}
	}
	return found
}
