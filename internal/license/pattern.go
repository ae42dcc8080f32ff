// Package license tells under which licences of SPDX's list texts put what they lie beside.
package license

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"io"
	"regexp"
	"slices"
	"strings"
)

// packed has a line for each pattern: id, phrases, form. They are those of licensecheck, see LICENSE.licensecheck.
//
//go:embed patterns.gz
var packed []byte

// Reader recognises licences. It keeps what it has read, so one serves a whole build, and one goroutine at a time.
type Reader struct {
	patterns []pattern
	phrases  map[string][]int // which patterns have it
	words    words
	compiled map[int]*regexp.Regexp
	texts    map[[sha256.Size]byte]Text // a hundred modules share one licence
}

// NewReader unpacks the patterns.
func NewReader() (*Reader, error) {
	text, err := unpack()
	if err != nil {
		return nil, err
	}
	r := &Reader{phrases: map[string][]int{}, words: words{numbers: map[string]rune{}}, compiled: map[int]*regexp.Regexp{}, texts: map[[sha256.Size]byte]Text{}}
	for line := range strings.Lines(text) {
		id, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		phrases, form, _ := strings.Cut(rest, "\t")
		for _, p := range strings.Split(phrases, "|") {
			r.phrases[p] = append(r.phrases[p], len(r.patterns))
		}
		r.patterns = append(r.patterns, pattern{id: id, form: form})
	}
	return r, nil
}

func unpack() (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(z)
	return string(text), err
}

// pattern recognises the text of a licence: words, (( )) around alternatives with || between them, ?? after what may be
// missing, and __N__ for up to N words of any kind.
type pattern struct {
	id   string
	form string // fields of the pattern
}

// words numbers the words of patterns as characters, so that one regular expression of Go, which takes time linear in the
// text, matches by words.
type words struct{ numbers map[string]rune }

const (
	firstWord = '一' // U+4E00: from here on there are 20,000 letters of 3 bytes each, none of which means anything in an expression
	otherWord = '䷿' // U+4DFF: a word that is in no pattern; of 3 bytes too, so that offsets tell words
	wordSize  = len(string(firstWord))
)

func (w *words) number(word string) rune {
	n, ok := w.numbers[word]
	if !ok {
		n = firstWord + rune(len(w.numbers))
		w.numbers[word] = n
	}
	return n
}

// compile makes an expression of a pattern.
func (w *words) compile(p pattern) (*regexp.Regexp, error) {
	var b strings.Builder
	for _, field := range strings.Fields(p.form) {
		switch {
		case field == "((":
			b.WriteString("(?:")
		case field == "))":
			b.WriteString(")")
		case field == "))??":
			b.WriteString(")?")
		case field == "||":
			b.WriteString("|")
		case strings.HasPrefix(field, "__"):
			b.WriteString(".{0," + strings.Trim(field, "_") + "}")
		default:
			b.WriteRune(w.number(field))
		}
	}
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil, err
	}
	re.Longest()
	return re, nil
}

// encode writes words as the characters of the patterns that were compiled before.
func (w *words) encode(list []string) string {
	var b strings.Builder
	b.Grow(len(list) * wordSize)
	for _, word := range list {
		if n, ok := w.numbers[word]; ok {
			b.WriteRune(n)
		} else {
			b.WriteRune(otherWord)
		}
	}
	return b.String()
}

// phraseWords is how many words in a row a pattern is first looked for by.
const phraseWords = 4

// candidates are the patterns that have a chance: one of whose phrases is in the text.
func (r *Reader) candidates(list []string) []int {
	joined := strings.Join(list, " ")
	starts := make([]int, 0, len(list)+1)
	at := 0
	for _, w := range list {
		starts = append(starts, at)
		at += len(w) + 1
	}
	starts = append(starts, at)
	var all []int
	for i := 0; i+phraseWords < len(starts); i++ {
		all = append(all, r.phrases[joined[starts[i]:starts[i+phraseWords]-1]]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (r *Reader) compile(i int) error {
	if r.compiled[i] != nil {
		return nil
	}
	re, err := r.words.compile(r.patterns[i])
	r.compiled[i] = re
	return err
}
