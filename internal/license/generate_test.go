package license

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/licensecheck"

	"github.com/org/idp/internal/sbom"
)

var update = flag.Bool("update", false, "write patterns.gz")

var (
	comment  = regexp.MustCompile(`(?s)//\*\*.*?\*\*//`)
	operator = regexp.MustCompile(`\(\(|\)\)\?\?|\)\)|\|\||__[0-9]+__`)
)

// normal is a pattern of licensecheck with its words as this package splits them, fields apart by one space.
func normal(t *testing.T, lre string) string {
	t.Helper()
	lre = comment.ReplaceAllString(lre, " ")
	var fields []string
	last := 0
	for _, at := range operator.FindAllStringIndex(lre, -1) {
		fields = append(append(fields, split(lre[last:at[0]])...), lre[at[0]:at[1]])
		last = at[1]
	}
	fields = append(fields, split(lre[last:])...)
	return strings.Join(fields, " ")
}

// phrases are rows of words of which every match of the fields has one: of the rows that nothing interrupts the one that the
// fewest patterns have, else one of each alternative. None where there is a way around.
func phrases(fields []string, count map[string]int) []string {
	best, now := "", []string(nil)
	var groups [][][]string // of those that may not be missing, their alternatives
	var alternatives [][]string
	depth, start := 0, 0
	for i, f := range fields {
		if depth == 0 && !operator.MatchString(f) {
			if now = append(now, f); len(now) >= phraseWords {
				if p := strings.Join(now[len(now)-phraseWords:], " "); best == "" || count[p] < count[best] {
					best = p
				}
			}
			continue
		}
		now = nil
		switch {
		case f == "((":
			if depth++; depth == 1 {
				start, alternatives = i+1, nil
			}
		case f == "||" && depth == 1:
			alternatives, start = append(alternatives, fields[start:i]), i+1
		case strings.HasPrefix(f, "))"):
			if depth--; depth == 0 && f == "))" {
				groups = append(groups, append(alternatives, fields[start:i]))
			}
		}
	}
	if best != "" {
		return []string{best}
	}
	for _, g := range groups {
		var all []string
		for _, one := range g {
			found := phrases(one, count)
			if found == nil {
				all = nil
				break
			}
			all = append(all, found...)
		}
		if all != nil {
			return all
		}
	}
	return nil
}

// rows counts in how many patterns each row of words is.
func rows(forms []string) map[string]int {
	count := map[string]int{}
	for _, form := range forms {
		fields := strings.Fields(form)
		seen := map[string]bool{}
		for i := range len(fields) - phraseWords + 1 {
			if row := strings.Join(fields[i:i+phraseWords], " "); !seen[row] {
				seen[row] = true
				count[row]++
			}
		}
	}
	return count
}

// TestGenerated makes the patterns of those of licensecheck whose licence is on SPDX's list. That module is for tests alone: what it
// would link into the program is seven times as large, and takes a second to begin.
func TestGenerated(t *testing.T) {
	t.Parallel()
	var ids, forms []string
	for _, l := range licensecheck.BuiltinLicenses() {
		if l.LRE != "" && sbom.Known(l.ID) {
			ids, forms = append(ids, l.ID), append(forms, normal(t, l.LRE))
		}
	}
	count := rows(forms)
	var text strings.Builder
	for i, form := range forms {
		found := phrases(strings.Fields(form), count)
		if found == nil {
			t.Errorf("%s has no words in a row that each of its texts has", ids[i])
		}
		fmt.Fprintf(&text, "%s\t%s\t%s\n", ids[i], strings.Join(found, "|"), form)
	}
	if *update {
		if err := os.WriteFile("patterns.gz", pack(t, text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := unpack() // what is packed, since another version of Go may pack it otherwise
	if err != nil {
		t.Fatal(err)
	}
	if !*update && have != text.String() {
		t.Error("patterns.gz is not what is made of licensecheck's patterns: run make generate")
	}
}

func pack(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
