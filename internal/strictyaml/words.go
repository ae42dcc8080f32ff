package strictyaml

import (
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
)

const quoteLimit = 40 // runes of a wrong value that are shown

// Nearest finds the candidate that a mistyped word most likely stands for: the same but for case, hyphens, underscores or
// the order of its letters, or a few letters away.
func Nearest(word string, candidates []string) (string, bool) {
	if len(word) > 64 {
		return "", false
	}
	best, distance := "", -1
	for _, c := range candidates {
		if fold(c) == fold(word) {
			return c, true
		}
	}
	for _, c := range candidates {
		if sorted(c) == sorted(word) {
			return c, true
		}
		if n := levenshtein.ComputeDistance(word, c); distance < 0 || n < distance {
			best, distance = c, n
		}
	}
	// Two letters off in five is a slip; two off in three is another word.
	limit := max(len(word)/3, min(2, len(word)/2))
	return best, distance >= 0 && distance <= limit
}

func fold(s string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s))
}

func sorted(s string) string {
	letters := []byte(s)
	slices.Sort(letters)
	return string(letters)
}

// quote shows at most 40 characters of a text, control characters escaped.
func quote(s string) string {
	short := truncate(s, quoteLimit)
	if short == s {
		return strconv.Quote(s)
	}
	return strconv.Quote(short) + "…"
}

// clean is quote without the quotes, for words within a sentence.
func clean(s string, limit int) string {
	q := strconv.Quote(truncate(s, limit))
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func truncate(s string, limit int) string {
	n := 0
	for i := range s {
		if n == limit {
			return s[:i]
		}
		n++
	}
	return s
}
