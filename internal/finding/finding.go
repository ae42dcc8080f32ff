// Package finding is what a scanner found, in one form for every scanner: rule, place, severity and a fingerprint that
// stays the same while the code around it moves. The gate over findings is here too.
package finding

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// Finding is one thing a scanner found. No field ever holds the value of a secret.
type Finding struct {
	Scanner     string   `json:"scanner"`
	Rule        string   `json:"rule"`
	Title       string   `json:"title"`             // what it is, in one line
	Help        string   `json:"help,omitempty"`    // why it matters and how to fix it, in two sentences
	HelpURI     string   `json:"helpUri,omitempty"` // where to read more
	Severity    Severity `json:"severity"`
	Confidence  string   `json:"confidence,omitempty"`
	CWE         []string `json:"cwe,omitempty"` // such as CWE-798
	File        string   `json:"file"`          // relative to the service directory, with slashes
	Line        int      `json:"line"`          // from 1; 0 where the finding is about the whole file
	Column      int      `json:"column,omitempty"`
	EndLine     int      `json:"endLine,omitempty"`
	Commit      string   `json:"commit,omitempty"` // where it was introduced; empty for the working tree
	Author      string   `json:"author,omitempty"` // of that commit
	Date        string   `json:"date,omitempty"`   // of that commit, RFC 3339
	Snippet     string   `json:"snippet,omitempty"`
	Scope       string   `json:"scope,omitempty"` // function or declaration around it, where that is known
	Fingerprint string   `json:"fingerprint"`     // see [Fingerprint]
	Known       bool     `json:"known"`           // true when it was there before this change, so it does not count at the gate

	// Around helps to recognise it where code was moved or renamed. It is not written anywhere.
	Around Around `json:"-"`

	// Suppression says why it does not count at the gate although it is there; nil when it counts.
	Suppression *Suppression `json:"suppression,omitempty"`
}

// Suppression is a decision of the team that a finding is to pass. It is shown wherever the finding is.
type Suppression struct {
	By            string `json:"by"`            // nosec, gitleaks:allow, waiver or the scanner's own
	InSource      bool   `json:"inSource"`      // true when it stands beside the code
	Justification string `json:"justification"` // as its author wrote it; may be empty where the policy allows that
	Owner         string `json:"owner,omitempty"`
	Expires       string `json:"expires,omitempty"` // YYYY-MM-DD
}

// Counts tells whether a gate has to look at the finding.
func (f Finding) Counts() bool { return !f.Known && f.Suppression == nil }

// half is the length of each half of a fingerprint, in hexadecimal digits.
const half = 16

// Fingerprint identifies a finding by the scanner, the rule, the file, and a context that does not change when lines move
// or are formatted anew. It has two halves of 64 bits: the first is of all four, so that it differs from file to file; the
// second leaves the file out, so that it is the same after the file was renamed.
func Fingerprint(scanner, rule, file, context string) string {
	context = strings.Join(strings.Fields(context), " ")
	return digest(scanner, rule, file, context) + digest(scanner, rule, context)
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:half/2])
}

// contextOf is the half of a fingerprint that stays when a file is renamed.
func contextOf(fingerprint string) string {
	if len(fingerprint) != 2*half {
		return fingerprint
	}
	return fingerprint[half:]
}

// SameContext tells whether two fingerprints are of the same rule on the same code, whatever the file is called.
func SameContext(a, b string) bool { return contextOf(a) == contextOf(b) }

// Number makes fingerprints unique: the first half of the second of two equal ones, in order of place, is hashed again,
// and so on.
func Number(findings []Finding) {
	Sort(findings)
	seen := map[string]int{}
	for i := range findings {
		base := findings[i].Fingerprint
		if n := seen[base]; n > 0 && len(base) == 2*half {
			findings[i].Fingerprint = digest(base+strings.Repeat("+", n)) + base[half:]
		}
		seen[base]++
	}
}

// minShort is the least number of digits by which people name a fingerprint.
const minShort = 6

// Short is the shortest beginning of a fingerprint that names one finding among all.
func Short(fingerprint string, all []Finding) string {
	for n := minShort; n < len(fingerprint); n++ {
		if !slices.ContainsFunc(all, func(f Finding) bool {
			return f.Fingerprint != fingerprint && strings.HasPrefix(f.Fingerprint, fingerprint[:n])
		}) {
			return fingerprint[:n]
		}
	}
	return fingerprint
}

// Sort orders findings: the gravest first, then by place.
func Sort(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(b.Severity.rank(), a.Severity.rank()),
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Commit, b.Commit),
		)
	})
}
