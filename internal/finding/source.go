package finding

import (
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// Sources reads the code around findings. It is for one goroutine.
type Sources struct {
	root  string
	files map[string]*source
}

// source is one file; syntax is nil where it is not Go, or not valid Go.
type source struct {
	lines  []string
	syntax *goFile
}

// NewSources reads files below root.
func NewSources(root string) *Sources { return &Sources{root: root, files: map[string]*source{}} }

// Line gives one line, without the space around it; empty where there is none.
func (s *Sources) Line(file string, line int) string {
	lines := s.open(file).lines
	if line < 1 || line > len(lines) {
		return ""
	}
	return strings.TrimSpace(lines[line-1])
}

// Place describes the code at the place of a finding: the scope, what surrounds it, and the context that identifies it,
// which is the smallest statement around it, in tokens, so that neither lines nor formatting nor comments matter. With
// hide the context has no text literal, so that not even a hash of a credential goes out.
func (s *Sources) Place(f *Finding, hide bool) (context string) {
	src := s.open(f.File)
	if src.syntax != nil {
		if p, ok := src.syntax.at(f.Line, f.Column, hide); ok {
			f.Scope, f.Around = p.scope, Around{Near: p.near, Shape: p.shape}
			return p.context
		}
	}
	f.Around = Around{Near: src.neighbours(f.Line, max(f.EndLine, f.Line))}
	return src.words(f.Line, f.EndLine, hide)
}

func (s *Sources) open(file string) *source {
	src, ok := s.files[file]
	if !ok {
		src = &source{}
		s.files[file] = src
		name := filepath.FromSlash(file)
		// A file that went away since is still found in; its finding goes without a context.
		if data, err := os.ReadFile(filepath.Join(s.root, name)); err == nil { // #nosec G304 -- a file of the service
			src.lines = strings.Split(string(data), "\n")
			if filepath.Ext(name) == ".go" {
				src.syntax = parseGo(data)
			}
		}
	}
	return src
}

// mostLines of a finding's region count for its context; the rest of a long one changes too often.
const mostLines = 5

// words are the words and signs of some lines, whatever the space between them.
func (s *source) words(from, to int, hide bool) string {
	var b strings.Builder
	for n := max(from, 1); n <= min(max(to, from), from+mostLines-1, len(s.lines)); n++ {
		line := s.lines[n-1]
		if hide {
			if i := strings.IndexAny(line, "\"`'"); i >= 0 {
				line = line[:i]
			}
		}
		b.WriteString(" " + spaced(line))
	}
	return strings.TrimSpace(b.String())
}

// spaced puts one space between words and signs.
func spaced(line string) string {
	var b strings.Builder
	word := false
	for _, r := range line {
		switch is := unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_'; {
		case unicode.IsSpace(r):
			word = false
		case is:
			if !word {
				b.WriteByte(' ')
			}
			b.WriteRune(r)
			word = true
		default:
			b.WriteByte(' ')
			b.WriteRune(r)
			word = false
		}
	}
	return strings.TrimSpace(b.String())
}

// telling is the least number of tokens by which a neighbour can be recognised: fewer, as in `if err != nil`, are everywhere.
const telling = 7

// neighbours are the lines before and after that say something.
func (s *source) neighbours(from, to int) []string {
	var near []string
	add := func(n, step int) {
		for ; n >= 1 && n <= len(s.lines); n += step {
			if words := spaced(s.lines[n-1]); words != "" {
				if strings.Count(words, " ") >= telling-1 {
					near = append(near, digest(words))
				}
				return
			}
		}
	}
	add(from-1, -1)
	add(to+1, 1)
	return near
}
