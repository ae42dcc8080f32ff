package gitrepo

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/org/idp/internal/fault"
)

// Lines are ranges of lines of a file, each from its first line to its last, counted from 1.
type Lines [][2]int

// Have tells whether one of the lines from first to last is among them; last may be less than first, for one line. A first
// of 0 is the whole file.
func (l Lines) Have(first, last int) bool {
	for _, r := range l {
		if first == 0 || (first <= r[1] && max(first, last) >= r[0]) {
			return true
		}
	}
	return false
}

// LinesSince are the lines of the working tree that a change added to a file or wrote anew, given the commit that it began at
// and its entry in ChangesSince.
func (r *Repo) LinesSince(ctx context.Context, commit string, c Change) (Lines, error) {
	args := []string{"diff-index", "-p", "-U0", "-M", "--no-color", "--no-ext-diff", "--no-textconv", "--text", commit, "--"}
	for _, name := range []string{c.Old, c.New} {
		if name != "" {
			args = append(args, name)
		}
	}
	out, err := r.git(ctx, args...)
	if err != nil {
		return nil, fault.Undeterminedf("git cannot tell which lines of %s changed since %.7s: %w", c.New, commit, err)
	}
	var lines Lines
	for line := range strings.Lines(string(out)) { // without context, a line that begins so is no line of the file
		if head, ok := strings.CutPrefix(line, "@@ -"); ok {
			first, n, err := newSide(head)
			if err != nil {
				return nil, fault.Undeterminedf("git's list of lines of %s: %w", c.New, err)
			}
			if n > 0 {
				lines = append(lines, [2]int{first, first + n - 1})
			}
		}
	}
	return lines, nil
}

// newSide reads FROM[,COUNT] +FROM[,COUNT] @@.
func newSide(head string) (first, n int, err error) {
	_, rest, _ := strings.Cut(head, " +")
	place, _, ok := strings.Cut(rest, " @@")
	from, count, many := strings.Cut(place, ",")
	if !many {
		count = "1"
	}
	first, err1 := strconv.Atoi(from)
	n, err2 := strconv.Atoi(count)
	if !ok || err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("a hunk has another form: %.80q", head)
	}
	return first, n, nil
}
