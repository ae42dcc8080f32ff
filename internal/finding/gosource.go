package finding

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// goFile is the syntax of a Go file and its tokens without comments.
type goFile struct {
	file   *token.File
	syntax *ast.File
	tokens []goToken
}

type goToken struct {
	pos  token.Pos
	kind token.Token
	text string
}

// goPlace is the code at one position.
type goPlace struct {
	scope, context, shape string
	near                  []string
}

// parseGo reads a file; nil where it is not valid.
func parseGo(data []byte) *goFile {
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, "", data, parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	g := &goFile{file: fset.File(syntax.FileStart), syntax: syntax}
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", g.file.Base(), len(data))
	s.Init(file, data, nil, 0)
	for {
		pos, kind, text := s.Scan()
		if kind == token.EOF {
			return g
		}
		g.tokens = append(g.tokens, goToken{pos, kind, text})
	}
}

// at describes the place at a line and a column, in bytes from 1; without a column the first token of the line.
func (g *goFile) at(line, column int, hide bool) (goPlace, bool) {
	if line < 1 || line > g.file.LineCount() {
		return goPlace{}, false
	}
	start := g.file.LineStart(line)
	pos := start + token.Pos(max(column-1, 0))
	if column < 1 {
		i := g.index(start)
		if i == len(g.tokens) || g.file.Line(g.tokens[i].pos) != line {
			return goPlace{}, false
		}
		pos = g.tokens[i].pos
	}
	trail := g.trail(pos)
	unit := slices.IndexFunc(trail, isUnit)
	if unit < 0 {
		return goPlace{}, false
	}
	p := goPlace{context: g.context(trail, unit, hide)}
	if p.context == "" {
		return goPlace{}, false
	}
	if d, name := scopeOf(trail); d != nil {
		p.scope, p.shape = name, g.shape(d, pos)
	}
	p.near = g.near(trail, unit)
	return p, true
}

// index is the first token at or after a position.
func (g *goFile) index(pos token.Pos) int {
	i, _ := slices.BinarySearchFunc(g.tokens, pos, func(t goToken, pos token.Pos) int { return int(t.pos - pos) })
	return i
}

// trail has the nodes around a position, innermost first.
func (g *goFile) trail(pos token.Pos) []ast.Node {
	var trail []ast.Node
	ast.Inspect(g.syntax, func(n ast.Node) bool {
		if n == nil || pos < n.Pos() || pos >= n.End() {
			return false
		}
		trail = append(trail, n)
		return true
	})
	slices.Reverse(trail)
	return trail
}

// isUnit tells whether a node is of the size by which code is recognised: a statement, a field, an element of a keyed
// literal, an imported or declared name.
func isUnit(n ast.Node) bool {
	switch n.(type) {
	case *ast.BlockStmt, *ast.LabeledStmt:
		return false
	case ast.Stmt, ast.Spec, *ast.FuncDecl, *ast.Field, *ast.KeyValueExpr:
		return true
	}
	return false
}

// context writes a unit in tokens. An element of a literal is preceded by the literal's type: `Timeout: 0` says little.
func (g *goFile) context(trail []ast.Node, unit int, hide bool) string {
	n := trail[unit]
	text := g.text(n, hide)
	if _, ok := n.(*ast.KeyValueExpr); ok && unit+1 < len(trail) {
		if literal, ok := trail[unit+1].(*ast.CompositeLit); ok && literal.Type != nil {
			text = g.text(literal.Type, false) + " { " + text
		}
	}
	return text
}

// text writes the tokens of a node, without what has a life of its own inside it: the bodies of statements and functions,
// and the elements of keyed literals.
func (g *goFile) text(n ast.Node, hide bool) string {
	type span struct{ from, to token.Pos }
	var inner []span
	ast.Inspect(n, func(c ast.Node) bool {
		switch c := c.(type) {
		case *ast.BlockStmt:
			inner = append(inner, span{c.Lbrace + 1, c.Rbrace})
			return false
		case *ast.CompositeLit:
			if len(c.Elts) > 0 {
				if _, keyed := c.Elts[0].(*ast.KeyValueExpr); keyed {
					inner = append(inner, span{c.Lbrace + 1, c.Rbrace})
					return false
				}
			}
		}
		return true
	})
	end := n.End()
	switch c := n.(type) {
	case *ast.CaseClause:
		end = c.Colon
	case *ast.CommClause:
		end = c.Colon
	case *ast.IfStmt:
		end = c.Body.Lbrace // what else there is stands for itself
	}
	var words []string
	for i := g.index(n.Pos()); i < len(g.tokens) && g.tokens[i].pos < end; i++ {
		t := g.tokens[i]
		if slices.ContainsFunc(inner, func(s span) bool { return t.pos >= s.from && t.pos < s.to }) {
			continue
		}
		if word := g.word(i, hide); word != "" {
			words = append(words, word)
		}
	}
	return strings.ReplaceAll(strings.Join(words, " "), "interface { }", "any")
}

