package license

import (
	"strings"
	"unicode"
)

const copyright = "copyright"

// split gives the words of a text without case, punctuation and layout, and with those words made one that the matching
// guidelines of SPDX, annex B, and the patterns take for the same.
func split(text string) []string {
	words := strings.FieldsFunc(signs.Replace(strings.ToLower(text)), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	kept := words[:0]
	for _, w := range words {
		if same, ok := alike[w]; ok {
			w = same
		}
		if w == copyright && len(kept) > 0 && kept[len(kept)-1] == copyright { // Copyright (c)
			continue
		}
		kept = append(kept, w)
	}
	return kept
}

var signs = strings.NewReplacer("©", " copyright ", "(s)", "s", "&apos;", "'")

var alike = map[string]string{
	"c": copyright, "names": "name",
	"https": "http", "are": "is", "them": "it", "they": "it", "these": "the", "this": "the", "those": "the", "copies": "copy",
	"licence": "license", "licences": "licenses", "sublicence": "sublicense",
}
