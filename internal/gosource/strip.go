package gosource

import (
	"bytes"
	"strconv"
)

// strip takes the bodies out of the functions of a Go file, and leaves {} in their place, and the comments behind the package
// clause. That is most of a file, and nobody who only imports its package needs it. Lines keep their numbers.
//
// It looks at functions that begin a line outside of all brackets, as declarations do. What it does not recognise stays as
// it is, and so does all that comes behind something that is no Go.
func strip(src []byte) []byte {
	s := stripper{src: src, lineStart: true, line: 1}
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

var function, clause = []byte("func"), []byte("package")

// stripper is a scanner that knows comments, literals, brackets and words, and nothing more.
type stripper struct {
	src       []byte
	at        int
	depth     int  // of brackets of all kinds
	lineStart bool // nothing but blanks since the newline
	word      []byte
	inside    bool // behind the word package; comments before it may say which version of Go the file is for
	out       []byte
	copied    int // how much of src is in out
	counted   int // up to where the lines are counted
	line      int // the one that counted is in
}

// function goes from the word func to the end of its body, or of its line where it has none.
func (s *stripper) function() {
	s.at, s.lineStart = s.at+len(function), false
	for s.at < len(s.src) {
		switch c := s.src[s.at]; {
		case s.depth == 0 && (c == '\n' || s.lineStart):
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
	begin, depth := s.at+1, 1
	s.word, s.lineStart = nil, false
	for s.at++; s.at < len(s.src); {
		switch c := s.src[s.at]; c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				s.leave(begin, s.at, "")
				s.at++
				return
			}
		case '"', '\'', '`':
			s.literal(c)
			continue
		case '/':
			if s.comment() {
				continue
			}
		}
		s.at++
	}
	s.depth = depth // it has no end
}

// gap passes over blanks and comments, which it leaves out behind the package clause.
func (s *stripper) gap() {
	begin, comments := s.at, false
	for s.at < len(s.src) {
		switch c := s.src[s.at]; {
		case c == '\n':
			s.at, s.lineStart = s.at+1, true
		case isBlank(c):
			s.at++
		case s.comment():
			comments = true
		default:
			if comments && s.inside {
				s.leave(begin, s.at, " ")
			}
			return
		}
	}
}

// comment passes over a comment, and tells whether there is one.
func (s *stripper) comment() bool {
	switch rest := s.src[s.at:]; {
	case bytes.HasPrefix(rest, []byte("//")):
		s.past(bytes.IndexByte(rest, '\n'), 0)
	case bytes.HasPrefix(rest, []byte("/*")):
		s.past(bytes.Index(rest[2:], []byte("*/")), 4)
	default:
		return false
	}
	return true
}

// few are so many lines that it takes no less room to say which one follows.
const few = 8

// leave puts newlines in the place of a part of the source, or blank where it has none.
func (s *stripper) leave(from, to int, blank string) {
	if s.out == nil {
		s.out = make([]byte, 0, len(s.src)/2)
	}
	s.out = append(s.out, s.src[s.copied:from]...)
	s.copied = to
	s.line += bytes.Count(s.src[s.counted:from], newline)
	lines := bytes.Count(s.src[from:to], newline)
	s.line, s.counted = s.line+lines, to
	switch {
	case lines == 0:
		s.out = append(s.out, blank...)
	case lines <= few:
		for range lines {
			s.out = append(s.out, '\n')
		}
	default:
		s.out = append(s.out, "\n/*line :"...)
		s.out = strconv.AppendInt(s.out, int64(s.line), 10)
		s.out = append(s.out, ":1*/"...) // with a column the name of the file stays
	}
}

var newline = []byte("\n")

// next passes over one gap, literal, word or character. The last word stays known until something else than a gap comes.
func (s *stripper) next() {
	switch c := s.src[s.at]; {
	case isBlank(c) || c == '/':
		before := s.at
		if s.gap(); s.at > before {
			return
		}
		s.at++
	case isLetter(c):
		begin := s.at
		for s.at < len(s.src) && isLetter(s.src[s.at]) {
			s.at++
		}
		s.word, s.lineStart = s.src[begin:s.at], false
		s.inside = s.inside || bytes.Equal(s.word, clause)
		return
	case c == '"' || c == '\'' || c == '`':
		s.literal(c)
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

// literal passes over what is between quotes. In all but one kind a backslash makes the next character part of it.
func (s *stripper) literal(quote byte) {
	if quote == '`' {
		s.past(bytes.IndexByte(s.src[s.at+1:], quote), 2)
		return
	}
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
	if index < 0 {
		s.at = len(s.src)
		return
	}
	s.at += index + n
}

// isLetter takes every byte of a character outside of ASCII for a letter, and digits too.
func isLetter(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }
