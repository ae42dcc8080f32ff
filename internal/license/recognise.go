package license

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/org/idp/internal/sbom"
)

// Text is what the text of a licence says.
type Text struct {
	// Expression of SPDX; empty where it is not determined, and Why says why.
	Expression string
	// Stated tells that the text itself states the expression. Else it is made of all licences whose text is there: how they
	// relate is not said, and whoever keeps to all of them keeps to whichever holds.
	Stated bool
	Why    string
}

// Bounds of what is looked at. Expressions of Go take time linear in the text, so these bound the time too.
const (
	maxCandidates = 20 // patterns that are tried on one text; a list of all that a distribution is made of may have more
	// enough is the part of the words, in percent, that has to be licences or copyright. It is what pkg.go.dev asks for before it
	// shows the documentation of a module. It alone would let one line pass that takes back what the licence gives, so the rest
	// must have none of the words with which that is done, either.
	enough       = 75
	maxCopyright = 50  // words before a licence that may be a notice of copyright
	maxShown     = 200 // bytes of a reason, which may have words of the file in it
)

// Text recognises the licences in a text.
func (r *Reader) Text(data []byte) Text {
	text := r.text(data)
	text.Why = strings.ToValidUTF8(text.Why[:min(len(text.Why), maxShown)], "")
	return text
}

func (r *Reader) text(data []byte) Text {
	if bytes.IndexByte(data, 0) >= 0 {
		return Text{Why: "it is no text"}
	}
	list := split(string(data))
	found, err := r.find(list)
	if err != nil {
		return Text{Why: err.Error()}
	}
	if stated := statement.FindAllSubmatch(data, 2); stated != nil {
		return r.stated(stated, found)
	}
	if len(found) == 0 {
		return Text{Why: "it has the text of no licence on the list of SPDX"}
	}
	if why := r.beside(list, found); why != "" {
		return Text{Why: why}
	}
	var ids []string
	for _, m := range found {
		ids = append(ids, r.patterns[m.pattern].id)
	}
	return Text{Expression: and(ids)}
}

// beside says what is in the way of claiming that a text is the licences found in it and nothing more; empty for nothing.
func (r *Reader) beside(list []string, found []match) string {
	covered, last := 0, match{}
	for _, m := range append(slices.Clone(found), match{from: len(list), to: len(list)}) {
		rest := list[last.to:m.from]
		if at := slices.IndexFunc(rest, func(w string) bool { return binding[w] }); at >= 0 {
			return fmt.Sprintf("beside %s it has words that may change it: …%s…", r.patterns[found[0].pattern].id, strings.Join(rest[max(0, at-3):min(len(rest), at+4)], " "))
		}
		covered += m.to - m.from
		notice := rest[max(0, len(rest)-maxCopyright):]
		if at := slices.Index(notice, copyright); at >= 0 && m.from < len(list) {
			covered += len(notice) - at
		}
		last = m
	}
	if percent := 100 * covered / len(list); percent < enough {
		return fmt.Sprintf("%d%% of it is the text of a licence, and %d%% is needed", percent, enough)
	}
	return ""
}

// statement is how a file states its licence, annex E of SPDX 2.3.
var statement = regexp.MustCompile(`SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+() \t-]+)`)

// stated is what the text says of itself, where that is one thing and names every licence whose text is there.
func (r *Reader) stated(all [][][]byte, found []match) Text {
	fields := strings.Fields(strings.TrimRight(string(all[0][1]), " \t-")) // without the end of a comment in XML
	for i, f := range fields {
		if operator := strings.ToUpper(f); operator == "AND" || operator == "OR" || operator == "WITH" {
			fields[i] = operator
		}
	}
	text := strings.Join(fields, " ")
	if len(all) > 1 {
		return Text{Why: "it has more than one SPDX-License-Identifier"}
	}
	ids, err := sbom.Licenses(text)
	if err != nil {
		return Text{Why: fmt.Sprintf("its SPDX-License-Identifier is none: %v", err)}
	}
	for _, m := range found {
		id := r.patterns[m.pattern].id
		if !slices.ContainsFunc(ids, func(one string) bool {
			return slices.ContainsFunc([]string{id, id + "+", id + "-only", id + "-or-later"}, func(same string) bool { return strings.EqualFold(one, same) })
		}) {
			return Text{Why: fmt.Sprintf("its SPDX-License-Identifier is %s, and it has the text of %s", text, id)}
		}
	}
	return Text{Expression: text, Stated: true}
}

// and joins expressions that all hold.
func and(all []string) string {
	var parts []string
	for _, one := range all {
		joined := strings.Split(one, " AND ")
		if strings.ContainsAny(one, "()") || len(strings.Fields(one)) != 2*len(joined)-1 { // as stated, with more than AND in it
			joined = []string{one}
		}
		for _, part := range joined {
			if !slices.Contains(parts, part) {
				parts = append(parts, part)
			}
		}
	}
	if len(parts) == 1 {
		return parts[0]
	}
	for i, part := range parts {
		if strings.Contains(part, " ") {
			parts[i] = "(" + part + ")"
		}
	}
	return strings.Join(parts, " AND ")
}

// match is a licence at words from to to.
type match struct{ pattern, from, to int }

// find gives the licences in a text, from its beginning on the longest of those that begin first.
func (r *Reader) find(list []string) ([]match, error) {
	candidates := r.candidates(list)
	if len(candidates) > maxCandidates {
		return nil, fmt.Errorf("it may have the texts of %d licences, and up to %d are looked for", len(candidates), maxCandidates)
	}
	var all []match
	for _, i := range candidates {
		if err := r.compile(i); err != nil {
			return nil, err
		}
	}
	encoded := r.words.encode(list)
	for _, i := range candidates {
		for _, at := range r.compiled[i].FindAllStringIndex(encoded, -1) {
			all = append(all, match{i, at[0] / wordSize, at[1] / wordSize})
		}
	}
	slices.SortStableFunc(all, func(a, b match) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.to - a.to
	})
	end := 0
	return slices.DeleteFunc(all, func(m match) bool {
		if m.from < end {
			return true
		}
		end = m.to
		return false
	}), nil
}

func setOf(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// binding are words with which a text beside a licence may restrict it, add to it, or offer a choice, and the names of licences
// that a text may name without having them.
var binding = setOf(`may must shall should can cannot not nor only unless except exception exceptions however instead if
	option either choose choice dual dually alternatively
	condition conditions restrict restricts restricted restriction restrictions prohibit prohibits prohibited forbidden permit permits permitted
	allow allows allowed require requires required agree agreement grant grants terms term
	commercial noncommercial purpose purposes military evil use used uses using usage
	gpl gplv2 gplv3 lgpl agpl gnu mpl proprietary confidential commons`)
