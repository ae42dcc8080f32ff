package gosource

import "bytes"

// strip takes the bodies out of the functions of a Go file, comments in them included, and leaves {} in their place. That
// is most of a file, and nobody who only imports its package needs it. Newlines stay, so that lines keep their numbers.
//
// It looks at functions that begin a line outside of all brackets, as declarations do. What it does not recognise stays as
// it is, and so does all that comes behind something that is no Go.
func strip(src []byte) []byte {
	s := stripper{src: src, lineStart: true}
	for s.at < len(src) {
		if s.depth == 0 && s.lineStart && bytes.HasPrefix(src[s.at:], function) && s.at+len(function) < len(src) && !isLetter(src[s.at+len(function)]) {
			s.function()
			continue
		}
		s.next()
	}
	if s.out == nil {
		return src
	}
	return append(s.out, src[s.copied:]...)
}

var function = []byte("func")

// stripper is a scanner that knows comments, literals, brackets and words, and nothing more.
type stripper struct {
	src       []byte
	at        int
	depth     int  // of brackets of all kinds
	lineStart bool // nothing but blanks since the newline
	word      []byte
	out       []byte
	copied    int // how much of src is in out
}

// function goes from the word func to the end of its body, or of its line where it has none.
func (s *stripper) function() {
	s.at, s.lineStart = s.at+len(function), false
	for s.at < len(s.src) {
		switch c := s.src[s.at]; {
		case s.depth == 0 && c == '\n':
			return
		case s.depth == 0 && c == '{' && !bytes.Equal(s.word, []byte("struct")) && !bytes.Equal(s.word, []byte("interface")):
			s.body()
			return
		}
		s.next()
	}
}

// body leaves out what is between a brace and its partner.
func (s *stripper) body() {
	begin := s.at + 1
	s.next()
	for s.at < len(s.src) && s.depth > 0 {
		s.next()
	}
	if s.depth > 0 {
		return
	}
	if s.out == nil {
		s.out = make([]byte, 0, len(s.src)/2)
	}
	s.out = append(s.out, s.src[s.copied:begin]...)
	for range bytes.Count(s.src[begin:s.at-1], []byte("\n")) {
		s.out = append(s.out, '\n')
	}
	s.copied = s.at - 1
}

// next passes over one comment, literal, word or character. The last word stays known until something else than a blank or
// a comment comes.
func (s *stripper) next() {
	rest := s.src[s.at:]
	switch c := rest[0]; {
	case c == '\n':
		s.at, s.lineStart = s.at+1, true
		return
	case c == ' ' || c == '\t' || c == '\r':
		s.at++
		return
	case bytes.HasPrefix(rest, []byte("//")):
		s.to(bytes.IndexByte(rest, '\n'))
		return
	case bytes.HasPrefix(rest, []byte("/*")):
		s.past(bytes.Index(rest[2:], []byte("*/")), 4)
		return
	case isLetter(c):
		end := 1
		for end < len(rest) && isLetter(rest[end]) {
			end++
		}
		s.word, s.lineStart = rest[:end], false
		s.at += end
		return
	case c == '`':
		s.past(bytes.IndexByte(rest[1:], '`'), 2)
	case c == '"' || c == '\'':
		s.quoted(c)
	default:
		switch c {
		case '(', '[', '{':
			s.depth++
		case ')', ']', '}':
			s.depth--
		}
		s.at++
	}
	s.word, s.lineStart = nil, false
}

// quoted passes over a literal in which a backslash makes the next character part of it.
func (s *stripper) quoted(quote byte) {
	for s.at++; s.at < len(s.src); s.at++ {
		switch s.src[s.at] {
		case '\\':
			s.at++
		case quote:
			s.at++
			return
		}
	}
	s.at = len(s.src)
}

// past goes n bytes beyond an index; to the end of the file when there is none.
func (s *stripper) past(index, n int) {
	if index >= 0 {
		index += n
	}
	s.to(index)
}

func (s *stripper) to(index int) {
	if index < 0 {
		index = len(s.src) - s.at
	}
	s.at += index
}

// isLetter takes every byte of a character outside of ASCII for a letter, and digits too.
func isLetter(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
