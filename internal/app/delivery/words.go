package delivery

import (
	"fmt"

	"github.com/org/idp/internal/fault"
)

// ShortHash is a commit as people name it.
func ShortHash(h string) string { return h[:min(7, len(h))] }

// AddTo appends to the headline and the detail of a classified error.
func AddTo(err error, what string, detail []string) error {
	lines := fault.Lines(err)
	kind := fault.KindOf(err)
	return &fault.Error{Kind: kind, What: lines[0] + what, Detail: append(lines[1:], detail...), Err: err}
}

// CountOf is a number of things, in words.
func CountOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// FirstFew are the first lines of a list, and how many more there are.
func FirstFew(lines []string, limit int) []string {
	if len(lines) <= limit {
		return lines
	}
	return append(lines[:limit:limit], fmt.Sprintf("and %d more", len(lines)-limit))
}
