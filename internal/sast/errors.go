package sast

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/org/idp/internal/gosource"
)

// listErrors are what the go command says is wrong with a package or what it imports.
func listErrors(p gosource.Package) []packages.Error {
	var errs []packages.Error
	for _, e := range p.DepsErrors {
		errs = append(errs, packages.Error{Pos: e.Pos, Msg: e.Err, Kind: packages.ListError})
	}
	if p.Error != nil {
		errs = append(errs, packages.Error{Pos: p.Error.Pos, Msg: p.Error.Err, Kind: packages.ListError})
	}
	return errs
}

// compilerLines puts what went wrong first before its consequences: a package that cannot be imported is a consequence of
// an error in that package, and what the compiler printed for it says the same again.
func compilerLines(root string, errs []packages.Error) []string {
	rank := func(e packages.Error) int {
		switch {
		case strings.Contains(e.Msg, "could not import"):
			return 3
		case strings.HasPrefix(strings.TrimSpace(e.Msg), "#"):
			return 4
		case e.Kind == packages.ParseError:
			return 0
		case e.Kind == packages.ListError: // what go cannot find makes names undefined
			return 1
		}
		return 2
	}
	slices.SortStableFunc(errs, func(a, b packages.Error) int {
		return cmp.Compare(rank(a), rank(b))
	})
	var lines []string
	for _, e := range errs {
		if strings.HasPrefix(e.Msg, "\t") {
			continue // a further position of the error before it
		}
		if len(lines) > 0 && rank(e) > rank(errs[0]) && rank(e) >= 3 {
			break
		}
		text := strings.TrimSpace(e.Msg)
		if e.Pos != "" && e.Pos != "-" {
			text = e.Pos + ": " + text
		}
		text = strings.Join(strings.Fields(relative(root, text)), " ")
		if !slices.Contains(lines, text) {
			lines = append(lines, text)
		}
	}
	return lines
}
