package sbom

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"
)

// expression is a licence expression of SPDX 2.3, annex D: a licence, or two expressions of which both or one hold.
type expression struct {
	license   string // with + where it says so; empty for two expressions
	exception string // after WITH
	and       bool
	parts     []expression
}

const (
	maxExpression  = 10_000 // bytes
	maxParentheses = 100
)

// parseExpression reads an expression whose licences are all on SPDX's list. A name of another list says nothing that could
// be compared.
func parseExpression(text string) (expression, error) {
	if len(text) > maxExpression {
		return expression{}, fmt.Errorf("a licence expression of %d bytes", len(text))
	}
	p := parser{words: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(text))}
	e, err := p.either(0)
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("%.40q is not expected there", p.words[0])
	}
	return e, err
}

type parser struct{ words []string }

// next takes the next word when it is the one that is asked for; operators may be in lower case too.
func (p *parser) next(word string) bool {
	if len(p.words) == 0 || !strings.EqualFold(p.words[0], word) {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *parser) either(depth int) (expression, error) {
	return p.list("OR", func() (expression, error) {
		return p.list("AND", func() (expression, error) { return p.one(depth) })
	})
}

func (p *parser) list(operator string, part func() (expression, error)) (expression, error) {
	e := expression{and: operator == "AND"}
	for {
		one, err := part()
		if err != nil {
			return e, err
		}
		e.parts = append(e.parts, one)
		if !p.next(operator) {
			return e, nil
		}
	}
}

func (p *parser) one(depth int) (expression, error) {
	if p.next("(") {
		if depth == maxParentheses {
			return expression{}, errors.New("too many parentheses")
		}
		e, err := p.either(depth + 1)
		if err == nil && !p.next(")") {
			err = errors.New("a parenthesis is not closed")
		}
		return e, err
	}
	if len(p.words) == 0 {
		return expression{}, errors.New("it ends where a licence is expected")
	}
	e := expression{license: p.words[0]}
	p.words = p.words[1:]
	if !Known(strings.TrimSuffix(e.license, "+")) {
		return e, fmt.Errorf("%.40q is not on the list of SPDX", e.license)
	}
	if p.next("WITH") {
		if len(p.words) == 0 || !lists().exceptions[strings.ToLower(p.words[0])] {
			return e, errors.New("what follows WITH is no exception on the list of SPDX")
		}
		e.exception = p.words[0]
		p.words = p.words[1:]
	}
	return e, nil
}

// met tells whether there is a way to comply with the expression under nothing but licences that are fine.
func (e expression) met(fine func(license expression) bool) bool {
	if e.license != "" {
		return fine(e)
	}
	for _, part := range e.parts {
		if part.met(fine) != e.and {
			return !e.and
		}
	}
	return e.and
}

// listed tells whether a licence matches, by itself or with its exception.
func (e expression) listed(matches func(string) bool) bool {
	return matches(e.license) || matches(e.plain()) || e.exception != "" && matches(e.license+" WITH "+e.exception)
}

func (e expression) plain() string { return strings.TrimSuffix(e.license, "+") }

// perhaps are the licences that it may stand for: GPL-3.0, which SPDX deprecates, leaves open which of two it is.
func (e expression) perhaps() []string {
	switch plain := e.plain(); {
	case !Known(plain + "-or-later"):
		return nil
	case plain != e.license:
		return []string{plain + "-or-later"}
	default:
		return []string{plain + "-only", plain + "-or-later"}
	}
}

// Known tells whether an id is on SPDX's list of licences, whatever its case.
func Known(id string) bool { return lists().licenses[strings.ToLower(id)] }

type known struct{ licenses, exceptions map[string]bool }

var lists = sync.OnceValue(func() known {
	k := known{licenses: map[string]bool{}, exceptions: map[string]bool{}}
	for _, ids := range [][]string{spdxlicenses.GetLicenses(), spdxlicenses.GetDeprecated()} {
		for _, id := range ids {
			k.licenses[strings.ToLower(id)] = true
		}
	}
	for _, id := range spdxlicenses.GetExceptions() {
		k.exceptions[strings.ToLower(id)] = true
	}
	return k
})

// Licenses lists the licences that an expression names.
func Licenses(text string) ([]string, error) {
	e, err := parseExpression(text)
	return e.names(), err
}

func (e expression) names() []string {
	if e.license != "" {
		return []string{e.license}
	}
	var all []string
	for _, part := range e.parts {
		all = append(all, part.names()...)
	}
	return all
}
