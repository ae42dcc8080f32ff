package strictyaml

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/fault"
)

const listLimit = 100 // problems that are listed

// Problem is one thing that is wrong, where it is. Lines and columns count from 1.
type Problem struct {
	File         string
	Line, Column int
	Message      string
}

// String is FILE:LINE:COLUMN: MESSAGE.
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Problems is the cause of the error of a Document, for those who annotate lines: errors.As finds it.
type Problems []Problem

// Error lists the problems, one a line.
func (ps Problems) Error() string { return strings.Join(ps.lines(), "\n") }

func (ps Problems) lines() []string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return lines
}

// Err is nil without problems, else a *fault.Error of kind BadInput with all of them in the order of their positions.
func (d *Document) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	all := slices.Clone(d.problems)
	slices.SortStableFunc(all, func(a, b Problem) int {
		return cmp.Or(d.rank(a)-d.rank(b), cmp.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column)
	})
	lines := all.lines()
	e := &fault.Error{Kind: fault.BadInput, What: lines[0], Err: all}
	if len(lines) > 1 {
		e.What = fmt.Sprintf("%d problems in %s", len(lines), strings.Join(all.files(), " and "))
		if len(lines) > listLimit {
			lines = append(lines[:listLimit], fmt.Sprintf("and %d more", len(lines)-listLimit))
		}
		e.Detail = lines
	}
	return e.WithNext(d.next...)
}

// rank puts the document's own problems before those of files beside it.
func (d *Document) rank(p Problem) int {
	if p.File == d.file {
		return 0
	}
	return 1
}

func (ps Problems) files() []string {
	var files []string
	for _, p := range ps {
		if !slices.Contains(files, p.File) {
			files = append(files, p.File)
		}
	}
	return files
}

// Problem adds a problem at the value that the path leads to, or at what is left of the path. It is dropped where that
// value has a problem already: one mistake is reported once.
func (d *Document) Problem(p Path, format string, args ...any) {
	_, value, found := d.find(p)
	if found && d.flagged[value] {
		return
	}
	d.at(value, fmt.Sprintf(format, args...))
}

// Wrong adds a problem with the value that the path leads to, as PATH "VALUE": WANT.
func (d *Document) Wrong(p Path, want string) {
	_, value, _ := d.find(p)
	d.Problem(p, "%s %s: %s", p, show(value), want)
}

// WrongKey adds a problem with the last key of the path, as key "KEY" in PATH: WANT.
func (d *Document) WrongKey(p Path, want string) {
	key, _, found := d.find(p)
	if found && d.flagged[key] {
		return
	}
	d.at(key, fmt.Sprintf("key %s%s: %s", quote(fmt.Sprint(p[len(p)-1])), in(p[:len(p)-1]), want))
}

// Elsewhere adds a problem in a file beside this one.
func (d *Document) Elsewhere(p Problem) { d.problems = append(d.problems, p) }

// Has tells whether the file has a value at the path, null not counted.
func (d *Document) Has(p Path) bool {
	_, value, found := d.find(p)
	return found && !isNull(value)
}

// Position of the value that the path leads to; ok is false where the file does not have it.
func (d *Document) Position(p Path) (line, column int, ok bool) {
	_, value, found := d.find(p)
	if !found {
		return 0, 0, false
	}
	return value.Line, value.Column, true
}

// find walks the path as far as it goes. Key is nil where the last step is a position in a list.
func (d *Document) find(p Path) (key, value *yaml.Node, found bool) {
	value = d.root
	if value == nil {
		return nil, nil, false
	}
	for _, step := range p {
		var next *yaml.Node
		key = nil
		switch step := step.(type) {
		case int:
			if value.Kind == yaml.SequenceNode && step < len(value.Content) {
				next = value.Content[step]
			}
		case string:
			for _, e := range d.entries(value) {
				if e.key.Value == step {
					key, next = e.key, e.value
				}
			}
		}
		if next == nil {
			return key, value, false
		}
		value = next
	}
	return key, value, true
}

func (d *Document) flag(n *yaml.Node, message string) {
	d.flagged[n] = true
	d.at(n, message)
}

func (d *Document) refuse(key *yaml.Node, message string) {
	d.refused[key] = true
	d.flag(key, message)
}

func (d *Document) at(n *yaml.Node, message string) {
	if n == nil {
		d.add(1, 1, message)
		return
	}
	d.add(n.Line, n.Column, message)
}

func (d *Document) add(line, column int, message string) {
	d.problems = append(d.problems, Problem{File: d.file, Line: max(line, 1), Column: max(column, 1), Message: message})
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// String writes the path as smoke[0].expect.status.
func (p Path) String() string {
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		case string:
			switch {
			case !plainKey.MatchString(step):
				fmt.Fprintf(&b, "[%s]", quote(step))
			case b.Len() > 0:
				b.WriteString("." + step)
			default:
				b.WriteString(step)
			}
		}
	}
	return b.String()
}

// in says inside what, and nothing at the top of the file.
func in(p Path) string {
	if len(p) == 0 {
		return ""
	}
	return " in " + p.String()
}