// word writes a token the same however it is formatted; empty for one that formatting may add or take away.
func (g *goFile) word(i int, hide bool) string {
	t := g.tokens[i]
	switch {
	case t.kind == token.SEMICOLON:
		return ""
	case t.kind == token.COMMA && i+1 < len(g.tokens):
		if next := g.tokens[i+1].kind; next == token.RPAREN || next == token.RBRACE || next == token.RBRACK {
			return ""
		}
	case t.kind == token.STRING && hide:
		return `""`
	case t.kind == token.STRING:
		if s, err := strconv.Unquote(t.text); err == nil {
			return strconv.Quote(s)
		}
	case t.kind == token.INT:
		return strings.ToLower(t.text)
	}
	if t.text == "" {
		return t.kind.String()
	}
	return t.text
}

// scopeOf gives the declaration around a place, and its name: Name, Type.Method, or that of the first thing declared.
func scopeOf(trail []ast.Node) (ast.Node, string) {
	for i := len(trail) - 1; i >= 0; i-- {
		switch d := trail[i].(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || len(d.Recv.List) == 0 {
				return d, d.Name.Name
			}
			return d, receiver(d.Recv.List[0].Type) + "." + d.Name.Name
		case *ast.ValueSpec:
			return d, d.Names[0].Name
		case *ast.TypeSpec:
			return d, d.Name.Name
		}
	}
	return nil, ""
}

func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	case *ast.ParenExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// shape hashes a declaration with each name replaced by the number of its first use, and the place in it. Equal shapes
// are the same code with other names.
func (g *goFile) shape(d ast.Node, pos token.Pos) string {
	names := map[string]string{}
	var words []string
	place := -1
	for i := g.index(d.Pos()); i < len(g.tokens) && g.tokens[i].pos < d.End(); i++ {
		word := g.word(i, false)
		if word == "" {
			continue
		}
		if g.tokens[i].kind == token.IDENT {
			if names[word] == "" {
				names[word] = fmt.Sprintf("#%d", len(names))
			}
			word = names[word]
		}
		if place < 0 && g.tokens[i].pos >= pos {
			place = len(words)
		}
		words = append(words, word)
	}
	return digest(append(words, strconv.Itoa(place))...)
}

// near hashes the neighbours of a unit in its block or literal, as far as they say enough to be recognised.
func (g *goFile) near(trail []ast.Node, unit int) []string {
	for ; unit+1 < len(trail); unit++ {
		siblings := children(trail[unit+1])
		at := slices.Index(siblings, trail[unit])
		if at < 0 {
			continue // part of the head of a statement: the neighbours are that statement's
		}
		var near []string
		for _, i := range []int{at - 1, at + 1} {
			if i < 0 || i >= len(siblings) {
				continue
			}
			if text := g.text(siblings[i], false); strings.Count(text, " ") >= telling-1 {
				near = append(near, digest(text))
			}
		}
		return near
	}
	return nil
}

func children(n ast.Node) []ast.Node {
	var list []ast.Node
	switch n := n.(type) {
	case *ast.BlockStmt:
		for _, s := range n.List {
			list = append(list, s)
		}
	case *ast.CaseClause:
		for _, s := range n.Body {
			list = append(list, s)
		}
	case *ast.CommClause:
		for _, s := range n.Body {
			list = append(list, s)
		}
	case *ast.CompositeLit:
		for _, e := range n.Elts {
			list = append(list, e)
		}
	case *ast.GenDecl:
		for _, s := range n.Specs {
			list = append(list, s)
		}
	}
	return list
}
